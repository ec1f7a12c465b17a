"""What a media file holds, measured from its packets rather than read from what its container claims.

Every packet is read once and none is kept, so memory does not grow with the film's length. One frame of each track is
decoded, for facts that only a decoder knows.
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
from talkies.media.crop import FrameCrop, read_crop
from talkies.media.packet_stats import PacketStats, TrackTimes
from talkies.media.source import open_media, read_packets
from talkies.media.timeline import Timeline
from talkies.media.tracks import (
    AudioChoice,
    is_decodable,
    select_audio_track,
    select_moving_pictures,
    select_video_track,
)

VIDEO_GAP_SECONDS = 2.0
AUDIO_GAP_SECONDS = 0.5
_PROGRESS_BYTES = 1 << 24  # read between two calls of `on_progress`
_MAX_DECODED_PACKETS = 300  # in which a track's first frame is looked for
_HDR_NAMES = {int(ColorTrc.SMPTE2084): "pq", int(ColorTrc.ARIB_STD_B67): "hlg"}


class VideoTrack(Config):
    """A video track; `codec` is None if FFmpeg has no decoder for it; width and height are pixels as coded.

    `hdr` is `pq`, `hlg` or None; `decodes` is false if the first packets gave no frame; `crop` is what the container
    hides of each picture.
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
    crop: FrameCrop | None = None


