"""Decode a short file, such as a labelled clip, into memory: its pictures, its sound, or both.

Shapes: `N` pictures, `P` rows of a planar YUV 4:2:0 picture (3/2 of its height), `W` columns, `S` samples.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from talkies.core import Grid, Int16s, MediaError, ModalityChoice, UInt8s, format_path, picture_height
from talkies.media.audio_timeline import AudioTimeline
from talkies.media.frame_timeline import ResampledFrame
from talkies.media.probing import MediaInfo, probe
from talkies.media.resample import FilmResampler, ResampleReport
from talkies.media.source import open_media, read_packets

MAX_SECONDS = 300.0
MAX_QUERY_BYTES = 400_000_000
"""How much memory the pictures of a file may take that is held in memory as a whole: five minutes at 128 px."""
_MAX_DAMAGED_SHARE = 0.1
"""A file of which a larger share of packets cannot be decoded is damaged; with less, players show the rest."""


@dataclass(frozen=True, slots=True)
class DecodedFile:
    """A decoded file on a grid: uint8 pictures `video_NPW` and int16 samples `audio_S`, None if not requested.

    `damaged_packets` is the number of packets that could not be decoded as stored.
    """

    video_NPW: UInt8s | None
    audio_S: Int16s | None
    damaged_packets: int


def decode_file(
    path: Path,
    modalities: ModalityChoice,
    grid: Grid,
    short_side: int,
    span_seconds: tuple[float, float] | None = None,
    *,
    max_picture_bytes: int | None = None,
) -> DecodedFile:
    """Return the decoded video and/or audio of a file, resampled to a grid.

    Args:
        path: the media file.
        modalities: what to decode; time zero is the first picture, or the first sample for `audio`.
        grid: the frame rate and sample rate of the result.
        short_side: the shorter side of the pictures in pixels.
        span_seconds: half-open, the part of the file to return; None for all of it.
        max_picture_bytes: how much memory its pictures may take, beside a copy of them; None for any.

    Raises:
        MediaError: `no_video`, `no_audio`, `damaged`, `too_long`, `empty_span`, or as `probe`; it names the file.
        SourceError: if the system does not let the file be read.
    """
    info = probe(path)
    end_seconds = span_seconds[1] if span_seconds else None
    duration = _get_duration(info, modalities)
    if min(duration, end_seconds or duration) > MAX_SECONDS:
        raise MediaError(
            "too_long",
            f"{format_path(path.name)} lasts {duration / 60:.0f} min, and a labelled clip at most "
            f"{MAX_SECONDS / 60:.0f} min; cut it into clips",
        )

    if modalities == "audio":
        decoded = _decode_audio(path, info, grid, end_seconds)
    else:
        limits = _PictureLimits(path, grid.fps, max_picture_bytes)
        decoded = _decode_video(path, info, grid, short_side, limits, with_audio=modalities == "both")
    return _cut_span(decoded, grid, span_seconds, path) if span_seconds else decoded


def _get_duration(info: MediaInfo, modalities: ModalityChoice) -> float:
    track = info.audio if modalities == "audio" else info.video
    return track.times.duration_seconds if track else 0.0


@dataclass(frozen=True, slots=True)
class _PictureLimits:
    """How much memory the pictures of a file may take."""

    path: Path
    fps: int
    max_bytes: int | None

    def check(self, pictures: Sequence[UInt8s]) -> None:
        """Check that pictures of one size are not too many.

        Raises:
            MediaError: if they are.
        """
        if self.max_bytes is None or len(pictures) * pictures[0].nbytes <= self.max_bytes:
            return
        rows, width = pictures[0].shape
        seconds = self.max_bytes // pictures[0].nbytes / self.fps
        raise MediaError(
            "too_long",
            f"{format_path(self.path.name)} is too long: of pictures of {width} × {picture_height(rows)} pixels, "
            f"{self.fps} a second, at most {seconds:.0f} s fit into memory; cut it into clips",
        )


def _decode_video(
    path: Path, info: MediaInfo, grid: Grid, short_side: int, limits: _PictureLimits, *, with_audio: bool
) -> DecodedFile:
    """Decode the pictures, and the sound that belongs to them if wanted."""
    resampler = FilmResampler(path, info, grid, short_side, video_only=not with_audio)
    report, pictures, audio = _run_resampler(resampler, limits)
    if report.dominant_channels:  # only known at the end
        again = FilmResampler(path, info, grid, short_side, channels=report.dominant_channels)
        report, pictures, audio = _run_resampler(again, limits)

    _check_damage(path, "pictures", report.damaged_video_packets, report.video_packets)
    _check_damage(path, "sound", report.damaged_audio_packets, report.audio_packets)
    return DecodedFile(np.stack(pictures), _join_samples(audio) if with_audio else None, report.damaged_packets)


def _run_resampler(
    resampler: FilmResampler, limits: _PictureLimits
) -> tuple[ResampleReport, list[UInt8s], list[Int16s]]:
    pictures: list[UInt8s] = []
    audio: list[Int16s] = []
    for part in resampler:
        if isinstance(part, ResampledFrame):
            pictures.append(pictures[-1] if part.repeated and pictures else part.to_yuv())
            limits.check(pictures)
        else:
            audio.append(part.samples_S)
    return resampler.report, pictures, audio


def _decode_audio(path: Path, info: MediaInfo, grid: Grid, end_seconds: float | None) -> DecodedFile:
    """Decode the sound from its first sample on, whatever pictures the file has."""
    name = format_path(path.name)
    if info.audio is None:
        raise MediaError("no_audio", f"{name} has no audio track")
    if info.audio.codec is None:
        raise MediaError("no_decoder", f"FFmpeg has no decoder for the sound of {name}; convert it first")

    damage = _PacketCounts()
    frames = list(_decode_audio_frames(path, info.audio.index, damage, end_seconds))
    _check_damage(path, "sound", damage.damaged, damage.packets)
    if not frames:
        raise MediaError("damaged", f"no sound of {name} can be decoded")

    audio_S, channels = _place_frames(frames, grid)
    if channels:  # only known at the end
        audio_S, _ = _place_frames(frames, grid, channels)
    return DecodedFile(None, audio_S, damage.damaged)


def _place_frames(
    frames: Sequence[av.AudioFrame], grid: Grid, channels: tuple[int, ...] = ()
) -> tuple[Int16s, tuple[int, ...]]:
    """Return samples that start with the first frame, and the channels that should have been mixed, if not all."""
    first = frames[0]
    timeline = AudioTimeline(grid, channels=channels)
    has_time = first.pts is not None and first.time_base is not None
    timeline.origin = Fraction(first.pts * first.time_base) if has_time else Fraction(0)  # type: ignore[operator]
    pieces: list[Int16s] = []
    for frame in frames:
        pieces.extend(timeline.push(frame))
    pieces.extend(timeline.flush(0))
    return _join_samples(pieces), timeline.dominant_channels


@dataclass(slots=True)
class _PacketCounts:
    packets: int = 0
    damaged: int = 0


def _decode_audio_frames(
    path: Path, track: int, counts: _PacketCounts, end_seconds: float | None
) -> Iterator[av.AudioFrame]:
    """Yield the frames of an audio track, up to a second after `end_seconds`; update `counts`."""
    decoded_seconds = 0.0
    with open_media(path) as container:
        stream = container.streams[track]
        try:
            for packet in read_packets(container, [stream]):
                counts.packets += 1
                try:
                    frames: list[Any] = [*packet.decode()]
                except FFmpegError:
                    counts.damaged += 1
                    continue
                yield from frames
                if end_seconds is not None:
                    decoded_seconds += sum(frame.samples / frame.sample_rate for frame in frames)
                    if decoded_seconds > end_seconds + 1:
                        return
        except FFmpegError:  # the rest of the file cannot be read
            counts.damaged += 1

        # Take the frames that the decoder still holds.
        try:
            last_frames: list[av.AudioFrame] = stream.decode(None)  # type: ignore[attr-defined]
        except FFmpegError:
            last_frames = []
        for frame in last_frames:
            frame.time_base = stream.time_base  # PyAV does not set it on frames from a flush
            yield frame


def _join_samples(pieces: list[Int16s]) -> Int16s:
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)


def _check_damage(path: Path, what: str, damaged: int, packets: int) -> None:
    """Check that at most `_MAX_DAMAGED_SHARE` of the packets are damaged."""
    if damaged > _MAX_DAMAGED_SHARE * packets:
        name = format_path(path.name)
        raise MediaError("damaged", f"{damaged} of {packets} packets of the {what} of {name} are damaged")


def _cut_span(decoded: DecodedFile, grid: Grid, span_seconds: tuple[float, float], path: Path) -> DecodedFile:
    start, end = (round(seconds * grid.fps) for seconds in span_seconds)
    video_NPW = None if decoded.video_NPW is None else decoded.video_NPW[start:end]
    audio_S = None
    if decoded.audio_S is not None:
        audio_S = decoded.audio_S[start * grid.samples_per_frame : end * grid.samples_per_frame]
    if any(part is not None and len(part) == 0 for part in (video_NPW, audio_S)):
        name = format_path(path.name)
        raise MediaError("empty_span", f"{name} ends before {span_seconds[0]:g} s, where its clip starts")
    return DecodedFile(video_NPW, audio_S, decoded.damaged_packets)
