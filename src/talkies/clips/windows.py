"""Clips at regular distances over whole films, for embedding and evaluation."""

from collections.abc import Iterator, Sequence

from torch.utils.data import Dataset

from talkies.clips.source import ClipSource
from talkies.clips.workers import cores, read_by_workers
from talkies.core import ClipBatch, ClipRequest, ClipShape, FilmId, Span

_WORTH_A_WORKER = 2_000
"""So many clips take several times as long to read as a process takes to begin."""
_CORES_A_WORKER = 3  # where the same cores encode: the smallest encoder works about twice as long as its reader


def film_windows(film_id: FilmId, frames: int, shape: ClipShape, stride_frames: int) -> list[ClipRequest]:
    """Return requests for every window that fits into a film of `frames` frames, one each `stride_frames`."""
    starts = range(0, frames - shape.window_frames + 1, stride_frames)
    return [ClipRequest(film_id, Span(start, start + shape.window_frames)) for start in starts]


def sequential_batches(
    source: ClipSource,
    requests: Sequence[ClipRequest],
    film_numbers: dict[FilmId, int],
    batch_clips: int = 64,
    workers: int | None = 0,
) -> Iterator[ClipBatch]:
    """Yield the clips of `requests` in order, in batches of one film and at most `batch_clips`.

    `workers` processes read ahead; 0 reads in this process, and None has as many as pay.

    Raises:
        MediaError: if a film cannot be read.
        WorkError: if a process that reads dies.
    """
    if workers is None:
        workers = max(1, cores() // _CORES_A_WORKER) if len(requests) >= _WORTH_A_WORKER else 0
    yield from read_by_workers(_Batches(source, _parts(requests, batch_clips), film_numbers), workers)


def _parts(requests: Sequence[ClipRequest], batch_clips: int) -> list[Sequence[ClipRequest]]:
    ends = [n for n in range(1, len(requests)) if requests[n].film_id != requests[n - 1].film_id]
    films = zip([0, *ends], [*ends, len(requests)], strict=True)
    return [requests[at : min(at + batch_clips, end)] for begin, end in films for at in range(begin, end, batch_clips)]


class _Batches(Dataset[ClipBatch]):
    def __init__(self, source: ClipSource, parts: list[Sequence[ClipRequest]], film_numbers: dict[FilmId, int]) -> None:
        self._source, self._parts, self._film_numbers = source, parts, film_numbers

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, number: int) -> ClipBatch:
        return self._source.batch(self._parts[number], self._film_numbers)
