"""The films of the day: rendered and ingested on the spot, as many as there is time for."""

import time

from gpu.records import Record
from gpu.settings import Settings
from talkies.ingestion import ingest
from talkies.library import Library
from talkies.synth import render_films

_SEED, _UNSEEN_SEED = 11, 12


def make_films(settings: Settings, record: Record) -> None:
    """Render the unseen films, then films to learn from, some at a time; libraries from before are continued."""
    sizes, started = settings.sizes, time.perf_counter()
    workers = max(1, settings.cores - 2)  # the tests run beside this
    render_films(settings.unseen_films, sizes.unseen_films, sizes.synth, seed=_UNSEEN_SEED, workers=workers)
    ingest([settings.unseen_films], settings.unseen_library, workers=workers, profile=sizes.profile)

    films, longest = 0, 0.0
    while films < sizes.most_films and record.seconds_left > 1.3 * longest:
        begun = time.perf_counter()
        films += sizes.film_step
        render_films(settings.films, films, sizes.synth, seed=_SEED, workers=workers)
        ingest([settings.films], settings.library, workers=workers, profile=sizes.profile)
        longest = max(longest, time.perf_counter() - begun)
        hours = films * sizes.synth.seconds / 3600
        record.add(films=films, hours=hours, seconds=time.perf_counter() - started)


def count_films(settings: Settings) -> int:
    """Return the number of films to learn from; 0 if there is no library yet."""
    if not (settings.library / "library.json").is_file():
        return 0
    return len(Library.open(settings.library).usable_films())
