"""The verb: sources in, a library with a verdict on each film out."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from talkies.core import UsageError, WorkError, format_count
from talkies.ingest.config import IngestConfig
from talkies.ingest.film import FailedFilm, FilmTask, IngestedFilm
from talkies.ingest.report import REPORT_NAME, write_report
from talkies.ingest.runners import Outcome, run_locally, run_on_ray, threads_for
from talkies.ingest.source import Found, Source, discover
from talkies.library import Library, Profile, Verdict

RUNNERS = ("local", "ray")


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingest did: the library, one entry for each source that got a verdict and one for each that did not, in
    the order they were found; files passed over as no media, and the time it took.
    """

    library: Library
    films: tuple[IngestedFilm, ...]
    failures: tuple[FailedFilm, ...]
    skipped_files: int
    seconds: float

    @property
    def new_film_seconds(self) -> float:
        """How much film was taken in by this ingest, in seconds."""
        return sum(film.record.duration_seconds for film in self.films if not film.reused)

    @property
    def summary(self) -> str:
        """What the ingest did, in a few lines."""
        verdicts = Counter(film.verdict for film in self.films)
        told = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in Verdict if verdicts[verdict])
        had = sum(film.reused and film.duplicate_of is None for film in self.films)
        new = self.new_film_seconds
        lines = [f"{format_count(len(self.films) + len(self.failures), 'film')}: {told or 'no verdict on any'}"]
        if self.failures:
            lines[0] += f", {len(self.failures)} failed"
        if had:
            lines.append(f"{had} of them the library had already")
        if self.skipped_files:
            lines.append(f"{format_count(self.skipped_files, 'other file')} passed over")
        if new:
            rate = new / self.seconds
            lines.append(f"{_clock(new)} of film taken in {_clock(self.seconds)}, {rate:.1f} × real time")
        lines.append(f"the audit, film by film: {self.library.location}/{REPORT_NAME}")
        return "\n".join(lines)

    def check(self) -> None:
        """Do nothing if every source got a verdict, and some film can be used.

        Raises:
            WorkError: naming the first source that got no verdict.
            UsageError: naming the reason of the first, if every film was rejected.
        """
        if self.failures:
            more = f" (and {format_count(len(self.failures) - 1, 'more film')} failed)" if len(self.failures) > 1 else ""
            raise WorkError(f"{self.failures[0].sentence}{more}; give the command again to go on")
        if not any(film.record.usable for film in self.films):
            first = self.films[0]
            more = f" (and {len(self.films) - 1} more were rejected)" if len(self.films) > 1 else ""
            reason = first.record.reasons[0].text  # it names the file itself where FFmpeg could make nothing of it
            named = reason if reason.startswith(first.source.name) else f"{first.source.name}: {reason}"
            raise UsageError(f"no film could be taken: {named}{more}")


@dataclass(slots=True)
class Progress:
    """How far an ingest has come: films, bytes of their sources, seconds of film converted, and what is in work."""

    films: int
    bytes: int
    films_done: int = 0
    bytes_done: int = 0
    film_seconds: float = 0.0
    begun: float = field(default_factory=time.monotonic)
    active: dict[str, float] = field(default_factory=dict)  # by location, seconds done

    @property
    def note(self) -> str:
        """Hours of film so far, how many times real time, the time left by the bytes still to read, what is in work."""
        elapsed = time.monotonic() - self.begun
        film_seconds = self.film_seconds + sum(self.active.copy().values())
        parts = [f"{_clock(film_seconds)} of film"]
        if elapsed > 1 and film_seconds:
            parts.append(f"{film_seconds / elapsed:.1f} × real time")
        if self.bytes_done and self.films_done < self.films:
            parts.append(f"{_clock(elapsed * (self.bytes / self.bytes_done - 1))} left")
        return ", ".join([*parts, *(name.rpartition("/")[2] for name in list(self.active)[:2])])


