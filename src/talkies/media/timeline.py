"""Correct timestamps that jump or restart within a file, while its packets are read.

Recordings of broadcasts and files joined end to end restart their clock on the way, or let it jump. What follows is
shifted so that it continues where the file had come to:

    file's clock    700 ── 706 │ 0 ── 4 │ 900 ── 905
    timeline        700 ── 706 ── 710 ── 715

A hole in a single track (a slide show, sound that starts late) is not a jump: the packets of the other track fill it.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import av

JUMP_SECONDS = 10.0
"""A clock that advances by more than this while no track has a packet is taken to have jumped (as FFmpeg does)."""
RESTART_SECONDS = 1.0
"""Decoding times never run backwards within a track; if they do by more than this, the clock has restarted."""


@dataclass(frozen=True, slots=True)
class Jump:
    """Where a file's clock jumped: the time on the timeline, and the time on the file's own clock, in seconds."""

    at_seconds: float
    source_seconds: float


class _Position(NamedTuple):
    """Where a packet is on the timeline, in seconds, and the offset from the file's clock that put it there."""

    seconds: float
    offset: float


class Timeline:
    """Corrects the timestamps of packets, which must be given in the order of the file; `jumps` are those found.

    Offsets are whole ticks of each track's time base, so the times of a corrected file are as exact as any other's.
    """

    def __init__(self) -> None:
        self._seconds_per_tick: dict[int, float] = {}  # by track; floats, because fractions are too slow for packets
        self._last: dict[int, _Position] = {}  # of each track's last packet
        self._second_to_last: dict[int, _Position] = {}  # of the packet before it
        self._offsets = [0.0]  # all that were ever in use, the most recently used last
        self._front: float | None = None  # the latest time that any track has reached
        self.jumps: list[Jump] = []

    def correct(self, packet: "av.Packet[Any]") -> None:
        """Shift the timestamps of the file's next packet onto the timeline."""
        self._reconcile_pts_and_dts(packet)
        stamp = packet.pts if packet.dts is None else packet.dts
        if stamp is None:
            return

        track = packet.stream_index
        if track not in self._seconds_per_tick:
            self._seconds_per_tick[track] = float(packet.time_base)
        seconds_per_tick = self._seconds_per_tick[track]

        raw_seconds = stamp * seconds_per_tick
        offset = self._find_offset(track, raw_seconds)
        self._last[track] = _Position(raw_seconds + offset, offset)

        end = raw_seconds + offset + min((packet.duration or 0) * seconds_per_tick, JUMP_SECONDS)
        self._front = end if self._front is None else max(self._front, end)

        if offset:
            ticks = round(offset / seconds_per_tick)
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks

    def _reconcile_pts_and_dts(self, packet: "av.Packet[Any]") -> None:
        """If a packet's two times are so far apart that one is wrong, keep the one nearer to the packet before."""
        if packet.pts is None or packet.dts is None:
            return
        seconds_per_tick = float(packet.time_base)
        if abs(packet.pts - packet.dts) * seconds_per_tick <= JUMP_SECONDS:
            return

        dts_seconds = packet.dts * seconds_per_tick
        pts_seconds = packet.pts * seconds_per_tick
        last = self._last.get(packet.stream_index, _Position(dts_seconds, 0.0))
        if abs(pts_seconds + last.offset - last.seconds) < abs(dts_seconds + last.offset - last.seconds):
            packet.dts = packet.pts
        else:
            packet.pts = packet.dts

    def _find_offset(self, track: int, raw_seconds: float) -> float:
        """Return the offset of a track's next packet; `raw_seconds` is its time on the file's clock."""
        last, second_to_last = self._last.get(track), self._second_to_last.get(track)
        if last is None:  # the first packet of its track
            offset = self._offsets[-1]
            return self._find_offset_after_jump(raw_seconds) if self._is_far_ahead(raw_seconds + offset) else offset

        # If only the last packet's time was wrong, this one continues the packet before it.
        step = raw_seconds + last.offset - last.seconds
        if second_to_last is not None and abs(step) > RESTART_SECONDS:
            step_over_last = raw_seconds + second_to_last.offset - second_to_last.seconds
            if 0 <= step_over_last <= RESTART_SECONDS:
                return self._use_offset(second_to_last.offset)

        self._second_to_last[track] = last
        if step < -RESTART_SECONDS or self._is_far_ahead(raw_seconds + last.offset):
            return self._find_offset_after_jump(raw_seconds, last.seconds)
        return last.offset

    def _is_far_ahead(self, seconds: float) -> bool:
        return self._front is not None and seconds > self._front + JUMP_SECONDS

    def _find_offset_after_jump(self, raw_seconds: float, last_seconds: float | None = None) -> float:
        """Return an offset already in use if it fits, or a new one with which the packet continues the timeline.

        The most recent offset fits any packet of its clock. An earlier one must fit without a hole: otherwise it might
        be chosen by coincidence.
        """
        assert self._front is not None, "the first packet cannot be a jump"
        earliest = (self._front if last_seconds is None else last_seconds) - RESTART_SECONDS
        for offset in reversed(self._offsets):
            max_hole = JUMP_SECONDS if offset == self._offsets[-1] else RESTART_SECONDS
            if earliest <= raw_seconds + offset <= self._front + max_hole:
                return self._use_offset(offset)

        self.jumps.append(Jump(self._front, raw_seconds))
        return self._use_offset(self._front - raw_seconds)

    def _use_offset(self, offset: float) -> float:
        """Return an offset after marking it as the most recent: a track that starts late takes that one."""
        if offset in self._offsets:
            self._offsets.remove(offset)
        self._offsets.append(offset)
        return offset
