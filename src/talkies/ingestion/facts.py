"""Describe a film for the ingest report: facts, flags and details from its record and its probe."""

import json
from collections.abc import Iterator

from pydantic import ValidationError

from talkies.core import format_count
from talkies.library import FilmEntry, FilmRecord, Measures
from talkies.media import AudioTrack, MediaInfo, VideoTrack
from talkies.reporting import format_clock

Details = Iterator[tuple[str, str]]
"""Labels and values."""

_HDR_NAMES = {"pq": "HDR (PQ)", "hlg": "HDR (HLG)"}
_MAX_JUMPS = 8
_MAX_BARS = 8


def parse_probe(record: FilmRecord) -> MediaInfo | None:
    """Return the stored probe of a film, or None if there is none or another version wrote it."""
    try:
        return MediaInfo.model_validate_json(json.dumps(record.probe)) if record.probe else None
    except ValidationError:
        return None


def list_facts(film: FilmEntry, record: FilmRecord | None, info: MediaInfo | None) -> tuple[str, ...]:
    """Return the facts shown for every film: length, shots, picture size, frame rate, codecs, bytes."""
    return (*_list_lengths(film, info), *(_list_codecs(info) if info else ()), *_list_sizes(film, record))


def _list_lengths(film: FilmEntry, info: MediaInfo | None) -> Iterator[str]:
    """Yield a film's length (of a rejected film: that of its longest track) and its number of shots."""
    if film.usable:
        seconds = film.duration_seconds
    else:
        tracks = [track for track in (info.video, info.audio) if track] if info else []
        seconds = max((track.times.duration_seconds for track in tracks), default=0.0)

    if seconds > 0:
        yield format_clock(seconds, short_in_seconds=True)
    if film.usable:
        yield format_count(film.shots, "shot")


def _list_codecs(info: MediaInfo) -> Iterator[str]:
    if info.video and info.video.width:
        yield f"{info.video.width} × {info.video.height}"
    if info.video and info.video.fps:
        yield f"{info.video.fps:.5g} fps"
    if names := [track.codec for track in (info.video, info.audio) if track and track.codec]:
        yield " + ".join(names)


def _list_sizes(film: FilmEntry, record: FilmRecord | None) -> Iterator[str]:
    if record:
        yield f"source {format_bytes(record.source_bytes)}"
    if film.usable:
        yield f"stored {format_bytes(film.stored_bytes)}"


def list_flags(info: MediaInfo) -> Iterator[str]:
    """Yield the unusual properties of a film's tracks."""
    if video := info.video:
        if not video.constant_rate:
            yield "variable rate"
        if video.rotation_degrees:
            yield f"rotated {video.rotation_degrees}°"
        if video.interlaced:
            yield "interlaced"
        if video.hdr:
            yield _HDR_NAMES.get(video.hdr, video.hdr)
        if video.pixel_aspect != "1":
            yield "anamorphic"
        if video.crop and not video.crop.is_empty:
            yield "cropped"
    if len(info.audio_tracks) > 1:
        yield f"{len(info.audio_tracks)} sound tracks"


def list_details(record: FilmRecord, info: MediaInfo | None) -> Details:
    """Yield everything that a film's record holds except its verdict."""
    yield "Source", record.source
    if record.other_sources:
        yield "Also found at", ", ".join(record.other_sources)
    yield "Size", f"{format_bytes(record.source_bytes)} of source, {format_bytes(record.stored_bytes)} in the library"
    if info is not None:
        yield from _list_tracks(info)
        yield from _list_times(info)
    if record.measures is not None:
        yield from _list_measures(record.measures, record.frames)
    if record.bars:
        yield "Bars", _describe_bars(record)
    if record.usable:
        size = f"{record.width} × {record.height}"
        yield "Proxy", f"{size}, {format_count(record.frames, 'frame')}, {record.duration_seconds:.4f} s"
    if record.tools:
        yield "Judged by", ", ".join(f"{name} {version}" for name, version in sorted(record.tools.items()))


