"""`talkies study`."""

from pathlib import Path
from typing import Annotated

import typer

from talkies.cli.material_options import ActionsFolder, Backgrounds, HeldOutBackgrounds, SoundsFolder
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
    sounds: SoundsFolder = None,
    actions: ActionsFolder = None,
    background: Backgrounds = None,
    held_out_background: HeldOutBackgrounds = None,
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
