"""What a media file holds, read from its packets: containers claim, packets tell.

Every packet is looked at once and none is kept, so a film of any length takes the same memory; one picture is decoded,
for what only a decoder knows.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.video.reformatter import ColorRange, ColorTrc
from av.video.stream import VideoStream

from talkies.config import Config
from talkies.media.packet_stats import PacketStats, TrackTimes
from talkies.media.source import open_media, packets_of
from talkies.media.timeline import Timeline
from talkies.media.tracks import AudioChoice, best_audio, best_video, is_decodable, moving_pictures

PICTURE_GAP_SECONDS = 2.0
SOUND_GAP_SECONDS = 0.5
_TELL_BYTES = 1 << 24
_TRIES = 300  # packets in which a track's first frame is looked for
_HDR = {int(ColorTrc.SMPTE2084): "pq", int(ColorTrc.ARIB_STD_B67): "hlg"}


class VideoTrack(Config):
    """A track of moving pictures; `codec` is nothing if FFmpeg has no decoder for it; sizes in pixels as coded.

    `hdr` is `pq` or `hlg`; `decodes` is false if nothing came of the first packets.
    """

    index: int
    codec: str | None
    width: int
    height: int
    pixel_format: str | None
    pixel_aspect: str
    rotation_degrees: int
    interlaced: bool
    hdr: str | None
    full_range: bool
    fps: float | None
    constant_rate: bool
    key_frames: int
    longest_key_frame_distance_seconds: float | None
    claimed_seconds: float | None
    decodes: bool
    times: TrackTimes


class AudioTrack(Config):
    """A track of sound; `number` counts the file's tracks of sound from 1; `codec` as for `VideoTrack`."""

    number: int
    index: int
    codec: str | None
    rate_hz: int
    channels: int
    layout: str | None
    language: str | None
    title: str | None
    decodes: bool
    times: TrackTimes


class MediaInfo(Config):
    """A media file: its container, the duration that it claims, its tracks, and those that talkies would use.

    `jumps` are where its clock jumps: seconds on the timeline, seconds of its own clock.
    """

    container: str
    claimed_seconds: float | None
    video: VideoTrack | None
    audio: AudioTrack | None
    video_tracks: int
    audio_tracks: tuple[AudioTrack, ...]
    subtitle_languages: tuple[str, ...]
    cover_art: bool
    unreadable_end: bool
    jumps: tuple[tuple[float, float], ...]


def probe(path: Path, choice: AudioChoice | None = None, on_progress: Callable[[], object] | None = None) -> MediaInfo:
    """Return what `path` holds; `choice` says which sound talkies would use.

    `on_progress` is called now and then: a large file on a slow disk takes minutes.

    Raises:
        MediaError: if the file is missing, empty or unreadable.
        SourceError: if the system does not let it be read.
    """
    with open_media(path) as container:
        counted, timeline, first = _Counted(container), Timeline(), _FirstFrames()
        tracks = [*moving_pictures(container.streams.video), *container.streams.audio]  # as `FilmResampler` reads them
        unreadable_end, told = False, 0
        try:
            for packet in packets_of(container, tracks):
                timeline.mend(packet)
                counted.add(packet)
                first.add(packet)
                if on_progress and (packet.pos or 0) >= told:
                    told = (packet.pos or 0) + _TELL_BYTES
                    on_progress()
        except FFmpegError:
            unreadable_end = True
        first.flush(container)
        video = best_video(container.streams.video, counted.packets)
        audio = best_audio(container.streams.audio, counted.packets, choice)
        sounds = {s.index: _audio(s, n, counted, first) for n, s in enumerate(container.streams.audio, 1)}
        return MediaInfo(
            container=container.format.name,
            claimed_seconds=container.duration / av.time_base if container.duration else None,
            video=_video(video, counted, first) if video else None,
            audio=sounds[audio.index] if audio else None,
            video_tracks=len(moving_pictures(container.streams.video)),
            audio_tracks=tuple(sounds.values()),
            subtitle_languages=tuple(s.language or "und" for s in container.streams.subtitles),
            cover_art=len(moving_pictures(container.streams.video)) < len(container.streams.video),
            unreadable_end=unreadable_end,
            jumps=tuple((jump.at_seconds, jump.source_seconds) for jump in timeline.jumps),
        )


