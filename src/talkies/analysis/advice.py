"""What to try in training, by plain rules on an analysis, as a command that can be given."""

import shlex
from collections.abc import Sequence

import numpy as np

from talkies.analysis.values import Advice, FilmAnalysis, FilmView, MarksTold

MOST_CLIPS_PER_FILM = 64
UNTOLD_CLIPS_PER_FILM = 16
WINDOWS_SECONDS = (30.0, 60.0, 120.0, 300.0, 600.0)
BATCH_CLIPS = 64
COSTS_NOTHING = 0.05
"""So much more of the negatives may be the same thing in a window than in the whole film."""
ROOM = 4
"""A window is at least so many times as long as a film's clips in it."""


def advise(
    films: Sequence[FilmAnalysis], marks: MarksTold | None, left_out: Sequence[str], library: str, clip_seconds: float
) -> Advice:
    """Return clips per film, the widest window and the weight of other films, with the reasons.

    The rules:
    1. k is the largest power of two (2 to 64) for which a clip meets at most one clip of the same thing among the
       k - 1 others of its film, and not more than half of the shortest film's clips. Where no kinds are told: 16.
    2. The window is the narrowest of 30, 60, 120, 300 and 600 s in which the negatives are hardly more often the same
       thing than in the whole film, and that has room for the clips; otherwise the whole film.
    3. The weight of other films is 1 less the skill of a probe that tells films by their marks alone.
    """
    clips, why_clips = _clips(films)
    window, why_window = _window(films, clips, clip_seconds)
    weight, why_weight = _weight(marks)
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


def _told(film: FilmAnalysis) -> list[FilmView]:
    """Return the views of a film in which kinds of clips can be told apart."""
    return [view for view in (film.picture, film.sound) if view.diversity.clusters > 1]


def _same_share(films: Sequence[FilmAnalysis], seconds: float | None = None) -> float | None:
    """Return how often two clips of a film, within a window, are the same thing: the median film's, and of a film the
    mean of what eye and ear say. A picture's negatives are sounds and a sound's are pictures, so each is half of them.
    """
    shares = []
    for film in films:
        within = [each for view in _told(film) for each in view.recurrence.same_share_within]
        if found := [each.share for each in within if each.seconds == seconds and each.share is not None]:
            shares.append(float(np.mean(found)))
    return float(np.median(shares)) if shares else None


def _clips(films: Sequence[FilmAnalysis]) -> tuple[int, str]:
    share, shortest = _same_share(films), min(film.clips for film in films)
    most = min(MOST_CLIPS_PER_FILM if share is not None else UNTOLD_CLIPS_PER_FILM, shortest // 2)
    clips = 2
    while 2 * clips <= most and (2 * clips - 1) * (share or 0) <= 1:
        clips *= 2
    if share is None:
        return clips, (
            "In no film can kinds of clips be told apart, so nothing is known of false negatives: "
            f"{UNTOLD_CLIPS_PER_FILM} clips of a film, or as many as half of the shortest film’s {shortest} allow."
        )
    more = (2 * clips - 1) * share
    limit = (
        f"with {2 * clips} it would meet {more:.1f}"
        if more > 1
        else f"the limits are {MOST_CLIPS_PER_FILM} clips, and half of the shortest film’s {shortest}"
    )
    return clips, (
        f"Two clips of a film are the same thing in {100 * share:.0f} % of the pairs (the median film, the mean of "
        f"eye and ear). Among {clips} clips of a film, each meets {(clips - 1) * share:.1f} others of the same thing; "
        f"{limit}."
    )


def _window(films: Sequence[FilmAnalysis], clips: int, clip_seconds: float) -> tuple[float | None, str]:
    least, shortest = ROOM * clips * clip_seconds, min(film.seconds for film in films)
    whole = _same_share(films)
    if whole is None:
        return None, "Nor is it known how they lie in time: clips may lie anywhere in the film."
    for seconds in WINDOWS_SECONDS:
        share = _same_share(films, seconds)
        if share is not None and least <= seconds < shortest and share <= whole + COSTS_NOTHING:
            return seconds, (
                f"Within {seconds:g} s two clips are the same thing in {100 * share:.0f} % of the pairs, in the whole "
                f"film in {100 * whole:.0f} %: hardly more. Moments so near share light, place and music, and are the "
                "harder to tell apart."
            )
    return None, (
        f"No window that has room for {clips} clips ({least:g} s) and is shorter than the shortest film "
        f"({shortest:.0f} s) has as few pairs of the same thing as the whole film ({100 * whole:.0f} %): clips may lie "
        "anywhere in it."
    )


def _weight(marks: MarksTold | None) -> tuple[float | None, str]:
    if marks is None:
        return None, "There is one film alone, and no other film to weigh."
    told, chance = marks.together, marks.chance
    words = (
        f"Palette, loudness and spectrum together tell the film of {100 * told.mean:.0f} % of the clips "
        f"[{100 * told.low:.0f}–{100 * told.high:.0f}]; a guess {100 * chance:.0f} %."
    )
    if told.low <= chance:
        return 1.0, f"{words} That may be chance, so other films are fair negatives, and weigh as much as the own."
    skill = min(1.0, (told.mean - chance) / (1 - chance))
    weight = round(1 - skill, 1) + 0.0
    return weight, (
        f"{words} So much of telling a clip from those of other films needs no understanding; on a scale from a guess "
        f"(0) to certainty (1) it is {skill:.2f}, and other films weigh what is left, {weight:g}."
    )
