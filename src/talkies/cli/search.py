"""`talkies search`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from talkies.cli.output import Json, LibraryFolder, print_json, print_table


class Side(StrEnum):
    """What is compared."""

    VIDEO = "video"
    AUDIO = "audio"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(search)


def search(
    library: LibraryFolder,
    film: Annotated[str, typer.Option("--film", help="Film id, its beginning, or file name.", show_default=False)],
    at: Annotated[float, typer.Option("--at", metavar="SECONDS", help="The moment asked about.", show_default=False)],
    from_: Annotated[Side, typer.Option("--from", help="Ask with its picture or its sound.")] = Side.VIDEO,
    to: Annotated[Side, typer.Option("--to", help="Compare with pictures or sounds.")] = Side.VIDEO,
    count: Annotated[int, typer.Option("-k", help="How many hits.")] = 10,
    run: Annotated[Path | None, typer.Option("--run", help="The run that embedded, if there are several.")] = None,
    json: Json = False,
) -> None:
    """Find the moments of a library that look or sound like one moment of a film."""
    from talkies.cli.documents import search_document
    from talkies.embedding import SearchQuery
    from talkies.embedding import search as find

    result = find(library, SearchQuery(film, at, from_.value, to.value, count), run)
    if json:
        print_json(search_document(result))
        return
    rows = [
        (str(place), hit.source, f"{hit.start_seconds:.2f} s", f"{hit.end_seconds:.2f} s", f"{hit.score:.3f}")
        for place, hit in enumerate(result.hits, start=1)
    ]
    title = f"{result.source} at {at:g} s, {from_.value} → {to.value} (model {result.stamp})"
    print_table(title, ("", "source", "from", "to", "score"), rows, numbers=("", "from", "to", "score"))
