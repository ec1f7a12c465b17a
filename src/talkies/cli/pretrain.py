"""`talkies pretrain`."""

from typing import Annotated

import typer

from talkies.cli.output import Json, LibraryFolder, RunOption, Sets, join_names, print_json, progress_bars, say

_INIT = "Initial weights of the encoders: safetensors or PyTorch files (torchvision's too), or runs."


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
    json: Json = False,
) -> None:
    """Pre-train on every accepted film of a library."""
    from talkies.cli.documents import pretrain_document
    from talkies.distributed import rank
    from talkies.runs import parse_initial_weights
    from talkies.training import Progress, resolve
    from talkies.training import pretrain as train

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

        hooks = Progress(
            on_step, on_log, on_left_out, lambda weights: say(str(weights)), on_note=say, on_features=on_features
        )
        report = train(library, config, run, resume, hooks, init=parse_initial_weights(init) if init else None)
    if rank():  # only the first process reports
        return
    if json:
        print_json(pretrain_document(report))
    else:
        loss = f", loss {report.last['loss']:.3f}" if report.last else ""
        best = f", best at step {report.best_step}" if report.best_step else ""
        say(f"{report.steps} steps in {run}{loss}{best}, model {report.stamp}")
