"""`talkies doctor`."""

from typing import TYPE_CHECKING, Annotated

import typer

from talkies.cli.output import Json, LibraryFolder, Sets, print_json, print_table, print_text, say

if TYPE_CHECKING:
    from talkies.clips import Examination

_STEP = "How long a training step lasts where its clips are ready."
_RECIPE = "Take the clip, and the clips of a step, from this recipe (a name, or a YAML file)."


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(doctor)


def doctor(
    library: LibraryFolder,
    workers: Annotated[int | None, typer.Option("--workers", help="The most worker processes to measure.")] = None,
    step_seconds: Annotated[float | None, typer.Option("--step-seconds", min=1e-6, help=_STEP)] = None,
    recipe: Annotated[str, typer.Option("--recipe", help=_RECIPE)] = "r2plus1d18",
    sets: Sets = None,
    json: Json = False,
) -> None:
    """Measure on this machine how fast clips are read, whether they are right, and what would hold training up."""
    from talkies.cli.documents import doctor_document
    from talkies.clips import Step, examine
    from talkies.training import resolve

    config = resolve(recipe, sets or ())
    step = Step(config.sampling.batch_clips, step_seconds) if step_seconds else None
    found = examine(library, config.clip, workers, step, lambda part: say(f"measuring {part}"))
    if json:
        print_json(doctor_document(found))
    else:
        _print(found)
    found.check()


def _print(found: "Examination") -> None:
    first, original, parts = found.speeds[0].clips_per_second, found.original, found.parts
    rows = [
        (str(s.workers), f"{rate:.0f}", f"{rate / first:.2f}", f"{rate / original:.0f}" if original else "-")
        for s in found.speeds
        for rate in [s.clips_per_second]
    ]
    numbers = ("workers", "clips/s", "× the first", "× originals")
    print_table(f"Clips of {found.library.location}", numbers, rows, numbers)
    print_text(
        f"One clip takes {1000 * parts.seconds:.1f} ms in one process: pictures {1000 * parts.pictures_seconds:.1f}, "
        f"sound {1000 * parts.sound_seconds:.1f}, its share of opening the film {1000 * parts.opening_seconds:.1f}."
    )
    print_text(found.right)
    print_text(f"What takes longest: {found.bottleneck}.")
    print_text(f"Advised on {found.cores} cores: --set loader.workers={found.advised.workers}")
    for warning in found.warnings:
        print_text(f"Warning: {warning}.")
