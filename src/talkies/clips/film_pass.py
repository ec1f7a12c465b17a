"""One pass over a library's films: the requested clips of each film, in order and in batches, read ahead of their use.

Embedding, analysis, the audit, the film tasks and the study all read films through this file.

    films        film 1                      film 2
    clips        |──||──||──||──||──|        |──||──||──|
    batches      |──────────────||──|        |──────────|        a batch holds clips of one film
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import groupby, islice

from torch.utils.data import Dataset

from talkies.clips.source import ClipSource
from talkies.clips.workers import read_by_workers
from talkies.core import ClipBatch, ClipRequest, ClipShape, FilmId, Framing, Span
from talkies.library import FilmEntry, Library
from talkies.runtime import count_cores, prefetch

BATCH_CLIPS = 64
BATCHES_AHEAD = 2
"""How many batches a thread reads ahead of the one that is encoded."""
_CLIPS_WORTH_A_WORKER = 2_000  # reading them takes several times as long as starting a process
_CORES_PER_WORKER = 3  # where the same cores encode: the smallest encoder takes about twice as long as its reader
_CORES_OF_A_GPU = 1  # one launches its work and moves the clips to it
_MOST_WORKERS = 32  # each holds two batches in shared memory: about 2 GB in all for clips of 16 pictures of 128 px

OnFilm = Callable[[str, int], None]
"""Called after each film with its name and the number of films."""


def list_windows(film_id: FilmId, frames: int, shape: ClipShape, stride_frames: int) -> list[ClipRequest]:
    """Return requests for every window that fits into a film, one every `stride_frames`.

    Args:
        film_id: The film.
        frames: The film's length on its library's grid.
        shape: What a clip is made of.
        stride_frames: The distance between the starts of two windows.
    """
    starts = range(0, frames - shape.window_frames + 1, stride_frames)
    return [ClipRequest(film_id, Span(start, start + shape.window_frames)) for start in starts]


def read_films(
    library: Library,
    shape: ClipShape,
    requests: Mapping[FilmEntry, Sequence[ClipRequest]],
    *,
    batch_clips: int = BATCH_CLIPS,
    workers: int | None = None,
    framing: Framing = "centre",
    on_film: OnFilm | None = None,
    device_type: str = "cpu",
) -> Iterator[tuple[FilmEntry, Iterator[ClipBatch]]]:
    """Yield each film with its clips in batches; a few batches are in memory at any time.

    A film's batches must be used before the next film is requested.

    Args:
        library: The library that holds the films.
        shape: What a clip is made of.
        requests: The clips of each film, in the order in which they are yielded; a film may have none.
        batch_clips: The largest number of clips in a batch.
        workers: How many processes read; 0 reads in this process, None is what `choose_workers` returns.
        framing: As in `read_batches`.
        on_film: Called after each film.
        device_type: The kind of device that uses the clips, for `workers`.

    Raises:
        MediaError: if a film cannot be read; the films before it have been yielded.
        WorkError: if a worker process dies.
    """
    all_requests = [request for film_requests in requests.values() for request in film_requests]
    if workers is None:
        workers = choose_workers(len(all_requests), device_type)
    batches = read_batches(library, shape, all_requests, batch_clips=batch_clips, workers=workers, framing=framing)
    with closing(batches):
        for film, film_requests in requests.items():
            film_batches = islice(batches, -(-len(film_requests) // batch_clips))
            yield film, film_batches
            deque(film_batches, maxlen=0)  # skip what was not used
            if on_film:
                on_film(film.name, len(requests))


def read_batches(
    library: Library,
    shape: ClipShape,
    requests: Sequence[ClipRequest],
    *,
    batch_clips: int = BATCH_CLIPS,
    workers: int = 0,
    framing: Framing = "centre",
) -> Generator[ClipBatch, None, None]:
    """Yield clips in the order of `requests`, in batches of one film each; a thread reads a few batches ahead.

    Args:
        library: The library that holds the films.
        shape: What a clip is made of.
        requests: The clips, those of one film next to each other.
        batch_clips: The largest number of clips in a batch.
        workers: How many processes read; 0 reads in this process.
        framing: How a picture becomes a square; the squares of `crops` have requests of their own.

    Raises:
        MediaError: if a film cannot be read.
        WorkError: if a worker process dies.
    """
    with closing(ClipSource(library, shape, framing)) as source:
        dataset = _BatchDataset(source, _split_by_film(requests, batch_clips))
        with prefetch(read_by_workers(dataset, workers), BATCHES_AHEAD) as batches:
            yield from batches


def choose_workers(clips: int, device_type: str) -> int:
    """Return how many processes read clips for a device that encodes them; 0: the process that encodes.

    Args:
        clips: The number of clips.
        device_type: The kind of device. With `cpu` the cores also encode; with another, all but one only read.
    """
    if clips < _CLIPS_WORTH_A_WORKER:
        return 0
    readers = count_cores() // _CORES_PER_WORKER if device_type == "cpu" else count_cores() - _CORES_OF_A_GPU
    return max(1, min(readers, _MOST_WORKERS))


def _split_by_film(requests: Sequence[ClipRequest], batch_clips: int) -> list[list[ClipRequest]]:
    """Return the requests of each batch: consecutive ones of one film, at most `batch_clips`."""
    batches = []
    for _, group in groupby(requests, key=lambda request: request.film_id):
        film_requests = list(group)
        batches += [film_requests[first : first + batch_clips] for first in range(0, len(film_requests), batch_clips)]
    return batches


class _BatchDataset(Dataset[ClipBatch]):
    """Reads the clips of each batch; worker processes get a copy."""

    def __init__(self, source: ClipSource, batches: Sequence[Sequence[ClipRequest]]) -> None:
        self._source, self._batches = source, batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, number: int) -> ClipBatch:
        return self._source.read_batch(self._batches[number])
