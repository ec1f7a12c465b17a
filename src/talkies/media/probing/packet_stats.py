"""Statistics of one track's packets: times, gaps, frame rate and key frames, in constant memory."""

import heapq
import struct
from dataclasses import dataclass, field
from typing import Any

import av

from talkies.config import Config

_REORDER_WINDOW = 32
"""Packets arrive in decoding order; a window of this many is enough to sort them by presentation time."""
_PRIMING_PACKETS = 32  # samples to skip at the start of an audio track are stored in its first packets
_GAP_STEPS = 4.0
"""A picture that stands for this many times as long as its film's pictures on average may be a gap."""
CONSTANT_RATE_TOLERANCE_SECONDS = 0.0011
"""Frame durations that differ by at most this are one rate: some containers round times to milliseconds."""


def has_side_data(packet: "av.Packet[Any]") -> bool:
    """Return whether a packet has side data of any kind; asking for one kind takes as long as all else of a packet."""
    try:
        return next(packet.iter_sidedata(), None) is not None
    except (IndexError, ValueError):  # of a kind that PyAV does not know
        return True


class TrackTimes(Config):
    """The times of a track by its packets, in seconds on the file's corrected timeline; `gaps` are holes within it.

    `discarded_packets` are those that an edit list removes; `skipped_samples` are those that it, or the encoder's
    priming, removes from the start of an audio track. `last_start_seconds` is where the last packet starts.
    """

    time_base: str
    packets: int
    encrypted_packets: int
    corrupt_packets: int
    discarded_packets: int
    skipped_samples: int
    start_seconds: float | None
    end_seconds: float | None
    gaps: int
    longest_gap_seconds: float
    last_start_seconds: float | None = None

    @property
    def duration_seconds(self) -> float:
        """How long the track is, from the start of its first packet to the end of its last."""
        return (self.end_seconds or 0.0) - (self.start_seconds or 0.0)


