"""What a film is, in words: from its record to the facts, flags and details that an audit shows of it."""

import json
from collections.abc import Iterator

from pydantic import ValidationError

from talkies.core import format_count
from talkies.library import FilmEntry, FilmRecord, Measures
from talkies.media import AudioTrack, MediaInfo, VideoTrack

Details = Iterator[tuple[str, str]]
"""What is known of a film, as labels and values."""

_HDR = {"pq": "HDR (PQ)", "hlg": "HDR (HLG)"}
_MOST_JUMPS = 8


def info_of(record: FilmRecord) -> MediaInfo | None:
    """Return what the packets told, or nothing of a file that could not be read or was probed by another version."""
    try:
        return MediaInfo.model_validate_json(json.dumps(record.probe)) if record.probe else None
    except ValidationError:
        return None


def facts_of(film: FilmEntry, record: FilmRecord | None, info: MediaInfo | None) -> tuple[str, ...]:
    """Return what to see of every film at a glance: length, shots, size of the picture, rate, codecs, bytes."""
    return (*_lengths(film, info), *(_codecs(info) if info else ()), *_sizes(film, record))


def _lengths(film: FilmEntry, info: MediaInfo | None) -> Iterator[str]:
    """Yield how long a film is; of a rejected one, what its packets told."""
    tracks = [track for track in (info.video, info.audio) if track] if info else []
    seconds = film.duration_seconds if film.usable else max((t.times.duration_seconds for t in tracks), default=0.0)
    if seconds > 0:
        yield _clock(seconds)
    if film.usable:
        yield format_count(film.shots, "shot")


def _codecs(info: MediaInfo) -> Iterator[str]:
    if info.video and info.video.width:
        yield f"{info.video.width} × {info.video.height}"
    if info.video and info.video.fps:
        yield f"{info.video.fps:.5g} fps"
    if names := [track.codec for track in (info.video, info.audio) if track and track.codec]:
        yield " + ".join(names)


def _sizes(film: FilmEntry, record: FilmRecord | None) -> Iterator[str]:
    if record:
        yield f"source {size_in_words(record.source_bytes)}"
    if film.usable:
        yield f"stored {size_in_words(film.stored_bytes)}"


def flags_of(info: MediaInfo) -> Iterator[str]:
    """Yield what is out of the ordinary with a film's tracks."""
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


def details_of(record: FilmRecord, info: MediaInfo | None) -> Details:
    """Yield all that its record says of a film, but for its verdict."""
    yield "Source", record.source
    yield "Size", f"{size_in_words(record.source_bytes)} of source, {size_in_words(record.stored_bytes)} in the library"
    if info is not None:
        yield "Container", _container(info)
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
        size = f"{record.width} × {record.height}"
        yield "Proxy", f"{size}, {format_count(record.frames, 'frame')}, {record.duration_seconds:.4f} s"
    if record.tools:
        yield "Judged by", ", ".join(f"{name} {version}" for name, version in sorted(record.tools.items()))


def _container(info: MediaInfo) -> str:
    parts = [info.container]
    parts += [f"claims {info.claimed_seconds:.2f} s"] if info.claimed_seconds else []
    parts += [format_count(info.video_tracks, "picture track")] if info.video_tracks > 1 else []
    parts += ["with cover art"] if info.cover_art else []
    parts += ["cannot be read to its end"] if info.unreadable_end else []
    return ", ".join(parts)


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
    parts += [track.layout or format_count(track.channels, "channel")] if track.channels else []
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
    cut = [
        f"{format_count(times.discarded_packets, 'packet')} of {name}" for name, times in tracks if times.discarded_packets
    ]
    cut += [format_count(times.skipped_samples, "sample") for _, times in tracks if times.skipped_samples]
    if cut:
        yield "Told to skip", ", ".join(cut)
    if gaps := [f"{t.gaps} of {name}, up to {t.longest_gap_seconds:.2f} s" for name, t in tracks if t.gaps]:
        yield "Gaps", "; ".join(gaps)
    if corrupt := [f"{t.corrupt_packets} of {name}" for name, t in tracks if t.corrupt_packets]:
        yield "Packets marked corrupt", ", ".join(corrupt)
    if info.jumps:
        told = [f"at {at:.2f} s to {to:.2f} s" for at, to in info.jumps[:_MOST_JUMPS]]
        told += [f"{len(info.jumps) - _MOST_JUMPS} more"] if len(info.jumps) > _MOST_JUMPS else []
        yield "Clock jumps", "; ".join(told)


def _measured(measures: Measures, frames: int) -> Details:
    if measures.origin_seconds:
        yield "First picture", f"at {measures.origin_seconds:.3f} s of the source"
    start, end = measures.sound_start_seconds, measures.sound_end_seconds
    if start is not None and end is not None:
        gaps = f", {format_count(measures.sound_gaps, 'gap')}" if measures.sound_gaps else ""
        yield "Sound in the film", f"{start:.3f} to {end:.3f} s{gaps}".replace("-", "−")
    damaged = f"{measures.damaged_video_packets} of {measures.video_packets} of picture"
    yield "Damaged packets", f"{damaged}, {measures.damaged_audio_packets} of {measures.audio_packets} of sound"
    if frames:
        counts = {"black": measures.black_frames, "still": measures.still_frames, "silent": measures.silent_frames}
        counts["damaged"] = measures.damaged_frames
        yield "Of its length", ", ".join(f"{name} {_share(count, frames)}" for name, count in counts.items())
    if measures.peak_dbfs is not None:
        yield "Loudest", f"{measures.peak_dbfs:.1f} dBFS".replace("-", "−")


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


def size_in_words(count: int) -> str:
    """Return a number of bytes in the largest unit that it fills."""
    size, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 999.5:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "bytes" or size >= 99.5 else f"{size:.1f} {unit}"
