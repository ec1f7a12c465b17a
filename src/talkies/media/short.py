"""A short file, such as a labelled clip, read whole: its pictures, its sound, or both.

Shapes: `N` pictures, `P` rows of a planar YUV 4:2:0 picture (3/2 of its height), `W` columns, `S` samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
import numpy.typing as npt
from av.error import FFmpegError

from talkies.core import Grid, MediaError, text_of
from talkies.media.conform import Conformer, Picture
from talkies.media.probe import MediaInfo, probe
from talkies.media.sound import Samples, SoundClock
from talkies.media.source import open_media, packets_of

LONGEST_SECONDS = 300.0
_MOST_DAMAGED = 0.1
"""A file of which a larger share of packets cannot be decoded is damaged; with fewer, players show what is left."""

Parts = Literal["video", "audio", "both"]


@dataclass(frozen=True, slots=True)
class ShortMedia:
    """Pictures `video_NPW` on a grid's frames, uint8, and sound `audio_S` on its samples, int16: those asked for.

    `damaged_packets` could not be decoded as they were.
    """

    video_NPW: npt.NDArray[np.uint8] | None
    audio_S: Samples | None
    damaged_packets: int


def read_short(
    path: Path, parts: Parts, grid: Grid, short_side: int, span_seconds: tuple[float, float] | None = None
) -> ShortMedia:
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
            f"{text_of(path.name)} lasts {lasting / 60:.0f} min, and a labelled clip up to {LONGEST_SECONDS / 60:.0f}; "
            f"cut it into clips",
        )
    media = _sound_alone(path, info, grid, end) if parts == "audio" else _pictures(path, info, parts, grid, short_side)
    return _cut(media, grid, span_seconds, path) if span_seconds else media


def _seconds_of(info: MediaInfo, parts: Parts) -> float:
    track = info.audio if parts == "audio" else info.video
    return track.times.duration_seconds if track else 0.0


def _pictures(path: Path, info: MediaInfo, parts: Parts, grid: Grid, short_side: int) -> ShortMedia:
    conformer = Conformer(path, info, grid, short_side, pictures_alone=parts == "video")
    pictures: list[npt.NDArray[np.uint8]] = []
    sounds: list[Samples] = []
    for part in conformer:
        if isinstance(part, Picture):
            pictures.append(pictures[-1] if part.again and pictures else part.yuv_PW())
        else:
            sounds.append(part.samples_S)
    report = conformer.report
    _check_damage(path, "pictures", report.damaged_video_packets, report.video_packets)
    _check_damage(path, "sound", report.damaged_audio_packets, report.audio_packets)
    audio_S = _joined(sounds) if parts == "both" else None
    return ShortMedia(np.stack(pictures), audio_S, report.damaged_packets)


def _sound_alone(path: Path, info: MediaInfo, grid: Grid, end_seconds: float | None) -> ShortMedia:
    """Return the sound from its first sample on."""
    if info.audio is None:
        raise MediaError("no_audio", f"{text_of(path.name)} has no audio track")
    clock, pieces, damage = SoundClock(grid), list[Samples](), _Damage()
    for frame in _frames_of(path, info.audio.index, damage):
        if clock.origin is None:
            stamped = frame.pts is not None and frame.time_base is not None
            clock.origin = Fraction(frame.pts * frame.time_base) if stamped else Fraction(0)  # type: ignore[operator]
        pieces.extend(clock.push(frame))
        if end_seconds is not None and float(clock.heard) > end_seconds + 1:
            break
    _check_damage(path, "sound", damage.damaged, damage.packets)
    if clock.origin is None:
        raise MediaError("damaged", f"no sound of {text_of(path.name)} can be decoded")
    pieces.extend(clock.flush(0))
    return ShortMedia(None, _joined(pieces), damage.damaged)


@dataclass(slots=True)
class _Damage:
    packets: int = 0
    damaged: int = 0


def _frames_of(path: Path, track: int, damage: _Damage) -> Iterator[av.AudioFrame]:
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
        except FFmpegError:  # the file cannot be read on
            damage.damaged += 1
        rest: list[av.AudioFrame] = stream.decode(None)  # type: ignore[attr-defined]
        for frame in rest:
            frame.time_base = stream.time_base  # PyAV leaves it out of what a flush gives
            yield frame


def _check_damage(path: Path, what: str, damaged: int, packets: int) -> None:
    if damaged > _MOST_DAMAGED * packets:
        raise MediaError("damaged", f"{damaged} of {packets} packets of the {what} of {text_of(path.name)} are damaged")


def _joined(pieces: list[Samples]) -> Samples:
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)


def _cut(media: ShortMedia, grid: Grid, span_seconds: tuple[float, float], path: Path) -> ShortMedia:
    begin, end = (round(seconds * grid.fps) for seconds in span_seconds)
    video_NPW = None if media.video_NPW is None else media.video_NPW[begin:end]
    audio_S = None
    if media.audio_S is not None:
        audio_S = media.audio_S[begin * grid.samples_per_frame : end * grid.samples_per_frame]
    if any(part is not None and len(part) == 0 for part in (video_NPW, audio_S)):
        raise MediaError("empty_span", f"{text_of(path.name)} ends before {span_seconds[0]:g} s, where its clip begins")
    return ShortMedia(video_NPW, audio_S, media.damaged_packets)
