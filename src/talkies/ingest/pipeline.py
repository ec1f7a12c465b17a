"""The verb: sources in, a library with a verdict on each film out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from talkies.core import UsageError, in_processes
from talkies.ingest.discover import discover
from talkies.ingest.film import FilmTask, Ingested, ingest_film, threads_for
from talkies.library import Library, Profile


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingest did: the library, and one entry for each source in the order they were found."""

    library: Library
    films: tuple[Ingested, ...]

    def check(self) -> None:
        """Do nothing if some film can be used.

        Raises:
            UsageError: naming the reason of the first, if every film was rejected.
        """
        if not any(film.record.usable for film in self.films):
            first = self.films[0].record.reasons[0].text
            more = f" (and {len(self.films) - 1} more were rejected)" if len(self.films) > 1 else ""
            raise UsageError(f"no film could be taken: {first}{more}")


def ingest(
    sources: Sequence[Path],
    library: Path,
    workers: int = 1,
    profile: Profile | None = None,
    on_film: Callable[[Ingested, int], None] | None = None,
) -> IngestReport:
    """Take every film of `sources` (files, or folders searched all through) into the library in folder `library`.

    A film that the library has already, by its bytes, costs a hash and changes nothing. `workers` processes share
    the films; `on_film` is called after each with what became of it and the number of films in all.

    Raises:
        UsageError: if a source does not exist, a folder holds no film, or `library` is something else.
        WorkError: if the work fails; films that were finished stay.
    """
    if workers < 1:
        raise UsageError(f"there must be at least one worker, got {workers}")
    found = discover(sources)
    opened = Library.create(library, profile)
    opened.sweep()
    tasks = [FilmTask(path, library, threads_for(min(workers, len(found)))) for path in found]
    done: dict[Path, Ingested] = {}
    try:
        for task, result in in_processes(ingest_film, tasks, workers):
            done[task.source] = result
            if on_film:
                on_film(result, len(tasks))
    finally:
        opened.rebuild_catalogue()
    return IngestReport(opened, tuple(done[path] for path in found))
