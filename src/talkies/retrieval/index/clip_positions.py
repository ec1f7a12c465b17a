"""Which clips of a film are embedded: one each so many frames, and the one in the middle of each shot."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from talkies.clips import film_windows
from talkies.core import Bools, ClipRequest, ClipShape, Embeddings, FilmId, Int32s, Int64s, Span
from talkies.retrieval.index.rows import IndexRows


@dataclass(frozen=True, slots=True)
class ClipPositions:
    """A film's clips as they are read, each once and in the order of time, and the rows that they become.

    Row *b* is clip `clip_B[b]`; a clip at the stride that is also in the middle of its shot becomes two rows.
    """

    requests: tuple[ClipRequest, ...]
    clip_B: Int64s
    shot_B: Int32s
    of_shot_B: Bools

    def rows(self, embeddings: Embeddings, fps: int) -> IndexRows:
        """Return the rows of the clips, encoded in the order of `requests`."""
        start = np.array([request.window.start_frame / fps for request in self.requests])
        end = np.array([request.window.end_frame / fps for request in self.requests])
        return IndexRows(
            np.array([request.film_id for request in self.requests], np.object_)[self.clip_B],
            start[self.clip_B],
            end[self.clip_B],
            self.shot_B,
            self.of_shot_B,
            embeddings.video_BD.numpy()[self.clip_B],
            embeddings.audio_BD.numpy()[self.clip_B],
        )


def clip_positions(
    film_id: FilmId, frames: int, shots: Sequence[Span], shape: ClipShape, stride_frames: int
) -> ClipPositions:
    """Return the clips of a film of `frames` frames; none where it is shorter than one.

    The clip of a shot has its middle in the middle of the shot, as far as it does not reach over an end of the film.
    """
    window = shape.window_frames
    at_stride = [request.window.start_frame for request in film_windows(film_id, frames, shape, stride_frames)]
    of_shots = [
        min(max((shot.start_frame + shot.end_frame - window) // 2, 0), frames - window) for shot in shots if at_stride
    ]
    starts = np.unique(np.array([*at_stride, *of_shots], np.int64))
    row_start_B = np.array([*at_stride, *of_shots], np.int64)
    shot_B = np.concatenate([shots_at([start + window // 2 for start in at_stride], shots), np.arange(len(of_shots))])
    return ClipPositions(
        tuple(ClipRequest(film_id, Span(int(start), int(start) + window)) for start in starts),
        np.searchsorted(starts, row_start_B),
        shot_B.astype(np.int32),
        np.arange(len(row_start_B)) >= len(at_stride),
    )


def shots_at(frames: Sequence[int], shots: Sequence[Span]) -> Int32s:
    """Return the number of the shot that holds each frame, -1 where none does; `shots` are in order."""
    starts = np.array([shot.start_frame for shot in shots], np.int64)
    ends = np.array([shot.end_frame for shot in shots], np.int64)
    place = np.searchsorted(starts, np.asarray(frames, np.int64), side="right") - 1
    inside = (place >= 0) & (np.asarray(frames) < ends[place]) if len(shots) else np.zeros(len(frames), bool)
    return np.where(inside, place, -1).astype(np.int32)
