"""`talkies demo`."""

from pathlib import Path
from typing import Annotated

import typer

from talkies.cli.output import Json, print_json, print_table, progress_bars, say


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(demo)


def demo(
    workspace: Annotated[Path, typer.Option("--workspace", help="Folder for all outputs.")] = Path("demo"),
    json: Json = False,
) -> None:
    """Run every step on synthetic films: render, ingest, pre-train, evaluate, embed, search, report."""
    from talkies.study import DEMO_COLUMNS, build_demo_document, list_demo_rows, run_demo

    with progress_bars() as bars:
        report = run_demo(workspace, on_progress=bars.update)
    if json:
        print_json(build_demo_document(report))
        return
    title = "On films that the model has never seen"
    print_table(title, DEMO_COLUMNS, list_demo_rows(report), numbers=DEMO_COLUMNS[1:])
    say(f"the report, with pictures: {report.page}")