def ingest(
    sources: Sequence[str | Path],
    library: str | Path,
    workers: int = 1,
    profile: Profile | None = None,
    config: IngestConfig | None = None,
    runner: str = "local",
    address: str | None = None,
    on_progress: Callable[[Progress, Outcome | None], None] | None = None,
) -> IngestReport:
    """Take every film of `sources` (files or URLs, folders searched all through) into the library in folder `library`.

    A film that the library has already, by its bytes, costs a hash and changes nothing. `workers` films are in work at
    a time, in processes of this machine (`runner` "local") or on the Ray cluster at `address` ("ray"). `on_progress` is
    told how far the work is, with what became of a film whenever one is done.

    Raises:
        UsageError: if a source does not exist, a folder holds no film, or `library` is something else.
        WorkError: if the work fails; films that were finished stay.
    """
    if workers < 1:
        raise UsageError(f"there must be at least one worker, got {workers}")
    if runner not in RUNNERS:
        raise UsageError(f"unknown runner '{runner}'; there are {' and '.join(RUNNERS)}")
    begun = time.monotonic()
    found = discover(sources)
    opened = Library.create(library, profile)
    opened.sweep()
    films = [film for film in found.films if film.location not in found.duplicates]
    config = config or IngestConfig()
    threads = config.worker.threads or threads_for(min(workers, len(films)))
    tasks = [FilmTask(film, str(library), config, threads) for film in films]
    run = run_locally if runner == "local" else partial(run_on_ray, address=address)
    told = _Told(films, on_progress)
    outcomes: dict[str, Outcome] = {}
    finished = False
    try:
        for task, outcome in run(tasks, workers, told.working):
            outcomes[task.source.location] = outcome
            told.done(task, outcome)
        everything = list(_in_order(found, outcomes))
        _forget_mended(opened, everything)
        finished = True
    finally:
        # A full disk that stopped a film stops the tables too: then the film's sentence is told.
        with nullcontext() if finished else suppress(WorkError):
            opened.update_catalogue()
    report = IngestReport(
        opened,
        tuple(outcome for outcome in everything if isinstance(outcome, IngestedFilm)),
        tuple(outcome for outcome in everything if isinstance(outcome, FailedFilm)),
        found.skipped_files,
        time.monotonic() - begun,
    )
    write_report(opened, report.films)
    return report


def _clock(seconds: float) -> str:
    """Return a duration as `1:02:03` or `2:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class _Told:
    """Tells a caller how far the work is."""

    def __init__(self, films: Sequence[Source], on_progress: Callable[[Progress, Outcome | None], None] | None) -> None:
        self._progress = Progress(len(films), sum(film.size for film in films))
        self._on_progress = on_progress

    def working(self, task: FilmTask, seconds: float) -> None:
        self._progress.active[task.source.location] = seconds
        self._tell(None)

    def done(self, task: FilmTask, outcome: Outcome) -> None:
        progress = self._progress
        progress.active.pop(task.source.location, None)
        progress.films_done += 1
        progress.bytes_done += task.source.size
        if isinstance(outcome, IngestedFilm) and not outcome.reused:
            progress.film_seconds += outcome.record.duration_seconds
        self._tell(outcome)

    def _tell(self, outcome: Outcome | None) -> None:
        if self._on_progress:
            self._on_progress(self._progress, outcome)


def _in_order(found: Found, outcomes: dict[str, Outcome]) -> Iterator[Outcome]:
    """Yield what became of each source; one whose bytes an earlier one has is its duplicate, also where only the work
    itself showed that (of files elsewhere).
    """
    first: dict[str, Source] = {}
    for film in found.films:
        outcome = outcomes[found.duplicates.get(film.location, film).location]
        if isinstance(outcome, FailedFilm):
            yield replace(outcome, source=film)
        elif (earlier := first.setdefault(outcome.record.film_id, film)) is film:
            yield outcome
        else:
            yield replace(outcome, source=film, reused=True, duplicate_of=earlier)


def _forget_mended(library: Library, outcomes: Sequence[Outcome]) -> None:
    """Take out the records of rejected films whose very source, mended, has just been seen to be another film."""
    now = {o.source.text: o.record.film_id for o in outcomes if isinstance(o, IngestedFilm)}
    seen = set(now.values())
    for film in library.films():
        if not film.usable and film.source in now and film.film_id not in seen:
            library.remove(film.id)