class AudioTrack(Config):
    """An audio track; `number` counts the file's audio tracks from 1; `codec` and `decodes` as for `VideoTrack`."""

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
    """A media file: its container, the duration it claims, its tracks, and the `video` and `audio` talkies would use.

    `jumps` are where the file's clock jumps: seconds on the corrected timeline, seconds on the file's own clock.
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
    """Return what a media file holds, from all of its packets.

    Args:
        path: the file.
        choice: which audio track talkies would use; None for the default one.
        on_progress: called now and then, because a large file on a slow disk takes minutes.

    Raises:
        MediaError: if the file is missing, empty or unreadable.
        SourceError: if the system does not let it be read.
    """
    with open_media(path) as container:
        stats, timeline, first_frames = _TrackStats(container), Timeline(), _FirstFrames()

        # Read every packet. `FilmResampler` reads the same tracks, so that both correct the timestamps alike.
        tracks = [*select_moving_pictures(container.streams.video), *container.streams.audio]
        unreadable_end = False
        next_progress = 0
        try:
            for packet in read_packets(container, tracks):
                timeline.correct(packet)
                stats.add(packet)
                first_frames.add(packet)
                if on_progress and (packet.pos or 0) >= next_progress:
                    next_progress = (packet.pos or 0) + _PROGRESS_BYTES
                    on_progress()
        except FFmpegError:
            unreadable_end = True
        first_frames.flush(container)

        # Describe the tracks.
        video = select_video_track(container.streams.video, stats.packets)
        audio = select_audio_track(container.streams.audio, stats.packets, choice)
        audio_tracks = {
            stream.index: _describe_audio(stream, number, stats, first_frames)
            for number, stream in enumerate(container.streams.audio, 1)
        }
        video_tracks = len(select_moving_pictures(container.streams.video))
        return MediaInfo(
            container=container.format.name,
            claimed_seconds=container.duration / av.time_base if container.duration else None,
            video=_describe_video(video, stats, first_frames) if video else None,
            audio=audio_tracks[audio.index] if audio else None,
            video_tracks=video_tracks,
            audio_tracks=tuple(audio_tracks.values()),
            subtitle_languages=tuple(stream.language or "und" for stream in container.streams.subtitles),
            cover_art=video_tracks < len(container.streams.video),
            unreadable_end=unreadable_end,
            jumps=tuple((jump.at_seconds, jump.source_seconds) for jump in timeline.jumps),
        )


class _TrackStats:
    """The `PacketStats` of each video and audio track, by stream index."""

    def __init__(self, container: InputContainer) -> None:
        self._tracks: dict[int, PacketStats] = {}
        for stream in (*container.streams.video, *container.streams.audio):
            is_audio = stream.type == "audio"
            self._tracks[stream.index] = PacketStats(
                time_base=str(stream.time_base),
                seconds_per_tick=float(stream.time_base or 0),
                min_gap_seconds=AUDIO_GAP_SECONDS if is_audio else VIDEO_GAP_SECONDS,
                is_audio=is_audio,
            )

    def __getitem__(self, index: int) -> PacketStats:
        return self._tracks[index]

    def add(self, packet: "av.Packet[Any]") -> None:
        if packet.stream_index in self._tracks:
            self._tracks[packet.stream_index].add(packet)

    @property
    def packets(self) -> dict[int, int]:
        """The number of packets of each track."""
        return {index: track.packets for index, track in self._tracks.items()}


class _FirstFrames:
    """Decodes each track up to its first frame, or until `_MAX_DECODED_PACKETS` gave none."""

    def __init__(self) -> None:
        self._frames: dict[int, av.VideoFrame | av.AudioFrame] = {}
        self._tried_packets: dict[int, int] = {}

    def add(self, packet: "av.Packet[Any]") -> None:
        stream, index = packet.stream, packet.stream_index
        if index in self._frames or not isinstance(stream, VideoStream | AudioStream) or not is_decodable(stream):
            return
        self._tried_packets[index] = self._tried_packets.get(index, 0) + 1
        if self._tried_packets[index] <= _MAX_DECODED_PACKETS and not packet.has_sidedata("encryption_info"):
            with suppress(FFmpegError):
                self._frames.update((index, frame) for frame in packet.decode()[:1])

    def flush(self, container: InputContainer) -> None:
        """Take the frames that the decoders of short tracks still hold."""
        for index in self._tried_packets.keys() - self._frames.keys():
            stream = container.streams[index]
            assert isinstance(stream, AudioStream | VideoStream), "only such tracks are tried"
            with suppress(FFmpegError):
                self._frames.update((index, frame) for frame in stream.decode(None)[:1])

    def has_decoded(self, index: int) -> bool:
        """Return whether a track gave a frame, or has more packets than were tried and may still give one."""
        return index in self._frames or self._tried_packets.get(index, 0) > _MAX_DECODED_PACKETS

    def get_picture(self, index: int) -> av.VideoFrame | None:
        frame = self._frames.get(index)
        return frame if isinstance(frame, av.VideoFrame) else None


def _describe_video(stream: VideoStream, stats: _TrackStats, first_frames: _FirstFrames) -> VideoTrack:
    picture = first_frames.get_picture(stream.index)
    packet_stats = stats[stream.index]
    times = packet_stats.finish()  # before its other figures are read
    decodable, context = is_decodable(stream), stream.codec_context
    crop = _read_crop(stream) if decodable else None
    aspect = (crop.pixel_aspect if crop else None) or str(stream.sample_aspect_ratio or 1)
    return VideoTrack(
        index=stream.index,
        codec=context.codec.canonical_name if decodable else None,
        width=context.width if decodable else 0,
        height=context.height if decodable else 0,
        pixel_format=context.pix_fmt if decodable else None,
        pixel_aspect=aspect if decodable else "1",
        rotation_degrees=picture.rotation % 360 if picture else 0,
        interlaced=picture.interlaced_frame if picture else False,
        hdr=_HDR_NAMES.get(int(picture.color_trc)) if picture else None,
        full_range=picture.color_range == ColorRange.JPEG if picture else False,
        fps=packet_stats.fps,
        constant_rate=packet_stats.constant_rate,
        key_frames=packet_stats.key_frames,
        longest_key_frame_distance_seconds=packet_stats.longest_key_frame_distance_seconds,
        claimed_seconds=float(stream.duration * stream.time_base) if stream.duration and stream.time_base else None,
        decodes=first_frames.has_decoded(stream.index),
        times=times,
        crop=crop,
    )


def _read_crop(stream: VideoStream) -> FrameCrop | None:
    container, size = stream.container, (stream.codec_context.width, stream.codec_context.height)
    number = [other.index for other in container.streams.video].index(stream.index)
    return read_crop(Path(container.name.removeprefix("file:")), container.format.name, number, stream.id, size)


def _describe_audio(stream: AudioStream, number: int, stats: _TrackStats, first_frames: _FirstFrames) -> AudioTrack:
    decodable, context = is_decodable(stream), stream.codec_context
    return AudioTrack(
        number=number,
        index=stream.index,
        codec=context.codec.canonical_name if decodable else None,
        rate_hz=context.sample_rate if decodable else 0,
        channels=context.channels if decodable else 0,
        layout=context.layout.name if decodable and context.channels else None,
        language=stream.language,
        title=stream.metadata.get("title"),
        decodes=first_frames.has_decoded(stream.index),
        times=stats[stream.index].finish(),
    )
