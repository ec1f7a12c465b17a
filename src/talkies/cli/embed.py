"""`talkies embed`."""

from typing import TYPE_CHECKING

import typer

from talkies.cli.output import Json, LibraryFolder, RunOption, print_json, progress_bars, say

if TYPE_CHECKING:
    from talkies.library import FilmEntry


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(embed)


def embed(library: LibraryFolder, run: RunOption, json: Json = False) -> None:
    """Embed each film of a library that this model has not embedded yet."""
    from talkies.cli.documents import embed_document
    from talkies.core import plural
    from talkies.embedding import embed as encode

    with progress_bars() as bars:
        done: list[str] = []

        def on_film(film: "FilmEntry", total: int) -> None:
            done.append(film.film_id)
            bars.update("films embedded", len(done), total, film.name)

        report = encode(library, run, on_film=on_film)
    if json:
        print_json(embed_document(report))
        return
    short = f"; shorter than one clip: {', '.join(report.too_short)}" if report.too_short else ""
    added = f"{plural(report.clips, 'clip')} of {plural(report.films, 'film')}"
    say(f"{added} embedded with model {report.entry.stamp}, {report.reused} films there already{short}")
