"""Markers as an edit decision list (CMX 3600), on the timeline of the film file that an editor has.

TITLE: film.mp4, 24 frames a second, by talkies
FCM: NON-DROP FRAME

001  001      V     C        00:00:20:12 00:00:20:13 00:00:20:12 00:00:20:13
also at 00:00:54:18 |C:ResolveColorBlue |M:Scene 1 (1 of 2) |D:240
* LOC: 00:00:20:12 BLUE    Scene 1 (1 of 2): also at 00:00:54:18

The line with bars is how DaVinci Resolve writes and reads its markers (note, colour, name, frames). The last line is a
locator, as in Avid's lists, for the programs that read those.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from talkies.library import FilmRecord

SIGNATURE = ", by talkies"
"""The end of the title of a list that talkies wrote; no other list is ever replaced."""
MAX_EVENTS = 999
"""An event's number has three digits."""
_NTSC_RATES = tuple(Fraction(1000 * base, 1001) for base in (24, 30, 60))
_STANDARD_RATES = (*_NTSC_RATES, *map(Fraction, (15, 24, 25, 30, 48, 50, 60)))
_RATE_TOLERANCE = 0.0004  # relative; 23.976 and 24 differ by 0.001
_MAX_RATE = 60  # frames have two digits


@dataclass(frozen=True, slots=True)
class SourceTimeline:
    """A film file's own timeline, which starts with the first packet, as in players and editors.

    Args:
        rate: The frame rate of the file.
        origin_seconds: The time of the library's frame 0.
    """

    rate: Fraction
    origin_seconds: float

    @classmethod
    def of(cls, record: FilmRecord, library_fps: int) -> "SourceTimeline":
        """Return the timeline of a film's source; the library's own if the record does not state it.

        Editors do not count in rates below one frame a second; such a source has the library's rate too.

        Args:
            record: The film's record.
            library_fps: The frame rate of the library.
        """
        if record.measures is None or not isinstance(record.probe, dict):
            return cls(Fraction(library_fps), 0.0)
        video, audio = (record.probe.get(kind) for kind in ("video", "audio"))
        starts = [start for track in (video, audio) if (start := _read_start(track)) is not None]
        file_start = max(0.0, min(starts)) if starts else 0.0
        fps = video.get("fps") if isinstance(video, dict) else None
        rate = Fraction(library_fps)
        if isinstance(fps, int | float) and fps >= 1:
            rate = find_standard_rate(float(fps))
        return cls(rate, max(0.0, record.measures.origin_seconds - file_start))

    def convert_to_frame(self, seconds: float) -> int:
        """Return the frame of the source that is nearest to a time of the library's film."""
        return max(0, round((self.origin_seconds + seconds) * float(self.rate)))

    def format_timecode(self, frame: int) -> str:
        """Return a frame's non-drop timecode, which counts the same number of frames in every second."""
        base = round(self.rate)
        seconds, frames = divmod(frame, base)
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{frames:02d}"

    def format_time(self, seconds: float) -> str:
        """Return the timecode of a time of the library's film."""
        return self.format_timecode(self.convert_to_frame(seconds))


@dataclass(frozen=True, slots=True)
class Marker:
    """A marker on a film file's timeline; `colour` is one that Resolve and Avid both know, such as `Blue`."""

    frame: int
    frames: int
    name: str
    note: str
    colour: str


def find_standard_rate(fps: float) -> Fraction:
    """Return the editors' standard rate for a measured one; a rate above 60 frames a second is halved first."""
    while fps > _MAX_RATE * (1 + _RATE_TOLERANCE):
        fps /= 2
    nearest = min(_STANDARD_RATES, key=lambda rate: abs(float(rate) - fps))
    return nearest if abs(float(nearest) / fps - 1) < _RATE_TOLERANCE else Fraction(fps).limit_denominator(1001)


def write_lists(source: str, timeline: SourceTimeline, markers: Sequence[Marker]) -> list[str]:
    """Return the markers of a film as the texts of edit decision lists of at most `MAX_EVENTS` events.

    Args:
        source: The name of the film file.
        timeline: Its timeline.
        markers: The markers, in any order; those on one frame are merged.
    """
    merged: dict[int, Marker] = {}
    for marker in sorted(markers, key=lambda each: (each.frame, each.name)):
        before = merged.get(marker.frame)
        merged[marker.frame] = _merge(before, marker) if before else marker
    events = list(merged.values())
    parts = [events[start : start + MAX_EVENTS] for start in range(0, len(events), MAX_EVENTS)]
    title = f"{strip_separators(source)}, {_format_rate(timeline.rate)} frames a second{SIGNATURE}"
    return ["\n".join(_format_lines(title, timeline, part)) for part in parts]


def strip_separators(text: str) -> str:
    """Return text on one line, without the bar that separates the fields of a marker."""
    return " ".join("".join(" " if char == "|" or not char.isprintable() else char for char in text).split())


def _read_start(track: object) -> float | None:
    times = track.get("times") if isinstance(track, dict) else None
    start = times.get("start_seconds") if isinstance(times, dict) else None
    return float(start) if isinstance(start, int | float) else None


def _merge(one: Marker, other: Marker) -> Marker:
    note = f"{one.note}; {other.name}: {other.note}"
    return replace(one, name=f"{one.name} + {other.name}", note=note, frames=max(one.frames, other.frames))


def _format_lines(title: str, timeline: SourceTimeline, markers: Sequence[Marker]) -> list[str]:
    lines = [f"TITLE: {title}", "FCM: NON-DROP FRAME", ""]
    for number, marker in enumerate(markers, start=1):
        start, end = timeline.format_timecode(marker.frame), timeline.format_timecode(marker.frame + 1)
        name, note = strip_separators(marker.name), strip_separators(marker.note)
        note = note if note[:1].isalpha() else f"note: {note}"  # a line that starts with a digit is read as an event
        lines += [
            f"{number:03d}  001      V     C        {start} {end} {start} {end}  ",
            f"{note} |C:ResolveColor{marker.colour} |M:{name} |D:{max(1, marker.frames)}",
            f"* LOC: {start} {marker.colour.upper():7} {name}: {note}",
            "",
        ]
    return lines


def _format_rate(rate: Fraction) -> str:
    return f"{float(rate):.3f}".rstrip("0").rstrip(".")