def list_bar_flags(record: FilmRecord) -> Iterator[str]:
    """Yield what kind of bars are burnt into a film's pictures."""
    bars = record.bars or ()
    across, beside = any(span.top or span.bottom for span in bars), any(span.left or span.right for span in bars)
    if across or beside:
        yield "windowbox" if across and beside else "letterbox" if across else "pillarbox"


def _describe_bars(record: FilmRecord) -> str:
    """Return the bars of each stretch of a film, at most `_MAX_BARS` of them; clips are cut without them."""
    bars = record.bars or ()
    fps = record.frames / record.duration_seconds if record.duration_seconds else 1.0
    texts = []
    for span in bars[:_MAX_BARS]:
        sides = {"above": span.top, "below": span.bottom, "left": span.left, "right": span.right}
        text = ", ".join(f"{pixels} {side}" for side, pixels in sides.items() if pixels)
        if (span.start_frame, span.end_frame) != (0, record.frames):
            text += f" from {span.start_frame / fps:.2f} to {span.end_frame / fps:.2f} s"
        texts.append(text)
    texts += [f"{len(bars) - _MAX_BARS} more"] if len(bars) > _MAX_BARS else []
    return "; ".join(texts) + " (pixels of the proxy, cut off clips)"


def _list_tracks(info: MediaInfo) -> Details:
    yield "Container", _describe_container(info)
    yield "Picture", _describe_video(info.video) if info.video else "none"
    if info.video and info.video.key_frames:
        yield "Key frames", _describe_key_frames(info.video)

    count = len(info.audio_tracks)
    yield "Sound", _describe_audio(info.audio, count) if info.audio else "none"
    others = [track for track in info.audio_tracks if info.audio is None or track.index != info.audio.index]
    if others:
        yield "Other sounds", "; ".join(_describe_audio(track, count) for track in others)
    if info.subtitle_languages:
        yield "Subtitles", ", ".join(info.subtitle_languages)


def _describe_container(info: MediaInfo) -> str:
    parts = [info.container]
    parts += [f"claims {info.claimed_seconds:.2f} s"] if info.claimed_seconds else []
    parts += [format_count(info.video_tracks, "picture track")] if info.video_tracks > 1 else []
    parts += ["with cover art"] if info.cover_art else []
    parts += ["cannot be read to its end"] if info.unreadable_end else []
    return ", ".join(parts)


def _describe_video(video: VideoTrack) -> str:
    parts = [video.codec or "unknown codec", f"{video.width} × {video.height}"]
    parts += [video.pixel_format] if video.pixel_format else []
    parts += [f"pixels {video.pixel_aspect}"] if video.pixel_aspect != "1" else []
    if video.crop and not video.crop.is_empty:
        crop = video.crop
        parts.append(
            f"cropped by its container: {crop.top} above, {crop.bottom} below, {crop.left} left, {crop.right} right"
        )
    if video.fps:
        parts.append(f"{video.fps:.5g} fps, {'constant' if video.constant_rate else 'variable'}")
    parts += [f"rotated {video.rotation_degrees}°"] if video.rotation_degrees else []
    parts += ["interlaced"] if video.interlaced else []
    parts += [_HDR_NAMES.get(video.hdr, video.hdr)] if video.hdr else []
    parts += ["full range"] if video.full_range else []
    return ", ".join(parts)


def _describe_key_frames(video: VideoTrack) -> str:
    distance = video.longest_key_frame_distance_seconds
    return f"{video.key_frames}" + (f", at most {distance:.2f} s apart" if distance else "")


