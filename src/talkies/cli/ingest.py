"""`talkies ingest`."""

from pathlib import Path
from typing import Annotated

import typer

from talkies.cli.output import Json, LibraryFolder, print_json, progress_bars


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(ingest)


def ingest(
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Films, or folders of films.")],
    library: LibraryFolder,
    workers: Annotated[int, typer.Option("--workers", help="Processes that convert films.")] = 1,
    json: Json = False,
) -> None:
    """Take films (files, or folders searched all through) into a library."""
    from talkies.cli.documents import films_document
    from talkies.cli.films import print_films
    from talkies.ingest import Ingested
    from talkies.ingest import ingest as take

    with progress_bars() as bars:
        done: list[Ingested] = []

        def on_film(film: Ingested, total: int) -> None:
            done.append(film)
            bars.update("films ingested", len(done), total, film.source.name)

        report = take(sources, library, workers, on_film=on_film)
    records = [film.record for film in report.films]
    if json:
        print_json(films_document(records))
    else:
        print_films(f"Ingested into {library}", records)
    report.check()
