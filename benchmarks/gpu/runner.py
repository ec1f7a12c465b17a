"""Run parts in processes of their own, each within its limit, and record what becomes of them.

Processes are forked off this one, which has imported everything and must never touch CUDA: so no part pays for the
imports again. If CUDA does not work in a forked process, they are started afresh.
"""

import contextlib
import multiprocessing
import os
import re
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

from gpu.records import Record, Recorded, shorten_text
from gpu.settings import Settings

LEAST_SECONDS = 8.0
"""A part is not started with less time."""
_POLL_SECONDS = 0.05
_GRACE_SECONDS = 3.0  # from the time that a part knows to the one at which it is killed


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the day.

    Attributes:
        name: its name in the results.
        title: its heading.
        work: the function that does it; it writes rows and notes as it goes.
        seconds: its limit; all that is left if None.
        modules: packages that it needs besides those that all need, by the name of their module.
        group: parts of one group run beside each other.
    """

    name: str
    title: str
    work: Callable[[Settings, Record], None]
    seconds: float | None
    modules: dict[str, str] = field(default_factory=dict)
    group: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a part: `done`, `stopped` at its limit, `failed` or `left out`, with the reason and its rows."""

    name: str
    title: str
    state: str
    reason: str
    seconds: float
    recorded: Recorded

    def to_document(self) -> dict[str, object]:
        """Return it for a JSON file."""
        return {
            "name": self.name,
            "title": self.title,
            "state": self.state,
            "reason": self.reason,
            "seconds": round(self.seconds, 1),
            "rows": self.recorded.rows,
            "notes": self.recorded.notes,
        }


class RunningPart:
    """A part in a process of its own, which is ended with all that it has started."""

    def __init__(self, part: Part, settings: Settings, scratch: Path, *, method: str, seconds: float) -> None:
        self._part, self._seconds, self._started = part, seconds, time.time()
        self._record, self._log = scratch / f"{part.name}.jsonl", scratch / f"{part.name}.log"
        self._record.unlink(missing_ok=True)
        deadline = self._started + seconds - min(_GRACE_SECONDS, seconds / 10)
        self._process: BaseProcess = multiprocessing.get_context(method).Process(  # type: ignore[attr-defined]
            target=run_part, args=(part, settings, self._record, self._log, deadline)
        )
        self._process.start()

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or its time has."""
        return not self._process.is_alive() or time.time() > self._started + self._seconds

    def end(self) -> Outcome:
        """End it, with all that it has started and left behind, and return what became of it."""
        is_late = self._process.is_alive()
        spent = time.time() - self._started
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid or 0, signal.SIGKILL)
        if is_late:
            self._process.kill()
        self._process.join()

        state, reason, code = "done", "", self._process.exitcode
        if is_late:
            state, reason = "stopped", f"it was stopped at its limit of {self._seconds:.0f} s"
        elif code:
            state, reason = "failed", explain_failure(self._log, code)
        return Outcome(self._part.name, self._part.title, state, reason, spent, Recorded.read(self._record))


def run_part(part: Part, settings: Settings, record: Path, log: Path, deadline: float) -> None:
    """Do a part's work in this process, which leads a group of its own; its output goes to `log`."""
    os.setsid()
    with log.open("ab") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    status = 1
    try:
        part.work(settings, Record(record, deadline))
        status = 0
    finally:
        if status:
            traceback.print_exception(sys.exception())
        else:
            used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
            print(f"{sum(each.ru_utime + each.ru_stime for each in used):.1f} s of processor time")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # without waiting for processes that it may have left, which are ended next


def explain_failure(log: Path, code: int) -> str:
    """Return why a process failed: the last line that it wrote, or the signal that ended it."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    if code < 0:
        return f"a signal ended it: {signal.Signals(-code).name}"
    last = lines[-1] if lines else f"it ended with status {code}"
    return shorten_text(re.sub(r"^(\w+\.)+(?=\w+(:|$))", "", last))


def run_together(
    parts: Sequence[tuple[Part, str]], settings: Settings, scratch: Path, *, method: str, seconds_left: float
) -> list[Outcome]:
    """Return the outcomes of parts that run beside each other.

    Args:
        parts: the parts, each with the reason why it is left out, which is empty if it is not.
        settings: the day's settings.
        scratch: the folder of records and logs.
        method: how processes are started: `fork` or `spawn`.
        seconds_left: of the whole day.
    """
    outcomes: dict[str, Outcome] = {}
    running: dict[str, RunningPart] = {}
    for part, reason in parts:
        limit = seconds_left if settings.is_dry or part.seconds is None else min(part.seconds, seconds_left)
        if not reason and limit < LEAST_SECONDS:
            reason = "no time was left for it"
        if reason:
            outcomes[part.name] = Outcome(part.name, part.title, "left out", reason, 0.0, Recorded())
        else:
            running[part.name] = RunningPart(part, settings, scratch, method=method, seconds=limit)
    while running:
        for name in [name for name, part in running.items() if part.is_over]:
            outcomes[name] = running.pop(name).end()
        time.sleep(_POLL_SECONDS)
    return [outcomes[part.name] for part, _ in parts]