def _describe_audio(track: AudioTrack, tracks: int) -> str:
    """Return a description of one of `tracks` audio tracks; FFmpeg's layout is `2 channels` where it knows no name."""
    has_language = track.language and track.language != "und"
    parts = [track.codec or "unknown codec"]
    parts += [f"{track.rate_hz} Hz"] if track.rate_hz else []
    parts += [track.layout or format_count(track.channels, "channel")] if track.channels else []
    parts += [f"language {track.language}" if has_language else "unknown language"]
    parts += [f"track {track.number} of {tracks}"] if tracks > 1 else []
    parts += [f"“{track.title}”"] if track.title else []
    return ", ".join(parts)


def _list_times(info: MediaInfo) -> Details:
    """Yield what the packets of both tracks show: their extent, and what is cut, missing, corrupt or out of order."""
    tracks = [(name, track.times) for name, track in (("picture", info.video), ("sound", info.audio)) if track]

    extents = [
        f"{name} {times.start_seconds:.3f} to {times.end_seconds:.3f} s"
        for name, times in tracks
        if times.start_seconds is not None and times.end_seconds is not None
    ]
    if extents:
        yield "By its packets", ", ".join(extents)

    skipped = [
        f"{format_count(times.discarded_packets, 'packet')} of {name}"
        for name, times in tracks
        if times.discarded_packets
    ]
    skipped += [format_count(times.skipped_samples, "sample") for _, times in tracks if times.skipped_samples]
    if skipped:
        yield "Marked to skip", ", ".join(skipped)

    gaps = [f"{times.gaps} of {name}, up to {times.longest_gap_seconds:.2f} s" for name, times in tracks if times.gaps]
    if gaps:
        yield "Gaps", "; ".join(gaps)
    corrupt = [f"{times.corrupt_packets} of {name}" for name, times in tracks if times.corrupt_packets]
    if corrupt:
        yield "Packets marked corrupt", ", ".join(corrupt)

    if info.jumps:
        jumps = [f"at {at:.2f} s to {source:.2f} s" for at, source in info.jumps[:_MAX_JUMPS]]
        jumps += [f"{len(info.jumps) - _MAX_JUMPS} more"] if len(info.jumps) > _MAX_JUMPS else []
        yield "Timestamp jumps", "; ".join(jumps)


def _list_measures(measures: Measures, frames: int) -> Details:
    """Yield what decoding a film of `frames` frames showed."""
    if measures.origin_seconds:
        yield "First picture", f"at {measures.origin_seconds:.3f} s of the source"

    start, end = measures.sound_start_seconds, measures.sound_end_seconds
    if start is not None and end is not None:
        gaps = f", {format_count(measures.sound_gaps, 'gap')}" if measures.sound_gaps else ""
        yield "Sound in the film", f"{start:.3f} to {end:.3f} s{gaps}".replace("-", "−")

    if measures.sound_channels:
        yield "Channels used", ", ".join(map(str, measures.sound_channels))
    if measures.sound_lost_in_mix_seconds:
        yield "Loudest channel only", f"for {measures.sound_lost_in_mix_seconds:.2f} s"

    damaged = f"{measures.damaged_video_packets} of {measures.video_packets} of picture"
    yield "Damaged packets", f"{damaged}, {measures.damaged_audio_packets} of {measures.audio_packets} of sound"

    if frames:
        counts = {
            "black": measures.black_frames,
            "still": measures.still_frames,
            "silent": measures.silent_frames,
            "damaged": measures.damaged_frames,
        }
        yield "Of its length", ", ".join(f"{name} {_format_share(count, frames)}" for name, count in counts.items())
    if measures.peak_dbfs is not None:
        yield "Peak level", f"{measures.peak_dbfs:.1f} dBFS".replace("-", "−")


def _format_share(count: int, total: int) -> str:
    """Return a share in whole per cent; 0 % means none and 100 % means all."""
    percent = round(100 * count / total)
    if 0 < count < total:
        percent = min(99, max(1, percent))
    return f"{percent} %"


def format_bytes(count: int) -> str:
    """Return a number of bytes in the largest decimal unit that it fills: `12.3 GB`."""
    size, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 999.5:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "bytes" or size >= 99.5 else f"{size:.1f} {unit}"
