"""`talkies cost`."""

from typing import TYPE_CHECKING, Annotated

import typer

from talkies.cli.output import Json, LibraryFolder, Sets, print_json, print_table, print_text, say

if TYPE_CHECKING:
    from talkies.training import Cost

_GIB = 1 << 30
_LARGE = 100  # from here on no fractions are shown


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(cost)


def cost(
    library: LibraryFolder,
    recipe: Annotated[str, typer.Option("--recipe", help="A recipe's name, or a YAML file.", show_default=False)],
    sets: Sets = None,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="How long to try.")] = 120.0,
    json: Json = False,
) -> None:
    """Try a recipe on this machine for two minutes: hours, memory and disk of the run, and what to change."""
    from talkies.cli.documents import cost_document
    from talkies.training import cost as reckon
    from talkies.training import resolve

    found = reckon(library, resolve(recipe, sets or ()), seconds, lambda part: say(f"measuring {part}"))
    if json:
        print_json(cost_document(found))
    else:
        _print(found, recipe)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= _LARGE else f"{value:.3g}"


def _time(hours: float) -> str:
    return f"{_number(hours)} hours" if hours >= 1 else f"{hours * 60:.3g} minutes"


def _gib(value: int) -> str:
    return _number(value / _GIB)


def _print(found: "Cost", recipe: str) -> None:
    tried = ", ".join(str(trial.clips) for trial in found.trials)
    drawn = "measured" if found.is_measured else f"drawn on from steps of {tried}"
    rate = found.clips_per_second
    rows = [
        ("a step", f"{_number(found.step_seconds)} s for {found.clips} clips on each device, {drawn}"),
        ("learning", f"{_number(rate)} clips/s, {_number(rate * found.clip_seconds)} × real time of film"),
        ("loading", f"{found.loader_clips_per_second:.0f} clips/s; {found.waiting_share:.0%} of the time is waiting"),
        ("the run", f"{_time(found.hours)} for {found.steps:,} steps, {_time(found.device_hours)} of devices"),
        ("memory", f"{_gib(found.memory_bytes)} of {_gib(found.memory_there_bytes)} GiB, {drawn}"),
        ("disk", f"{_gib(found.disk_bytes)} of {_gib(found.disk_there_bytes)} GiB"),
    ]
    devices = f"{found.processes} devices" if found.processes > 1 else "one device"
    print_table(f"{recipe} on {devices} such as this: {found.device}", ("what", "how much"), rows)
    for sentence in found.advice:
        print_text(f"To change: {sentence}.")
