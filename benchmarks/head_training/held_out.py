"""Which minutes of films are learnt and which are held out, and what is found within the held-out ones.

    film      |─────1─────|─────2─────|─────3─────|─────4─────|─────5─────|─────6─────|
    fold 2     learnt    ·|··held out·|·choose at·|·   learnt    learnt     learnt          · a margin of one clip

A long film has six parts: one is held out, the next chooses the number of steps, and the rest is learnt. A short one
has three, and its parts choose nothing. No clip is in two parts.

Shapes: `Q` queries, `D` embedding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from head_training.features import FPS, SHAPE, STRIDE_FRAMES, FilmFeatures
from talkies.core import Float64s, Int64s, Span
from talkies.evaluation.film_tasks.retrieval import rank_positives

FOLDS = 6
SHORT_FILM_PARTS = 3
SHORT_SECONDS = 120
MARGIN_FRAMES = SHAPE.window_frames + STRIDE_FRAMES
_GALLERY_STRIDE = -(-SHAPE.window_frames // STRIDE_FRAMES) * STRIDE_FRAMES  # clips that do not overlap


@dataclass(frozen=True, slots=True)
class Split:
    """What a fold learns of a film, and the clips (rows of its features) that it is measured and chosen on."""

    learnt: tuple[Span, ...]
    test_Q: Int64s
    choose_Q: Int64s


def split_film(film: FilmFeatures, fold: int) -> Split:
    """Return the split of a film in one fold."""
    is_short = film.frames < SHORT_SECONDS * FPS
    count = SHORT_FILM_PARTS if is_short else FOLDS
    edges = [film.frames * part // count for part in range(count + 1)]
    test = Span(edges[fold % count], edges[fold % count + 1])
    choose = None if is_short else Span(edges[(fold + 1) % count], edges[(fold + 1) % count + 1])
    learnt: list[Span] = list(film.eligible)
    for part in (test, choose):
        if part is not None:
            learnt = [rest for span in learnt for rest in _cut_out(span, part)]
    return Split(tuple(learnt), _list_clips(film, test), _list_clips(film, choose) if choose else np.empty(0, np.int64))


def _cut_out(span: Span, part: Span) -> list[Span]:
    """Return what a part and the margins around it leave of a span."""
    before = min(span.end_frame, part.start_frame - MARGIN_FRAMES)
    after = max(span.start_frame, part.end_frame + MARGIN_FRAMES)
    bounds = [(span.start_frame, before), (after, span.end_frame)]
    return [Span(start, end) for start, end in bounds if end - start >= SHAPE.window_frames]


def _list_clips(film: FilmFeatures, part: Span) -> Int64s:
    """Return the rows of clips within a part and within eligible spans, end to end."""
    starts: list[int] = []
    for span in film.eligible:
        first = -(-max(span.start_frame, part.start_frame) // STRIDE_FRAMES) * STRIDE_FRAMES
        last = min(span.end_frame, part.end_frame) - SHAPE.window_frames
        starts += range(first, last + 1, _GALLERY_STRIDE)
    return np.array(starts, np.int64) // STRIDE_FRAMES


@dataclass(frozen=True, slots=True)
class Ranks:
    """The rank of each query's counterpart among the clips of its part of the film, from 0, in both directions."""

    video_to_audio_Q: Float64s
    audio_to_video_Q: Float64s
    gallery: int

    def both(self, read: str) -> Float64s:
        """Return a number of each clip, `[Q]`, the mean of both directions: `recall_at_K`, or `reciprocal_rank`."""
        return (score(self.video_to_audio_Q, read) + score(self.audio_to_video_Q, read)) / 2


def score(rank_Q: Float64s, read: str) -> Float64s:
    """Return a number of each rank: `recall_at_K`, `reciprocal_rank`, or the `rank` itself, from 1."""
    if read == "rank":
        return rank_Q + 1
    if read == "reciprocal_rank":
        return 1 / (rank_Q + 1)
    return (rank_Q < int(read.removeprefix("recall_at_"))).astype(np.float64)


def compute_chance(gallery: int, read: str) -> float:
    """Return what a guess among `gallery` clips has on average."""
    return float(score(np.arange(gallery, dtype=np.float64), read).mean())


def rank_clips(video_QD: Tensor, audio_QD: Tensor) -> Ranks:
    """Return the ranks of the clips of one gallery."""
    return Ranks(
        rank_positives(video_QD, audio_QD).double().numpy(),
        rank_positives(audio_QD, video_QD).double().numpy(),
        len(video_QD),
    )


def find_right_films(video: Mapping[str, Tensor], audio: Mapping[str, Tensor]) -> dict[str, Float64s]:
    """Return for each film how often a clip's best candidate among all films' held-out clips is of its own film."""
    right: dict[str, Float64s] = {}
    for name in video:
        ways: Sequence[tuple[Mapping[str, Tensor], Mapping[str, Tensor]]] = ((video, audio), (audio, video))
        hits = []
        for queries, galleries in ways:
            gallery = torch.cat(list(galleries.values()))
            film_of = [owner for owner, rows in galleries.items() for _ in range(len(rows))]
            best = (queries[name] @ gallery.T).argmax(1).tolist()
            hits.append(np.array([film_of[row] == name for row in best], np.float64))
        right[name] = np.mean(hits, axis=0)
    return right
