"""`talkies embed`."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from talkies.cli.output import (
    Json,
    LibraryFolder,
    ModelChoice,
    RunChoice,
    TrustCode,
    choose_model,
    join_names,
    print_json,
    progress_bars,
    say,
)

if TYPE_CHECKING:
    from talkies.library import FilmEntry
    from talkies.retrieval.index import EmbedReport


class FramingChoice(StrEnum):
    """How a picture becomes a square."""

    CENTRE = "centre"
    CROPS = "crops"
    WHOLE = "whole"


class Runner(StrEnum):
    """Where films are encoded."""

    LOCAL = "local"
    RAY = "ray"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(embed)


def embed(
    library: LibraryFolder,
    *,
    run: RunChoice = None,
    model: ModelChoice = None,
    _trust: TrustCode = False,
    stride: Annotated[float, typer.Option("--stride", metavar="SECONDS", help="Time from one clip to the next.")] = 1.0,
    framing: Annotated[
        FramingChoice,
        typer.Option("--framing", help="Middle square, three squares averaged, or the whole picture scaled down."),
    ] = FramingChoice.CENTRE,
    runner: Annotated[Runner, typer.Option("--runner", help="local, or ray for a cluster.")] = Runner.LOCAL,
    workers: Annotated[int, typer.Option("--workers", help="Films embedded at once on a cluster.")] = 2,
    address: Annotated[str | None, typer.Option("--address", help="The Ray cluster's address.")] = None,
    json: Json = False,
) -> None:
    """Embed the films of a library that this model has not embedded yet; can be stopped and run again."""
    from talkies.cli.documents import embed_document
    from talkies.retrieval.index import EmbedRunner
    from talkies.retrieval.index import embed as encode

    named = choose_model(run, model)

    with progress_bars() as bars:
        done: list[str] = []

        def on_film(film: "FilmEntry", total: int) -> None:
            done.append(film.film_id)
            bars.update("films embedded", len(done), total, film.name)

        def on_clips(clips: int, total: int) -> None:
            bars.update("clips", clips, total)

        report = encode(
            library,
            named,
            stride,
            framing=framing.value,
            runner=EmbedRunner(runner.value, workers, address),
            on_film=on_film,
            on_clips=on_clips,
        )
    if json:
        print_json(embed_document(report))
    else:
        _print_report(report)


def _print_report(report: "EmbedReport") -> None:
    from talkies.core import format_count

    added = f"{format_count(report.clips, 'clip')} of {format_count(report.films, 'film')}"
    speed = f" at {report.times_real_time:.0f} × real time" if report.films else ""
    short = f"; shorter than one clip: {join_names(report.too_short)}" if report.too_short else ""
    gone = (
        f"; {format_count(report.removed, 'film')} removed that are no longer in the library" if report.removed else ""
    )
    there = f"{format_count(report.reused, 'film')} already embedded"
    say(f"{added} embedded with model {report.entry.stamp} ({report.entry.name}){speed}, {there}{short}{gone}")
