"""From encoded films to the audit's numbers: film probes, retrieval, and lifts over chance.

Shapes: `N` clips of a film, `E` features, `F` films, `K` recalls, `R` resamples of the films.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
from torch import Tensor

from talkies.analysis.descriptors.film_probe import measure_film_accuracies
from talkies.core import Float32s, Float64s, Int64s, Modality
from talkies.evaluation.audit.films import AuditedFilm
from talkies.evaluation.audit.neighbours import CUE_OF, measure_neighbours, standardise_cues
from talkies.evaluation.audit.retrieval import (
    FilmRetrieval,
    expect_recall_across,
    expect_recall_within,
    measure_film_retrieval,
    normalise_rows,
    subtract_mean,
)
from talkies.evaluation.audit.values import (
    AuditedModel,
    ChanceRecalls,
    CueEstimates,
    Directions,
    Estimate,
    FilmProbe,
    Lifts,
    Neighbours,
    Recalls,
    ReferenceLevels,
    Retrieval,
)
from talkies.evaluation.audit.verdict import RELIANCE_AT, decide_verdict, join_verdicts
from talkies.evaluation.film_tasks.retrieval import RECALLS
from talkies.runs import Encoded

RESAMPLES = 2000

_EMBEDDINGS: Mapping[Modality, Callable[[Encoded], Tensor]] = {
    "video": lambda encoded: encoded.embeddings.video_BD,
    "audio": lambda encoded: encoded.embeddings.audio_BD,
}
_PROBED: Mapping[str, Callable[[Encoded], Tensor]] = {
    "video_features": lambda encoded: encoded.video_BE,
    "audio_features": lambda encoded: encoded.audio_BE,
    "video_embeddings": _EMBEDDINGS["video"],
    "audio_embeddings": _EMBEDDINGS["audio"],
}

BothDirections = tuple[Sequence[FilmRetrieval], Sequence[FilmRetrieval]]
"""What each film's clips find: sounds of pictures, and pictures of sounds."""


@dataclass(frozen=True, slots=True)
class AuditInputs:
    """The films in an order that does not depend on the caller, the length of a clip, the frame rate, and the seed."""

    films: tuple[AuditedFilm, ...]
    window_frames: int
    fps: int
    seed: int

    @classmethod
    def of(cls, films: Sequence[AuditedFilm], window_frames: int, fps: int, seed: int) -> "AuditInputs":
        """Return the inputs for films in any order.

        Args:
            films: The encoded films.
            window_frames: The length of a clip in frames.
            fps: The frames of the library's grid in a second.
            seed: The seed of the resamples.
        """
        return cls(tuple(sorted(films, key=lambda film: film.film_id)), window_frames, fps, seed)

    @property
    def sizes(self) -> list[int]:
        """The number of clips of each film."""
        return [len(film) for film in self.films]

    def probe_films(self, rows: Sequence[Float32s]) -> Estimate:
        """Return how well a linear probe identifies the film from each film's rows `[N, E]`."""
        starts = [film.start_N for film in self.films]
        accuracies = measure_film_accuracies(rows, starts, self.window_frames, self.fps)
        return Estimate.over_films(accuracies, sum(self.sizes))


def measure_cues(inputs: AuditInputs) -> CueEstimates:
    """Return how well each shortcut cue identifies the film."""
    names = CueEstimates.model_fields
    return CueEstimates(**{name: inputs.probe_films([film.cues[name] for film in inputs.films]) for name in names})


def compute_reference_levels(inputs: AuditInputs) -> ReferenceLevels:
    """Return the results of guessing, and of a pure recogniser of films."""
    sizes = inputs.sizes
    across = ChanceRecalls(**{f"recall_at_{k}": expect_recall_across(sizes, k) for k in RECALLS})
    within = ChanceRecalls(**{f"recall_at_{k}": expect_recall_within(sizes, k) for k in RECALLS})
    return ReferenceLevels(
        film_probe=1 / len(sizes), across_films=across, within_film=within, pure_film_recogniser=within
    )


