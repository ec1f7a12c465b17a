"""Settings to try in training, from plain rules on an analysis, with the command that sets them."""

import shlex
from collections.abc import Sequence

import numpy as np

from talkies.analysis.values import Advice, CueProbe, FilmAnalysis, ModalityAnalysis
from talkies.core import MODALITIES
from talkies.reporting import format_percent

MOST_CLIPS_PER_FILM = 64
DEFAULT_CLIPS_PER_FILM = 16
"""Clips per film where no kinds of clips can be distinguished."""
WINDOWS_SECONDS = (30.0, 60.0, 120.0, 300.0, 600.0)
BATCH_CLIPS = 64
MOST_ADDED_SHARE = 0.05
"""How much larger the share of pairs of one kind may be in a window than in the whole film."""
LEAST_WINDOW_RATIO = 4
"""The least ratio of a window's length to the total length of a film's clips in it."""


def advise(
    films: Sequence[FilmAnalysis],
    cue_probe: CueProbe | None,
    left_out: Sequence[str],
    library: str,
    clip_seconds: float,
) -> Advice:
    """Return clips per film, the widest window and the weight of other films, with the reasons.

    The rules:
    1. Clips per film (k) is the largest power of two (2 to 64) for which a clip meets at most one clip of its own kind
       among the k - 1 others of its film, and at most half of the shortest film's clips. Where no kinds can be
       distinguished: 16.
    2. The window is the narrowest of 30, 60, 120, 300 and 600 s in which pairs of clips are hardly more often of one
       kind than in the whole film, and that has enough room for the clips; otherwise the whole film.
    3. The weight of other films is 1 less the skill of a probe that identifies films by their shortcut cues.

    Args:
        films: The analysed films.
        cue_probe: How well shortcut cues identify the film; None for a single film.
        left_out: The names of the films that are too short.
        library: The location of the library, for the command.
        clip_seconds: The length of a clip.
    """
    clips, why_clips = _choose_clips(films)
    window, why_window = _choose_window(films, clips, clip_seconds)
    weight, why_weight = _choose_weight(cue_probe)
    count = max(1, min(len(films), BATCH_CLIPS // clips))

    sets = {"sampling.films_per_batch": str(count), "sampling.clips_per_film": str(clips)}
    sets["sampling.widest_window_seconds"] = "null" if window is None else f"{window:g}"
    if weight is not None:
        sets["objective.cross_film_weight"] = f"{weight:g}"
    if left_out:
        sets["sampling.short_films"] = "leave_out"

    start = ["talkies", "pretrain", "--library", library, "--recipe", "tiny", "--run", "advised"]
    options = [part for key, value in sets.items() for part in ("--set", f"{key}={value}")]
    return Advice(
        films_per_batch=count,
        clips_per_film=clips,
        widest_window_seconds=window,
        cross_film_weight=weight,
        command=shlex.join([*start, *options]),
        reasons=(why_clips, why_window, why_weight),
    )


def _choose_clips(films: Sequence[FilmAnalysis]) -> tuple[int, str]:
    """Return the clips per film (rule 1), and the reason."""
    share, shortest = _compute_typical_share(films), min(film.clips for film in films)
    most = min(MOST_CLIPS_PER_FILM if share is not None else DEFAULT_CLIPS_PER_FILM, shortest // 2)
    clips = 2
    while 2 * clips <= most and (2 * clips - 1) * (share or 0) <= 1:
        clips *= 2

    if share is None:
        return clips, (
            "Kinds of clips cannot be distinguished in any film, so nothing is known about false negatives: "
            f"{DEFAULT_CLIPS_PER_FILM} clips of a film, or at most half of the shortest film’s {shortest}."
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
    """Return the widest window in seconds (rule 2; None: the whole film), and the reason."""
    least_seconds = LEAST_WINDOW_RATIO * clips * clip_seconds
    shortest_seconds = min(film.seconds for film in films)
    film_share = _compute_typical_share(films)
    if film_share is None:
        return None, "For the same reason the window is the whole film."

    for seconds in WINDOWS_SECONDS:
        share = _compute_typical_share(films, seconds)
        fits = least_seconds <= seconds < shortest_seconds
        if share is not None and fits and share <= film_share + MOST_ADDED_SHARE:
            return seconds, (
                f"Within {seconds:g} s two clips are of the same kind in {format_percent(share, 0)} of the pairs, in "
                f"the whole film in {format_percent(film_share, 0)}: hardly more. Moments this close share light, "
                "place and music, so they are harder to distinguish."
            )
    return None, (
        f"No window with enough room for {clips} clips ({least_seconds:g} s) that is shorter than the shortest film "
        f"({shortest_seconds:.0f} s) has as few pairs of the same kind as the whole film "
        f"({format_percent(film_share, 0)}): clips are taken from anywhere in the film."
    )


def _choose_weight(cue_probe: CueProbe | None) -> tuple[float | None, str]:
    """Return the weight of other films (rule 3), and the reason."""
    if cue_probe is None:
        return None, "There is only one film, so there are no other films to weigh."
    accuracy, chance = cue_probe.together, cue_probe.chance
    words = (
        f"Palette, loudness and spectrum together identify the film of {format_percent(accuracy.mean, 0)} of the clips "
        f"[{100 * accuracy.low:.0f}–{100 * accuracy.high:.0f}]; a guess is right for {format_percent(chance, 0)}."
    )
    if accuracy.low <= chance:
        return 1.0, f"{words} That may be chance, so other films are fair negatives, and weigh as much as the own film."

    skill = min(1.0, (accuracy.mean - chance) / (1 - chance))
    weight = round(1 - skill, 1) + 0.0
    return weight, (
        f"{words} This part of distinguishing a clip from clips of other films needs no understanding; on a scale from "
        f"a guess (0) to certainty (1) it is {skill:.2f}, and other films weigh the rest, {weight:g}."
    )


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
