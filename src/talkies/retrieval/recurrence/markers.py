"""What comes back, written down: a table (CSV), a document (JSON), and markers for editors (EDL), a list a film."""

import csv
import io
import json
import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from talkies.core import LibraryError, UsageError, WorkError, parse_film_id, describe_os_error
from talkies.library.staging import flush, replace_folder, create_staging_folder
from talkies.retrieval.recurrence.duplicates import Duplicate
from talkies.retrieval.recurrence.edl import SIGN, Marker, SourceTimeline, lists_of
from talkies.retrieval.recurrence.families import Family, Place
from talkies.retrieval.recurrence.match_cuts import MatchCut
from talkies.retrieval.recurrence.repeats import LibraryRepeats

MarkerFormat = Literal["csv", "json", "edl"]
FORMATS: tuple[MarkerFormat, ...] = get_args(MarkerFormat)
TABLE, DOCUMENT, EDL = "repeats.csv", "repeats.json", ".edl"
COLUMNS = (
    "kind",
    "sides",
    "number",
    "score",
    *(
        f"{which}_{part}"
        for which in ("first", "second")
        for part in ("film_id", "source", "start_seconds", "end_seconds")
    ),
    "offset_seconds",
    "first_share",
    "second_share",
    "adjacent",
    "apart_seconds",
)
_WORDS = {"video": "Scene", "audio": "Sound"}
_BY = {"video": "picture", "audio": "sound"}
_COLOURS = {"video": "Blue", "audio": "Green"}
_MOST_NAMED = 6


def document_of(result: LibraryRepeats) -> dict[str, Any]:
    """Return all that was found, as values of JSON."""
    found = result.found
    names = {film_id: film.name for film_id, film in found.films.items()}
    sides = [
        {
            "side": name,
            "clips": side.clips,
            "left_out": side.left_out,
            "least_score": round(side.least_score, 4),
            "families": [_family(number, family, names) for number, family in enumerate(side.families, start=1)],
        }
        for name, side in found.sides.items()
    ]
    return {
        "library": result.library.location,
        "model": result.entry.stamp,
        "clip_seconds": result.entry.clip_seconds,
        "stride_seconds": result.entry.stride_seconds,
        "sides": sides,
        "duplicates": [_duplicate(each, names) for each in found.duplicates],
        "match_cuts": [_match_cut(each, names) for each in found.match_cuts],
        "not_embedded": list(result.not_embedded),
    }


def _place(place: Place, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "film_id": place.film_id,
        "source": names[place.film_id],
        "start_seconds": round(place.start_seconds, 3),
        "end_seconds": round(place.end_seconds, 3),
    }


def _family(number: int, family: Family, names: Mapping[str, str]) -> dict[str, Any]:
    passages = [
        {"first": _place(pair.first, names), "second": _place(pair.second, names), "score": round(pair.score, 4)}
        for pair in family.passages
    ]
    places = [_place(place, names) for place in family.places]
    return {"number": number, "score": round(family.score, 4), "places": places, "passages": passages}


def _duplicate(same: Duplicate, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "sides": list(same.sides),
        "first": _place(same.first, names),
        "second": _place(same.second, names),
        "offset_seconds": round(same.offset_seconds, 3),
        "first_share": round(same.first_share, 4),
        "second_share": round(same.second_share, 4),
        "score": round(same.score, 4),
    }


def _match_cut(cut: MatchCut, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "end": _place(cut.end, names),
        "beginning": _place(cut.beginning, names),
        "score": round(cut.score, 4),
        "adjacent": cut.adjacent,
        "apart_seconds": None if cut.apart_seconds is None else round(cut.apart_seconds, 3),
    }


Table = tuple[str, tuple[str, ...], list[tuple[str, ...]]]
"""A title, the names of the columns, and the rows, as people read them."""


