"""Markers as an edit decision list (CMX 3600), on the timeline of the film file that an editor has.

TITLE: film.mp4, 24 frames a second, by talkies
FCM: NON-DROP FRAME

001  001      V     C        00:00:20:12 00:00:20:13 00:00:20:12 00:00:20:13
also at 00:00:54:18 |C:ResolveColorBlue |M:Scene 1 (1 of 2) |D:240
* LOC: 00:00:20:12 BLUE    Scene 1 (1 of 2): also at 00:00:54:18

The line with bars is as DaVinci Resolve writes its markers (note, colour, name, frames) and reads them again; the last
one is a locator, as Avid's lists have them, and what reads those.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from talkies.library import FilmRecord

SIGN = ", by talkies"
"""What the title of a list ends with; no other list is ever replaced."""
MOST_EVENTS = 999
"""An event's number has three digits."""
_NTSC = tuple(Fraction(1000 * base, 1001) for base in (24, 30, 60))
_RATES = (*_NTSC, *map(Fraction, (15, 24, 25, 30, 48, 50, 60)))
_SAME_RATE = 0.0004  # 23.976 and 24 differ by 0.001
_HIGHEST_RATE = 60  # frames have two digits


@dataclass(frozen=True, slots=True)
class SourceTimeline:
    """A film file's own timeline: its frame rate, and at which second of it the library's frame 0 is.

    It begins with the first of what is in the file, as players and editors have it, whatever the file calls that time.
    """

    rate: Fraction
    origin_seconds: float

    @classmethod
    def of(cls, record: FilmRecord, library_fps: int) -> "SourceTimeline":
        """Return the timeline of a film's source; the library's own where the record does not tell it.

        A rate below one frame a second is none that an editor counts in: there too it is the library's.
        """
        if record.measures is None or not isinstance(record.probe, dict):
            return cls(Fraction(library_fps), 0.0)
        video, audio = (record.probe.get(kind) for kind in ("video", "audio"))
        starts = [start for track in (video, audio) if (start := _start(track)) is not None]
        begin = max(0.0, min(starts)) if starts else 0.0
        fps = video.get("fps") if isinstance(video, dict) else None
        rate = standard_rate(float(fps)) if isinstance(fps, int | float) and fps >= 1 else Fraction(library_fps)
        return cls(rate, max(0.0, record.measures.origin_seconds - begin))

    def frame_at(self, seconds: float) -> int:
        """Return the frame of the source that is nearest to a time of the library's film."""
        return max(0, round((self.origin_seconds + seconds) * float(self.rate)))

    def timecode(self, frame: int) -> str:
        """Return a frame's timecode, which counts as many frames in each second (non-drop)."""
        base = round(self.rate)
        seconds, rest = divmod(frame, base)
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{rest:02d}"

    def timecode_at(self, seconds: float) -> str:
        """Return the timecode of a time of the library's film."""
        return self.timecode(self.frame_at(seconds))


def _start(track: object) -> float | None:
    times = track.get("times") if isinstance(track, dict) else None
    start = times.get("start_seconds") if isinstance(times, dict) else None
    return float(start) if isinstance(start, int | float) else None


def standard_rate(fps: float) -> Fraction:
    """Return the rate that editors have for a measured one; a higher one than they count in is halved."""
    while fps > _HIGHEST_RATE * (1 + _SAME_RATE):
        fps /= 2
    nearest = min(_RATES, key=lambda rate: abs(float(rate) - fps))
    return nearest if abs(float(nearest) / fps - 1) < _SAME_RATE else Fraction(fps).limit_denominator(1001)


@dataclass(frozen=True, slots=True)
class Marker:
    """A marker on a film file's timeline; `colour` is one that Resolve and Avid both know, such as `Blue`."""

    frame: int
    frames: int
    name: str
    note: str
    colour: str


def lists_of(source: str, timeline: SourceTimeline, markers: Sequence[Marker]) -> list[str]:
    """Return the markers as lists, of at most `MOST_EVENTS` each; those on one frame become one."""
    merged: dict[int, Marker] = {}
    for marker in sorted(markers, key=lambda each: (each.frame, each.name)):
        before = merged.get(marker.frame)
        merged[marker.frame] = _both(before, marker) if before else marker
    events = list(merged.values())
    parts = [events[at : at + MOST_EVENTS] for at in range(0, len(events), MOST_EVENTS)]
    title = f"{plain(source)}, {_words(timeline.rate)} frames a second{SIGN}"
    return ["\n".join(_lines(title, timeline, part)) for part in parts]


def _both(one: Marker, other: Marker) -> Marker:
    note = f"{one.note}; {other.name}: {other.note}"
    return replace(one, name=f"{one.name} + {other.name}", note=note, frames=max(one.frames, other.frames))


def _lines(title: str, timeline: SourceTimeline, markers: Sequence[Marker]) -> list[str]:
    lines = [f"TITLE: {title}", "FCM: NON-DROP FRAME", ""]
    for number, marker in enumerate(markers, start=1):
        begin, end = timeline.timecode(marker.frame), timeline.timecode(marker.frame + 1)
        name, note = plain(marker.name), plain(marker.note)
        note = note if note[:1].isalpha() else f"note: {note}"  # a line that begins with a digit is read as an event
        lines += [
            f"{number:03d}  001      V     C        {begin} {end} {begin} {end}  ",
            f"{note} |C:ResolveColor{marker.colour} |M:{name} |D:{max(1, marker.frames)}",
            f"* LOC: {begin} {marker.colour.upper():7} {name}: {note}",
            "",
        ]
    return lines


def plain(text: str) -> str:
    """Return text on one line, without the sign that parts a marker's fields."""
    return " ".join("".join(" " if char == "|" or not char.isprintable() else char for char in text).split())


def _words(rate: Fraction) -> str:
    return f"{float(rate):.3f}".rstrip("0").rstrip(".")
