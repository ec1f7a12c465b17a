"""`talkies evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from talkies.cli.output import Json, RunOption, Sets, print_json, print_table, progress_bars

_TASKS = (
    "Films: retrieval, sync, synthetic-concepts, matchcut, scenes. Labelled clips: ucf101, hmdb51, kinetics400, ssv2, "
    "video-folder, esc10, esc50, dcase2014, urbansound8k, vggsound, audioset, speech-commands, audio-folder and more."
)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(evaluate)


def evaluate(
    task: Annotated[str, typer.Argument(metavar="TASK", help=_TASKS, show_default=False)],
    run: RunOption,
    data: Annotated[
        Path, typer.Option("--data", help="The folder of the data set or films, or a library.", show_default=False)
    ],
    *,
    protocol: Annotated[str | None, typer.Option("--protocol", help="How to measure: linear, knn, finetune …")] = None,
    overrides: Sets = None,
    step: Annotated[int | None, typer.Option("--step", help="A checkpoint's step; 0 is the untrained model.")] = None,
    allow_missing: Annotated[bool, typer.Option("--allow-missing", help="Measure without the missing clips.")] = False,
    to: Annotated[Path | None, typer.Option("--to", help="Folder for the result. [default: RUN/results]")] = None,
    json: Json = False,
) -> None:
    """Measure how good a run's representation is; every number comes with its protocol."""
    from talkies.cli.documents import evaluate_document
    from talkies.evaluation import evaluate as measure
    from talkies.evaluation.results import check_writable, write_result
    from talkies.evaluation.transfer import resolve_protocol

    resolved = resolve_protocol(protocol or "linear", overrides or ()) if protocol or overrides else None
    check_writable(to or run / "results")
    with progress_bars() as bars:
        done: dict[str, int] = {}

        def on_film(name: str, total: int) -> None:
            what = "learnt" if name.startswith("learnt by ") else "encoded"
            done[what] = done.get(what, 0) + 1
            bars.update(what, done[what], total, name.removeprefix("learnt by "))

        result = measure(task, run, data, step, on_film, protocol=resolved, allow_missing=allow_missing)
    written = write_result(result, to or run / "results")
    if json:
        print_json(evaluate_document(result))
        return
    chance = result.protocol.get("chance", {})
    for name, metrics in {"run": result.metrics, **result.baselines}.items():
        rows = [
            (
                key,
                f"{m.mean:.3f}",
                _format_interval(m.low, m.high),
                str(m.n),
                f"{chance[key]:.3f}" if key in chance else "",
            )
            for key, m in metrics.items()
        ]
        what = f"{run}, step {result.protocol['checkpoint_step']}" if name == "run" else name
        print_table(f"{task} of {what}", ("metric", "mean", "95 %", "n", "chance"), rows)
    protocol_rows = [(key, str(value)) for key, value in result.protocol.items() if key != "chance"]
    print_table(f"Protocol (in full in {written})", ("what", "how"), protocol_rows)


def _format_interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
