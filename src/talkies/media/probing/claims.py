"""What a container claims of its length and of its tracks', and how long its last picture lasts."""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.format import Flags
from av.video.stream import VideoStream

from talkies.media.headers import HeaderReader, UnparsableError, iterate_ebml
from talkies.media.probing.packet_stats import PacketStats, TrackTimes

_CONTAINERS_OF_TABLES = frozenset({"mov", "avi", "mxf"})
"""Containers that store how long each track is. For others FFmpeg says of each track what it found for the file."""
_CONTAINERS_OF_DURATIONS = frozenset({"mov"})
"""Containers that store how long each picture lasts, the last one included."""
_MEASURED: Any = Flags.ts_discont.value | Flags.no_timestamps.value
"""Formats that claim no length: what FFmpeg says of them it read from their last packets."""
_DURATION_TAG = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")
_SEGMENT = 0x18538067  # of Matroska
_AVI_HEADER_BYTES = 52  # up to the number of frames
_LONGEST_AVI_SECONDS = 24 * 3600.0
_STALE_SECONDS = 1.0
_AGREEMENT_SECONDS = 0.5
_SHORTEST_HOLD_SECONDS = 0.1
"""Tracks that end within this of one another end together."""
_MOST_STEPS_HELD = 1.5
"""Without a sound that agrees, a last picture lasts up to this many times as long as the picture before it."""
_LONGEST_HOLD_SECONDS = 600.0
"""A last picture that is said to stay for longer than this after the sound is a wrong duration, not a picture."""


@dataclass(frozen=True, slots=True)
class ContainerClaims:
    """What a container claims: where the file ends on its own clock, and each track by its index; in seconds.

    `has_durations` says that it stores how long each picture lasts; of `whole_tracks` nothing is missing.
    """

    end_seconds: float | None = None
    track_end_seconds: Mapping[int, float] = field(default_factory=dict)
    has_durations: bool = False
    whole_tracks: frozenset[int] = frozenset()

    @classmethod
    def read(cls, container: InputContainer, packets: Mapping[int, int]) -> "ContainerClaims":
        """Return the claims of a container; read them after its last packet, because fragments add to them.

        Args:
            container: the file, read to its end.
            packets: how many packets each track has, by its index.
        """
        end_seconds: float | None = None
        if container.duration and not container.format.flags & _MEASURED:
            start = 0 if container.format.name == "flv" else max(0, container.start_time or 0)  # FLV counts from zero
            end_seconds = (start + container.duration) / av.time_base
        names = set(container.format.name.split(","))
        streams: list[AudioStream | VideoStream] = [*container.streams.video, *container.streams.audio]
        tracks = {stream.index: end for stream in streams if (end := _read_track_end(stream, names)) is not None}
        path = Path(container.name.removeprefix("file:"))
        if "avi" in names:
            avi_seconds = _read_avi_seconds(path)
            tracks |= {
                stream.index: max(tracks.get(stream.index, 0.0), avi_seconds) for stream in container.streams.video
            }
        if "matroska" in names:
            # A tag that claims more than the file is of a longer file that this one was cut from.
            tracks = {
                index: end
                for index, end in tracks.items()
                if end_seconds is None or end <= end_seconds + _STALE_SECONDS
            }
            whole = frozenset(packets) if _has_whole_segment(path) else frozenset()
        else:
            whole = frozenset(stream.index for stream in streams if 0 < stream.frames <= packets.get(stream.index, 0))
        return cls(
            end_seconds=end_seconds,
            track_end_seconds=tracks,
            has_durations=bool(names & _CONTAINERS_OF_DURATIONS),
            whole_tracks=whole,
        )

    @property
    def latest_end_seconds(self) -> float | None:
        """The latest end that is claimed for the file or for any of its tracks."""
        ends = [*self.track_end_seconds.values(), *([] if self.end_seconds is None else [self.end_seconds])]
        return max(ends, default=None)

    def find_track_seconds(self, index: int, times: TrackTimes) -> float | None:
        """Return how long a track claims to be, or None if it claims nothing of itself."""
        end = self.track_end_seconds.get(index)
        return None if end is None else end - min(end, max(0.0, times.start_seconds or 0.0))

    def correct_picture_end(
        self, index: int, stats: PacketStats, times: TrackTimes, sound_end: float | None
    ) -> TrackTimes:
        """Return the times of a video track with the end of its last picture.

        The last picture of a whole track lasts until the track claims to end. Otherwise it lasts as long as the
        container says of it, as far as its length or the sound bears that out; where nothing is said of it, until the
        file claims to end, if the sound ends there too.

        Args:
            index: the track.
            stats: its packets.
            times: what they show.
            sound_end: where the sound ends by its packets.
        """
        if times.last_start_seconds is None or times.end_seconds is None:
            return times
        end = self._find_picture_end(index, stats, (times.last_start_seconds, times.end_seconds), sound_end)
        return times.model_copy(update={"end_seconds": end})

    def _find_picture_end(
        self, index: int, stats: PacketStats, last_picture: tuple[float, float], sound_end: float | None
    ) -> float:
        start, end = last_picture
        shortest_end = start + stats.shortest_step_seconds
        own = self.track_end_seconds.get(index)
        limit = (start if sound_end is None else max(start, sound_end)) + _LONGEST_HOLD_SECONDS
        if own is not None and own <= limit and index in self.whole_tracks:
            return max(shortest_end, own)

        # What is said of a single picture may be wrong: the track's length, or the sound, must bear it out.
        claimed = self.end_seconds if own is None else own
        if own is not None:
            end = min(end, max(shortest_end, own))
        if end - start > max(_AGREEMENT_SECONDS, _MOST_STEPS_HELD * stats.last_step_seconds):
            bearing = [value for value in (sound_end, claimed) if value is not None] or [end]
            borne_out = max((value for value in bearing if value <= limit), default=start)
            end = min(end, max(shortest_end, borne_out))
        if self.has_durations or claimed is None or claimed <= end + _SHORTEST_HOLD_SECONDS:
            return end

        # Nothing is said of single pictures: the last one may last to where the track or the file is said to end.
        agrees = sound_end is not None and abs(sound_end - claimed) <= _AGREEMENT_SECONDS
        is_next_step = claimed - start <= _MOST_STEPS_HELD * stats.last_step_seconds
        return claimed if agrees or is_next_step else end


