"""The audit as a page: every film of a library with its verdict, its reasons and its thumbnails.

The page lies in the library's folder and links into it, so that it opens from a disk or a web server without more. It
follows from the library (and from the duplicates that an ingest met) alone, byte for byte.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from talkies.core import LibraryError, WorkError, cause_of, plural, write_atomically
from talkies.ingest.film import Ingested
from talkies.library import FilmEntry, FilmRecord, Library, Measures, Reason, Verdict
from talkies.media import AudioTrack, MediaInfo, VideoTrack

REPORT_NAME = "ingest.html"
MOST_FILMS = 2000
"""How many films a page shows; of more it says how many it leaves out."""

_ORDER = (Verdict.REJECTED, Verdict.WARNED, Verdict.ACCEPTED)
_CLASSES = {Verdict.REJECTED: "rejected", Verdict.WARNED: "warned", Verdict.ACCEPTED: "accepted"}
_HDR = {"pq": "HDR (PQ)", "hlg": "HDR (HLG)"}
_FILES = {"strip": "strip.jpg", "proxy": "proxy.mp4", "record": "film.json"}

Details = Iterator[tuple[str, str]]
"""What is known of a film, as labels and values."""


@dataclass(frozen=True, slots=True)
class Group:
    """The films of one verdict: how many there are, and those that the page shows."""

    verdict: str
    css_class: str
    count: int
    films: "tuple[ShownFilm, ...]"


@dataclass(frozen=True, slots=True)
class ShownFilm:
    """A film as the page shows it; `links` are the files that it has, by `strip`, `proxy` and `record`."""

    film_id: str
    name: str
    source: str
    reasons: tuple[Reason, ...]
    facts: tuple[str, ...]
    flags: tuple[str, ...]
    details: tuple[tuple[str, str], ...]
    links: dict[str, str]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A source of an ingest that has the bytes of another, and the id of their film."""

    source: str
    first: str
    film_id: str


def write_report(library: Library, films: Sequence[Ingested]) -> Path:
    """Write the audit of `library` into its folder and return its path; `films` are those of the ingest just done.

    Raises:
        LibraryError: if the library's films cannot be listed.
        WorkError: if the page cannot be written.
    """
    path = library.root / REPORT_NAME
    try:
        write_atomically(path, _page(library, films))
    except OSError as error:
        raise WorkError(
            f"{path} cannot be written ({cause_of(error)}); the films are in the library, only its audit is not"
        ) from error
    return path


def _page(library: Library, films: Sequence[Ingested]) -> str:
    from jinja2 import Environment  # a worker that converts films needs no templates

    entries = sorted(library.films(), key=lambda film: (_ORDER.index(Verdict(film.verdict)), film.source, film.film_id))
    shown = entries[:MOST_FILMS]
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        (files("talkies.ingest") / "templates" / "ingest.html").read_text(encoding="utf-8")
    )
    codes = Counter(code for film in entries for code in {reason.code for reason in film.reasons})
    histogram = sorted(codes.items(), key=lambda item: (-item[1], item[0]))
    return template.render(
        groups=_groups(library, entries, shown),
        films=len(entries),
        left_out=len(entries) - len(shown),
        length=_hours(sum(film.duration_seconds for film in entries)),
        bytes=_size(sum(film.stored_bytes for film in entries)),
        histogram=histogram,
        class_of={code: f"c{number}" for number, (code, _) in enumerate(histogram)},
        rejecting={reason.code for film in entries for reason in film.reasons if reason.rejects},
        duplicates=_duplicates(films),
        anchors={film.film_id for film in shown},
        profile=library.profile,
    )


def _groups(library: Library, entries: Sequence[FilmEntry], shown: Sequence[FilmEntry]) -> list[Group]:
    counts = Counter(film.verdict for film in entries)
    return [
        Group(
            str(verdict),
            _CLASSES[verdict],
            counts[verdict],
            tuple(_shown(library, film) for film in shown if film.verdict == verdict),
        )
        for verdict in _ORDER
    ]


