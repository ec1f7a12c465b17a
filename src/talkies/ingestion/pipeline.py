"""`ingest`: add film files to a library, with a verdict on each film."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from talkies.core import UsageError, WorkError, escape_controls, format_count, path_to_text
from talkies.ingestion.config import IngestConfig
from talkies.ingestion.film import FailedFilm, FilmTask, IngestedFilm, name_sources
from talkies.ingestion.report import REPORT_NAME, write_report
from talkies.ingestion.runners import Outcome, run_locally, run_on_ray, share_threads
from talkies.ingestion.shots import check_detector
from talkies.ingestion.source import DiscoveredFilms, Source, discover
from talkies.ingestion.walk import Unreadable
from talkies.library import FilmRecord, Library, Profile, ProfileChoice, Verdict, find_profile
from talkies.reporting import format_clock

RUNNERS = ("local", "ray")


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingest did: the verdict on each source, the failures, and the time it took.

    `films` has an entry for each source with a verdict and `failures` one for each source without, both in the order
    of the sources. `skipped_files` counts the files in the named folders that are not media, `unreadable` holds the
    folders, files and links in them that could not be read, and `loops` counts the links to a folder around them.
    """

    library: Library
    films: tuple[IngestedFilm, ...]
    failures: tuple[FailedFilm, ...]
    skipped_files: int
    seconds: float
    unreadable: tuple[Unreadable, ...] = ()
    loops: int = 0

    @property
    def new_film_seconds(self) -> float:
        """How much film this ingest added to the library, in seconds."""
        return sum(film.record.duration_seconds for film in self.films if not film.reused)

    @property
    def summary(self) -> str:
        """What the ingest did, in a few lines."""
        counts = Counter(film.verdict for film in self.films)
        verdicts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
        already_there = sum(film.reused and film.duplicate_of is None for film in self.films)
        new_seconds = self.new_film_seconds

        sources = format_count(len(self.films) + len(self.failures), "film")
        lines = [f"{sources}: {verdicts or 'no verdicts'}"]
        if self.failures:
            lines[0] += f", {len(self.failures)} failed"
        if already_there:
            lines.append(f"{already_there} of them already in the library")
        if self.skipped_files:
            lines.append(f"{format_count(self.skipped_files, 'other file')} skipped")
        if self.loops:
            lines.append(f"{format_count(self.loops, 'link')} to a folder around the link not followed")
        if self.unreadable:
            places = "1 place" if len(self.unreadable) == 1 else f"{len(self.unreadable)} places"
            lines.append(f"{places} could not be read, so films may be missing")
        lines.append(f"profile: {self.library.profile.describe()}")
        if new_seconds:
            length, elapsed = format_clock(new_seconds), format_clock(self.seconds)
            lines.append(f"{length} of film ingested in {elapsed}, {new_seconds / self.seconds:.1f} × real time")
        lines.append(f"the report on every film: {self.library.location}/{REPORT_NAME}")
        return "\n".join(lines)

    def check(self) -> None:
        """Check that every source got a verdict and that at least one film is usable.

        Raises:
            WorkError: naming the first source that got no verdict, or the first place that could not be read.
            UsageError: naming the first film's reason, if every film was rejected.
        """
        if self.failures:
            others = len(self.failures) - 1
            more = f" (and {format_count(others, 'more film')} failed)" if others else ""
            raise WorkError(f"{self.failures[0].message}{more}; run the command again to continue")

        if self.unreadable:
            others = len(self.unreadable) - 1
            more = f" (and {others} more)" if others else ""
            raise WorkError(
                f"not everything could be read: {self.unreadable[0].message}{more}; the other films are in the "
                "library, run the command again when it can be read"
            )

        if not any(film.record.usable for film in self.films):
            first, others = self.films[0], len(self.films) - 1
            more = f" (and {others} more were rejected)" if others else ""
            reason = first.record.reasons[0].text  # it starts with the file's name where FFmpeg could not read the file
            name = first.source.printable_name
            named = reason if reason.startswith(name) else f"{name}: {reason}"
            raise UsageError(f"no film could be ingested: {named}{more}")