def measure_cue_neighbours(inputs: AuditInputs) -> dict[Modality, Neighbours]:
    """Return what the palette and the mean spectrum find of neighbouring clips."""
    return {
        modality: measure_neighbours(standardise_cues([film.cues[cue] for film in inputs.films]), None, inputs.sizes)
        for modality, cue in CUE_OF.items()
    }


def measure_model(inputs: AuditInputs, which: str, step: int, stamp: str, *, joint: bool = True) -> AuditedModel:
    """Return the numbers of one model.

    Args:
        inputs: The encoded films.
        which: The name of the model in `AuditedFilm.encoded`.
        step: The step of its checkpoint.
        stamp: The stamp of its weights.
        joint: Whether its pictures and sounds lie in one space.
    """
    encoded = [film.encoded[which] for film in inputs.films]
    probes = {
        name: inputs.probe_films([read_rows(film).numpy() for film in encoded])
        for name, read_rows in _PROBED.items()
        if read_rows(encoded[0]).shape[1]
    }
    neighbours = {
        modality: measure_neighbours(
            [read_rows(film) for film in encoded],
            standardise_cues([film.cues[CUE_OF[modality]] for film in inputs.films]),
            inputs.sizes,
        )
        for modality, read_rows in _EMBEDDINGS.items()
        if read_rows(encoded[0]).shape[1]
    }
    model = AuditedModel(
        step=step,
        model_stamp=stamp,
        film_probe=FilmProbe(**probes),
        neighbours=neighbours,
        verdict=join_verdicts([each.verdict for each in neighbours.values()]),
    )
    if not joint or len(neighbours) < len(_EMBEDDINGS):
        return model
    return model.model_copy(update=_measure_both(inputs, encoded))


def _measure_both(inputs: AuditInputs, encoded: Sequence[Encoded]) -> dict[str, Any]:
    """Return the numbers between pictures and sounds, by the names of the fields of `AuditedModel`."""
    video = [film.embeddings.video_BD for film in encoded]
    audio = [film.embeddings.audio_BD for film in encoded]

    # Retrieve in both directions, with and without each film's mean.
    with_means = measure_film_retrieval(video, audio), measure_film_retrieval(audio, video)
    video, audio = ([normalise_rows(subtract_mean(rows)) for rows in tower] for tower in (video, audio))
    without_means = measure_film_retrieval(video, audio), measure_film_retrieval(audio, video)

    clips = sum(inputs.sizes)
    pairs = sum(size * (size - 1) for size in inputs.sizes)
    retrieval = Retrieval(
        across_films=_summarise_directions(with_means, "across_K", clips),
        within_film=_summarise_directions(with_means, "within_K", clips),
        across_films_means_removed=_summarise_directions(without_means, "across_K", clips),
        within_film_means_removed=_summarise_directions(without_means, "within_K", clips),
        shuffled=_summarise_directions(with_means, "shuffled_K", pairs),
    )

    # Place the control between a guess (0) and a pure recogniser of films (1).
    chance = compute_reference_levels(inputs)
    guess, pure = chance.across_films.at(RELIANCE_AT), chance.pure_film_recogniser.at(RELIANCE_AT)
    reliance = retrieval.shuffled.both.at(RELIANCE_AT).rescale(guess, pure)
    return {
        "retrieval": retrieval,
        "lifts": estimate_lifts(with_means, inputs.sizes, inputs.seed),
        "film_reliance": reliance,
        "verdict": decide_verdict(inputs.sizes, reliance, retrieval.within_film.both.recall_at_1, chance),
    }


