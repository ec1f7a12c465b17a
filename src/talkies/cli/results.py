"""`talkies results`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from talkies.cli.output import Json, print_json, print_text


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(results)


def results(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A run, or a folder of runs.", show_default=False)],
    form: Annotated[Literal["text", "markdown", "latex"], typer.Option("--form", help="How it is written.")] = "text",
    json: Json = False,
) -> None:
    """Show all results of `evaluate` in one table, with what others report and every protocol."""
    from talkies.cli.documents import results_document
    from talkies.evaluation.results import as_text, read_results, table_of

    found = list(read_results(folder))
    if json:
        print_json(results_document(found))
        return
    print_text(as_text(table_of(found), form))
