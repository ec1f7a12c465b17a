"""`talkies pretrain`."""

import logging
from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from talkies.cli.output import (
    Json,
    LibraryFolder,
    RunOption,
    Sets,
    join_names,
    print_json,
    progress_bars,
    say,
    say_failure,
)
from talkies.core import UsageError

_INIT = "Initial weights of the encoders: safetensors or PyTorch files (torchvision's too), or runs."

_AUTO_RESUME = "Continue the run if there is one, or else start it: for jobs that are restarted."


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(pretrain)


def pretrain(
    library: LibraryFolder,
    recipe: Annotated[str, typer.Option("--recipe", help="A recipe's name, or a YAML file.", show_default=False)],
    run: RunOption,
    *,
    overrides: Sets = None,
    init: Annotated[str | None, typer.Option("--init", metavar="video=PATH,audio=PATH", help=_INIT)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run from its newest checkpoint.")] = False,
    runner: Annotated[str, typer.Option("--runner", help="local, or ray for a cluster.")] = "local",
    workers: Annotated[int | None, typer.Option("--workers", help="Processes that train on the cluster.")] = None,
    address: Annotated[str | None, typer.Option("--address", help="The Ray cluster's address.")] = None,
    auto_resume: Annotated[bool, typer.Option("--auto-resume", help=_AUTO_RESUME)] = False,
    json: Json = False,
) -> None:
    """Pre-train on every accepted film of a library."""
    from talkies.cli.documents import pretrain_document
    from talkies.distributed import rank
    from talkies.runs import parse_initial_weights
    from talkies.training import Progress, pretrain_on_ray, resolve
    from talkies.training import pretrain as train

    check_runner(runner, workers, address)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # each process would say that it is there
    config = resolve(recipe, overrides or ())
    note = ""
    with progress_bars() as bars:

        def on_log(line: dict[str, float]) -> None:
            nonlocal note
            rate, film = line["clips_per_second"], line["times_real_time"]
            note = f"loss {line['loss']:.3f}, {rate:.3g} clips/s, {film:.3g} × real time"

        def on_step(done: int) -> None:
            bars.update("steps", done, config.training.steps, note)

        def on_left_out(names: tuple[str, ...]) -> None:
            say(f"left out because they are too short for their clips: {join_names(names)}")

        def on_features(done: int, total: int) -> None:
            bars.update("features", done, total)

        bars_shown = Progress(on_step, on_log, on_left_out, lambda weights: say(str(weights)), on_features=on_features)
        hooks = replace(bars_shown, on_note=say, on_failure=say_failure)
        initial = parse_initial_weights(init) if init else None
        if runner == "ray":
            train = partial(pretrain_on_ray, workers=workers or 1, address=address)
        report = train(library, config, run, "auto" if auto_resume else resume, hooks, init=initial)
    if rank():  # only the first process reports
        return
    if json:
        print_json(pretrain_document(report))
    else:
        loss = f", loss {report.last['loss']:.3f}" if report.last else ""
        best = f", best at step {report.best_step}" if report.best_step else ""
        say(f"{report.steps} steps in {run}{loss}{best}, model {report.stamp}")


def check_runner(runner: str, workers: int | None, address: str | None) -> None:
    """Check that the options of a runner are those of this one.

    Raises:
        UsageError: if there is no such runner, or it has no such option.
    """
    if runner not in ("local", "ray"):
        raise UsageError(f"unknown runner '{runner}'; choose local or ray")
    if runner == "local" and (workers is not None or address is not None):
        option = "--workers" if workers is not None else "--address"
        raise UsageError(f"{option} is for --runner ray; for the devices of this machine set training.devices")