def _duplicates(films: Sequence[Ingested]) -> list[Duplicate]:
    return [
        Duplicate(_text(film.source.location), _text(film.duplicate_of.location), film.record.film_id)
        for film in films
        if film.duplicate_of is not None
    ]


def _shown(library: Library, film: FilmEntry) -> ShownFilm:
    folder = library.film_folder(film.id)
    links = {what: f"films/{film.film_id}/{name}" for what, name in _FILES.items() if (folder / name).is_file()}
    try:
        record = library.record_of(film.id)
        fault = "its record is missing"
    except LibraryError as error:
        record, fault = None, str(error)
    info = _info(record) if record else None
    details = tuple(_details(record, info)) if record else (("Record", fault),)
    facts, flags = tuple(_facts(film, info)), tuple(_flags(info)) if info else ()
    return ShownFilm(film.film_id, film.name, film.source, film.reasons, facts, flags, details, links)


def _info(record: FilmRecord) -> MediaInfo | None:
    """Return what the packets told, or nothing of a file that could not be read or was probed by another version."""
    try:
        return MediaInfo.model_validate_json(json.dumps(record.probe)) if record.probe else None
    except ValidationError:
        return None


def _facts(film: FilmEntry, info: MediaInfo | None) -> Iterator[str]:
    """What to see of every film at once; a rejected one has only what its packets told."""
    seconds = film.duration_seconds
    if info and info.video and not film.usable:
        seconds = info.video.times.duration_seconds
    if seconds:
        yield _clock(seconds)
    if info and info.video and info.video.width:
        yield f"{info.video.width} × {info.video.height}"
    if info and info.video and info.video.fps:
        yield f"{info.video.fps:.5g} fps"
    if info and (names := [track.codec for track in (info.video, info.audio) if track and track.codec]):
        yield " + ".join(names)
    if film.usable:
        yield plural(film.shots, "shot")
    yield f"{_size(film.stored_bytes)} stored"


def _flags(info: MediaInfo) -> Iterator[str]:
    """What is out of the ordinary."""
    if video := info.video:
        if not video.constant_rate:
            yield "variable rate"
        if video.rotation_degrees:
            yield f"rotated {video.rotation_degrees}°"
        if video.interlaced:
            yield "interlaced"
        if video.hdr:
            yield _HDR.get(video.hdr, video.hdr)
        if video.pixel_aspect != "1":
            yield "anamorphic"
    if len(info.audio_tracks) > 1:
        yield f"{len(info.audio_tracks)} sound tracks"


def _details(record: FilmRecord, info: MediaInfo | None) -> Details:
    yield "Source", record.source
    yield "Size", f"{_size(record.source_bytes)} of source, {_size(record.stored_bytes)} in the library"
    if info is not None:
        claimed = f", claims {info.claimed_seconds:.2f} s" if info.claimed_seconds else ""
        yield "Container", f"{info.container}{claimed}{', with cover art' if info.cover_art else ''}"
        yield "Picture", _picture(info.video) if info.video else "none"
        if info.video and info.video.key_frames:
            yield "Key frames", _key_frames(info.video)
        yield "Sound", _sound(info.audio, len(info.audio_tracks)) if info.audio else "none"
        if others := [track for track in info.audio_tracks if info.audio is None or track.index != info.audio.index]:
            yield "Other sounds", "; ".join(_sound(track, len(info.audio_tracks)) for track in others)
        if info.subtitle_languages:
            yield "Subtitles", ", ".join(info.subtitle_languages)
        yield from _times(info)
    if record.measures is not None:
        yield from _measured(record.measures, record.frames)
    if record.usable:
        yield (
            "Proxy",
            f"{record.width} × {record.height}, {plural(record.frames, 'frame')}, {record.duration_seconds:g} s",
        )
    if record.tools:
        yield "Judged by", ", ".join(f"{name} {version}" for name, version in sorted(record.tools.items()))


