"""Timestamps that run on: jumps and restarts of a file's clock, mended while its packets are read.

Recordings of broadcasts and files that were joined end to end start their clock anew on the way, or let it jump. What
follows goes on where the file had come to:

    file's clock    700 ── 706 │ 0 ── 4 │ 900 ── 905
    timeline        700 ── 706 ── 710 ── 715

A hole in one track alone (a slide show, a late sound) is no jump, for the other track's packets fill it.
"""

from dataclasses import dataclass
from typing import Any

import av

JUMP_SECONDS = 10.0
"""A clock that goes forward by more than this while no track has anything is taken to have jumped (as FFmpeg does)."""
RESTART_SECONDS = 1.0
"""Decoding times never run backwards within a track; by more than this, the clock has started anew."""


@dataclass(frozen=True, slots=True)
class Jump:
    """Where a file's clock jumped: what the timeline shows there, and what the file's own clock shows, in seconds."""

    at_seconds: float
    source_seconds: float


class Timeline:
    """Mends the timestamps of packets, which must be given in the order of the file; `jumps` are those it met.

    Offsets are whole ticks of each track's time base, so a mended file is as exact as any other.
    """

    def __init__(self) -> None:
        self._base: dict[int, float] = {}  # seconds a tick, by track: a fraction's arithmetic is too slow for packets
        self._last: dict[int, tuple[float, float]] = {}  # the moment of a track's last packet, and its offset
        self._before: dict[int, tuple[float, float]] = {}  # those of the packet before
        self._offsets = [0.0]  # all that were in use, the latest last
        self._front: float | None = None  # how far the timeline has come
        self.jumps: list[Jump] = []

    def mend(self, packet: "av.Packet[Any]") -> None:
        """Shift the timestamps of the file's next packet onto the timeline."""
        self._reconcile(packet)
        stamp, track = packet.pts if packet.dts is None else packet.dts, packet.stream_index
        if stamp is None:
            return
        if track not in self._base:
            self._base[track] = float(packet.time_base)
        base = self._base[track]
        raw = stamp * base
        offset = self._offset(track, raw)
        self._last[track] = raw + offset, offset
        end = raw + offset + min((packet.duration or 0) * base, JUMP_SECONDS)
        self._front = end if self._front is None else max(self._front, end)
        if offset:
            ticks = round(offset / base)
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks

    def _reconcile(self, packet: "av.Packet[Any]") -> None:
        """Of two times of a packet so far apart that one is wrong, keep the one that goes on from before."""
        if packet.pts is None or packet.dts is None:
            return
        base = float(packet.time_base)
        if abs(packet.pts - packet.dts) * base > JUMP_SECONDS:
            moment, offset = self._last.get(packet.stream_index, (packet.dts * base, 0.0))
            if abs(packet.pts * base + offset - moment) < abs(packet.dts * base + offset - moment):
                packet.dts = packet.pts
            else:
                packet.pts = packet.dts

    def _offset(self, track: int, raw: float) -> float:
        last, before = self._last.get(track), self._before.get(track)
        if last is None:
            offset = self._offsets[-1]
            return self._offset_after_jump(raw) if self._is_far_ahead(raw + offset) else offset
        moment, offset = last
        step = raw + offset - moment
        if before is not None and abs(step) > RESTART_SECONDS and 0 <= raw + before[1] - before[0] <= RESTART_SECONDS:
            return self._latest(before[1])  # one stamp alone was wrong: this one goes on from the one before
        self._before[track] = last
        if step < -RESTART_SECONDS or self._is_far_ahead(raw + offset):
            return self._offset_after_jump(raw, moment)
        return offset

    def _is_far_ahead(self, moment: float) -> bool:
        return self._front is not None and moment > self._front + JUMP_SECONDS

    def _offset_after_jump(self, raw: float, last: float | None = None) -> float:
        """Return the offset of another track, or of before, if it fits; else a new one that lets time go on.

        The latest fits like any packet of its clock; an earlier one only without a hole, or chance would choose it.
        """
        assert self._front is not None, "the first packet jumps from nowhere"
        least = (self._front if last is None else last) - RESTART_SECONDS
        for known in reversed(self._offsets):
            hole = JUMP_SECONDS if known == self._offsets[-1] else RESTART_SECONDS
            if least <= raw + known <= self._front + hole:
                return self._latest(known)
        self.jumps.append(Jump(self._front, raw))
        return self._latest(self._front - raw)

    def _latest(self, offset: float) -> float:
        """Return an offset, after noting that it is the one in use now: a track that begins late takes it."""
        if offset in self._offsets:
            self._offsets.remove(offset)
        self._offsets.append(offset)
        return offset
