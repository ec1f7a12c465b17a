"""Fixed views: a clip is augmented in a bounded number of ways, so that its features can be computed once.

A view's augmentation is a pure function of (moment, view), and the view of a clip that a step takes one of (seed, step,
clip). Neither depends on the batch, the rank or the number of ranks. The views of a clip are the same in every run, so
that runs of several seeds share their features.

Shapes: `B` clips.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import torch

from talkies.core import ClipRequest, FilmId, Modality
from talkies.transforms import Augmentation, ClipTransform, concatenate_draws

_SEEDS = 1 << 63


class FeatureKey(NamedTuple):
    """Which features of a film: the moment that one tower sees of a clip, and its view.

    `start_frame` is the first frame of the window of the pictures, or of that of the sound; `place` is that of the
    square, and 0 of sound.
    """

    start_frame: int
    place: float
    view: int


def find_key(request: ClipRequest, view: int, modality: Modality) -> FeatureKey:
    """Return the key of what a tower sees of a clip's view."""
    if modality == "audio":
        return FeatureKey(request.audio_window.start_frame, 0.0, view)
    return FeatureKey(request.window.start_frame, request.place, view)


def choose_views(requests: Sequence[ClipRequest], seed: int, step: int, *, views: int, count: int) -> list[list[int]]:
    """Return the numbers of the views of each clip that a step takes: `count` lists of `B`, distinct for each clip.

    Args:
        requests: the clips.
        seed: the seed of the run.
        step: the step.
        views: the number of views of each clip; 0 for the one that is not augmented.
        count: how many views of a clip the step takes, at most `views`.
    """
    if views <= 1:
        return [[0] * len(requests) for _ in range(count)]
    chosen = []
    for request in requests:
        number = _hash(seed, "view", step, request.film_id, *_moment(request), request.audio_shift_frames)
        first, rest = number % views, number // views
        chosen.append([(first + index * (1 + rest % (views - 1))) % views for index in range(count)])
    return [[numbers[index] for numbers in chosen] for index in range(count)]


def draw_fixed_views(
    transform: ClipTransform, requests: Sequence[ClipRequest], numbers_B: Sequence[int], samples: int
) -> Augmentation:
    """Return the augmentation of one view of each clip.

    Args:
        transform: draws the augmentation.
        requests: the clips.
        numbers_B: the number of each clip's view.
        samples: audio samples of each clip.
    """
    parts: list[Augmentation] = []
    for request, number in zip(requests, numbers_B, strict=True):
        video, audio = (
            make_view_generator(request.film_id, modality, find_key(request, number, modality))
            for modality in ("video", "audio")
        )
        parts.append(Augmentation(transform.video.draw(1, video), transform.audio.draw(1, samples, audio)))
    joined: Augmentation = concatenate_draws(parts)
    return joined


def make_view_generator(film_id: FilmId, modality: Modality, key: FeatureKey) -> torch.Generator:
    """Return the generator of random numbers with which one moment is augmented in one view."""
    return torch.Generator().manual_seed(_hash(modality, film_id, *key))


def _moment(request: ClipRequest) -> tuple[int, float]:
    return request.window.start_frame, request.place


def _hash(*parts: object) -> int:
    digest = blake2b(" ".join(map(repr, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % _SEEDS
