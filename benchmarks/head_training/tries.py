"""Two cheap changes of how heads are trained, judged on the parts that choose the number of steps.

Shapes: `N` clips, `E` features.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from head_training.arms import ARMS, MEASURED_STEPS, Arm, Heads, train_heads
from head_training.features import FilmFeatures
from head_training.held_out import FOLDS, Split, compute_chance, rank_clips, split_film
from head_training.trials import Data
from talkies.core import Float32s

LONGER_CLIPS = 9  # starts half a second apart: features of 6.3 s
_READ = "reciprocal_rank"
Tries = Mapping[str, Sequence[float]]
"""The mean reciprocal rank in the choosing parts after each number of steps, by what was tried."""


def try_variants(data: Data, seeds: Sequence[int]) -> Tries:
    """Return what the first arm finds as it is, with linear heads, and with longer clips; and what a guess finds."""
    longer = {name: lengthen_clips(film) for name, film in data.films.items()}
    linear = replace(ARMS[0], has_linear_heads=True)
    chances = [
        compute_chance(len(choose_Q), _READ)
        for fold in range(FOLDS)
        for film in data.films.values()
        if len(choose_Q := split_film(film, fold).choose_Q)
    ]
    return {
        "as it is": _measure(ARMS[0], data.films, seeds),
        "linear heads": _measure(linear, data.films, seeds),
        "clips of 6.3 s": _measure(ARMS[0], longer, seeds),
        "a guess": [float(np.mean(chances))] * len(MEASURED_STEPS),
    }


def lengthen_clips(film: FilmFeatures) -> FilmFeatures:
    """Return a film whose features are means over neighbouring clips, as far as the film goes."""
    return replace(film, video_NE=_average(film.video_NE), audio_NE=_average(film.audio_NE))


def _average(rows_NE: Float32s) -> Float32s:
    half = LONGER_CLIPS // 2
    return np.stack([rows_NE[max(0, row - half) : row + half + 1].mean(0) for row in range(len(rows_NE))])


def _measure(arm: Arm, films: Mapping[str, FilmFeatures], seeds: Sequence[int]) -> list[float]:
    found: dict[int, list[float]] = defaultdict(list)
    for fold in range(FOLDS):
        splits = {name: split_film(film, fold) for name, film in films.items()}

        def measure(step: int, heads: Heads, splits: Mapping[str, Split] = splits) -> None:
            found[step] += _find_ranks(heads, films, splits)

        for seed in seeds:
            train_heads(arm, films, splits, seed, measure)
    return [float(np.mean(found[step])) for step in MEASURED_STEPS]


def _find_ranks(heads: Heads, films: Mapping[str, FilmFeatures], splits: Mapping[str, Split]) -> list[float]:
    """Return the mean reciprocal rank in each choosing part."""
    found = []
    for name, film in films.items():
        if len(row_Q := splits[name].choose_Q):
            video, audio = (torch.from_numpy(part[row_Q]) for part in (film.video_NE, film.audio_NE))
            ranks = rank_clips(heads.embed_video(video), heads.embed_audio(audio))
            found.append(float(ranks.both(_READ).mean()))
    return found


def tabulate_tries(tries: Tries) -> list[str]:
    """Return the table of what was tried."""
    return [
        f"What was tried on the parts that choose the number of steps, with heads trained as “{ARMS[0].name}”; mean "
        "reciprocal rank after so many steps:",
        "",
        f"| | {' | '.join(map(str, MEASURED_STEPS))} |",
        "|---|" + "---|" * len(MEASURED_STEPS),
        *(f"| {name} | {' | '.join(f'{100 * value:.1f} %' for value in row)} |" for name, row in tries.items()),
        "",
    ]
