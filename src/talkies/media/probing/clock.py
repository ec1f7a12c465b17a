"""How far a file's clock is believed, and the correction of timestamps that jump or restart while packets are read.

The clock of a container with tables or block times (MP4, MOV, Matroska, AVI …) is believed, however sparse its
pictures, unless it contradicts itself. Recordings of broadcasts and files joined end to end (MPEG-TS, MPEG-PS, Ogg)
restart their clock on the way, or let it jump. What follows is shifted so that it continues where the file had come to:

    file's clock    700 ── 706 │ 0 ── 4 │ 900 ── 905
    timeline        700 ── 706 ── 710 ── 715

A hole in a single track (a slide show, sound that starts late) is not a jump: the packets of the other track fill it.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import av
from av.container import InputContainer
from av.format import Flags

from talkies.config import Config

JUMP_SECONDS = 10.0
"""Where jumps are allowed, a clock that advances by more than this while no track has a packet has jumped (as FFmpeg
takes it)."""
RESTART_SECONDS = 1.0
"""Decoding times never run backwards within a track; if they do by more than this, the clock has restarted."""
_MOST_REORDERED = 17
"""A picture is shown at most so many pictures after it is decoded: the largest delay of H.264 and HEVC, and itself."""
_LONGEST_PICTURE_SECONDS = 120.0
"""Where jumps are allowed, a step of more than this from one picture to the next says nothing about the reordering."""
_CLOCKS_THAT_JUMP: Any = Flags.ts_discont.value | Flags.no_timestamps.value


class ClockRules(Config):
    """How far a file's timestamps are believed.

    With `may_jump`, jumps and restarts are corrected, and a packet whose two times are more than
    `most_reorder_seconds` apart keeps only the more plausible one.
    """

    may_jump: bool = True
    most_reorder_seconds: float = JUMP_SECONDS

    @classmethod
    def from_container(cls, container: InputContainer) -> Self:
        """Return the rules for a container's format: those that FFmpeg calls discontinuous may jump."""
        return cls(may_jump=bool(container.format.flags & _CLOCKS_THAT_JUMP))


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
    """Puts packets, which must be given in the order of the file, on one timeline; `jumps` are those found.

    Args:
        rules: how far the timestamps are believed; without them, as those of a broadcast.
        stores_dts: whether the container stores decoding times. Where it does not, as Matroska, FFmpeg guesses them,
            and they say nothing about the clock.
        is_judged: whether `reconsider` will be called, for which the evidence of every packet is kept.

    Offsets are whole ticks of each track's time base, so the times of a corrected file are as exact as any other's.
    """

    def __init__(self, rules: ClockRules | None = None, *, stores_dts: bool = True, is_judged: bool = True) -> None:
        self.rules, self._is_judged = rules or ClockRules(), is_judged
        self._seconds_per_tick: dict[int, float] = {}  # by track; floats, because fractions are too slow for packets
        self._last: dict[int, _Position] = {}  # of each track's last packet
        self._second_to_last: dict[int, _Position] = {}  # of the packet before it
        self._offsets = [0.0]  # all that were ever in use, the most recently used last
        self._front: float | None = None  # the latest time that any track has reached
        self._latest_shown: float | None = None  # the latest presentation time, which is ahead where pictures wait
        self._evidence = _ClockEvidence(stores_dts, _LONGEST_PICTURE_SECONDS if self.rules.may_jump else math.inf)
        self.jumps: list[Jump] = []

    def correct(self, packet: "av.Packet[Any]") -> None:
        """Shift the timestamps of the file's next packet onto the timeline."""
        if not self._is_judged and not self.rules.may_jump:
            return
        track = packet.stream_index
        if track not in self._seconds_per_tick:
            self._seconds_per_tick[track] = float(packet.time_base or 0)
        seconds_per_tick = self._seconds_per_tick[track]

        if self._is_judged:
            self._evidence.add(packet, seconds_per_tick)
        if not self.rules.may_jump:
            return

        self._reconcile_pts_and_dts(packet, seconds_per_tick)
        stamp = packet.pts if packet.dts is None else packet.dts
        if stamp is None:
            return
        raw_seconds = stamp * seconds_per_tick
        offset = self._find_offset(track, raw_seconds)
        self._last[track] = _Position(raw_seconds + offset, offset)

        end = raw_seconds + offset + min((packet.duration or 0) * seconds_per_tick, JUMP_SECONDS)
        self._front = end if self._front is None else max(self._front, end)
        shown = (stamp if packet.pts is None else packet.pts) * seconds_per_tick + offset
        self._latest_shown = shown if self._latest_shown is None else max(self._latest_shown, shown)

        if offset:
            ticks = round(offset / seconds_per_tick)
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks

    def reconsider(self, claimed_end_seconds: float | None) -> ClockRules:
        """Return the rules by which the file should have been read, after its last packet.

        Args:
            claimed_end_seconds: where the container claims that the file ends, on its own clock.
        """
        evidence, rules = self._evidence, self.rules
        if not rules.may_jump:
            return ClockRules(may_jump=True) if evidence.contradicts_itself(claimed_end_seconds) else rules
        if evidence.is_plausibly_reordered and evidence.widest_reorder_seconds > rules.most_reorder_seconds:
            return rules.model_copy(update={"most_reorder_seconds": evidence.widest_reorder_seconds})
        return rules

    def _reconcile_pts_and_dts(self, packet: "av.Packet[Any]", seconds_per_tick: float) -> None:
        """If a packet's two times are so far apart that one is wrong, keep the one nearer to the packet before."""
        if packet.pts is None or packet.dts is None:
            return
        if abs(packet.pts - packet.dts) * seconds_per_tick <= self.rules.most_reorder_seconds:
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
        if self._front is None or self._latest_shown is None:
            return False
        return seconds > max(self._front, self._latest_shown) + JUMP_SECONDS

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


