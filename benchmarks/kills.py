"""Kill ingests at random and at bad moments, and compare what is left with what an undisturbed ingest makes."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
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
_MOST_KILLS = 8  # in a round
_LONGEST_RUN_SECONDS = 300.0
_LONGEST_ORPHAN_SECONDS = 5.0


@dataclass(slots=True)
class KillReport:
    """What was done to ingests, and what was wrong afterwards; `kills` are counted by victim and moment.

    `failed_runs` ended with status 1, for a film whose worker was killed three times; `longest` is the time of an
    undisturbed ingest in seconds.
    """

    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    runs: int = 0
    failed_runs: int = 0
    rounds: int = 0
    longest: float = 0.0
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

    def faults(self, disturbed: bool = False) -> list[str]:
        """Wait for its end and return what is wrong with how it ended."""
        status, said = self.process.wait(_LONGEST_RUN_SECONDS), self.said
        found = [f"'{word}' on stderr: {said}" for word in ("Traceback", "a fault in talkies") if word in said]
        # A film whose worker was killed three times gets no verdict: the work failed, and that is told.
        told = disturbed and status == 1 and "the worker process was killed (SIGKILL), 3 times" in said
        return found if status == 0 or told else [*found, f"exit status {status}: {said}"]


def kill_rounds(films: Path, workspace: Path, kills: int, random: Random) -> KillReport:
    """Return what came of at least `kills` kills of ingests of `films`.

    Each round makes a library, killed on the way over and again, up to a run that nobody disturbs; every other round
    begins with a library whose films have lost bytes, and are to be replaced. After each the library must be, byte for
    byte, the one that an undisturbed ingest makes.
    """
    begun = time.monotonic()
    sound = workspace / "undisturbed"
    expected = undisturbed(films, sound)
    report = KillReport(longest=time.monotonic() - begun)
    while report.count < kills:
        library = workspace / f"killed-{report.rounds:03d}"
        if report.rounds % 2:
            shutil.copytree(sound, library)
            wear(library, random)
        _round(films, library, random, report, min(_MOST_KILLS, kills - report.count))
        report.faults += [f"{library.name}: {fault}" for fault in differences(expected, contents(library))]
        report.rounds += 1
    return report


def wear(library: Path, random: Random) -> None:
    """Take bytes from some films of a library, as a bad disk does, and leave half-written things about."""
    for folder in sorted((library / "films").iterdir()):
        if (folder / "proxy.mp4").exists() and random.random() < 0.7:
            victim = folder / random.choice(["proxy.mp4", "audio.wav", "shots.parquet"])
            victim.write_bytes(victim.read_bytes()[:-1]) if random.random() < 0.5 else victim.unlink()
    (library / "films" / f".partial-{'0' * 16}-01234567").mkdir()
    (library / "catalogue" / ".films.parquet.1.tmp").write_bytes(b"half of a table")


def undisturbed(films: Path, library: Path) -> dict[str, str]:
    """Ingest and return the library's contents."""
    faults = Ingest(films, library).faults()
    assert not faults, f"an undisturbed ingest must do: {faults}"
    return contents(library)


def contents(library: Path) -> dict[str, str]:
    """Return every file under a library, hidden ones too, with a digest of its bytes; not the last run's page."""
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


def _round(films: Path, library: Path, random: Random, report: KillReport, most: int) -> None:
    """Ingest with at most so many kills on the way, until a run is left in peace."""
    enough, disturbed = report.count + most, True
    while disturbed:
        ingest, disturbed = Ingest(films, library), False
        report.runs += 1
        while report.count < enough and not ingest.ended:
            moment, victim = random.choice([AT_RANDOM, *MOMENTS]), random.choice(VICTIMS)
            if not _wait_for(moment, ingest, library, random, report.longest):
                break
            workers = ingest.workers()
            if _kill(victim, ingest, workers, random):
                report.kills[victim, moment] += 1
                disturbed = True
            if victim.startswith("parent"):
                ingest.process.wait(_LONGEST_RUN_SECONDS)
                report.faults += _orphans(workers)
        if ingest.process.wait(_LONGEST_RUN_SECONDS) != -signal.SIGKILL:
            report.faults += ingest.faults(disturbed)
            report.failed_runs += ingest.process.returncode != 0


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
