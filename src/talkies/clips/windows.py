"""Clips at regular distances over whole films, for embedding and evaluation."""

from collections.abc import Iterator, Sequence

from talkies.clips.source import ClipSource, collate
from talkies.core import ClipBatch, ClipRequest, ClipShape, FilmId, Span


def film_windows(film_id: FilmId, frames: int, shape: ClipShape, stride_frames: int) -> list[ClipRequest]:
    """Return requests for every window that fits into a film of `frames` frames, one each `stride_frames`."""
    starts = range(0, frames - shape.window_frames + 1, stride_frames)
    return [ClipRequest(film_id, Span(start, start + shape.window_frames)) for start in starts]


def sequential_batches(
    source: ClipSource, requests: Sequence[ClipRequest], film_numbers: dict[FilmId, int], batch_clips: int = 64
) -> Iterator[ClipBatch]:
    """Yield the clips of `requests` in order, in batches of at most `batch_clips`."""
    for start in range(0, len(requests), batch_clips):
        yield collate(source.read_all(requests[start : start + batch_clips]), film_numbers)
