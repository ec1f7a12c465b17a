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
    scale: Annotated[str, typer.Option("--scale", help="small, composed, medium, gpu, or a YAML file.")] = "small",
    film_sets: Annotated[
        int | None, typer.Option("--film-sets", help="How often everything is repeated, with other films.", min=2)
    ] = None,
    sounds: Annotated[
        Path | None, typer.Option("--sounds", help="Folder of labelled recordings: ESC's layout, or a folder a class.")
    ] = None,
    actions: Annotated[
        Path | None, typer.Option("--actions", help="Folder of labelled action clips, a folder a class.")
    ] = None,
    background: Annotated[
        list[Path] | None, typer.Option("--background", metavar="FILE", help="Film behind composed films.")
    ] = None,
    held_out_background: Annotated[
        list[Path] | None, typer.Option("--held-out-background", metavar="FILE", help="Film behind unseen films.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes; by default one for each core.", min=1)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the study in the folder.")] = False,
    json: Json = False,
) -> None:
    """Measure when negatives from the same film help: films, arms and film sets, in one report."""
    from talkies.cli.documents import study_document
    from talkies.study import SUMMARY_COLUMNS, list_summary_rows, read_scale, run_study
    from talkies.study.materials import MaterialFolders

    materials = MaterialFolders(sounds, actions, tuple(background or ()), tuple(held_out_background or ()))
    chosen = read_scale(scale, film_sets)
    with progress_bars() as bars:
        results = run_study(out, chosen, materials, resume=resume, workers=workers, on_progress=bars.update)
    if json:
        print_json(study_document(results))
        return
    title = "On films that no model has seen"
    print_table(title, SUMMARY_COLUMNS, list_summary_rows(results), numbers=SUMMARY_COLUMNS[3:4])
    say(f"the report, with figures: {out / 'report.html'}")
