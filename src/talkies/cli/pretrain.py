"""`talkies pretrain`."""

from typing import Annotated

import typer

from talkies.cli.output import Json, LibraryFolder, RunOption, Sets, print_json, progress_bars, say


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(pretrain)


def pretrain(
    library: LibraryFolder,
    recipe: Annotated[str, typer.Option("--recipe", help="A recipe's name, or a YAML file.", show_default=False)],
    run: RunOption,
    overrides: Sets = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run from its newest checkpoint.")] = False,
    json: Json = False,
) -> None:
    """Pre-train on every accepted film of a library."""
    from talkies.cli.documents import pretrain_document
    from talkies.training import Progress, resolve
    from talkies.training import pretrain as train

    config = resolve(recipe, overrides or ())
    note = ""
    with progress_bars() as bars:

        def on_log(line: dict[str, float]) -> None:
            nonlocal note
            note = f"loss {line['loss']:.3f}, {line['clips_per_second']:.0f} clips/s"

        def on_step(done: int) -> None:
            bars.update("steps", done, config.training.steps, note)

        def on_left_out(names: tuple[str, ...]) -> None:
            say(f"left out, too short for their clips: {', '.join(names)}")

        report = train(library, config, run, resume, Progress(on_step, on_log, on_left_out))
    if json:
        print_json(pretrain_document(report))
    else:
        loss = f", loss {report.last['loss']:.3f}" if report.last else ""
        say(f"{report.steps} steps in {run}{loss}, model {report.stamp}")
