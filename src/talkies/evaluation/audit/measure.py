"""From encoded films to the audit's numbers: probes, retrieval, lifts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log

import numpy as np
from torch import Tensor

from talkies.analysis.descriptors.film_probe import film_accuracies
from talkies.core import Float32s, Float64s, Int64s
from talkies.evaluation.audit.films import AuditedFilm
from talkies.evaluation.audit.retrieval import (
    FilmRetrieval,
    chance_across,
    chance_within,
    retrieve,
    unit,
    without_mean,
)
from talkies.evaluation.audit.values import (
    AuditedModel,
    ChanceRecalls,
    Directions,
    Estimate,
    FilmProbe,
    Lifts,
    Marks,
    Recalls,
    Retrieval,
    Yardsticks,
)
from talkies.evaluation.audit.verdict import RELIANCE_AT, verdict_of
from talkies.evaluation.film_tasks.retrieval import RECALLS
from talkies.runs import Encoded

RESAMPLES = 2000

_FEATURES: Mapping[str, Callable[[Encoded], Tensor]] = {
    "video_features": lambda encoded: encoded.video_BE,
    "audio_features": lambda encoded: encoded.audio_BE,
    "video_embeddings": lambda encoded: encoded.embeddings.video_BD,
    "audio_embeddings": lambda encoded: encoded.embeddings.audio_BD,
}


@dataclass(frozen=True, slots=True)
class Bench:
    """What every measurement needs: the films in an order of their own, a clip's length, the rate, the seed."""

    films: tuple[AuditedFilm, ...]
    window_frames: int
    fps: int
    seed: int

    @classmethod
    def of(cls, films: Sequence[AuditedFilm], window_frames: int, fps: int, seed: int) -> "Bench":
        """Return the bench of some films, in whatever order they are given."""
        return cls(tuple(sorted(films, key=lambda film: film.film_id)), window_frames, fps, seed)

    @property
    def sizes(self) -> list[int]:
        """How many clips each film has."""
        return [len(film) for film in self.films]

    def probe(self, rows: Sequence[Float32s]) -> Estimate:
        """Return how well each film's rows `[N, E]` tell the film."""
        accuracies = film_accuracies(rows, [film.start_N for film in self.films], self.window_frames, self.fps)
        return Estimate.over_films(accuracies, sum(self.sizes))


def measure_marks(bench: Bench) -> Marks:
    """Return how well the marks alone tell the film."""
    names = Marks.model_fields
    return Marks(**{name: bench.probe([film.marks[name] for film in bench.films]) for name in names})


def yardsticks(bench: Bench) -> Yardsticks:
    """Return what guesses and a pure recogniser of films come to."""
    sizes = bench.sizes
    across = ChanceRecalls(**{f"recall_at_{k}": chance_across(sizes, k) for k in RECALLS})
    within = ChanceRecalls(**{f"recall_at_{k}": chance_within(sizes, k) for k in RECALLS})
    return Yardsticks(film_probe=1 / len(sizes), across_films=across, within_film=within, pure_film_recogniser=within)


def measure_model(bench: Bench, which: str, step: int, stamp: str) -> AuditedModel:
    """Return the numbers of one model, by its name in `AuditedFilm.encoded`."""
    encoded = [film.encoded[which] for film in bench.films]
    probes = {name: bench.probe([rows_of(each).numpy() for each in encoded]) for name, rows_of in _FEATURES.items()}
    video = [each.embeddings.video_BD for each in encoded]
    audio = [each.embeddings.audio_BD for each in encoded]
    both_ways = retrieve(video, audio), retrieve(audio, video)
    bare_video, bare_audio = ([unit(without_mean(rows)) for rows in tower] for tower in (video, audio))
    bare_both_ways = retrieve(bare_video, bare_audio), retrieve(bare_audio, bare_video)
    clips, chance = sum(bench.sizes), yardsticks(bench)
    pairs = sum(size * (size - 1) for size in bench.sizes)
    retrieval = Retrieval(
        across_films=_directions(both_ways, "across_K", clips),
        within_film=_directions(both_ways, "within_K", clips),
        across_films_means_removed=_directions(bare_both_ways, "across_K", clips),
        within_film_means_removed=_directions(bare_both_ways, "within_K", clips),
        shuffled=_directions(both_ways, "shuffled_K", pairs),
    )
    guess, pure = chance.across_films.at(RELIANCE_AT), chance.pure_film_recogniser.at(RELIANCE_AT)
    reliance = retrieval.shuffled.both.at(RELIANCE_AT).scaled(guess, pure)
    return AuditedModel(
        step=step,
        model_stamp=stamp,
        film_probe=FilmProbe(**probes),
        retrieval=retrieval,
        lifts=lifts_of(both_ways, bench.sizes, bench.seed),
        film_reliance=reliance,
        verdict=verdict_of(bench.sizes, reliance, retrieval.within_film.both.recall_at_1, chance),
    )


