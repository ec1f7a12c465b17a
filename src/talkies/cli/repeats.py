"""`talkies repeats`."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from talkies.cli.output import (
    Json,
    LibraryFolder,
    ModelChoice,
    RunOfSet,
    choose_optional_model,
    join_names,
    print_json,
    print_table,
    print_text,
    say,
    say_model,
)

if TYPE_CHECKING:
    from talkies.retrieval.recurrence.repeats import LibraryRepeats


class By(StrEnum):
    """The modalities to compare."""

    VIDEO = "video"
    AUDIO = "audio"
    BOTH = "both"


class Format(StrEnum):
    """The formats of the results in a folder."""

    CSV = "csv"
    JSON = "json"
    EDL = "edl"


Formats = Annotated[
    list[Format] | None, typer.Option("--format", help="A format to write; can be repeated.", show_default="all three")
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(repeats)


def repeats(
    library: LibraryFolder,
    *,
    run: RunOfSet = None,
    model: ModelChoice = None,
    side: Annotated[By, typer.Option("--side", help="Compare pictures, sounds or both.")] = By.BOTH,
    least: Annotated[float, typer.Option("--least", metavar="SECONDS", help="Shortest passage to report.")] = 4.0,
    match_cuts: Annotated[int, typer.Option("--match-cuts", metavar="N", help="Most candidates to report.")] = 50,
    to: Annotated[Path | None, typer.Option("--to", metavar="DIR", help="Write the results to this folder.")] = None,
    formats: Formats = None,
    json: Json = False,
) -> None:
    """Find what recurs within and across films: scenes, music, near-duplicate films, possible match cuts."""
    from talkies.cli.documents import repeats_document
    from talkies.core import MODALITIES, UsageError
    from talkies.retrieval.recurrence.markers import FORMATS, check_folder, write_markers
    from talkies.retrieval.recurrence.repeats import RepeatQuery, find_repeats

    if formats and to is None:
        raise UsageError("--format needs a folder to write to; name one with --to")
    modalities = tuple(each for each in MODALITIES if side in (By.BOTH, each))
    query = RepeatQuery(modalities, least, match_cuts)
    if to:
        check_folder(to)
    result = find_repeats(library, query, choose_optional_model(run, model))
    say_model(result.entry.run, result.entry.stamp)
    files = write_markers(result, to, [each.value for each in formats] if formats else FORMATS) if to else []
    if json:
        print_json(repeats_document(result, files))
        return
    print_found(result)
    if result.not_embedded:
        say(f"not embedded, so not searched: {join_names(result.not_embedded)}; see: talkies embed --help")
    if to:
        say(f"{len(files)} files written to {to}")


_MOST_ROWS = 20


def print_found(result: "LibraryRepeats") -> None:
    """Print a table for each kind of repeat."""
    from talkies.retrieval.recurrence.repeats_document import build_tables

    tables = build_tables(result)
    for title, columns, rows in tables:
        more = f" (the first {_MOST_ROWS} of {len(rows)}; --to or --json gives all)" if len(rows) > _MOST_ROWS else ""
        print_table(
            f"{title}{more}",
            columns,
            rows[:_MOST_ROWS],
            numbers=("", "length", "share", "share there", "offset", "score"),
        )
    if not tables:
        print_text("Nothing recurs.")
