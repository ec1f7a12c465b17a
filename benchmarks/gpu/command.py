"""The command: what is missing, the parts one after the other, and the results after each.

    make gpu
    python3 -m benchmarks.gpu [--seconds 530] [--out FOLDER] [--work FOLDER] [--only PART …]
    python3 -m benchmarks.gpu --device cpu --dry-run
    python3 -m benchmarks.gpu --write-page        # docs/training.md from the newest results

It needs a checkout and Python with PyTorch and the packages that it names if they are missing; films are rendered on
the spot. Results go to benchmarks/results/gpu_<card>_<date>.md and .json; films and checkpoints stay in build/gpu, and
the next call continues them.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from gpu.requirements import NEEDED, ROOT, describe_installation, explain_missing, list_missing

if TYPE_CHECKING:
    from gpu.runner import Outcome, Part

SECONDS, DRY_SECONDS = 530.0, 900.0
_SHOWN_LINES = 40  # of the log of a part that failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, and return the exit status: 0 if every part is done, 1 if one failed or was stopped, 2 for wrong use."""
    options = _parse(arguments)
    missing = list_missing(NEEDED)
    if missing:
        return _refuse(explain_missing(missing))
    describe_installation()
    if options.write_page:
        _write_page()
        return 0

    from gpu.parts import PARTS

    names = [part.name for part in PARTS]
    if unknown := sorted(set(options.only or ()) - set(names)):
        return _refuse(f"there is no part {unknown[0]}; there are: {', '.join(names)}")
    # Lets this process, off which parts are forked, import what asks for devices without starting CUDA.
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    with tempfile.TemporaryDirectory(prefix="talkies-gpu-") as scratch:
        if options.dry_run:
            options.work, options.out = options.work or Path(scratch) / "work", options.out or Path(scratch) / "out"
        return Day(options).run()


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, help=f"limit of all parts together ({SECONDS:g})")
    parser.add_argument("--out", type=Path, help="folder of the results (benchmarks/results)")
    parser.add_argument("--work", type=Path, help="folder of films, checkpoints and logs (build/gpu)")
    parser.add_argument("--only", nargs="+", metavar="PART", help="only these parts; later ones need films")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--dry-run", action="store_true", help="tiny sizes, to see that every part works")
    parser.add_argument("--write-page", action="store_true", help="only write docs/training.md from the newest results")
    return parser.parse_args(arguments)


def _refuse(sentence: str) -> int:
    print(f"make gpu: {sentence}", file=sys.stderr)
    return 2


def _write_page() -> None:
    from gpu.report import PAGE, find_newest, format_section, replace_section

    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(replace_section(page, format_section(find_newest())), encoding="utf-8")


class Day:
    """All parts, and the document of their results, which is written after each."""

    def __init__(self, options: argparse.Namespace) -> None:
        from gpu.report import RESULTS
        from gpu.settings import Settings
        from machine import hardware, today

        self._options, self._started = options, time.time()
        self._limit = options.seconds or (DRY_SECONDS if options.dry_run else SECONDS)
        self._out = (options.out or RESULTS).resolve()
        work = (options.work or ROOT / "build" / "gpu").resolve()
        self._logs = work / "logs"
        for folder in (self._out, self._logs):
            folder.mkdir(parents=True, exist_ok=True)
        self._settings = Settings(options.device, options.dry_run, work)
        self._method = "fork"
        self._outcomes: list[Outcome] = []
        self._facts: dict[str, object] = {
            "schema_version": 1,
            "card": hardware(),
            "machine": hardware(),
            "date": today(),
            "device": options.device,
            "dry_run": options.dry_run,
            "limit_seconds": self._limit,
        }

    def run(self) -> int:
        """Run all parts, and return the exit status."""
        groups = self._list_groups()
        self._run_machine(next(groups))
        machine = self._outcomes[0]
        if machine.state != "done":
            print(
                f"make gpu: {self._options.device} does not work here: {machine.reason}; to try the command on a "
                f"processor: python3 -m benchmarks.gpu --device cpu --dry-run",
                file=sys.stderr,
            )
            return 1
        self._facts["card"] = machine.recorded.rows[0]["card"]
        self._write()
        for group in groups:
            self._run_group(group)
        if self._options.out is None and self._options.device == "cuda":
            _write_page()
        return 1 if {outcome.state for outcome in self._outcomes} & {"failed", "stopped"} else 0

    def _list_groups(self) -> "Iterator[list[Part]]":
        from gpu.parts import PARTS

        only = self._options.only
        chosen = [part for part in PARTS if not only or part.name in (*only, "machine")]
        for _, group in groupby(chosen, key=lambda part: part.group or part.name):
            yield list(group)

    def _run_machine(self, group: "list[Part]") -> None:
        """Run the first part; if the device does not work in a forked process, start this and all others afresh."""
        from gpu.runner import run_together

        for self._method in ("fork", "spawn"):
            parts = [(part, "") for part in group]
            self._outcomes = run_together(
                parts, self._settings, self._logs, method=self._method, seconds_left=self._seconds_left
            )
            if self._outcomes[0].state == "done":
                return

    def _run_group(self, group: "list[Part]") -> None:
        from gpu.parts import KEPT_SECONDS, SHARES
        from gpu.runner import run_together

        name, left = group[0].name, self._seconds_left
        if not self._options.dry_run:
            left = (left - KEPT_SECONDS.get(name, 0.0)) * SHARES.get(name, 1.0)
        parts = [(part, _explain_lack(part)) for part in group]
        new = run_together(parts, self._settings, self._logs, method=self._method, seconds_left=left)
        self._outcomes += new
        self._write()
        for outcome in new:
            print(f"{outcome.title}: {outcome.state} in {outcome.seconds:.0f} s. {outcome.reason}", flush=True)
            log = self._logs / f"{outcome.name}.log"
            if outcome.state in ("failed", "stopped") and log.is_file():
                lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_SHOWN_LINES:]
                print("\n".join(f"    {line}" for line in lines), flush=True)

    @property
    def _seconds_left(self) -> float:
        return self._limit - (time.time() - self._started)

    def _write(self) -> None:
        """Write the results so far, each file whole or not at all."""
        from gpu.report import format_results, name_results
        from talkies.runtime import write_atomically

        seconds = round(time.time() - self._started, 1)
        parts = [outcome.to_document() for outcome in self._outcomes]
        document = {**self._facts, "seconds": seconds, "parts": parts}
        name = name_results(str(document["card"]), str(document["date"]))
        write_atomically(self._out / f"{name}.json", json.dumps(document, indent=1) + "\n")
        write_atomically(self._out / f"{name}.md", format_results(document))


def _explain_lack(part: "Part") -> str:
    missing = list_missing(part.modules)
    return f"it needs {', '.join(missing)}: pip install {' '.join(missing)}" if missing else ""
