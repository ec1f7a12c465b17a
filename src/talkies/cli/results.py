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
    form: Annotated[Literal["text", "markdown", "latex"], typer.Option("--form", help="Format of the table.")] = "text",
    json: Json = False,
) -> None:
    """Show all results of `evaluate` in one table, next to published results, with every protocol."""
    from talkies.cli.documents import results_document
    from talkies.evaluation.results import build_table, format_table, read_results

    found = list(read_results(folder))
    if json:
        print_json(results_document(found))
        return
    print_text(format_table(build_table(found), form))
