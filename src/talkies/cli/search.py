"""`talkies search`."""

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from talkies.cli.output import (
    Json,
    LibraryFolder,
    ModelChoice,
    RunOfSet,
    TrustCode,
    choose_optional_model,
    print_json,
    print_table,
    say,
)

if TYPE_CHECKING:
    from talkies.retrieval.search import Combined, Moment, SearchResult
    from talkies.retrieval.search.query import Single


_KINDS = ("film", "file", "text", "not")


class Sides(StrEnum):
    """The modalities to compare."""

    VIDEO = "video"
    AUDIO = "audio"
    BOTH = "both"


class One(StrEnum):
    """The unit that has at most one hit."""

    MOMENT = "moment"
    SHOT = "shot"
    FILM = "film"


Film = Annotated[
    str | None,
    typer.Option("--film", help="Search with a moment of this film: its id, the start of it, or its file name."),
]
Files = Annotated[
    list[Path] | None,
    typer.Option("--file", help="Search with a file: a picture, a sound or a clip; can be repeated."),
]
Texts = Annotated[list[str] | None, typer.Option("--text", metavar="WORDS", help="Search with words; can be repeated.")]
Nots = Annotated[
    list[str] | None, typer.Option("--not", metavar="WORDS", help="Fewer hits that match these words; can be repeated.")
]
Weights = Annotated[
    list[str] | None,
    typer.Option("--weight", metavar="PART=NUMBER", help="How much film, file, text or not counts beside the others."),
]
In = Annotated[list[str] | None, typer.Option("--in", metavar="FILM", help="Search only this film; can be repeated.")]
Between = Annotated[
    tuple[float, float] | None,
    typer.Option("--between", metavar="SECONDS SECONDS", help="Search only this span of each film."),
]
Apart = Annotated[
    float, typer.Option("--apart", metavar="SECONDS", help="Smallest distance from the query in its own film.")
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(search)


def search(
    library: LibraryFolder,
    *,
    film: Film = None,
    at: Annotated[float | None, typer.Option("--at", metavar="SECONDS", help="The moment to search with.")] = None,
    file: Files = None,
    text: Texts = None,
    not_: Nots = None,
    weight: Weights = None,
    from_: Annotated[Sides, typer.Option("--from", help="Search with the picture, the sound or both.")] = Sides.BOTH,
    to: Annotated[Sides, typer.Option("--to", help="Match against pictures, sounds or both.")] = Sides.BOTH,
    count: Annotated[int, typer.Option("-k", help="Number of hits.")] = 10,
    skip: Annotated[int, typer.Option("--skip", help="Number of best hits to skip.")] = 0,
    per: Annotated[One, typer.Option("--per", help="At most one hit for each moment, shot or film.")] = One.MOMENT,
    in_: In = None,
    between: Between = None,
    apart: Apart = 0.0,
    weak: Annotated[bool, typer.Option("--weak", help="Also show matches that could be chance.")] = False,
    run: RunOfSet = None,
    model: ModelChoice = None,
    _trust: TrustCode = False,
    json: Json = False,
) -> None:
    """Find the moments of a library that look or sound like a moment of a film, like a file, or as words say."""
    from talkies.cli.documents import search_document
    from talkies.retrieval.search import SearchQuery
    from talkies.retrieval.search import search as find

    by = _build_query(_read_moment(film, at), file or (), text or (), not_ or (), _read_weights(weight or ()))
    films = tuple(in_ or ())
    query = SearchQuery(by, from_.value, to.value, count, skip, per.value, films, between, apart, not weak)
    result = find(library, query, choose_optional_model(run, model))
    if json:
        print_json(search_document(result))
    elif result.no_hits_reason:
        say(result.no_hits_reason)
    else:
        _print_hits(result)
        if result.left_out_note:
            say(result.left_out_note)


def _read_moment(film: str | None, at: float | None) -> "Moment | None":
    from talkies.core import UsageError
    from talkies.retrieval.search import Moment

    if film is not None and at is not None:
        return Moment(film, at)
    if film is None and at is None:
        return None
    raise UsageError("a moment is a film and a time: --film FILM --at SECONDS")


def _read_weights(options: "Sequence[str]") -> dict[str, float]:
    """Return the weight of each kind of part."""
    from talkies.core import UsageError

    weights = dict.fromkeys(_KINDS, 1.0)
    for option in options:
        kind, _, number = option.partition("=")
        try:
            weights[kind.strip()] = value = float(number)
        except ValueError:
            value = math.nan
        if kind.strip() not in _KINDS or not 0 < value < math.inf:
            raise UsageError(
                f"--weight is PART=NUMBER, a part is {', '.join(_KINDS)}, and its weight is above 0, got '{option}'; "
                "for example: --weight text=2"
            )
    return weights


def _build_query(
    moment: "Moment | None",
    files: "Sequence[Path]",
    texts: "Sequence[str]",
    nots: "Sequence[str]",
    weights: "Mapping[str, float]",
) -> "Single | Combined":
    from talkies.core import UsageError
    from talkies.retrieval.search import Combined, Part, Words

    parts = [Part(moment, weights["film"])] if moment else []
    parts += [Part(path, weights["file"]) for path in files]
    parts += [Part(Words(words), weights["text"]) for words in texts]
    if not parts:
        raise UsageError(
            "a search needs a moment (--film FILM --at SECONDS), a file (--file PATH), words (--text WORDS), or "
            "several of these"
        )
    parts += [Part(Words(words), -weights["not"]) for words in nots]
    return parts[0].by if len(parts) == 1 else Combined(tuple(parts))


def _print_hits(result: "SearchResult") -> None:
    query = result.query
    rows = [
        (str(place), hit.source, f"{hit.start_seconds:.2f} s", f"{hit.end_seconds:.2f} s", f"{hit.score:.3f}")
        for place, hit in enumerate(result.hits, start=query.skip + 1)
    ]
    moment = f" at {result.start_seconds:g}–{result.end_seconds:g} s" if result.film_id else ""
    compared = ", ".join(f"{own} → {other}" for own, other in result.compared)
    title = f"{result.source}{moment}, {compared} (model {result.stamp}, {result.model})"
    print_table(title, ("", "source", "from", "to", "score"), rows, numbers=("", "from", "to", "score"))
