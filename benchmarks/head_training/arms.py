"""Heads on frozen features, trained with talkies' sampling plan and objective; the arms differ in their negatives.

Shapes: `B` clips, `N` clips of a film, `E` features, `D` embedding.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from head_training.features import FPS, SHAPE, STRIDE_FRAMES, FilmFeatures
from head_training.held_out import Split
from talkies.core import Embeddings, FilmId, Float32s, Int64s
from talkies.models.tower import Head
from talkies.objectives import ContrastiveObjective, ObjectiveConfig
from talkies.sampling import BatchPlan, FilmSpans, SamplingConfig
from talkies.training.config import OptimiserConfig
from talkies.training.optimiser import build_optimiser, compute_learning_rate, set_learning_rate

FILMS_PER_BATCH, CLIPS_PER_FILM = 3, 6  # the most that the shortest film can give
BATCH_CLIPS = FILMS_PER_BATCH * CLIPS_PER_FILM
HIDDEN, DIM = 256, 128
STEPS = 400
MEASURED_STEPS = (25, 50, 100, 200, 400)
_ALL_OF_A_FILM = 1e6  # seconds
OPTIMISER = OptimiserConfig(learning_rate=1e-3, weight_decay=0.05, warmup_steps=20)


@dataclass(frozen=True, slots=True)
class Arm:
    """What the negatives of a clip are: how batches are drawn, and how the objective weighs their parts."""

    name: str
    objective: ObjectiveConfig
    films_per_batch: int = FILMS_PER_BATCH
    is_pooled: bool = False
    has_linear_heads: bool = False


def _make_objective(weight: float = 1.0, mask_seconds: float = 0.0) -> ObjectiveConfig:
    return ObjectiveConfig(
        cross_film_weight=weight, temperature=0.07, learn_temperature=True, mask_nearer_than_seconds=mask_seconds
    )


ARMS = (
    Arm("within films (other films weigh 0.1)", _make_objective(0.1)),
    Arm("within films, sampling only", _make_objective()),
    Arm("within films, one film a batch (adapt-heads)", _make_objective(0.0), films_per_batch=1),
    Arm("random: other films only (as k = 1)", _make_objective(mask_seconds=_ALL_OF_A_FILM)),
    Arm("random: clips of all films mixed", _make_objective(), is_pooled=True),
)


class Heads(nn.Module):
    """The projection heads of both towers."""

    def __init__(self, video_dim: int, audio_dim: int, *, is_linear: bool = False) -> None:
        super().__init__()
        self.video, self.audio = (
            nn.Linear(dim, DIM) if is_linear else Head(dim, HIDDEN, DIM) for dim in (video_dim, audio_dim)
        )

    def embed_video(self, features_BE: Tensor) -> Tensor:
        """Return unit vectors `[B, D]`."""
        return functional.normalize(self.video(features_BE), dim=1)

    def embed_audio(self, features_BE: Tensor) -> Tensor:
        """Return unit vectors `[B, D]`."""
        return functional.normalize(self.audio(features_BE), dim=1)


def train_heads(
    arm: Arm,
    films: Mapping[str, FilmFeatures],
    splits: Mapping[str, Split],
    seed: int,
    on_step: Callable[[int, Heads], None],
) -> None:
    """Train heads on the learnt parts of films, and call `on_step` with the heads after each of `MEASURED_STEPS`."""
    torch.manual_seed(seed)
    first = next(iter(films.values()))
    heads = Heads(first.video_NE.shape[1], first.audio_NE.shape[1], is_linear=arm.has_linear_heads)
    objective = ContrastiveObjective(arm.objective, FPS)
    optimiser = build_optimiser(nn.ModuleList((heads, objective)), OPTIMISER)
    names = sorted(films)
    video, audio = (torch.cat([torch.from_numpy(f) for f in part]) for part in _list_features(films, names))
    first_row_F = np.cumsum([0, *(len(films[name].start_N) for name in names)])
    for step, (film_B, start_B) in enumerate(draw_batches(arm, names, splits, seed)):
        set_learning_rate(optimiser, compute_learning_rate(step, STEPS, OPTIMISER))
        row_B = torch.from_numpy(first_row_F[film_B] + start_B // STRIDE_FRAMES)
        embeddings = Embeddings(
            heads.embed_video(video[row_B]),
            heads.embed_audio(audio[row_B]),
            torch.from_numpy(film_B),
            torch.from_numpy(start_B),
        )
        optimiser.zero_grad()
        losses = objective([embeddings], step).losses
        torch.stack(list(losses.values())).sum().backward()
        optimiser.step()
        if step + 1 in MEASURED_STEPS:
            heads.eval()
            with torch.inference_mode():
                on_step(step + 1, heads)
            heads.train()


def _list_features(films: Mapping[str, FilmFeatures], names: Sequence[str]) -> tuple[list[Float32s], list[Float32s]]:
    return [films[name].video_NE for name in names], [films[name].audio_NE for name in names]


def draw_batches(
    arm: Arm, names: Sequence[str], splits: Mapping[str, Split], seed: int
) -> Iterator[tuple[Int64s, Int64s]]:
    """Yield the film numbers and first frames of each step's clips."""
    if arm.is_pooled:
        yield from _draw_pooled(names, splits, seed)
        return
    spans = FilmSpans.of({FilmId(f"{number:016x}"): splits[name].learnt for number, name in enumerate(names)})
    films = arm.films_per_batch
    sampling = SamplingConfig(
        films_per_batch=films,
        clips_per_film=BATCH_CLIPS // films,
        short_films="leave_out" if films == 1 else "refuse",
    )
    plan = BatchPlan(spans, sampling, SHAPE.window_frames, FPS, seed)
    numbers = np.array([int(film_id, 16) for film_id in plan.films.film_ids])  # films may have been left out
    for step in range(STEPS):
        batch = plan.draw_batch(step)
        yield numbers[batch.film_N], batch.start_N


def _draw_pooled(names: Sequence[str], splits: Mapping[str, Split], seed: int) -> Iterator[tuple[Int64s, Int64s]]:
    """Yield batches of clips drawn from all learnt minutes alike, whatever film they are of."""
    pool = np.array(
        [
            (film, start)
            for film, name in enumerate(names)
            for span in splits[name].learnt
            for start in range(span.start_frame, span.end_frame - SHAPE.window_frames + 1)
        ]
    )
    random = np.random.default_rng(seed)
    for _ in range(STEPS):
        chosen = pool[random.choice(len(pool), BATCH_CLIPS, replace=False)]
        yield chosen[:, 0].copy(), chosen[:, 1].copy()
