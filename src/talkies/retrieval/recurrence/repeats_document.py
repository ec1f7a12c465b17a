"""What repeats in a library, as a JSON document, as a CSV table, and as tables for people."""

import csv
import io
from collections.abc import Mapping
from typing import Any

from talkies.core import Modality, path_to_text
from talkies.reporting import format_clock, format_percent
from talkies.retrieval.recurrence.duplicates import Duplicate
from talkies.retrieval.recurrence.families import FilmSpan, PassageFamily
from talkies.retrieval.recurrence.match_cuts import MatchCut
from talkies.retrieval.recurrence.repeats import LibraryRepeats

PASSAGE_WORDS: Mapping[Modality, str] = {"video": "Scene", "audio": "Sound"}
_MODALITY_WORDS: Mapping[Modality, str] = {"video": "picture", "audio": "sound"}
_SPAN_COLUMNS = tuple(
    f"{which}_{part}" for which in ("first", "second") for part in ("film_id", "source", "start_seconds", "end_seconds")
)
COLUMNS = (
    "kind",
    "sides",
    "number",
    "score",
    *_SPAN_COLUMNS,
    "offset_seconds",
    "first_share",
    "second_share",
    "adjacent",
    "apart_seconds",
)
"""The columns of the CSV table."""

Table = tuple[str, tuple[str, ...], list[tuple[str, ...]]]
"""A title, the names of the columns, and the rows, as people read them."""


def build_document(result: LibraryRepeats) -> dict[str, Any]:
    """Return everything that was found, as JSON values."""
    repeats = result.repeats
    names = {film_id: film.name for film_id, film in repeats.films.items()}
    modalities = [
        {
            "side": modality,
            "clips": modality_repeats.clips,
            "left_out": modality_repeats.left_out,
            "least_score": round(modality_repeats.min_score, 4),
            "families": [
                _convert_family(number, family, names) for number, family in enumerate(modality_repeats.families, 1)
            ],
        }
        for modality, modality_repeats in repeats.by_modality.items()
    ]
    return {
        "library": path_to_text(result.library.location),
        "model": result.entry.stamp,
        "run": result.entry.name,
        "clip_seconds": result.entry.clip_seconds,
        "stride_seconds": result.entry.stride_seconds,
        "sides": modalities,
        "duplicates": [_convert_duplicate(duplicate, names) for duplicate in repeats.duplicates],
        "match_cuts": [_convert_match_cut(cut, names) for cut in repeats.match_cuts],
        "not_embedded": list(result.not_embedded),
    }


def build_csv(result: LibraryRepeats) -> str:
    """Return all pairs as CSV: a row for each pair of occurrences of a passage, each duplicate and each match cut."""
    document = build_document(result)
    rows: list[dict[str, Any]] = []
    for modality in document["sides"]:
        for family in modality["families"]:
            shared = {"kind": "passage", "sides": modality["side"], "number": family["number"]}
            rows += [_build_row(pair, "first", "second") | shared for pair in family["passages"]]
    for number, duplicate in enumerate(document["duplicates"], start=1):
        shares = {name: duplicate[name] for name in ("offset_seconds", "first_share", "second_share")}
        shared = {"kind": "duplicate", "sides": "+".join(duplicate["sides"]), "number": number}
        rows.append(_build_row(duplicate, "first", "second") | shared | shares)
    for number, cut in enumerate(document["match_cuts"], start=1):
        shared = {"kind": "match_cut", "sides": "video", "number": number, "adjacent": str(cut["adjacent"]).lower()}
        rows.append(_build_row(cut, "end", "beginning") | shared | {"apart_seconds": cut["apart_seconds"]})

    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def build_tables(result: LibraryRepeats) -> list[Table]:
    """Return tables of what was found for people; empty ones are left out."""
    repeats = result.repeats

    def format_spans(*spans: FilmSpan) -> str:
        return ", ".join(
            f"{repeats.films[span.film_id].name} {_format_time(span.start_seconds)}–{_format_time(span.end_seconds)}"
            for span in spans
        )

    families = [
        (
            f"{PASSAGE_WORDS[modality]} {number}",
            f"{family.seconds:.0f} s",
            f"{family.score:.2f}",
            format_spans(*family.spans),
        )
        for modality, modality_repeats in repeats.by_modality.items()
        for number, family in enumerate(modality_repeats.families, start=1)
    ]
    duplicates = [
        (
            format_spans(duplicate.first),
            format_percent(duplicate.first_share, 0),
            format_spans(duplicate.second),
            format_percent(duplicate.second_share, 0),
            f"{duplicate.offset_seconds:+.2f} s",
            " and ".join(_MODALITY_WORDS[modality] for modality in duplicate.modalities),
            f"{duplicate.score:.2f}",
        )
        for duplicate in repeats.duplicates
    ]
    cuts = [
        (str(number), format_spans(cut.end), format_spans(cut.beginning), _format_distance(cut), f"{cut.score:.2f}")
        for number, cut in enumerate(repeats.match_cuts, start=1)
    ]
    tables: list[Table] = [
        ("Repeated passages", ("passage", "length", "score", "occurrences"), list(families)),
        (
            "Near-duplicate films",
            ("film", "share", "found in", "share there", "offset", "by", "score"),
            list(duplicates),
        ),
        ("Match cuts", ("", "shot ends", "shot starts", "apart", "score"), list(cuts)),
    ]
    return [table for table in tables if table[2]]


def _convert_span(span: FilmSpan, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "film_id": span.film_id,
        "source": names[span.film_id],
        "start_seconds": round(span.start_seconds, 3),
        "end_seconds": round(span.end_seconds, 3),
    }


def _convert_family(number: int, family: PassageFamily, names: Mapping[str, str]) -> dict[str, Any]:
    passages = [
        {
            "first": _convert_span(pair.first, names),
            "second": _convert_span(pair.second, names),
            "score": round(pair.score, 4),
        }
        for pair in family.passages
    ]
    places = [_convert_span(span, names) for span in family.spans]
    return {"number": number, "score": round(family.score, 4), "places": places, "passages": passages}


def _convert_duplicate(duplicate: Duplicate, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "sides": list(duplicate.modalities),
        "first": _convert_span(duplicate.first, names),
        "second": _convert_span(duplicate.second, names),
        "offset_seconds": round(duplicate.offset_seconds, 3),
        "first_share": round(duplicate.first_share, 4),
        "second_share": round(duplicate.second_share, 4),
        "score": round(duplicate.score, 4),
    }


def _convert_match_cut(cut: MatchCut, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "end": _convert_span(cut.end, names),
        "beginning": _convert_span(cut.beginning, names),
        "score": round(cut.score, 4),
        "adjacent": cut.adjacent,
        "apart_seconds": None if cut.apart_seconds is None else round(cut.apart_seconds, 3),
    }


def _build_row(pair: dict[str, Any], first: str, second: str) -> dict[str, Any]:
    """Return the score and the two spans of a pair, by the names of columns."""
    row = {"score": pair["score"]}
    for which, span in (("first", pair[first]), ("second", pair[second])):
        row |= {f"{which}_{name}": value for name, value in span.items()}
    return row


def _format_time(seconds: float) -> str:
    return format_clock(seconds, tenths=True)


def _format_distance(cut: MatchCut) -> str:
    if cut.adjacent:
        return "already adjacent"
    return "another film" if cut.apart_seconds is None else f"{cut.apart_seconds:.0f} s"