@dataclass(slots=True)
class Progress:
    """The progress of an ingest: films and bytes, in all and done; seconds of film converted; films being converted."""

    films: int
    bytes: int
    films_done: int = 0
    bytes_done: int = 0
    film_seconds: float = 0.0
    start_time: float = field(default_factory=time.monotonic)
    active: dict[str, float] = field(default_factory=dict)  # seconds done, by the source's text

    @property
    def note(self) -> str:
        """The film time so far, the speed, the time left (estimated from the bytes) and the files being converted."""
        elapsed = time.monotonic() - self.start_time
        film_seconds = self.film_seconds + sum(self.active.copy().values())

        parts = [f"{format_clock(film_seconds)} of film"]
        if elapsed > 1 and film_seconds:
            parts.append(f"{film_seconds / elapsed:.1f} × real time")
        if self.bytes_done and self.films_done < self.films:
            parts.append(f"{format_clock(elapsed * (self.bytes / self.bytes_done - 1))} left")
        names = [escape_controls(text.rpartition("/")[2]) for text in list(self.active)[:2]]
        return ", ".join([*parts, *names])


OnProgress = Callable[[Progress, Outcome | None], None]
"""Receives the progress so far, and a film's outcome whenever one is done."""


def ingest(
    sources: Sequence[str | Path],
    library: str | Path,
    *,
    workers: int = 1,
    profile: Profile | str | None = None,
    config: IngestConfig | None = None,
    runner: str = "local",
    address: str | None = None,
    on_progress: OnProgress | None = None,
) -> IngestReport:
    """Add every film of `sources` to a library, and write the library's catalogue and report.

    A film that the library already holds (by its bytes) is only hashed.

    Args:
        sources: Files, folders or URLs; folders are searched recursively.
        library: The library's folder or URL; it is created if it does not exist.
        workers: How many films are converted at a time.
        profile: The proxies' format, or its name: `small` (the default), `standard`, `large` or `full`; an existing
            library keeps its own, and refuses another. The values of `config.profile` change it.
        config: The settings of the ingest; without it the defaults.
        runner: `local` for processes on this machine, `ray` for a Ray cluster.
        address: The address of the Ray cluster; without it a cluster is started on this machine.
        on_progress: Called with the progress so far, and with a film's outcome whenever one is done.

    Raises:
        UsageError: if a source does not exist, a folder holds no film, `library` is something else or has another
            profile, or the shot detector is not installed.
        WorkError: if the work itself fails; films that were finished stay in the library.
    """
    config = config or IngestConfig()
    _check_choices(workers, runner, config)
    choice = _choose_profile(profile, config.profile)
    start_time = time.monotonic()

    # Find the films and make one task for each distinct film.
    discovered = discover(sources)
    opened = Library.create(library, choice)
    opened.sweep()
    films = [film for film in discovered.films if film.location not in discovered.duplicates]
    threads = config.worker.threads or share_threads(min(workers, len(films)))
    tasks = [FilmTask(film, str(library), config, threads) for film in films]

    run = run_locally if runner == "local" else partial(run_on_ray, address=address)
    reporter = _ProgressReporter(films, on_progress)
    results = _run_tasks(opened, discovered, partial(run, tasks, workers, reporter.report_active), reporter)

    report = IngestReport(
        opened,
        films=tuple(result for result in results if isinstance(result, IngestedFilm)),
        failures=tuple(result for result in results if isinstance(result, FailedFilm)),
        skipped_files=discovered.skipped_files,
        seconds=time.monotonic() - start_time,
        unreadable=discovered.unreadable,
        loops=discovered.loops,
    )
    write_report(opened, report.films)
    return report


def _check_choices(workers: int, runner: str, config: IngestConfig) -> None:
    if workers < 1:
        raise UsageError(f"there must be at least one worker, got {workers}")
    if runner not in RUNNERS:
        raise UsageError(f"unknown runner '{runner}'; choose {' or '.join(RUNNERS)}")
    check_detector(config.shots.detector)