class _Counted:
    """The census of each track of sound or pictures."""

    def __init__(self, container: InputContainer) -> None:
        self._tracks: dict[int, PacketStats] = {}
        for stream in (*container.streams.video, *container.streams.audio):
            lasting, base = stream.type == "audio", stream.time_base
            gap = SOUND_GAP_SECONDS if lasting else PICTURE_GAP_SECONDS
            self._tracks[stream.index] = PacketStats(str(base), float(base or 0), gap, lasting)

    def __getitem__(self, index: int) -> PacketStats:
        return self._tracks[index]

    def add(self, packet: "av.Packet[Any]") -> None:
        if packet.stream_index in self._tracks:
            self._tracks[packet.stream_index].add(packet)

    @property
    def packets(self) -> dict[int, int]:
        return {index: track.packets for index, track in self._tracks.items()}


class _FirstFrames:
    """Decodes each track up to its first frame, or until it has tried long enough."""

    def __init__(self) -> None:
        self.found: dict[int, av.VideoFrame | av.AudioFrame] = {}
        self._tried: dict[int, int] = {}

    def add(self, packet: "av.Packet[Any]") -> None:
        stream, index = packet.stream, packet.stream_index
        if index in self.found or not isinstance(stream, VideoStream | AudioStream) or not is_decodable(stream):
            return
        self._tried[index] = self._tried.get(index, 0) + 1
        if self._tried[index] <= _TRIES and not packet.has_sidedata("encryption_info"):
            with suppress(FFmpegError):
                self.found.update((index, frame) for frame in packet.decode()[:1])

    def flush(self, container: InputContainer) -> None:
        """Take what the decoders of short tracks still hold."""
        for index in self._tried.keys() - self.found.keys():
            with suppress(FFmpegError):
                self.found.update((index, frame) for frame in _decoder(container, index).decode(None)[:1])

    def decodes(self, index: int) -> bool:
        """Return whether a track gave a frame, or may still give one after so many packets."""
        return index in self.found or self._tried.get(index, 0) > _TRIES

    def picture(self, index: int) -> av.VideoFrame | None:
        frame = self.found.get(index)
        return frame if isinstance(frame, av.VideoFrame) else None


def _decoder(container: InputContainer, index: int) -> AudioStream | VideoStream:
    stream = container.streams[index]
    assert isinstance(stream, AudioStream | VideoStream), "only such tracks are tried"
    return stream


def _video(stream: VideoStream, counted: _Counted, first: _FirstFrames) -> VideoTrack:
    picture = first.picture(stream.index)
    census, known = counted[stream.index], is_decodable(stream)
    context = stream.codec_context
    times = census.finish()
    return VideoTrack(
        index=stream.index,
        codec=context.codec.canonical_name if known else None,
        width=context.width if known else 0,
        height=context.height if known else 0,
        pixel_format=context.pix_fmt if known else None,
        pixel_aspect=str(stream.sample_aspect_ratio or 1) if known else "1",
        rotation_degrees=picture.rotation % 360 if picture else 0,
        interlaced=picture.interlaced_frame if picture else False,
        hdr=_HDR.get(int(picture.color_trc)) if picture else None,
        full_range=picture.color_range == ColorRange.JPEG if picture else False,
        fps=census.fps,
        constant_rate=census.constant_rate,
        key_frames=census.key_frames,
        longest_key_frame_distance_seconds=census.key_distance,
        claimed_seconds=float(stream.duration * stream.time_base) if stream.duration and stream.time_base else None,
        decodes=first.decodes(stream.index),
        times=times,
    )


def _audio(stream: AudioStream, number: int, counted: _Counted, first: _FirstFrames) -> AudioTrack:
    known = is_decodable(stream)
    context = stream.codec_context
    return AudioTrack(
        number=number,
        index=stream.index,
        codec=context.codec.canonical_name if known else None,
        rate_hz=context.sample_rate if known else 0,
        channels=context.channels if known else 0,
        layout=context.layout.name if known and context.channels else None,
        language=stream.language,
        title=stream.metadata.get("title"),
        decodes=first.decodes(stream.index),
        times=counted[stream.index].finish(),
    )
