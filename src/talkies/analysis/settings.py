"""Settings to try in training, with the command that sets them: what studies show, and what fits the films."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from talkies.analysis.advice import SamplingAdvice, advise_sampling
from talkies.analysis.values import Advice, CueProbe, FilmAnalysis, ModalityAnalysis
from talkies.core import MODALITIES
from talkies.reporting import format_percent

MOST_CLIPS_PER_FILM = 64
WINDOWS_SECONDS = (30.0, 60.0, 120.0, 300.0, 600.0)
MOST_ADDED_SHARE = 0.05
"""How much larger the share of pairs of one kind may be in a window than in the whole film."""
LEAST_WINDOW_RATIO = 4
"""The least ratio of a window's length to the total length of a film's clips in it."""


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What a recipe would do: the batches it draws, for how many steps, and how long its clips are.

    `recipe` and `overrides` are as `pretrain` takes them. `clip_seconds` is None where public encoders decide on it.
    """

    recipe: str
    films_per_batch: int
    clips_per_film: int
    cross_film_weight: float
    steps: int
    clip_seconds: float | None
    overrides: tuple[str, ...] = ()

    @property
    def batch_clips(self) -> int:
        """The clips of a batch."""
        return self.films_per_batch * self.clips_per_film

    def count_passes(self, film_seconds: float) -> float | None:
        """Return how often a model sees each second of films that last so long together; None if that is unknown."""
        if self.clip_seconds is None:
            return None
        return self.steps * self.batch_clips * self.clip_seconds / film_seconds


TINY = TrainingPlan("tiny", films_per_batch=4, clips_per_film=16, cross_film_weight=0.0, steps=400, clip_seconds=1.0)
"""The plan of the recipe `tiny`, for which an analysis advises unless another is given."""


