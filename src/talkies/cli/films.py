"""`talkies films`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from talkies.cli.output import Json, LibraryFolder, print_json, print_table, print_text, say

if TYPE_CHECKING:
    from talkies.ingestion import IngestReport
    from talkies.library import FilmEntry, Reason


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(films)


def films(library: LibraryFolder, json: Json = False) -> None:
    """List the films of a library: verdict, reasons, duration, shots, size."""
    from talkies.cli.documents import films_document
    from talkies.library import Library

    opened = Library.open(library)
    records = opened.films()
    if json:
        print_json(films_document(records, opened.profile))
    else:
        print_films(f"Films of {library}, profile {opened.profile.describe()}", records)


def print_films(title: str, films: "Sequence[FilmEntry]") -> None:
    """Print films as a table."""
    print_table(
        title, _COLUMNS, [_format_row(film, film.name, str(film.verdict), film.reasons) for film in films], _NUMBERS
    )


def print_ingested(title: str, report: "IngestReport") -> None:
    """Print the outcome of an ingest: a row for each source, the failures, and a summary."""
    from talkies.library import FilmEntry

    rows = [_format_row(FilmEntry.of(f.record), f.source.name, str(f.verdict), f.reasons) for f in report.films]
    print_table(title, _COLUMNS, rows, _NUMBERS)
    for failure in report.failures:
        say(f"no verdict: {failure.message}")
    print_text(report.summary)


_COLUMNS = ("film", "source", "verdict", "duration", "shots", "size", "reasons")
_NUMBERS = ("duration", "shots", "size")


def _format_row(film: "FilmEntry", name: str, verdict: str, reasons: "Sequence[Reason]") -> tuple[str, ...]:
    return (
        film.film_id,
        name,
        verdict,
        f"{film.duration_seconds:.1f} s",
        str(film.shots),
        f"{film.stored_bytes / 1e6:.1f} MB",
        "; ".join(f"{reason.code}: {reason.text}" for reason in reasons),
    )
