"""`talkies render`."""

from pathlib import Path
from typing import Annotated

import typer

from talkies.cli.output import Json, print_json, progress_bars, say


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(render)


def render(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the films.", show_default=False)],
    *,
    films: Annotated[int, typer.Option("--films", help="How many films.")] = 8,
    seconds: Annotated[float, typer.Option("--seconds", help="How long each film is.")] = 60.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the films.")] = 0,
    workers: Annotated[int, typer.Option("--workers", help="Films rendered at once.")] = 2,
    json: Json = False,
) -> None:
    """Render synthetic films whose content is known; truth.json describes it."""
    from talkies.cli.documents import render_document
    from talkies.config import check
    from talkies.core import format_count
    from talkies.synth import SynthConfig, render_films

    config = check(SynthConfig, {"seconds": seconds}, "render")
    with progress_bars() as bars:
        done: list[Path] = []

        def on_film(path: Path) -> None:
            done.append(path)
            bars.update("films rendered", len(done), films, path.name)

        report = render_films(folder, films, config, seed, workers, on_film=on_film)
    if json:
        print_json(render_document(report))
    else:
        films_in = f"{format_count(len(report.films), 'film')} in {folder}"
        say(f"{films_in} ({report.reused} already there), truth in truth.json")