def estimate_lifts(both_directions: BothDirections, sizes: Sequence[int], seed: int) -> Lifts:
    """Return the lifts of recall at 1, with intervals from resampling the films.

    With p(clip) the share of queries whose best candidate is right, p(film) the share whose best candidate is of the
    right film, F films and N clips: log N·p(clip) = log F·p(film) + log (N/F)·p(clip)/p(film), where a guess has 1/N
    and 1/F.

    Args:
        both_directions: What the films' clips find, in both directions.
        sizes: The number of clips of each film.
        seed: The seed of the resamples.
    """
    films, clips = len(sizes), sum(sizes)
    clip_F = _average_directions(both_directions, lambda film: film.right_clip)
    film_F = _average_directions(both_directions, lambda film: film.right_film)
    within_F = _average_directions(both_directions, lambda film: float(film.within_K[0]))

    # Each row starts with the value over all films, and goes on with the value of each resample.
    drawn_RF = np.random.default_rng([seed, 2]).integers(films, size=(RESAMPLES, films))
    guess_F = 1 / np.array(sizes)
    across = _resample_mean(clip_F, drawn_RF) * clips
    within = _resample_mean(within_F, drawn_RF) / _resample_mean(guess_F, drawn_RF)
    film_nats = _take_log(_resample_mean(film_F, drawn_RF) * films)
    all_nats = _take_log(across)

    anything_found = across[0] > 0
    lift = _estimate_interval(across)
    ratio = np.divide(within, across, where=across > 0, out=np.full_like(across, np.nan))
    return Lifts(
        across_films=lift,
        within_film=_estimate_interval(within),
        within_over_across=_estimate_interval(ratio) if anything_found else None,
        film_nats=float(film_nats[0]) if anything_found else None,
        moment_nats=log(across[0]) - float(film_nats[0]) if anything_found else None,
        film_share=_estimate_interval(_divide_share(film_nats, all_nats)) if lift.low > 1 else None,
    )


def _summarise_directions(both_directions: BothDirections, name: str, clips: int) -> Directions:
    """Return the recalls with this name in both directions; `clips` is the number of trials for the intervals."""
    forward_FK, backward_FK = (np.stack([getattr(film, name) for film in way]) for way in both_directions)
    return Directions(
        video_to_audio=_summarise_recalls(forward_FK, clips),
        audio_to_video=_summarise_recalls(backward_FK, clips),
        both=_summarise_recalls((forward_FK + backward_FK) / 2, clips),
    )


def _summarise_recalls(rows_FK: Float64s, clips: int) -> Recalls:
    estimates = [Estimate.over_films(rows_FK[:, column].tolist(), clips) for column in range(len(RECALLS))]
    return Recalls(**{f"recall_at_{k}": estimate for k, estimate in zip(RECALLS, estimates, strict=True)})


def _average_directions(both_directions: BothDirections, read: Callable[[FilmRetrieval], float]) -> Float64s:
    """Return a number of each film, `[F]`, averaged over both directions."""
    mean_F: Float64s = np.mean([[read(film) for film in way] for way in both_directions], axis=0)
    return mean_F


def _resample_mean(values_F: Float64s, drawn_RF: Int64s) -> Float64s:
    """Return the mean of the films' values, followed by that of each resample, `[1 + R]`."""
    return np.concatenate([[values_F.mean()], values_F[drawn_RF].mean(1)])


def _take_log(values: Float64s) -> Float64s:
    """Return the logarithms; nan where a value is 0."""
    return np.log(values, where=values > 0, out=np.full_like(values, np.nan))


def _divide_share(part: Float64s, total: Float64s) -> Float64s:
    """Return the part's share of the total, cut to [0, 1]; nan where the total is not above 0."""
    share = np.divide(part, total, where=total > 0, out=np.full_like(part, np.nan))
    return np.clip(share, 0, 1)


def _estimate_interval(values: Float64s) -> Estimate:
    """Return the first value, with the middle 95 % of the other finite values as its interval."""
    drawn = values[1:][np.isfinite(values[1:])]
    low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (values[0], values[0])
    return Estimate(mean=float(values[0]), low=float(min(low, values[0])), high=float(max(high, values[0])))
