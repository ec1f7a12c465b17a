"""`talkies analyse`."""

from pathlib import Path
from typing import Annotated

import typer

from talkies.cli.output import Json, LibraryFolder, print_json, print_text, progress_bars, say


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(analyse)


def analyse(
    library: LibraryFolder,
    run: Annotated[Path | None, typer.Option("--run", help="A run whose encoders describe the clips.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="A folder.", show_default="LIB or RUN/analysis")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of what is drawn.")] = 0,
    json: Json = False,
) -> None:
    """Say what films are like (diversity, recurrence, marks) and what to try in training: a page of each."""
    from talkies.analysis import place_of, words_of, write_analysis
    from talkies.analysis.analyse import analyse as examine
    from talkies.cli.documents import analyse_document

    place, done = place_of(library, run, out), list[str]()
    with progress_bars() as bars:

        def on_film(name: str, total: int) -> None:
            done.append(name)
            bars.update("films described", len(done), total, name)

        found = examine(library, run, seed, on_film)
    index = write_analysis(found, place)
    if json:
        return print_json(analyse_document(found))
    print_text("\n".join([words_of(found.advice), *found.advice.reasons, found.advice.command]))
    return say(f"The pages: {index}")