def tables_of(result: LibraryRepeats) -> list[Table]:
    """Return tables of what was found, none that is empty."""
    found = result.found

    def words(*places: Place) -> str:
        return ", ".join(
            f"{found.films[place.film_id].name} {_clock(place.start_seconds)}–{_clock(place.end_seconds)}"
            for place in places
        )

    families = [
        (f"{_WORDS[side]} {number}", f"{family.seconds:.0f} s", f"{family.score:.2f}", words(*family.places))
        for side, repeats in found.sides.items()
        for number, family in enumerate(repeats.families, start=1)
    ]
    duplicates = [
        (
            words(same.first),
            f"{100 * same.first_share:.0f} %",
            words(same.second),
            f"{100 * same.second_share:.0f} %",
            f"{same.offset_seconds:+.2f} s",
            " and ".join(_BY[side] for side in same.sides),
            f"{same.score:.2f}",
        )
        for same in found.duplicates
    ]
    cuts = [
        (str(number), words(cut.end), words(cut.beginning), _apart(cut), f"{cut.score:.2f}")
        for number, cut in enumerate(found.match_cuts, start=1)
    ]
    tables: list[Table] = [
        ("What comes back", ("passage", "length", "score", "places"), list(families)),
        ("Near-duplicate films", ("film", "of it", "is in", "of that", "later", "by", "score"), list(duplicates)),
        ("Match cuts", ("", "a shot ends", "another begins", "apart", "score"), list(cuts)),
    ]
    return [table for table in tables if table[2]]


def _apart(cut: MatchCut) -> str:
    if cut.adjacent:
        return "cut so now"
    return "another film" if cut.apart_seconds is None else f"{cut.apart_seconds:.0f} s"


def _clock(seconds: float) -> str:
    tenths = round(10 * seconds)
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"


def table_of(result: LibraryRepeats) -> str:
    """Return all pairs as CSV: a row a passage and its return, a duplicate, or a match cut."""
    document = document_of(result)
    rows: list[dict[str, Any]] = []
    for side in document["sides"]:
        for family in side["families"]:
            shared = {"kind": "passage", "sides": side["side"], "number": family["number"]}
            rows += [_row(pair, "first", "second") | shared for pair in family["passages"]]
    for number, same in enumerate(document["duplicates"], start=1):
        shares = {name: same[name] for name in ("offset_seconds", "first_share", "second_share")}
        shared = {"kind": "duplicate", "sides": "+".join(same["sides"]), "number": number}
        rows.append(_row(same, "first", "second") | shared | shares)
    for number, cut in enumerate(document["match_cuts"], start=1):
        shared = {"kind": "match_cut", "sides": "video", "number": number, "adjacent": str(cut["adjacent"]).lower()}
        rows.append(_row(cut, "end", "beginning") | shared | {"apart_seconds": cut["apart_seconds"]})
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(pair: dict[str, Any], first: str, second: str) -> dict[str, Any]:
    places = (("first", pair[first]), ("second", pair[second]))
    return {"score": pair["score"]} | {
        f"{which}_{name}": value for which, place in places for name, value in place.items()
    }


def edit_lists_of(result: LibraryRepeats) -> dict[str, str]:
    """Return the markers of each film that has any, by the name of a file."""
    timelines, markers = _timelines(result), defaultdict[str, list[Marker]](list)
    for film_id, marker in _markers(result, timelines):
        markers[film_id].append(marker)
    files: dict[str, str] = {}
    for film_id, some in sorted(markers.items()):
        source = result.found.films[film_id].name
        stem = Path(source).stem
        taken = {Path(name).stem.lower() for name in files}
        stem = f"{stem}-{film_id[:8]}" if stem.lower() in taken else stem
        for number, text in enumerate(lists_of(source, timelines[film_id], some), start=1):
            files[f"{stem}{f'-{number}' if number > 1 else ''}{EDL}"] = text
    return files


def _timelines(result: LibraryRepeats) -> dict[str, SourceTimeline]:
    timelines = {}
    for film_id in result.found.films:
        record = result.library.record_of(parse_film_id(film_id))
        if record is None:
            raise LibraryError(
                f"the film {film_id} has left {result.library.location} meanwhile; give the command again"
            )
        timelines[film_id] = SourceTimeline.of(record, result.library.profile.fps)
    return timelines


