"""The log of a run's numbers: `metrics.jsonl`, and the same numbers for its trackers."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from talkies.runs import RunFolder
from talkies.runtime import write_atomically
from talkies.training.trackers import TRACKERS, TrackedRun


class MetricsLog:
    """Appends one line for each logged step; lines after `after_step`, left by an interrupted run, are removed."""

    def __init__(self, run: RunFolder, after_step: int, trackers: tuple[str, ...], config: Mapping[str, Any]) -> None:
        self._path = run.metrics_path
        kept = [line for line in read_metrics(self._path) if line["step"] <= after_step]
        write_atomically(self._path, "".join(json.dumps(line) + "\n" for line in kept))
        self._trackers = [TRACKERS[name](TrackedRun(run, after_step, config)) for name in trackers]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for tracker in self._trackers:
            tracker.close(failed=error is not None)

    def write(self, line: dict[str, float]) -> None:
        """Append one line of numbers, with its `step`."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        numbers = {name: value for name, value in line.items() if name != "step"}
        for tracker in self._trackers:
            tracker.write(int(line["step"]), numbers)


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Return the lines of a `metrics.jsonl`, without a last line that was cut off."""
    if not path.is_file():
        return []
    lines: list[dict[str, float]] = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines
