"""`talkies search`."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from talkies.cli.output import Json, LibraryFolder, print_json, print_table, say

if TYPE_CHECKING:
    from talkies.retrieval.search import Moment, SearchResult


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
File = Annotated[Path | None, typer.Option("--file", help="Search with a file: a picture, a sound or a clip.")]
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
    file: File = None,
    from_: Annotated[Sides, typer.Option("--from", help="Search with the picture, the sound or both.")] = Sides.BOTH,
    to: Annotated[Sides, typer.Option("--to", help="Match against pictures, sounds or both.")] = Sides.BOTH,
    count: Annotated[int, typer.Option("-k", help="Number of hits.")] = 10,
    skip: Annotated[int, typer.Option("--skip", help="Number of best hits to skip.")] = 0,
    per: Annotated[One, typer.Option("--per", help="At most one hit for each moment, shot or film.")] = One.MOMENT,
    in_: In = None,
    between: Between = None,
    apart: Apart = 0.0,
    weak: Annotated[bool, typer.Option("--weak", help="Also show matches that could be chance.")] = False,
    run: Annotated[
        Path | None, typer.Option("--run", help="The run whose embeddings to use, if there are several.")
    ] = None,
    json: Json = False,
) -> None:
    """Find the moments of a library that look or sound like a moment of a film or like a file."""
    from talkies.cli.documents import search_document
    from talkies.retrieval.search import SearchQuery
    from talkies.retrieval.search import search as find

    films = tuple(in_ or ())
    query = SearchQuery(
        _read_query(film, at, file), from_.value, to.value, count, skip, per.value, films, between, apart, not weak
    )
    result = find(library, query, run)
    if json:
        print_json(search_document(result))
    elif result.no_hits_reason:
        say(result.no_hits_reason)
    else:
        _print_hits(result)


def _read_query(film: str | None, at: float | None, file: Path | None) -> "Moment | Path":
    from talkies.core import UsageError
    from talkies.retrieval.search import Moment

    if file is not None and film is None and at is None:
        return file
    if file is None and film is not None and at is not None:
        return Moment(film, at)
    raise UsageError("a search needs either a moment (--film FILM --at SECONDS) or a file (--file PATH)")


def _print_hits(result: "SearchResult") -> None:
    query = result.query
    rows = [
        (str(place), hit.source, f"{hit.start_seconds:.2f} s", f"{hit.end_seconds:.2f} s", f"{hit.score:.3f}")
        for place, hit in enumerate(result.hits, start=query.skip + 1)
    ]
    moment = f" at {result.start_seconds:g}–{result.end_seconds:g} s" if result.film_id else ""
    title = f"{result.source}{moment}, {query.from_} → {query.to} (model {result.stamp})"
    print_table(title, ("", "source", "from", "to", "score"), rows, numbers=("", "from", "to", "score"))
