"""`talkies films`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from talkies.cli.output import Json, LibraryFolder, print_json, print_table

if TYPE_CHECKING:
    from talkies.library import FilmRecord


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(films)


def films(library: LibraryFolder, json: Json = False) -> None:
    """Show what a library holds: verdict, reasons, duration, shots, size."""
    from talkies.cli.documents import films_document
    from talkies.library import Library

    records = Library.open(library).films()
    if json:
        print_json(films_document(records))
    else:
        print_films(f"Films of {library}", records)


def print_films(title: str, records: "Sequence[FilmRecord]") -> None:
    """Print films as a table."""
    columns = ("film", "source", "verdict", "duration", "shots", "size", "reasons")
    rows = [
        (
            record.film_id,
            record.name,
            str(record.verdict),
            f"{record.duration_seconds:.1f} s",
            str(record.shots),
            f"{record.stored_bytes / 1e6:.1f} MB",
            "; ".join(reason.text for reason in record.reasons),
        )
        for record in records
    ]
    print_table(title, columns, rows, numbers=("duration", "shots", "size"))
