"""`talkies ingest`."""

from typing import TYPE_CHECKING, Annotated

import typer

from talkies.cli.output import Json, LibraryFolder, Sets, print_json, progress_bars

if TYPE_CHECKING:
    from talkies.ingestion import FailedFilm, IngestedFilm, Progress


_PROFILE = "Size and rates of a new library: small (default), standard, large, full. It keeps them."


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(ingest)


def ingest(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="Films or folders of films; paths or URLs.")
    ],
    library: LibraryFolder,
    *,
    workers: Annotated[int, typer.Option("--workers", help="Films converted at once.")] = 1,
    profile: Annotated[str | None, typer.Option("--profile", help=_PROFILE)] = None,
    audio_language: Annotated[
        str | None, typer.Option("--audio-language", help="Audio language to use: eng, fra …")
    ] = None,
    audio_track: Annotated[int | None, typer.Option("--audio-track", help="Audio track to use: 1, 2 …")] = None,
    runner: Annotated[str, typer.Option("--runner", help="local, or ray for a cluster.")] = "local",
    address: Annotated[str | None, typer.Option("--address", help="The Ray cluster's address.")] = None,
    sets: Sets = None,
    json: Json = False,
) -> None:
    """Add films (files, or folders searched recursively) to a library: probe, judge, convert, commit."""
    from talkies.cli.documents import ingest_document
    from talkies.cli.films import print_ingested
    from talkies.ingestion import build_config
    from talkies.ingestion import ingest as take

    config = build_config(sets or (), audio_language, audio_track, profile)
    with progress_bars() as bars:

        def on_progress(progress: "Progress", _outcome: "IngestedFilm | FailedFilm | None") -> None:
            bars.update("films ingested", progress.films_done, progress.films, progress.note)

        report = take(
            sources,
            library,
            workers=workers,
            config=config,
            runner=runner,
            address=address,
            on_progress=on_progress,
        )
    if json:
        print_json(ingest_document(report))
    else:
        print_ingested(f"Ingested into {library}", report)
    report.check()
