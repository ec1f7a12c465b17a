"""The positions of the clips of a film that are embedded: one every stride, and the one in the middle of each shot.

Shapes: `B` rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from talkies.clips import list_windows
from talkies.core import Bools, ClipRequest, ClipShape, Embeddings, FilmId, Int32s, Int64s, Span
from talkies.retrieval.index.rows import IndexRows


@dataclass(frozen=True, slots=True)
class ClipPositions:
    """A film's clips as they are read, and the rows that they become.

    A clip at the stride that is also in the middle of its shot is read once and becomes two rows.

    Args:
        requests: The clips, each once, in order of time.
        clip_B: The clip of each row, as an index into `requests`.
        shot_B: The number of the shot that holds each row's middle, -1 where none does.
        of_shot_B: Whether a row is the clip in the middle of its shot.
    """

    requests: tuple[ClipRequest, ...]
    clip_B: Int64s
    shot_B: Int32s
    of_shot_B: Bools

    def build_rows(self, embeddings: Embeddings, fps: int) -> IndexRows:
        """Return the rows of the clips.

        Args:
            embeddings: Those of the clips, in the order of `requests`.
            fps: The frame rate of the library.
        """
        film = np.array([request.film_id for request in self.requests], np.object_)
        start = np.array([request.window.start_frame / fps for request in self.requests])
        end = np.array([request.window.end_frame / fps for request in self.requests])
        return IndexRows(
            film_B=film[self.clip_B],
            start_B=start[self.clip_B],
            end_B=end[self.clip_B],
            shot_B=self.shot_B,
            of_shot_B=self.of_shot_B,
            video_BD=embeddings.video_BD.numpy()[self.clip_B],
            audio_BD=embeddings.audio_BD.numpy()[self.clip_B],
        )


def compute_clip_positions(
    film_id: FilmId, frames: int, shots: Sequence[Span], shape: ClipShape, stride_frames: int
) -> ClipPositions:
    """Return the clips of a film; none if it is shorter than one clip.

    The clip of a shot is centred on the shot, but stays inside the film.

    Args:
        film_id: The film.
        frames: Its number of frames.
        shots: Its shots in order, in frames.
        shape: The shape of a clip.
        stride_frames: The stride between clips.
    """
    window = shape.window_frames
    stride_starts = [request.window.start_frame for request in list_windows(film_id, frames, shape, stride_frames)]
    shot_starts = []
    if stride_starts:
        centred = ((shot.start_frame + shot.end_frame - window) // 2 for shot in shots)
        shot_starts = [min(max(start, 0), frames - window) for start in centred]

    row_start_B = np.array([*stride_starts, *shot_starts], np.int64)
    clip_starts = np.unique(row_start_B)
    stride_shots = find_shots([start + window // 2 for start in stride_starts], shots)
    return ClipPositions(
        requests=tuple(ClipRequest(film_id, Span(int(start), int(start) + window)) for start in clip_starts),
        clip_B=np.searchsorted(clip_starts, row_start_B),
        shot_B=np.concatenate([stride_shots, np.arange(len(shot_starts))]).astype(np.int32),
        of_shot_B=np.arange(len(row_start_B)) >= len(stride_starts),
    )


def find_shots(frames: Sequence[int], shots: Sequence[Span]) -> Int32s:
    """Return the number of the shot that holds each frame, -1 where none does; `shots` are in order."""
    if not len(shots):
        return np.full(len(frames), -1, np.int32)
    starts = np.array([shot.start_frame for shot in shots], np.int64)
    ends = np.array([shot.end_frame for shot in shots], np.int64)
    number = np.searchsorted(starts, np.asarray(frames, np.int64), side="right") - 1
    inside = (number >= 0) & (np.asarray(frames, np.int64) < ends[number])
    return np.where(inside, number, -1).astype(np.int32)
