"""One pass over all packets of a file, without decoding more than one frame of each track."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from talkies.media.probing.clock import ClockRules, Timeline
from talkies.media.probing.packet_stats import PacketStats
from talkies.media.probing.tracks import is_decodable, select_moving_pictures
from talkies.media.source import PacketReader

VIDEO_GAP_SECONDS = 2.0
AUDIO_GAP_SECONDS = 0.5
_PROGRESS_BYTES = 1 << 24  # read between two calls of `on_progress`
_MAX_DECODED_PACKETS = 300  # in which a track's first frame is looked for
_LEFT_OUT_SHARE = 0.05
"""Tracks that appear late are worth a word if so much of the file comes after the last packet of those that it has."""


class PacketScan:
    """Reads every packet of a file once and keeps none, so that memory does not grow with the film's length.

    Attributes:
        stats: the packets of each video and audio track.
        timeline: the file's clock, corrected by `rules`.
        first_frames: the first frame of each track.
        subtitle_end_seconds: where the last subtitle ends, on the file's own clock.
        unreadable_end: whether the file cannot be read to its end.
        late_tracks: whether tracks begin in the file that it does not announce at its start, and go on after those
            that it does.
    """

    def __init__(self, container: InputContainer, rules: ClockRules) -> None:
        self._container = container
        self.stats = TrackStats(container)
        self.timeline = Timeline(rules, stores_dts="matroska" not in container.format.name)
        self.first_frames = FirstFrames()
        self.subtitle_end_seconds = 0.0
        self.unreadable_end = False
        self.late_tracks = False

    def run(self, on_progress: Callable[[], object] | None = None) -> None:
        """Read the packets; `on_progress` is called now and then."""
        # `FilmResampler` reads the same video and audio tracks, so that both correct the timestamps alike.
        streams = self._container.streams
        reader = PacketReader(
            self._container, [*select_moving_pictures(streams.video), *streams.audio, *streams.subtitles]
        )
        subtitles = {stream.index for stream in streams.subtitles}
        next_progress = last_byte = 0
        try:
            for packet in reader:
                last_byte = max(last_byte, (packet.pos or 0) + packet.size)
                if packet.stream_index in subtitles:
                    self._add_subtitle(packet)
                    continue
                self.timeline.correct(packet)
                self.stats.add(packet)
                self.first_frames.add(packet)
                if on_progress and last_byte >= next_progress:
                    next_progress = last_byte + _PROGRESS_BYTES
                    on_progress()
        except FFmpegError:
            self.unreadable_end = True
        self.first_frames.flush(self._container)
        self.late_tracks = reader.late_tracks and last_byte < (1 - _LEFT_OUT_SHARE) * self._container.size

    def _add_subtitle(self, packet: "av.Packet[Any]") -> None:
        if packet.pts is not None and packet.time_base:
            end_seconds = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            self.subtitle_end_seconds = max(self.subtitle_end_seconds, end_seconds)


class TrackStats:
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
        """Count the next packet."""
        if packet.stream_index in self._tracks:
            self._tracks[packet.stream_index].add(packet)

    def count_packets(self) -> dict[int, int]:
        """Return how many packets each track has."""
        return {index: track.packets for index, track in self._tracks.items()}


class FirstFrames:
    """Decodes each track up to its first frame, or until `_MAX_DECODED_PACKETS` gave none."""

    def __init__(self) -> None:
        self._frames: dict[int, av.VideoFrame | av.AudioFrame] = {}
        self._tried_packets: dict[int, int] = {}  # by track

    def add(self, packet: "av.Packet[Any]") -> None:
        """Decode the next packet if its track has no frame yet."""
        index = packet.stream_index
        if index in self._frames:
            return
        stream = packet.stream
        if not isinstance(stream, VideoStream | AudioStream) or not is_decodable(stream):
            return
        if index not in self._tried_packets and isinstance(stream, VideoStream):
            stream.codec_context.thread_count = 1  # for one frame, threads take longer to start than to decode
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
        """Return the first picture of a track, None if there is none."""
        frame = self._frames.get(index)
        return frame if isinstance(frame, av.VideoFrame) else None
