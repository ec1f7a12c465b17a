"""`talkies evaluate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from talkies.cli.output import (
    Json,
    ModelChoice,
    RunChoice,
    Sets,
    TrustCode,
    choose_model,
    print_json,
    print_table,
    print_text,
    progress_bars,
    say_model,
)

if TYPE_CHECKING:
    from talkies.evaluation.results import Metric, Result

_TASKS = (
    "Films: retrieval, sync, synthetic-concepts, matchcut, scenes. Labelled clips: ucf101, hmdb51, kinetics400, ssv2, "
    "video-folder, esc10, esc50, dcase2014, urbansound8k, vggsound, audioset, speech-commands, audio-folder and more."
)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(evaluate)


def evaluate(
    task: Annotated[str, typer.Argument(metavar="TASK", help=_TASKS, show_default=False)],
    data: Annotated[
        Path, typer.Option("--data", help="The folder of the data set or films, or a library.", show_default=False)
    ],
    *,
    run: RunChoice = None,
    model: ModelChoice = None,
    _trust: TrustCode = False,
    protocol: Annotated[
        str | None, typer.Option("--protocol", help="How to measure: linear, knn, finetune, zeroshot …")
    ] = None,
    overrides: Sets = None,
    step: Annotated[int | None, typer.Option("--step", help="A checkpoint's step; 0 is the untrained model.")] = None,
    allow_missing: Annotated[bool, typer.Option("--allow-missing", help="Measure without the missing clips.")] = False,
    to: Annotated[
        Path | None, typer.Option("--to", help="Folder for the result. [default: RUN/results, or results]")
    ] = None,
    json: Json = False,
) -> None:
    """Measure how good a representation is, of a run or of public encoders; every number comes with its protocol."""
    from talkies.cli.documents import evaluate_document
    from talkies.evaluation import evaluate as measure
    from talkies.evaluation.before import BEFORE
    from talkies.evaluation.results import check_writable, write_result
    from talkies.evaluation.transfer import resolve_protocol
    from talkies.runs import RESULTS

    resolved = resolve_protocol(protocol or "linear", overrides or ()) if protocol or overrides else None
    named = choose_model(run, model)
    to = to or (RESULTS if isinstance(named, str) else named / "results")
    check_writable(to)
    with progress_bars() as bars:
        done: dict[str, int] = {}

        def on_film(name: str, total: int) -> None:
            what = "learnt" if name.startswith("learnt by ") else "encoded"
            if name.startswith(f"{BEFORE}: "):
                what = f"encoded by the {BEFORE}"
            done[what] = done.get(what, 0) + 1
            bars.update(what, done[what], total, name.removeprefix("learnt by ").removeprefix(f"{BEFORE}: "))

        result = measure(task, named, data, step, on_film, protocol=resolved, allow_missing=allow_missing)
    written = write_result(result, to)
    say_model(result.protocol["run"], result.protocol["model_stamp"], result.protocol.get("license"))
    if json:
        print_json(evaluate_document(result))
    else:
        _print_result(task, result, written)


def _print_result(task: str, result: "Result", written: Path) -> None:
    """Print a table for what was measured and for each baseline, how they compare, and the protocol."""
    from talkies.evaluation.before import BEFORE
    from talkies.evaluation.results import describe_detectable, name_measured

    chance, measured = result.protocol.get("chance", {}), name_measured(result)
    for name, metrics in {measured: result.metrics, **result.baselines}.items():
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
        print_table(f"{task} of {name}", ("metric", "mean", "95 %", "n", "chance"), rows)
    if BEFORE in result.baselines:
        _print_adaptation(result, result.baselines[BEFORE])
    for name, compared in result.detectable.items():
        print_text(describe_detectable(name, compared))
    protocol_rows = [(key, str(value)) for key, value in result.protocol.items() if key != "chance"]
    print_table(f"Protocol (in full in {written})", ("what", "how"), protocol_rows)


def _print_adaptation(result: "Result", before: "dict[str, Metric]") -> None:
    """Print each metric before and after adaptation, side by side."""

    def show(metric: "Metric | None") -> str:
        if metric is None:
            return "–"
        interval = _format_interval(metric.low, metric.high)
        return f"{metric.mean:.3f}" + (f" [{interval}]" if interval else "")

    chance = result.protocol.get("chance", {})
    rows = [
        (key, show(before.get(key)), show(after), f"{chance[key]:.3f}" if key in chance else "")
        for key, after in result.metrics.items()
    ]
    print_table("Before and after adaptation", ("metric", "public encoder", "run", "chance"), rows)


def _format_interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