def _read_track_end(stream: AudioStream | VideoStream, names: set[str]) -> float | None:
    """Return where a track claims to end in seconds, by its table or by Matroska's tag `DURATION`.

    In a container of another format (`names`) the tag was copied from the file that it was made from.
    """
    tags = stream.metadata if "matroska" in names else {}
    for key in sorted(key for key in tags if key.upper().partition("-")[0] == "DURATION"):
        if match := _DURATION_TAG.match(tags[key]):
            hours, minutes, seconds = match.groups()
            return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if not names & _CONTAINERS_OF_TABLES or not stream.duration or not stream.time_base:
        return None
    return float((max(0, stream.start_time or 0) + stream.duration) * stream.time_base)


def _read_avi_seconds(path: Path) -> float:
    """Return how long an AVI file claims to be, by its main header (`avih`); 0 if it claims nothing.

    FFmpeg replaces what a file without an index claims by what it finds. Of a large file (OpenDML) the header may count
    the first gigabytes only.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_AVI_HEADER_BYTES)
    except OSError:
        return 0.0
    if len(head) < _AVI_HEADER_BYTES or head[:4] != b"RIFF" or head[20:28] != b"hdrlavih":
        return 0.0
    (microseconds_per_frame,) = struct.unpack_from("<I", head, 32)
    (frames,) = struct.unpack_from("<I", head, 48)
    seconds = microseconds_per_frame * frames / 1e6
    return seconds if seconds <= _LONGEST_AVI_SECONDS else 0.0


def _has_whole_segment(path: Path) -> bool:
    """Return whether a Matroska file is as long as its segment says; one that was never finished does not say."""
    try:
        with path.open("rb") as file:
            reader = HeaderReader(file, file.seek(0, 2))
            segments = (element for element in iterate_ebml(reader, 0, 1 << 62) if element.name == _SEGMENT)
            return any(segment.end <= reader.size for segment in segments)
    except (UnparsableError, OSError):
        return False