class _ClockEvidence:
    """What the file's own timestamps say about its clock, by the packets as they are stored."""

    def __init__(self, stores_dts: bool, longest_picture_seconds: float) -> None:
        self._stores_dts = stores_dts
        self._longest_picture_seconds = longest_picture_seconds  # a longer step says nothing about the reordering
        self._latest: dict[int, float] = {}  # of each track, in seconds
        self._packets_behind: dict[int, int] = {}  # of each track, in a row, that are behind its latest time
        self._front: float | None = None
        self._latest_seconds = 0.0
        self._has_hole = False
        self._restarts = False
        self._longest_step_seconds = 0.0  # from one time of a track to its next
        self.widest_reorder_seconds = 0.0  # between the two times of one packet

    def add(self, packet: "av.Packet[Any]", seconds_per_tick: float) -> None:
        """Take the next packet, before its timestamps are corrected."""
        has_dts = self._stores_dts and packet.dts is not None
        stamp = packet.dts if has_dts else packet.pts
        if stamp is None:
            return
        seconds = stamp * seconds_per_tick
        self._add_step(packet.stream_index, seconds, most_behind=0 if has_dts else _MOST_REORDERED - 1)
        if has_dts and packet.pts is not None and packet.pts != stamp:
            self.widest_reorder_seconds = max(self.widest_reorder_seconds, abs(packet.pts - stamp) * seconds_per_tick)

        # Where no track has a packet for a while, the clock may have jumped.
        if self._front is not None and seconds > self._front + JUMP_SECONDS:
            self._has_hole = True
        start = max(stamp, packet.pts or stamp) * seconds_per_tick
        self._latest_seconds = max(self._latest_seconds, start)
        end = start + (packet.duration or 0) * seconds_per_tick
        self._front = end if self._front is None else max(self._front, end)

    def _add_step(self, track: int, seconds: float, most_behind: int) -> None:
        """Compare a time with its track's latest; more than `most_behind` in a row cannot be behind it."""
        latest = self._latest.get(track)
        if latest is None or seconds >= latest:
            if latest is not None and self._longest_step_seconds < seconds - latest <= self._longest_picture_seconds:
                self._longest_step_seconds = seconds - latest
            self._latest[track] = seconds
            self._packets_behind[track] = 0
        elif seconds < latest - RESTART_SECONDS:
            self._packets_behind[track] += 1
            self._restarts |= self._packets_behind[track] > most_behind

    @property
    def is_plausibly_reordered(self) -> bool:
        """Whether the two times of each packet are as near as pictures that stand as long as these can be."""
        return self.widest_reorder_seconds <= max(JUMP_SECONDS, _MOST_REORDERED * self._longest_step_seconds)

    def contradicts_itself(self, claimed_end_seconds: float | None) -> bool:
        """Whether the clock runs backwards, tells two times for one packet, or leaps beyond what the file claims."""
        leaps_beyond = (
            self._has_hole
            and claimed_end_seconds is not None
            and self._latest_seconds > claimed_end_seconds + JUMP_SECONDS
        )
        return self._restarts or not self.is_plausibly_reordered or leaps_beyond
