"""`talkies render`."""

from pathlib import Path
from typing import Annotated

import typer

from talkies.cli.output import Json, print_json, progress_bars, say


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(render)


def render(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the films go.", show_default=False)],
    films: Annotated[int, typer.Option("--films", help="How many films.")] = 8,
    seconds: Annotated[float, typer.Option("--seconds", help="How long each film is.")] = 60.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Other seeds, other films.")] = 0,
    workers: Annotated[int, typer.Option("--workers", help="Processes that render.")] = 2,
    json: Json = False,
) -> None:
    """Render synthetic films with known truth (truth.json beside them)."""
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

        report = render_films(folder, films, config, seed, workers, on_film)
    if json:
        print_json(render_document(report))
    else:
        say(f"{format_count(len(report.films), 'film')} in {folder} ({report.reused} there already), truth in truth.json")