def _picture(video: VideoTrack) -> str:
    parts = [video.codec or "unknown codec", f"{video.width} × {video.height}"]
    parts += [video.pixel_format] if video.pixel_format else []
    parts += [f"pixels {video.pixel_aspect}"] if video.pixel_aspect != "1" else []
    if video.fps:
        parts.append(f"{video.fps:.5g} fps, {'constant' if video.constant_rate else 'variable'}")
    parts += [f"rotated {video.rotation_degrees}°"] if video.rotation_degrees else []
    parts += ["interlaced"] if video.interlaced else []
    parts += [_HDR.get(video.hdr, video.hdr)] if video.hdr else []
    parts += ["full range"] if video.full_range else []
    return ", ".join(parts)


def _key_frames(video: VideoTrack) -> str:
    apart = video.longest_key_frame_distance_seconds
    return f"{video.key_frames}" + (f", at most {apart:.2f} s apart" if apart else "")


def _sound(track: AudioTrack, tracks: int) -> str:
    """Return a sound in words; FFmpeg says `2 channels` as the layout where it knows none."""
    parts = [track.codec or "unknown codec"]
    parts += [f"{track.rate_hz} Hz"] if track.rate_hz else []
    parts += [track.layout or plural(track.channels, "channel")] if track.channels else []
    told = track.language and track.language != "und"
    parts += [f"language {track.language}" if told else "language not told"]
    parts += [f"track {track.number} of {tracks}"] if tracks > 1 else []
    parts += [f"“{track.title}”"] if track.title else []
    return ", ".join(parts)


def _times(info: MediaInfo) -> Details:
    tracks = [(name, track.times) for name, track in (("picture", info.video), ("sound", info.audio)) if track]
    spans = [
        f"{name} {times.start_seconds:.3f} to {times.end_seconds:.3f} s"
        for name, times in tracks
        if times.start_seconds is not None and times.end_seconds is not None
    ]
    if spans:
        yield "By its packets", ", ".join(spans)
    aside = [f"{times.discarded_packets} {name} packets" for name, times in tracks if times.discarded_packets]
    aside += [f"{times.skipped_samples} samples" for _, times in tracks if times.skipped_samples]
    if aside:
        yield "Cut by edit list or priming", ", ".join(aside)
    if gaps := [f"{t.gaps} of {name}, up to {t.longest_gap_seconds:.2f} s" for name, t in tracks if t.gaps]:
        yield "Gaps", "; ".join(gaps)
    if info.jumps:
        yield (
            "Clock jumps",
            "; ".join(f"at {at:.2f} s to {to:.2f} s" for at, to in info.jumps[:8])
            + (f" and {len(info.jumps) - 8} more" if len(info.jumps) > 8 else ""),
        )


def _measured(measures: Measures, frames: int) -> Details:
    start, end = measures.sound_start_seconds, measures.sound_end_seconds
    if start is not None and end is not None:
        yield (
            "Sound on the film's clock",
            f"{start:.3f} to {end:.3f} s" + (f", {plural(measures.sound_gaps, 'gap')}" if measures.sound_gaps else ""),
        )
    if measures.origin_seconds:
        yield "First picture", f"at {measures.origin_seconds:.3f} s of the source"
    yield (
        "Damaged packets",
        (
            f"{measures.damaged_video_packets} of {measures.video_packets} of picture, "
            f"{measures.damaged_audio_packets} of {measures.audio_packets} of sound"
        ),
    )
    if frames:
        counts = {"black": measures.black_frames, "still": measures.still_frames, "silent": measures.silent_frames}
        counts["damaged"] = measures.damaged_frames
        yield "Of its length", ", ".join(f"{name} {_share(count, frames)}" for name, count in counts.items())
    if measures.peak_dbfs is not None:
        yield "Loudest", f"{measures.peak_dbfs:.1f} dBFS"


def _share(count: int, whole: int) -> str:
    """Return a share that says 0 % or 100 % only where it is all or nothing."""
    percent = round(100 * count / whole)
    if 0 < count < whole:
        percent = min(99, max(1, percent))
    return f"{percent} %"


def _clock(seconds: float) -> str:
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:,.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


def _size(count: int) -> str:
    size, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 999.5:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "bytes" or size >= 99.5 else f"{size:.1f} {unit}"


def _text(location: str) -> str:
    """Return a path as text; bytes that are no UTF-8 become question marks, as in records."""
    return location.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
