"""`talkies cost`."""

from typing import TYPE_CHECKING, Annotated

import typer

from talkies.cli.output import Json, LibraryFolder, Sets, print_json, print_table, print_text, say

if TYPE_CHECKING:
    from talkies.training import Cost

_GIB = 1 << 30
_LARGE = 100  # numbers from here on are shown without a fraction


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(cost)


def cost(
    library: LibraryFolder,
    recipe: Annotated[str, typer.Option("--recipe", help="A recipe's name, or a YAML file.", show_default=False)],
    sets: Sets = None,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="How long to measure.")] = 120.0,
    json: Json = False,
) -> None:
    """Measure a recipe for two minutes on this machine; estimate hours, memory and disk, and suggest changes."""
    from talkies.cli.documents import cost_document
    from talkies.training import estimate_cost, resolve

    estimate = estimate_cost(library, resolve(recipe, sets or ()), seconds, lambda part: say(f"measuring {part}"))
    if json:
        print_json(cost_document(estimate))
    else:
        _print_cost(estimate, recipe)


def _format_number(value: float) -> str:
    return f"{value:,.0f}" if value >= _LARGE else f"{value:.3g}"


def _format_hours(hours: float) -> str:
    return f"{_format_number(hours)} hours" if hours >= 1 else f"{hours * 60:.3g} minutes"


def _format_gib(value: int) -> str:
    return _format_number(value / _GIB)


def _print_cost(cost: "Cost", recipe: str) -> None:
    tried = ", ".join(str(trial.clips) for trial in cost.trials)
    method = "measured" if cost.is_measured else f"extrapolated from steps of {tried}"
    rate = cost.clips_per_second
    rows = [
        ("a step", f"{_format_number(cost.step_seconds)} s for {cost.clips} clips on each device, {method}"),
        ("learning", f"{_format_number(rate)} clips/s, {_format_number(rate * cost.clip_seconds)} × real time of film"),
        ("loading", f"{cost.loader_clips_per_second:.0f} clips/s; {cost.waiting_share:.0%} of the time is waiting"),
        (
            "the run",
            f"{_format_hours(cost.hours)} for {cost.steps:,} steps, {_format_hours(cost.device_hours)} of devices",
        ),
        ("memory", f"{_format_gib(cost.memory_bytes)} of {_format_gib(cost.available_memory_bytes)} GiB, {method}"),
        ("disk", f"{_format_gib(cost.disk_bytes)} of {_format_gib(cost.available_disk_bytes)} GiB"),
    ]
    if cost.queue_bytes:
        rows.append(
            ("queues", f"{_format_gib(cost.queue_bytes)} GiB of the memory of each device, and of a checkpoint")
        )
    devices = f"{cost.processes} devices" if cost.processes > 1 else "one device"
    print_table(f"{recipe} on {devices} such as this: {cost.device}", ("what", "how much"), rows)
    for sentence in cost.advice:
        print_text(f"Suggestion: {sentence}.")