def _markers(result: LibraryRepeats, timelines: dict[str, SourceTimeline]) -> Iterator[tuple[str, Marker]]:
    """Yield each marker and the film that it is of."""
    found, here = result.found, _Here(result, timelines)
    for side, repeats in found.sides.items():
        for number, family in enumerate(repeats.families, start=1):
            for index, place in enumerate(family.places, start=1):
                others = [other for other in family.places if other != place]
                note = f"also at {here.named(others, place.film_id)}"
                name = f"{_WORDS[side]} {number} ({index} of {len(family.places)})"
                yield place.film_id, here.marker(place, name, note, _COLOURS[side])
    for same in found.duplicates:
        for place, other, share in (
            (same.first, same.second, same.first_share),
            (same.second, same.first, same.second_share),
        ):
            note = f"this is {here.at(other, place.film_id)}, and so is {100 * share:.0f} % of this film"
            yield place.film_id, here.marker(place, f"Same as {found.films[other.film_id].name}", note, "Red")
    for number, cut in enumerate(found.match_cuts, start=1):
        out, into = here.at(cut.beginning, cut.end.film_id), here.at(cut.end, cut.beginning.film_id)
        yield cut.end.film_id, here.marker(cut.end, f"Match cut {number} out", f"to {out}", "Yellow")
        yield cut.beginning.film_id, here.marker(cut.beginning, f"Match cut {number} in", f"from {into}", "Yellow")


class _Here:
    """Words and markers on the films' own timelines."""

    def __init__(self, result: LibraryRepeats, timelines: dict[str, SourceTimeline]) -> None:
        self._films, self._timelines = result.found.films, timelines

    def marker(self, place: Place, name: str, note: str, colour: str) -> Marker:
        timeline = self._timelines[place.film_id]
        frame = timeline.frame_at(place.start_seconds)
        return Marker(frame, timeline.frame_at(place.end_seconds) - frame, name, note, colour)

    def at(self, place: Place, film_id: str) -> str:
        timecode = self._timelines[place.film_id].timecode_at(place.start_seconds)
        return timecode if place.film_id == film_id else f"{timecode} of {self._films[place.film_id].name}"

    def named(self, places: list[Place], film_id: str) -> str:
        more = f" and {len(places) - _MOST_NAMED} more" if len(places) > _MOST_NAMED else ""
        return ", ".join(self.at(place, film_id) for place in places[:_MOST_NAMED]) + more


def check_folder(place: Path) -> None:
    """Make sure that a folder of markers can be made, before the work is begun.

    Raises:
        UsageError: if the folder holds something else, or the one around it is missing or may not be written.
    """
    if place.exists() and not (place.is_dir() and all(_is_ours(path) for path in place.iterdir())):
        raise UsageError(f"{place} exists and holds other things than markers; name a new or empty folder with --to")
    around = place.absolute().parent
    if not around.is_dir():
        raise UsageError(
            f"{place} cannot be made, for the folder around it does not exist; name one in a folder there is"
        )
    if not os.access(around, os.W_OK):
        raise UsageError(f"{place} cannot be made, for the folder around it may not be written; name another with --to")


def _is_ours(path: Path) -> bool:
    """Return whether a file is one that `write_markers` wrote: an editor's own lists are never replaced."""
    if not path.is_file() or path.suffix != EDL:
        return path.is_file() and path.name in (TABLE, DOCUMENT)
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline().rstrip("\n").endswith(SIGN)


def write_markers(result: LibraryRepeats, place: Path, formats: Collection[MarkerFormat] = FORMATS) -> list[Path]:
    """Write what was found as folder `place`, which is there whole or not at all; return its files.

    What an earlier call wrote there is replaced.

    Raises:
        UsageError: as `check_folder`.
        WorkError: if it cannot be written.
    """
    check_folder(place)
    files = {TABLE: table_of(result)} if "csv" in formats else {}
    if "json" in formats:
        files[DOCUMENT] = json.dumps(document_of(result), indent=1, ensure_ascii=False)
    if "edl" in formats:
        files |= edit_lists_of(result)
    try:
        with create_staging_folder(place.parent, place.name) as staging:
            made = staging / "made"
            made.mkdir()
            for name, text in files.items():
                (made / name).write_text(text, encoding="utf-8")
            flush(*made.iterdir(), made)
            replace_folder(staging, made, place)
    except OSError as error:
        raise WorkError(f"{place} cannot be written ({describe_os_error(error)}); name another folder with --to") from error
    return [place / name for name in files]