def _choose_profile(profile: Profile | str | None, changes: ProfileChoice) -> ProfileChoice:
    """Return the profile that is asked for, after checking that there is one of that name."""
    named = ProfileChoice(name=profile) if isinstance(profile, str) else ProfileChoice()
    base = ProfileChoice.of(profile) if isinstance(profile, Profile) else named
    choice = base.model_copy(update=changes.model_dump(exclude_none=True))
    if choice.name is not None:
        find_profile(choice.name)
    return choice


def _run_tasks(
    library: Library,
    discovered: DiscoveredFilms,
    run: Callable[[], Iterator[tuple[FilmTask, Outcome]]],
    reporter: "_ProgressReporter",
) -> list[Outcome]:
    """Return the outcome of each source; the catalogue is brought up to date even if a film stops the ingest."""
    outcomes: dict[str, Outcome] = {}
    finished = False
    try:
        for task, outcome in run():  # not kept in a variable: an exception closes it, which ends its workers
            outcomes[task.source.location] = outcome
            reporter.report_done(task, outcome)
        results = list(_iterate_results(discovered, outcomes))
        _remove_repaired(library, results)
        results = _record_sources(library, discovered, results)
        finished = True
    finally:
        # A full disk that stopped a film stops the tables too: then the film's error is raised.
        with nullcontext() if finished else suppress(WorkError):
            library.update_catalogue()
    return results


class _ProgressReporter:
    """Keeps the progress of an ingest and passes it on to the caller."""

    def __init__(self, films: Sequence[Source], on_progress: OnProgress | None) -> None:
        self._progress = Progress(len(films), sum(film.size for film in films))
        self._on_progress = on_progress

    def report_active(self, task: FilmTask, seconds: float) -> None:
        self._progress.active[task.source.text] = seconds
        self._report(None)

    def report_done(self, task: FilmTask, outcome: Outcome) -> None:
        progress = self._progress
        progress.active.pop(task.source.text, None)
        progress.films_done += 1
        progress.bytes_done += task.source.size
        if isinstance(outcome, IngestedFilm) and not outcome.reused:
            progress.film_seconds += outcome.record.duration_seconds
        self._report(outcome)

    def _report(self, outcome: Outcome | None) -> None:
        if self._on_progress:
            self._on_progress(self._progress, outcome)


def _iterate_results(discovered: DiscoveredFilms, outcomes: dict[str, Outcome]) -> Iterator[Outcome]:
    """Yield the outcome of each source; a source with the bytes of an earlier one is marked as its duplicate.

    Duplicates among remote files are known only after their outcomes, which hold the ids of their films.
    """
    first_sources: dict[str, Source] = {}
    for film in discovered.films:
        outcome = outcomes[discovered.duplicates.get(film.location, film).location]
        if isinstance(outcome, FailedFilm):
            yield replace(outcome, source=film)
        elif (first := first_sources.setdefault(outcome.record.film_id, film)) is film:
            yield outcome
        else:
            yield replace(outcome, source=film, reused=True, duplicate_of=first)


def _remove_repaired(library: Library, results: Sequence[Outcome]) -> None:
    """Remove the records of rejected films whose source file now holds another film: it has been repaired."""
    current_ids = {result.source.text: result.record.film_id for result in results if isinstance(result, IngestedFilm)}
    still_present = set(current_ids.values())
    for film in library.films():
        if not film.usable and film.source in current_ids and film.film_id not in still_present:
            library.remove(film.id)


def _record_sources(library: Library, discovered: DiscoveredFilms, results: Sequence[Outcome]) -> list[Outcome]:
    """Record every path at which a film was found, also that of a duplicate or a link; return the updated results."""
    found: dict[str, list[str]] = {}
    records: dict[str, FilmRecord] = {}
    for result in results:
        if isinstance(result, IngestedFilm):
            links = discovered.other_paths.get(result.source.location, ())
            found.setdefault(result.record.film_id, []).extend([result.source.text, *map(path_to_text, links)])
            records.setdefault(result.record.film_id, result.record)

    for film_id, record in records.items():
        updated = name_sources(record, found[film_id])
        if updated != record:
            library.replace_record(updated)
            records[film_id] = updated
    return [
        replace(result, record=records[result.record.film_id]) if isinstance(result, IngestedFilm) else result
        for result in results
    ]
