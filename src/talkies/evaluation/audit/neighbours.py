"""Whether one modality by itself tells moments of a film apart: does a clip find the clip next to it?

Clips are taken in pairs of neighbours, with one clip left out between two pairs, so that a clip's partner is nearer to
it in time than any other candidate:

    clips     0  1  2  3  4  5  6  7
    pairs    └──┘     └──┘     └──┘

It is the retrieval between pictures and sounds with the two clips of a pair in their place: within the film, among all
films, and with the control. What the palette (of pictures) or the mean spectrum (of sound) finds needs no model.

Shapes: `N` clips of a film, `P` pairs of a film, `E` numbers, `F` films, `K` recalls.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from talkies.analysis.metric import Metric
from talkies.core import Float32s, Float64s, Modality
from talkies.evaluation.audit.retrieval import (
    FilmRetrieval,
    expect_recall_across,
    expect_recall_within,
    measure_film_retrieval,
    normalise_rows,
    subtract_mean,
)
from talkies.evaluation.audit.values import ChanceRecalls, Estimate, Neighbours, Recalls, Verdict
from talkies.evaluation.audit.verdict import RELIANCE_AT, has_enough_clips
from talkies.evaluation.film_tasks.retrieval import RECALLS

CUE_OF: Mapping[Modality, str] = {"video": "palette", "audio": "spectrum"}
"""The shortcut cue that a modality is compared with."""

_BETWEEN = 3  # a pair begins every three clips


def measure_neighbours(rows: Sequence[Tensor], cue: Sequence[Tensor] | None, sizes: Sequence[int]) -> Neighbours:
    """Return how well clips find the clip next to them.

    Args:
        rows: The embeddings of each film's clips, `[N, E]`, in the order of time.
        cue: Those of the shortcut cue that the model is compared with; None for the cue itself.
        sizes: The number of clips of each film.
    """
    pairs = [count_pairs(size) for size in sizes]
    found = _search_pairs(rows)
    without_means = _search_pairs([normalise_rows(subtract_mean(film_NE)) for film_NE in rows])
    chance = find_chance(sizes)

    shuffled = _summarise(found, "shuffled_K", sum(count * (count - 1) for count in pairs))
    guess = expect_recall_across(pairs, RELIANCE_AT)
    pure = expect_recall_within(pairs, RELIANCE_AT)
    reliance = shuffled.at(RELIANCE_AT).rescale(guess, pure) if pure > guess else shuffled.at(RELIANCE_AT)
    within = _summarise(found, "within_K", sum(pairs))
    gain = None
    if cue is not None:
        gain_F = _average(found, "within_K")[:, 0] - _average(_search_pairs(cue), "within_K")[:, 0]
        gain = _estimate_mean(gain_F)
    return Neighbours(
        within_film=within,
        across_films=_summarise(found, "across_K", sum(pairs)),
        across_films_means_removed=_summarise(without_means, "across_K", sum(pairs)),
        shuffled=shuffled,
        film_reliance=reliance,
        gain=gain,
        chance=chance,
        verdict=decide_modality_verdict(sizes, reliance, within.recall_at_1, gain, chance),
    )


def decide_modality_verdict(
    sizes: Sequence[int], reliance: Estimate, within: Estimate, gain: Estimate | None, chance: ChanceRecalls
) -> Verdict:
    """Return the verdict on one modality.

    1. Too few films or clips: cannot tell.
    2. The recall within films is surely above chance, and surely above that of the cue: tells moments apart.
    3. The recall within films is not surely above chance, and the reliance surely above 0: leans on the film.
    4. Otherwise: cannot tell. What it finds within films, the cue finds as well.

    Args:
        sizes: The number of clips of each film.
        reliance: The model's reliance on films.
        within: Its recall at 1 within films.
        gain: That recall less the cue's; None for the cue itself.
        chance: The recalls of a guess within films.
    """
    if not has_enough_clips(sizes):
        return "cannot_tell"
    if within.low <= chance.recall_at_1:
        return "leans_on_film" if reliance.low > 0 else "cannot_tell"
    return "tells_moments_apart" if gain is not None and gain.low > 0 else "cannot_tell"


def count_pairs(clips: int) -> int:
    """Return how many pairs of neighbours there are among this many clips of a film."""
    return (clips + 1) // _BETWEEN


def find_chance(sizes: Sequence[int]) -> ChanceRecalls:
    """Return the recalls of a guess within films of these numbers of clips."""
    pairs = [count_pairs(size) for size in sizes]
    return ChanceRecalls(**{f"recall_at_{k}": expect_recall_within(pairs, k) for k in RECALLS})


def standardise_cues(films: Sequence[Float32s]) -> list[Tensor]:
    """Return the rows of a cue as unit vectors, each number standardised over the clips of all films.

    Args:
        films: The cue of each film's clips, `[N, E]`.
    """
    joined_XE = np.concatenate(films).astype(np.float64)
    mean_E, sd_E = joined_XE.mean(0), joined_XE.std(0)
    scale_E = np.where(sd_E > 0, sd_E, 1.0)
    return [normalise_rows(torch.from_numpy((film_NE - mean_E) / scale_E).float()) for film_NE in films]


def _search_pairs(rows: Sequence[Tensor]) -> tuple[list[FilmRetrieval], list[FilmRetrieval]]:
    """Return what the first clip of each pair finds among the second ones, and the reverse."""
    second = [film_NE[1::_BETWEEN] for film_NE in rows]
    first = [film_NE[0::_BETWEEN][: len(own)] for film_NE, own in zip(rows, second, strict=True)]
    return measure_film_retrieval(first, second), measure_film_retrieval(second, first)


def _average(found: tuple[list[FilmRetrieval], list[FilmRetrieval]], name: str) -> Float64s:
    """Return the recalls with this name, averaged over both directions, `[F, K]`."""
    forward_FK, backward_FK = (np.stack([getattr(film, name) for film in way]) for way in found)
    mean_FK: Float64s = (forward_FK + backward_FK) / 2
    return mean_FK


def _summarise(found: tuple[list[FilmRetrieval], list[FilmRetrieval]], name: str, trials: int) -> Recalls:
    rows_FK = _average(found, name)
    estimates = [Estimate.over_films(rows_FK[:, column].tolist(), trials) for column in range(len(RECALLS))]
    return Recalls(**{f"recall_at_{k}": estimate for k, estimate in zip(RECALLS, estimates, strict=True)})


def _estimate_mean(values_F: Float64s) -> Estimate:
    """Return the mean over films of a difference, with Student's interval."""
    metric = Metric.of(values_F.tolist(), -1.0, 1.0)
    return Estimate.model_validate(metric.model_dump(include={"mean", "low", "high"}))
