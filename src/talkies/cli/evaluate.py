"""`talkies evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from talkies.cli.output import Json, RunOption, print_json, print_table, progress_bars


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(evaluate)


def evaluate(
    task: Annotated[str, typer.Argument(metavar="TASK", help="synthetic-concepts or retrieval.", show_default=False)],
    run: RunOption,
    data: Annotated[Path, typer.Option("--data", help="A folder of films, or a library.", show_default=False)],
    step: Annotated[int | None, typer.Option("--step", help="A checkpoint's step; 0 is the untrained model.")] = None,
    json: Json = False,
) -> None:
    """Measure a run's representation; every number comes with its protocol."""
    from talkies.cli.documents import evaluate_document
    from talkies.evaluation import evaluate as measure

    with progress_bars() as bars:
        done: list[str] = []

        def on_film(name: str, total: int) -> None:
            done.append(name)
            bars.update("films encoded", len(done), total, name)

        result = measure(task, run, data, step, on_film)
    if json:
        print_json(evaluate_document(result))
        return
    chance = result.protocol["chance"]
    rows = [
        (name, f"{metric.mean:.3f}", f"{metric.sd:.3f}", str(metric.n), f"{chance[name]:.3f}" if name in chance else "")
        for name, metric in result.metrics.items()
    ]
    print_table(
        f"{task} of {run}, step {result.protocol['checkpoint_step']}", ("metric", "mean", "sd", "n", "chance"), rows
    )
    protocol = [(key, str(value)) for key, value in result.protocol.items() if key != "chance"]
    print_table("Protocol", ("what", "how"), protocol)
