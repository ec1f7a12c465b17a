"""`talkies study`."""

from pathlib import Path
from typing import Annotated

import typer

from talkies.cli.output import Json, print_json, print_table, progress_bars, say


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(study)


def study(
    out: Annotated[Path, typer.Option("--out", help="A new folder for films, results, figures and report.")],
    *,
    scale: Annotated[str, typer.Option("--scale", help="small, medium, gpu, or a YAML file.")] = "small",
    seeds: Annotated[
        int | None, typer.Option("--seeds", help="Seeds of the two compared arms; 2 or more.", min=2)
    ] = None,
    sounds: Annotated[
        Path | None, typer.Option("--sounds", help="Folder of labelled recordings, for films with real sound.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes; by default one for each core.", min=1)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the study in the folder.")] = False,
    json: Json = False,
) -> None:
    """Measure what negatives from the same film do: films, arms and seeds, in one report."""
    from talkies.cli.documents import study_document
    from talkies.study import SUMMARY_COLUMNS, list_summary_rows, read_scale, run_study

    with progress_bars() as bars:
        results = run_study(
            out, read_scale(scale, seeds), sounds, resume=resume, workers=workers, on_progress=bars.update
        )
    if json:
        print_json(study_document(results))
        return
    title = "On films that no model has seen"
    print_table(title, SUMMARY_COLUMNS, list_summary_rows(results), numbers=SUMMARY_COLUMNS[1:])
    say(f"the report, with figures: {out / 'report.html'}")
