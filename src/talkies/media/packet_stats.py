"""Count the packets of one track: times, gaps, rate and key frames, in constant memory."""

import heapq
import struct
from dataclasses import dataclass, field
from typing import Any

import av

from talkies.config import Config

_REORDERED = 32
"""Packets that a codec may hold back; a window as long puts presentation times in order."""
_PRIMING_PACKETS = 32  # samples to skip at a sound's beginning are told in its first packets
LONGEST_LAST_PICTURE_SECONDS = 10
STEADY_SECONDS = 0.0011
"""Steps that differ by no more than this are one rate: containers round times to milliseconds."""


class TrackTimes(Config):
    """The times of a track by its packets, in seconds on the file's mended timeline; `gaps` are holes within it.

    `discarded_packets` are those that an edit list takes out, `skipped_samples` what it (or the encoder's priming)
    takes from the sound's beginning.
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

    @property
    def duration_seconds(self) -> float:
        """How long the track is, from the beginning of its first packet to the end of its last."""
        return (self.end_seconds or 0.0) - (self.start_seconds or 0.0)


@dataclass(slots=True)
class PacketStats:
    """Takes a track's packets in decoding order.

    A gap is a hole of more than `least_gap_seconds`: for sound (`lasting`) from the end of a packet to the next, for
    pictures from one to the next.
    """

    time_base: str
    base: float
    least_gap_seconds: float
    lasting: bool
    packets: int = 0
    encrypted: int = 0
    corrupt: int = 0
    discarded: int = 0
    skipped: int = 0
    key_frames: int = 0
    key_distance: float | None = None
    gaps: int = 0
    longest_gap: float = 0.0
    steps: tuple[int, int] | None = None  # the shortest and the longest, in ticks
    _first: int | None = None
    _before: tuple[int, int] | None = None
    _end: int = 0
    _last_key: float | None = None
    _shown: int = 0
    _waiting: list[tuple[int, int]] = field(default_factory=list)

    def add(self, packet: "av.Packet[Any]") -> None:
        """Count the next packet."""
        self.packets += 1
        self.encrypted += packet.has_sidedata("encryption_info")
        self.corrupt += packet.is_corrupt
        if self.lasting and self.packets <= _PRIMING_PACKETS and packet.has_sidedata("skip_samples"):
            self.skipped += struct.unpack_from("<I", bytes(packet.get_sidedata("skip_samples")))[0]
        self.discarded += packet.is_discard
        if packet.is_discard or packet.pts is None:
            return
        if packet.is_keyframe and not self.lasting:
            self._note_key_frame(packet.pts * self.base)
        heapq.heappush(self._waiting, (packet.pts, packet.duration or 0))
        if len(self._waiting) > _REORDERED:
            self._show(*heapq.heappop(self._waiting))

    def finish(self) -> TrackTimes:
        """Return the times, after the last packet."""
        while self._waiting:
            self._show(*heapq.heappop(self._waiting))
        if self._before and self.steps and not self.lasting:  # a last picture lasts as long as others do
            self._end = max(self._end, self._before[0] + self.steps[0])
        return TrackTimes(
            time_base=self.time_base,
            packets=self.packets,
            encrypted_packets=self.encrypted,
            corrupt_packets=self.corrupt,
            discarded_packets=self.discarded,
            skipped_samples=self.skipped,
            start_seconds=None if self._first is None else self._first * self.base,
            end_seconds=None if self._first is None else self._end * self.base,
            gaps=self.gaps,
            longest_gap_seconds=self.longest_gap,
        )

    @property
    def fps(self) -> float | None:
        """Pictures a second on the average, or nothing if there are fewer than two."""
        if self._shown < 2 or self._first is None or self._before is None or self._before[0] == self._first:
            return None
        return (self._shown - 1) / ((self._before[0] - self._first) * self.base)

    @property
    def constant_rate(self) -> bool:
        """Whether all pictures last equally long, as far as the container can tell."""
        return self.steps is None or (self.steps[1] - self.steps[0]) * self.base <= STEADY_SECONDS

    def _note_key_frame(self, moment: float) -> None:
        self.key_frames += 1
        if self._last_key is not None:
            self.key_distance = max(self.key_distance or 0.0, moment - self._last_key)
        self._last_key = moment

    def _show(self, pts: int, duration: int) -> None:
        """Take the next packet in order of presentation."""
        self._shown += 1
        if self._first is None:
            self._first = self._end = pts
        if self._before is not None:
            step = pts - self._before[0]
            if step > 0:
                low, high = self.steps or (step, step)
                self.steps = min(low, step), max(high, step)
            hole = (pts - self._end if self.lasting else step) * self.base
            if hole > self.least_gap_seconds:
                self.gaps += 1
                self.longest_gap = max(self.longest_gap, hole)
        self._before = pts, duration
        # Of pictures only the last one's duration counts, and where a file is damaged that is anything.
        longest = duration if self.lasting else int(LONGEST_LAST_PICTURE_SECONDS / self.base)
        self._end = max(self._end, pts + min(duration, longest))