@dataclass(slots=True)
class PacketStats:
    """Counts a track's packets, added in decoding order; `finish` returns their times.

    A gap is a hole of more than `min_gap_seconds`: in audio from the end of a packet to the start of the next; in video
    from the start of a picture to the start of the next, if pictures of the film usually stand for much less.
    `time_base` is that of the track, as text and as `seconds_per_tick`.
    """

    time_base: str
    seconds_per_tick: float
    min_gap_seconds: float
    is_audio: bool
    packets: int = 0
    encrypted: int = 0
    corrupt: int = 0
    discarded: int = 0
    skipped_samples: int = 0
    key_frames: int = 0
    longest_key_frame_distance_seconds: float | None = None
    shortest_and_longest_step: tuple[int, int] | None = None  # from one packet to the next, in ticks

    _first_pts: int | None = None
    _last_pts: int | None = None
    _last_step: int = 0
    _last_duration: int = 0
    _end: int = 0  # of the packets so far, in ticks
    _hole_seconds: list[float] = field(default_factory=list)  # those of more than `min_gap_seconds`
    _last_key_seconds: float | None = None
    _sorted_packets: int = 0
    _waiting: list[tuple[int, int]] = field(default_factory=list)  # heap of times and durations in ticks

    def add(self, packet: "av.Packet[Any]") -> None:
        """Count the next packet."""
        self.packets += 1
        self.corrupt += packet.is_corrupt
        if has_side_data(packet):
            self.encrypted += packet.has_sidedata("encryption_info")
            if self.is_audio and self.packets <= _PRIMING_PACKETS and packet.has_sidedata("skip_samples"):
                self.skipped_samples += struct.unpack_from("<I", bytes(packet.get_sidedata("skip_samples")))[0]
        self.discarded += packet.is_discard
        if packet.is_discard or packet.pts is None:
            return

        if packet.is_keyframe and not self.is_audio:
            self._add_key_frame(packet.pts * self.seconds_per_tick)
        heapq.heappush(self._waiting, (packet.pts, packet.duration or 0))
        if len(self._waiting) > _REORDER_WINDOW:
            self._add_in_order(*heapq.heappop(self._waiting))

    def finish(self) -> TrackTimes:
        """Return the times of the track, after its last packet."""
        while self._waiting:
            self._add_in_order(*heapq.heappop(self._waiting))

        end = self._end
        if self._last_pts is not None and not self.is_audio:
            end = max(end, self._last_pts + self._estimate_last_duration())
        gaps = self._find_gaps()
        return TrackTimes(
            time_base=self.time_base,
            packets=self.packets,
            encrypted_packets=self.encrypted,
            corrupt_packets=self.corrupt,
            discarded_packets=self.discarded,
            skipped_samples=self.skipped_samples,
            start_seconds=None if self._first_pts is None else self._first_pts * self.seconds_per_tick,
            end_seconds=None if self._first_pts is None else end * self.seconds_per_tick,
            gaps=len(gaps),
            longest_gap_seconds=max(gaps, default=0.0),
            last_start_seconds=None if self._last_pts is None else self._last_pts * self.seconds_per_tick,
        )

    @property
    def last_step_seconds(self) -> float:
        """How long the last picture but one stands."""
        return self._last_step * self.seconds_per_tick

    @property
    def shortest_step_seconds(self) -> float:
        """The shortest time from one picture to the next."""
        return self.shortest_and_longest_step[0] * self.seconds_per_tick if self.shortest_and_longest_step else 0.0

    def _find_gaps(self) -> list[float]:
        """Return the holes that are gaps, in seconds: in a slide show every picture stands long."""
        if self.is_audio or self._sorted_packets < 2 or self._first_pts is None or self._last_pts is None:
            return self._hole_seconds
        average = (self._last_pts - self._first_pts) * self.seconds_per_tick / (self._sorted_packets - 1)
        return [seconds for seconds in self._hole_seconds if seconds > _GAP_STEPS * average]

    def _estimate_last_duration(self) -> int:
        """Return how long the last picture lasts, in ticks: at least as long as the shortest other one."""
        shortest = self.shortest_and_longest_step[0] if self.shortest_and_longest_step else 0
        return max(self._last_duration, shortest)

    @property
    def fps(self) -> float | None:
        """Average pictures per second, or None if there are fewer than two."""
        if self._sorted_packets < 2 or self._first_pts is None or self._last_pts is None:
            return None
        if self._last_pts == self._first_pts:
            return None
        return (self._sorted_packets - 1) / ((self._last_pts - self._first_pts) * self.seconds_per_tick)

    @property
    def constant_rate(self) -> bool:
        """Whether all pictures last equally long, within the precision of the container's times."""
        if self.shortest_and_longest_step is None:
            return True
        shortest, longest = self.shortest_and_longest_step
        return (longest - shortest) * self.seconds_per_tick <= CONSTANT_RATE_TOLERANCE_SECONDS

    def _add_key_frame(self, seconds: float) -> None:
        self.key_frames += 1
        if self._last_key_seconds is not None:
            distance = seconds - self._last_key_seconds
            self.longest_key_frame_distance_seconds = max(self.longest_key_frame_distance_seconds or 0.0, distance)
        self._last_key_seconds = seconds

    def _add_in_order(self, pts: int, duration: int) -> None:
        """Count the next packet in order of presentation; both times are in ticks."""
        self._sorted_packets += 1
        if self._first_pts is None:
            self._first_pts = self._end = pts

        # Compare with the packet before: step and hole.
        if self._last_pts is not None:
            step = pts - self._last_pts
            if step > 0:
                shortest, longest = self.shortest_and_longest_step or (step, step)
                self.shortest_and_longest_step = min(shortest, step), max(longest, step)
                self._last_step = step
            hole_seconds = (pts - self._end if self.is_audio else step) * self.seconds_per_tick
            if hole_seconds > self.min_gap_seconds:
                self._hole_seconds.append(hole_seconds)
        self._last_pts, self._last_duration = pts, duration
        self._end = max(self._end, pts + duration if self.is_audio else pts)
