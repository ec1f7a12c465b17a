"""`talkies analyse`."""

from pathlib import Path
from typing import Annotated

import typer

from talkies.cli.output import (
    Json,
    LibraryFolder,
    ModelChoice,
    Sets,
    TrustCode,
    choose_optional_model,
    print_json,
    print_text,
    progress_bars,
    say,
    say_model,
)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(analyse)


def analyse(
    library: LibraryFolder,
    *,
    run: Annotated[
        Path | None, typer.Option("--run", "--run-folder", help="A run whose encoders describe the clips.")
    ] = None,
    model: ModelChoice = None,
    _trust: TrustCode = False,
    recipe: Annotated[str, typer.Option("--recipe", help="The recipe to advise for: a name, or a YAML file.")] = "tiny",
    sets: Sets = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="A folder.", show_default="LIB or RUN/analysis, or results/analyses/"),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the random draws.")] = 0,
    json: Json = False,
) -> None:
    """Describe films (diversity, recurrence, shortcut cues) and advise on sampling; a page for each film."""
    from talkies.analysis import choose_folder, summarise_advice, write_analysis
    from talkies.analysis.analyse import analyse as examine
    from talkies.cli.documents import analyse_document
    from talkies.evaluation.plan import plan_training

    named, plan = choose_optional_model(run, model), plan_training(recipe, sets or ())
    folder, done = choose_folder(library, named, out), list[str]()
    with progress_bars() as bars:

        def on_film(name: str, total: int) -> None:
            done.append(name)
            bars.update("films described", len(done), total, name)

        analysis = examine(library, named, seed, on_film, plan=plan)
    index = write_analysis(analysis, folder)
    if analysis.run is not None and analysis.model_stamp is not None:
        say_model(analysis.run, analysis.model_stamp, analysis.license)
    if json:
        return print_json(analyse_document(analysis))
    print_text("\n".join([summarise_advice(analysis.advice), *analysis.advice.reasons, analysis.advice.command]))
    return say(f"The pages: {index}")
