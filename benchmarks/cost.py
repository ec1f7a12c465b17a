"""How right `talkies cost` is: it predicts a short run, then the run is made, in turns.

    python benchmarks/cost.py --library LIBRARY [--rounds 2] [--only tiny r2plus1d18 vit-s]

The library needs eight films. Each recipe is made small enough for a CPU by the settings below, which leave its
encoders, its transforms and its loader as they are. A round predicts and then trains, each in a process forked from
this one, so that both meet the same load; the result is the median over the rounds of run ÷ prediction, of the
duration and of the memory. Predictions are of a whole `pretrain` call: its start, its steps, and its checkpoints.
Two rounds take under four minutes on two free cores. Writes `benchmarks/results/cost_<hardware>_<date>.md` and
`.json` (`--out` names another folder).
"""

import argparse
import json
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from machine import write_results
from talkies.training import RunConfig, estimate_cost, pretrain, resolve

ON_A_CPU = ("training.device=cpu", "training.precision=32-true", "training.compile=false", "training.log_every=1")
SMALL_BATCH = (
    *ON_A_CPU,
    "sampling.films_per_batch=2",
    "sampling.clips_per_film=4",
    "sampling.least_gap_seconds=0",
    "training.chunk_clips=null",
)
RECIPES: dict[str, tuple[str, ...]] = {
    "tiny": ("training.steps=100",),
    "r2plus1d18": (
        *SMALL_BATCH,
        "training.steps=6",
        "training.recalibration_batches=2",
        "transforms.video.size=64",
        "clip.frames=8",
    ),
    "vit-s": (*SMALL_BATCH, "sampling.clips_per_film=2", "training.steps=6", "training.recalibration_batches=2"),
}
SECONDS = {"tiny": 8.0, "r2plus1d18": 20.0, "vit-s": 20.0}  # so long that a step of the whole batch is tried
POLL_SECONDS = 0.1
GIB = 2**30


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()

    rounds: list[dict[str, Any]] = []
    for number in range(options.rounds):
        for name in options.only:
            config = resolve(name, RECIPES[name])
            seconds = SECONDS[name]
            predicted = in_child(lambda config=config, s=seconds: predict(options.library, config, s))
            found = in_child(lambda config=config: train(options.library, config))
            rounds.append({"recipe": name, "round": number, **predicted, **found})
            print(json.dumps(rounds[-1]), flush=True)

    path = write_results("cost", "`talkies cost` beside the run that it predicts", write_sections(rounds), options.out)
    document = {"settings": {name: RECIPES[name] for name in options.only}, "rounds": rounds}
    path.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def predict(library: Path, config: RunConfig, seconds: float) -> dict[str, float]:
    """Return what `cost` says of a run."""
    cost = estimate_cost(library, config, seconds)
    assert cost.stretch is not None
    alone = cost.steps * cost.step_seconds
    return {
        "predicted_seconds": cost.hours * 3600,
        "predicted_bytes": cost.memory_bytes,
        "steps_alone_seconds": alone,
        "clips_tried": cost.stretch.clips,
        "step_seconds": cost.stretch.step_seconds,
        "checkpoint_seconds": cost.stretch.checkpoint_seconds,
        "start_seconds": cost.stretch.start_seconds,
    }


def train(library: Path, config: RunConfig) -> dict[str, float]:
    """Return what the run takes."""
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(POLL_SECONDS):
            peak[0] = max(peak[0], measure_tree())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        pretrain(library, config, Path(folder) / "run")
        seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    return {"seconds": seconds, "bytes": peak[0]}


def measure_tree() -> int:
    """Return the memory of this process, and of those that it started without what they share."""
    process = psutil.Process()
    total: int = process.memory_info().rss
    for child in process.children(recursive=True):
        try:
            memory = child.memory_info()
        except psutil.NoSuchProcess:
            continue
        total += memory.rss - memory.shared
    return total


def in_child(task: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Return what a task returns, done in a forked process."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_send, args=(sender, task))
    child.start()
    sender.close()
    result: dict[str, float] = receiver.recv()
    child.join()
    return result


def _send(pipe: Connection, task: Callable[[], dict[str, float]]) -> None:
    pipe.send(task())


def write_sections(rounds: list[dict[str, Any]]) -> list[str]:
    """Return the table."""
    lines = [
        "Medians over the rounds; run ÷ prediction, with the range. *Steps alone* is what the steps would take with "
        "ready clips and nothing beside them.",
        "",
        "| recipe | steps alone | predicted | the run | run ÷ prediction | memory predicted | the run | ÷ |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(each["recipe"] for each in rounds):
        own = [each for each in rounds if each["recipe"] == name]
        times = [each["seconds"] / each["predicted_seconds"] for each in own]
        memory = [each["bytes"] / each["predicted_bytes"] for each in own]
        middle = {key: statistics.median(each[key] for each in own) for key in own[0] if key != "recipe"}
        lines.append(
            f"| `{name}` | {middle['steps_alone_seconds']:.1f} s | {middle['predicted_seconds']:.1f} s | "
            f"{middle['seconds']:.1f} s | {statistics.median(times):.2f} ({min(times):.2f} to {max(times):.2f}) | "
            f"{middle['predicted_bytes'] / GIB:.2f} GiB | {middle['bytes'] / GIB:.2f} GiB | "
            f"{statistics.median(memory):.2f} |"
        )
    settings = "; ".join(f"`{name}`: " + " ".join(RECIPES[name]) for name in RECIPES)
    return [*lines, "", f"Settings: {settings}."]


if __name__ == "__main__":
    main()
