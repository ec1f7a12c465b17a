"""A short file, such as a labelled clip, read whole: its pictures, its sound, or both.

Shapes: `N` pictures, `P` rows of a planar YUV 4:2:0 picture (3/2 of its height), `W` columns, `S` samples.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from av.audio.fifo import AudioFifo
from av.error import FFmpegError

from talkies.core import Grid, Int16s, MediaError, UInt8s, format_path
from talkies.media.audio_timeline import GAP_SECONDS, STRAY_SECONDS, AudioTimeline
from talkies.media.probe import MediaInfo, probe
from talkies.media.resample import FilmResampler, ResampledFrame
from talkies.media.source import open_media, packets_of

LONGEST_SECONDS = 300.0
_MOST_DAMAGED = 0.1
"""A file of which a larger share of packets cannot be decoded is damaged; with fewer, players show what is left."""

Parts = Literal["video", "audio", "both"]


@dataclass(frozen=True, slots=True)
class DecodedFile:
    """Pictures `video_NPW` on a grid's frames, uint8, and sound `audio_S` on its samples, int16: those asked for.

    `damaged_packets` could not be decoded as they were.
    """

    video_NPW: UInt8s | None
    audio_S: Int16s | None
    damaged_packets: int


def decode_file(
    path: Path, parts: Parts, grid: Grid, short_side: int, span_seconds: tuple[float, float] | None = None
) -> DecodedFile:
    """Return what a file holds, on a grid, or what it holds between two moments of it.

    Raises:
        MediaError: `no_video`, `no_audio`, `damaged`, `too_long`, `empty_span`, or as `probe`; naming the file.
        SourceError: if the system does not let it be read.
    """
    info, end = probe(path), span_seconds[1] if span_seconds else None
    lasting = _seconds_of(info, parts)
    if min(lasting, end or lasting) > LONGEST_SECONDS:
        raise MediaError(
            "too_long",
            f"{format_path(path.name)} lasts {lasting / 60:.0f} min, and a labelled clip up to {LONGEST_SECONDS / 60:.0f}; "
            f"cut it into clips",
        )
    media = _sound_alone(path, info, grid, end) if parts == "audio" else _pictures(path, info, parts, grid, short_side)
    return _cut(media, grid, span_seconds, path) if span_seconds else media


def _seconds_of(info: MediaInfo, parts: Parts) -> float:
    track = info.audio if parts == "audio" else info.video
    return track.times.duration_seconds if track else 0.0


def _pictures(path: Path, info: MediaInfo, parts: Parts, grid: Grid, short_side: int) -> DecodedFile:
    conformer = FilmResampler(path, info, grid, short_side, pictures_alone=parts == "video")
    pictures: list[UInt8s] = []
    sounds: list[Int16s] = []
    for part in conformer:
        if isinstance(part, ResampledFrame):
            pictures.append(pictures[-1] if part.again and pictures else part.to_yuv())
        else:
            sounds.append(part.samples_S)
    report = conformer.report
    _check_damage(path, "pictures", report.damaged_video_packets, report.video_packets)
    _check_damage(path, "sound", report.damaged_audio_packets, report.audio_packets)
    audio_S = _joined(sounds) if parts == "both" else None
    return DecodedFile(np.stack(pictures), audio_S, report.damaged_packets)


def _sound_alone(path: Path, info: MediaInfo, grid: Grid, end_seconds: float | None) -> DecodedFile:
    """Return the sound from its first sample on."""
    if info.audio is None:
        raise MediaError("no_audio", f"{format_path(path.name)} has no audio track")
    if info.audio.codec is None:
        raise MediaError("no_decoder", f"FFmpeg has no decoder for the sound of {format_path(path.name)}; convert it first")
    damage = _Damage()
    frames = list(_frames_of(path, info.audio.index, damage, end_seconds))
    _check_damage(path, "sound", damage.damaged, damage.packets)
    if not frames:
        raise MediaError("damaged", f"no sound of {format_path(path.name)} can be decoded")
    first = frames[0]
    clock, pieces = AudioTimeline(grid), list[Int16s]()
    stamped = first.pts is not None and first.time_base is not None
    clock.origin = Fraction(first.pts * first.time_base) if stamped else Fraction(0)  # type: ignore[operator]
    for frame in [_joined_frames(frames)] if _is_one_run(frames) else frames:
        pieces.extend(clock.push(frame))
    pieces.extend(clock.flush(0))
    return DecodedFile(None, _joined(pieces), damage.damaged)


@dataclass(slots=True)
class _Damage:
    packets: int = 0
    damaged: int = 0


def _frames_of(path: Path, track: int, damage: _Damage, end_seconds: float | None) -> Iterator[av.AudioFrame]:
    """Yield the frames of a track of sound, up to a second after `end_seconds` of it."""
    heard, until = 0.0, math.inf if end_seconds is None else end_seconds + 1
    with open_media(path) as container:
        stream = container.streams[track]
        try:
            for packet in packets_of(container, [stream]):
                damage.packets += 1
                try:
                    decoded: list[Any] = [*packet.decode()]
                except FFmpegError:
                    damage.damaged += 1
                else:
                    yield from decoded
                    heard += sum(frame.samples / frame.sample_rate for frame in decoded)
                    if heard > until:
                        return
        except FFmpegError:  # the file cannot be read on
            damage.damaged += 1
        try:
            rest: list[av.AudioFrame] = stream.decode(None)  # type: ignore[attr-defined]
        except FFmpegError:
            rest = []
        for frame in rest:
            frame.time_base = stream.time_base  # PyAV leaves it out of what a flush gives
            yield frame


def _is_one_run(frames: Sequence[av.AudioFrame]) -> bool:
    """Return whether frames follow one another, in one form, as far as their timestamps tell."""
    first, heard = frames[0], 0.0
    form = first.format.name, first.layout.name, first.sample_rate
    even = len({frame.samples for frame in frames[:-1]}) <= 1
    tick = float(first.time_base or 0)
    for frame in frames:
        if frame.pts is None or first.pts is None or not tick:
            return False
        late = (frame.pts - first.pts) * tick - heard
        if (frame.format.name, frame.layout.name, frame.sample_rate) != form:
            return False
        if abs(late) > (STRAY_SECONDS if even else GAP_SECONDS):
            return False
        heard += frame.samples / frame.sample_rate
    return True


def _joined_frames(frames: Sequence[av.AudioFrame]) -> av.AudioFrame:
    """Return frames as one: a codec's own are so short that each costs its taking."""
    pts, time_base, queue = frames[0].pts, frames[0].time_base, AudioFifo()
    for frame in frames:
        frame.pts = None  # or the queue would want each to be exact
        queue.write(frame)
    whole = queue.read()
    if whole is None:
        raise ValueError("there is nothing to join")
    whole.pts, whole.time_base = pts, time_base
    return whole


def _check_damage(path: Path, what: str, damaged: int, packets: int) -> None:
    if damaged > _MOST_DAMAGED * packets:
        raise MediaError("damaged", f"{damaged} of {packets} packets of the {what} of {format_path(path.name)} are damaged")


def _joined(pieces: list[Int16s]) -> Int16s:
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)


def _cut(media: DecodedFile, grid: Grid, span_seconds: tuple[float, float], path: Path) -> DecodedFile:
    begin, end = (round(seconds * grid.fps) for seconds in span_seconds)
    video_NPW = None if media.video_NPW is None else media.video_NPW[begin:end]
    audio_S = None
    if media.audio_S is not None:
        audio_S = media.audio_S[begin * grid.samples_per_frame : end * grid.samples_per_frame]
    if any(part is not None and len(part) == 0 for part in (video_NPW, audio_S)):
        raise MediaError("empty_span", f"{format_path(path.name)} ends before {span_seconds[0]:g} s, where its clip begins")
    return DecodedFile(video_NPW, audio_S, media.damaged_packets)
