"""`talkies doctor`."""

from typing import TYPE_CHECKING, Annotated

import typer

from talkies.cli.output import Json, LibraryFolder, Sets, print_json, print_table, print_text, say

if TYPE_CHECKING:
    from talkies.clips import DoctorReport

_STEP = "How long a training step takes once its clips are ready."
_RECIPE = "The recipe that sets the clip and the clips of a step: a name or a YAML file."


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(doctor)


def doctor(
    library: LibraryFolder,
    *,
    workers: Annotated[int | None, typer.Option("--workers", help="The most worker processes to measure.")] = None,
    step_seconds: Annotated[float | None, typer.Option("--step-seconds", min=1e-6, help=_STEP)] = None,
    recipe: Annotated[str, typer.Option("--recipe", help=_RECIPE)] = "r2plus1d18",
    sets: Sets = None,
    json: Json = False,
) -> None:
    """Measure how fast this machine reads clips, check that they are right, and name what would slow training down."""
    from talkies.cli.documents import doctor_document
    from talkies.clips import Step, examine
    from talkies.training import resolve

    config = resolve(recipe, sets or ())
    step = Step(config.sampling.batch_clips, step_seconds) if step_seconds else None
    report = examine(library, config.clip, workers, step, lambda part: say(f"measuring {part}"))
    if json:
        print_json(doctor_document(report))
    else:
        _print_report(report)
    report.check()


def _print_report(found: "DoctorReport") -> None:
    first, original, parts = found.throughputs[0].clips_per_second, found.originals_per_second, found.reading_time
    rows = [
        (str(s.workers), f"{rate:.0f}", f"{rate / first:.2f}", f"{rate / original:.0f}" if original else "-")
        for s in found.throughputs
        for rate in [s.clips_per_second]
    ]
    numbers = ("workers", "clips/s", "× the first", "× originals")
    library = found.library
    print_table(f"Clips of {library.location}, profile {library.profile.describe()}", numbers, rows, numbers)
    print_text(
        f"One clip takes {1000 * parts.seconds:.1f} ms in one process: pictures {1000 * parts.pictures_seconds:.1f}, "
        f"sound {1000 * parts.sound_seconds:.1f}, its share of opening the film {1000 * parts.opening_seconds:.1f}."
    )
    print_text(found.accuracy)
    print_text(f"The slowest part: {found.bottleneck}.")
    print_text(f"Recommended for {found.cores} cores: --set loader.workers={found.recommended.workers}")
    for warning in found.warnings:
        print_text(f"Warning: {warning}.")