BothWays = tuple[Sequence[FilmRetrieval], Sequence[FilmRetrieval]]


def _directions(both_ways: BothWays, what: str, clips: int) -> Directions:
    forth_FK, back_FK = (np.stack([getattr(film, what) for film in way]) for way in both_ways)
    forth, back, both = (_recalls(rows_FK, clips) for rows_FK in (forth_FK, back_FK, (forth_FK + back_FK) / 2))
    return Directions(video_to_audio=forth, audio_to_video=back, both=both)


def _recalls(rows_FK: Float64s, clips: int) -> Recalls:
    return Recalls(
        **{f"recall_at_{k}": Estimate.over_films(rows_FK[:, at].tolist(), clips) for at, k in enumerate(RECALLS)}
    )


def lifts_of(both_ways: BothWays, sizes: Sequence[int], seed: int) -> Lifts:
    """Return the lifts of recall at 1, with intervals from resampling the films.

    With p(clip) the share of queries whose very best candidate is right, p(film) that whose best is of the right film,
    F films and N clips: log N·p(clip) = log F·p(film) + log (N/F)·p(clip)/p(film), for a guess gives 1/N and 1/F.
    """
    films, clips = len(sizes), sum(sizes)
    clip_F, film_F, within_F = (
        np.mean([[read(film) for film in way] for way in both_ways], axis=0)
        for read in (_right_clip, _right_film, _right_within)
    )
    drawn_RF = np.random.default_rng([seed, 2]).integers(films, size=(RESAMPLES, films))
    guess_F = 1 / np.array(sizes)
    across = _with_draws(clip_F, drawn_RF) * clips
    within = _with_draws(within_F, drawn_RF) / _with_draws(guess_F, drawn_RF)
    film_part = _logs(_with_draws(film_F, drawn_RF) * films)
    whole = _logs(across)
    found, lift = across[0] > 0, _estimate(across)
    return Lifts(
        across_films=lift,
        within_film=_estimate(within),
        within_over_across=_estimate(np.divide(within, across, where=across > 0, out=np.full_like(across, np.nan)))
        if found
        else None,
        film_nats=float(film_part[0]) if found else None,
        moment_nats=log(across[0]) - float(film_part[0]) if found else None,
        film_share=_estimate(_share(film_part, whole)) if lift.low > 1 else None,
    )


def _right_clip(film: FilmRetrieval) -> float:
    return film.right_clip


def _right_film(film: FilmRetrieval) -> float:
    return film.right_film


def _right_within(film: FilmRetrieval) -> float:
    return float(film.within_K[0])


def _with_draws(values_F: Float64s, drawn_RF: Int64s) -> Float64s:
    """Return the mean of the films' values, and behind it that of each resample."""
    return np.concatenate([[values_F.mean()], values_F[drawn_RF].mean(1)])


def _logs(values: Float64s) -> Float64s:
    return np.log(values, where=values > 0, out=np.full_like(values, np.nan))


def _share(part: Float64s, whole: Float64s) -> Float64s:
    """Return the part of the whole within [0, 1], and nothing where there is no whole."""
    share = np.divide(part, whole, where=whole > 0, out=np.full_like(part, np.nan))
    return np.clip(share, 0, 1)


def _estimate(values: Float64s) -> Estimate:
    """Return the first value, with the middle 95 % of the others that there are around it."""
    drawn = values[1:][np.isfinite(values[1:])]
    low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (values[0], values[0])
    return Estimate(mean=float(values[0]), low=float(min(low, values[0])), high=float(max(high, values[0])))
