"""Kill ingests at random and at bad moments, and compare what is left with what an undisturbed ingest makes."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psutil

VICTIMS = ("parent", "worker", "every worker", "parent and workers")
MOMENTS: dict[str, str] = {
    "making the library": "",
    "converting": "films/.partial-*/film/proxy.mp4",
    "committing": "films/.partial-*/film/film.json",
    "replacing": "films/.partial-*/before-*",
    "writing the tables": "catalogue/.*.tmp",
}
"""What shows up in a library when it is about to do something; a kill strikes a random while after that."""
AT_RANDOM = "at random"
_LONGEST_RUN_SECONDS = 300.0
_LONGEST_ORPHAN_SECONDS = 5.0


@dataclass(slots=True)
class KillReport:
    """What was done to ingests, and what was wrong afterwards; `kills` are counted by victim and moment."""

    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    runs: int = 0
    failed_runs: int = 0
    rounds: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many kills there were."""
        return sum(self.kills.values())


class Ingest:
    """A running `talkies ingest` with two workers; its output goes to files beside the library."""

    def __init__(self, films: Path, library: Path) -> None:
        self._log = library.with_name(f"{library.name}.stderr")
        command = [sys.executable, "-m", "talkies", "ingest", str(films), "--library", str(library), "--workers", "2"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--json"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log
            )

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.process.poll() is not None

    @property
    def said(self) -> str:
        """What it wrote to stderr."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def workers(self) -> list[psutil.Process]:
        """Return its worker processes."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def faults(self) -> list[str]:
        """Wait for its end and return what is wrong with how it ended."""
        status, said = self.process.wait(_LONGEST_RUN_SECONDS), self.said
        found = [f"'{word}' on stderr: {said}" for word in ("Traceback", "a fault in talkies") if word in said]
        # A film whose worker was killed three times gets no verdict: the work failed, and that is told.
        told = status == 1 and "the worker process was killed (SIGKILL), 3 times" in said
        return found if status == 0 or told else [*found, f"exit status {status}: {said}"]


def kill_rounds(
    films: Path, workspace: Path, kills: int, random: Random, prepare: Callable[[Path, Random], None] | None = None
) -> KillReport:
    """Return what came of at least `kills` kills: each round makes a library of `films`, killed on the way, over again.

    `prepare` puts something at the library's place before a round. Each round ends with an undisturbed run, after which
    the library must be, byte for byte, the one that an undisturbed ingest makes.
    """
    begun = time.monotonic()
    expected = undisturbed(films, workspace / "undisturbed")
    longest = time.monotonic() - begun
    report = KillReport()
    while report.count < kills:
        library = workspace / f"killed-{report.rounds:03d}"
        if prepare:
            prepare(library, random)
        _round(films, library, random, longest, report)
        report.faults += [f"{library.name}: {fault}" for fault in differences(expected, contents(library))]
        report.rounds += 1
    return report


def undisturbed(films: Path, library: Path) -> dict[str, str]:
    """Ingest and return the library's contents."""
    faults = Ingest(films, library).faults()
    assert not faults, f"an undisturbed ingest must do: {faults}"
    return contents(library)


def contents(library: Path) -> dict[str, str]:
    """Return every file under a library, hidden ones too, with a digest of its bytes; the report of a run is no part."""
    files = [path for path in library.rglob("*") if path.is_file() and path.name != "ingest.html"]
    empty = [path for path in library.rglob("*") if path.is_dir() and not any(path.iterdir())]
    found = {str(path.relative_to(library)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return found | {f"{path.relative_to(library)}/": "" for path in empty}


def differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """Return how two libraries' contents differ, in words."""
    return [
        *(f"{name} is missing" for name in sorted(expected.keys() - found.keys())),
        *(f"{name} is left over" for name in sorted(found.keys() - expected.keys())),
        *(f"{name} is another" for name in sorted(expected) if found.get(name, expected[name]) != expected[name]),
    ]


def _round(films: Path, library: Path, random: Random, longest: float, report: KillReport) -> None:
    """Make a library with kills on the way, up to a run that ends by itself, then once more undisturbed."""
    disturbed = True
    while disturbed:
        ingest, disturbed = Ingest(films, library), False
        report.runs += 1
        while _wait_for(moment := _moment(random), ingest, library, random, longest):
            victim = random.choice(VICTIMS)
            before = ingest.workers()
            if not _kill(victim, ingest, before, random):
                continue
            report.kills[victim, moment] += 1
            if victim.startswith("parent"):
                disturbed = True
                ingest.process.wait(_LONGEST_RUN_SECONDS)
                report.faults += _orphans(before)
                break
        if not disturbed:
            report.faults += ingest.faults()
            report.failed_runs += ingest.process.returncode != 0
    report.runs += 1
    last = Ingest(films, library)
    report.faults += last.faults()
    if last.process.returncode != 0:
        report.faults.append(f"an undisturbed run ended with {last.process.returncode}: {last.said}")


def _moment(random: Random) -> str:
    return random.choice([AT_RANDOM, *MOMENTS])


def _wait_for(moment: str, ingest: Ingest, library: Path, random: Random, longest: float) -> bool:
    """Wait for a moment; return whether it came before the ingest ended."""
    if moment == AT_RANDOM:
        until = time.monotonic() + random.uniform(0, longest)
        while time.monotonic() < until and not ingest.ended:
            time.sleep(0.001)
    else:
        while not ingest.ended and not _shows(library, MOMENTS[moment]):
            time.sleep(0.0002)
        time.sleep(random.choice([0, 0, random.uniform(0, 0.02), random.uniform(0, 0.3)]))
    return not ingest.ended


def _shows(library: Path, pattern: str) -> bool:
    if not pattern:
        return library.exists()
    try:
        return next(library.glob(pattern), None) is not None
    except OSError:  # what was being listed has just been removed
        return False


def _kill(victim: str, ingest: Ingest, workers: list[psutil.Process], random: Random) -> bool:
    """Kill with SIGKILL; return whether there was something to kill."""
    chosen = {
        "parent": [],
        "worker": random.sample(workers, min(1, len(workers))),
        "every worker": workers,
        "parent and workers": workers,
    }[victim]
    if victim.startswith("parent"):
        ingest.process.kill()
    killed = 0
    for worker in chosen:
        try:
            os.kill(worker.pid, signal.SIGKILL)
            killed += 1
        except ProcessLookupError:
            continue
    return killed > 0 or victim.startswith("parent")


def _orphans(workers: list[psutil.Process]) -> list[str]:
    """Return which of a killed ingest's workers go on regardless."""
    _, alive = psutil.wait_procs(workers, _LONGEST_ORPHAN_SECONDS)
    for worker in alive:
        worker.kill()
    return [f"worker {worker.pid} lived on after its parent was killed" for worker in alive]