def advise(
    films: Sequence[FilmAnalysis],
    cue_probe: CueProbe | None,
    left_out: Sequence[str],
    library: str,
    clip_seconds: float,
    *,
    plan: TrainingPlan = TINY,
) -> Advice:
    """Return clips per film, the widest window and the weight of other films, with the reasons.

    The rules:
    1. Clips per film (k) and the weight of other films are those that the studies' evidence speaks for, with so many
       films and passes over them (see `advise_sampling`). Where there is no evidence they stay as the recipe has them.
    2. No more clips of a film are taken than fit: the largest power of two (2 to 64) for which a clip meets at most one
       clip of its own kind among the k - 1 others of its film, and at most half of the shortest film's clips.
    3. The window is the narrowest of 30, 60, 120, 300 and 600 s in which pairs of clips are hardly more often of one
       kind than in the whole film, and that has enough room for the clips; otherwise the whole film.

    Args:
        films: The analysed films.
        cue_probe: How well shortcut cues identify the film; None for a single film.
        left_out: The names of the films that are too short.
        library: The location of the library, for the command.
        clip_seconds: The length of a clip.
        plan: What the recipe would do.
    """
    sampling = advise_sampling(len(films), plan.count_passes(sum(film.seconds for film in films)))
    clips, weight, why_clips = _choose_sampling(films, sampling, plan)
    window, why_window = _choose_window(films, clips, clip_seconds)
    count = max(1, min(len(films), plan.batch_clips // clips))

    sets = {"sampling.films_per_batch": str(count), "sampling.clips_per_film": str(clips)}
    sets["sampling.widest_window_seconds"] = "null" if window is None else f"{window:g}"
    if weight is not None:
        sets["objective.cross_film_weight"] = f"{weight:g}"
    if left_out:
        sets["sampling.short_films"] = "leave_out"

    start = ["talkies", "pretrain", "--library", library, "--recipe", plan.recipe, "--run", "advised"]
    values = [*plan.overrides, *(f"{key}={value}" for key, value in sets.items())]
    return Advice(
        films_per_batch=count,
        clips_per_film=clips,
        widest_window_seconds=window,
        cross_film_weight=weight,
        command=shlex.join([*start, *(part for value in values for part in ("--set", value))]),
        reasons=(sampling.words, *sampling.unknown, why_clips, why_window, _describe_cues(cue_probe)),
        sampling=sampling,
    )


def _choose_sampling(
    films: Sequence[FilmAnalysis], sampling: SamplingAdvice, plan: TrainingPlan
) -> tuple[int, float | None, str]:
    """Return the clips per film, the weight of other films (None: there are none), and the reason (rules 1 and 2)."""
    most, why_most = _find_most_clips(films)
    weight: float | None
    if sampling.clips_per_film is None:
        wanted, weight, whose = plan.clips_per_film, plan.cross_film_weight, f"the recipe {plan.recipe} has"
    else:
        wanted, weight, whose = sampling.clips_per_film, sampling.cross_film_weight, "the evidence speaks for"

    clips = min(wanted, most)
    if len(films) == 1:
        clips, weight = max(2, clips), None
    if clips == wanted:
        chosen = f"So a batch has {clips} of a film, as {whose}."
    else:
        chosen = f"So a batch has {clips} of a film, where {whose} {wanted}: what {clips} change was not measured."
    return clips, weight, f"{why_most} {chosen}"


def _find_most_clips(films: Sequence[FilmAnalysis]) -> tuple[int, str]:
    """Return the most clips of a film that fit (rule 2), and the reason."""
    share, shortest = _compute_typical_share(films), min(film.clips for film in films)
    most = min(MOST_CLIPS_PER_FILM, shortest // 2)
    clips = 2
    while 2 * clips <= most and (2 * clips - 1) * (share or 0) <= 1:
        clips *= 2

    if share is None:
        return clips, (
            "Kinds of clips cannot be distinguished in any film, so nothing is known about false negatives: at most "
            f"half of the shortest film’s {shortest} clips fit, {clips}."
        )
    met_by_twice = (2 * clips - 1) * share
    limit = (
        f"with {2 * clips} it would meet {met_by_twice:.1f}"
        if met_by_twice > 1
        else f"the limits are {MOST_CLIPS_PER_FILM} clips, and half of the shortest film’s {shortest}"
    )
    return clips, (
        f"Two clips of a film are of the same kind in {format_percent(share, 0)} of the pairs (the median film, the "
        f"mean of picture and sound). Among {clips} clips of a film, each meets {(clips - 1) * share:.1f} others of "
        f"its kind; {limit}."
    )


def _choose_window(films: Sequence[FilmAnalysis], clips: int, clip_seconds: float) -> tuple[float | None, str]:
    """Return the widest window in seconds (rule 3; None: the whole film), and the reason."""
    if clips == 1:
        return None, "One clip of a film needs no window."
    least_seconds = LEAST_WINDOW_RATIO * clips * clip_seconds
    shortest_seconds = min(film.seconds for film in films)
    film_share = _compute_typical_share(films)
    if film_share is None:
        return None, "Where kinds cannot be distinguished, the window is the whole film."

    for seconds in WINDOWS_SECONDS:
        share = _compute_typical_share(films, seconds)
        fits = least_seconds <= seconds < shortest_seconds
        if share is not None and fits and share <= film_share + MOST_ADDED_SHARE:
            return seconds, (
                f"Within {seconds:g} s two clips are of the same kind in {format_percent(share, 0)} of the pairs, in "
                f"the whole film in {format_percent(film_share, 0)}: hardly more. Moments this close share light, "
                "place and music; whether a model learns more from them was not measured."
            )
    return None, (
        f"No window with enough room for {clips} clips ({least_seconds:g} s) that is shorter than the shortest film "
        f"({shortest_seconds:.0f} s) has as few pairs of the same kind as the whole film "
        f"({format_percent(film_share, 0)}): clips are taken from anywhere in the film."
    )


def _describe_cues(cue_probe: CueProbe | None) -> str:
    """Return how well shortcut cues identify the film, and what that means for the evidence."""
    if cue_probe is None:
        return "There is only one film, so there are no other films to weigh."
    accuracy, chance = cue_probe.together, cue_probe.chance
    words = (
        f"Palette, loudness and spectrum together identify the film of {format_percent(accuracy.mean, 0)} of the clips "
        f"[{100 * accuracy.low:.0f}–{100 * accuracy.high:.0f}]; a guess is right for {format_percent(chance, 0)}."
    )
    if accuracy.low <= chance:
        return f"{words} That may be chance, while the cues of the studies’ films were strong."
    return f"{words} So clips of different films can be distinguished without understanding what happens in them."


def _compute_typical_share(films: Sequence[FilmAnalysis], seconds: float | None = None) -> float | None:
    """Return how often two clips of a film, within a window, are of the same kind, or `None` where that is unknown.

    It is the median over films of the mean of video and audio: the negatives of a picture are sounds and those of a
    sound are pictures, so each is half of them.
    """
    shares = []
    for film in films:
        within = [entry for part in _select_clustered(film) for entry in part.recurrence.same_share_within]
        if own := [entry.share for entry in within if entry.seconds == seconds and entry.share is not None]:
            shares.append(float(np.mean(own)))
    return float(np.median(shares)) if shares else None


def _select_clustered(film: FilmAnalysis) -> list[ModalityAnalysis]:
    """Return the modalities of a film in which more than one kind of clips can be distinguished."""
    parts = [film.of(modality) for modality in MODALITIES]
    return [part for part in parts if part.diversity.clusters > 1]
