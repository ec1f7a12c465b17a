"""The arms of a study: each is one way of training, on films of one nature."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from talkies.study.scale import Scale

Axis = Literal["sampling", "marks", "diversity", "recurrence", "batch", "sound"]
RANDOM, WITHIN = "random", "within"
PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Nature:
    """A kind of films: `changes` to the scale's synthetic films, and whether recordings make their sound.

    Models trained on these films are measured on unseen films of the same nature, or of the nature `judged_on`.
    """

    name: str
    changes: dict[str, Any] = field(default_factory=dict)
    recorded: bool = False
    judged_on: str | None = None


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of training: the recipe with the changes `sets`, on films of a nature, with `seeds` seeds.

    `axis` is what the arm varies and `at` its position on that axis; `pair` says which of the compared pair it is, if
    any. Arms of the `grid` differ only in their clips per film and the weight of other films.
    """

    name: str
    axis: Axis
    words: str
    nature: str
    sets: tuple[str, ...]
    steps: int
    seeds: int
    at: float | None = None
    pair: Literal["random", "within"] | None = None
    grid: bool = False
    clips_per_film: int = 1
    cross_film_weight: float = 1.0


def list_natures(scale: Scale, recorded: bool) -> dict[str, Nature]:
    """Return the natures of films by name, with `recorded` also one whose sound is made of recordings."""
    ranges = scale.ranges
    natures = [Nature(PLAIN)]
    natures += [Nature(f"marks-{strength:g}", {"mark_strength": strength}) for strength in ranges.mark_strengths]

    # Measured on films with all concepts: a probe of few concepts would be tested on some that it was not fitted on.
    natures += [
        Nature(f"concepts-{count}", {"concepts_per_film": count}, judged_on=PLAIN) for count in ranges.concepts_per_film
    ]
    natures += [
        Nature(f"places-{each.places}-characters-{each.characters}", each.model_dump()) for each in ranges.recurrences
    ]
    natures += [Nature("recordings", recorded=True)] if recorded else []
    return {nature.name: nature for nature in natures}


def list_arms(scale: Scale, recorded: bool) -> tuple[Arm, ...]:
    """Return all arms: the pair on plain films first, then the others, axis by axis."""
    arms = [
        *_make_pair(scale, PLAIN, "sampling", scale.pair_seeds),
        *_make_sampling_arms(scale),
        *_make_nature_arms(scale),
    ]
    arms += _make_batch_arms(scale)
    if recorded:
        arms += _make_pair(scale, "recordings", "sound", scale.seeds)
    return tuple(arms)


def _make_pair(
    scale: Scale, nature: str, axis: Axis, seeds: int, at: float | None = None, *, factor: float = 1.0
) -> Iterator[Arm]:
    """Yield the two arms of the compared pair, on films of a nature or with another batch size.

    The first takes every clip of a batch from another film, the second several clips of each film. The number of clips
    seen in training is the same for every `factor` of the batch size.
    """
    batch, steps = round(scale.batch_clips * factor), round(scale.steps / factor)
    where = "" if nature == PLAIN else f"-{nature}"
    where += "" if factor == 1 else f"-batch-{batch}"
    k, weight = scale.pair_clips_per_film, scale.pair_cross_film_weight
    for pair, clips, cross in ((RANDOM, 1, 1.0), (WITHIN, k, weight)):
        words = "random films" if pair == RANDOM else f"{clips} clips of a film"
        yield Arm(
            name=f"{pair}{where}",
            axis=axis,
            words=words,
            nature=nature,
            sets=_make_settings(batch, clips, cross),
            steps=steps,
            seeds=seeds,
            at=at,
            pair=pair,  # type: ignore[arg-type]
            grid=axis == "sampling",
            clips_per_film=clips,
            cross_film_weight=cross,
        )


def _make_settings(batch: int, clips: int, cross: float) -> tuple[str, ...]:
    return (
        f"sampling.films_per_batch={batch // clips}",
        f"sampling.clips_per_film={clips}",
        f"objective.cross_film_weight={cross:g}",
    )


def _make_sampling_arms(scale: Scale) -> Iterator[Arm]:
    batch, k, weight = scale.batch_clips, scale.pair_clips_per_film, scale.pair_cross_film_weight

    def arm(name: str, words: str, clips: int, cross: float, *more: str) -> Arm:
        return Arm(
            name=name,
            axis="sampling",
            words=words,
            nature=PLAIN,
            sets=(*_make_settings(batch, clips, cross), *more),
            steps=scale.steps,
            seeds=scale.seeds,
            grid=not more,
            clips_per_film=clips,
            cross_film_weight=cross,
        )

    for clips in scale.ranges.clips_per_film:
        for cross in scale.ranges.cross_film_weights if clips < batch else (0.0,):
            if (clips, cross) != (k, weight):
                yield arm(f"k{clips}-w{cross:g}", f"{clips} clips of a film, weight {cross:g}", clips, cross)
    for seconds in scale.ranges.positives_within_seconds:
        setting = f"sampling.positives_within_seconds={seconds:g}"
        yield arm(f"positives-{seconds:g}s", f"positives within {seconds:g} s of a film", 1, 1.0, setting)
    for seconds in scale.ranges.widest_window_seconds:
        setting = f"sampling.widest_window_seconds={seconds:g}"
        yield arm(f"window-{seconds:g}s", f"{k} clips within {seconds:g} s", k, weight, setting)
    if not scale.ranges.schedules:
        return
    third, two_thirds = max(1, scale.steps // 3), max(2, 2 * scale.steps // 3)
    stages = f"[{{from_step: {third}, clips_per_film: {k}}}, {{from_step: {two_thirds}, clips_per_film: {batch}}}]"
    yield arm("curriculum", f"2, then {k}, then {batch} clips of a film", 2, weight, f"sampling.schedule={stages}")
    setting = f"objective.cross_film_schedule=[{{at_step: {scale.steps}, cross_film_weight: 0}}]"
    yield arm("falling-weight", f"{k} clips of a film, weight falling from 1 to 0", k, 1.0, setting)


def _make_nature_arms(scale: Scale) -> Iterator[Arm]:
    ranges = scale.ranges
    for strength in ranges.mark_strengths:
        yield from _make_pair(scale, f"marks-{strength:g}", "marks", scale.seeds, strength)
    for concepts in ranges.concepts_per_film:
        yield from _make_pair(scale, f"concepts-{concepts}", "diversity", scale.seeds, concepts)
        if concepts == min(ranges.concepts_per_film):  # there a negative shows the same thing most often
            one_film = _make_settings(scale.batch_clips, scale.batch_clips, 0.0)
            yield Arm(
                name=f"k{scale.batch_clips}-concepts-{concepts}",
                axis="diversity",
                words=f"{scale.batch_clips} clips of a film",
                nature=f"concepts-{concepts}",
                sets=one_film,
                steps=scale.steps,
                seeds=scale.seeds,
                at=concepts,
                clips_per_film=scale.batch_clips,
                cross_film_weight=0.0,
            )
    for each in ranges.recurrences:
        nature = f"places-{each.places}-characters-{each.characters}"
        yield from _make_pair(scale, nature, "recurrence", scale.seeds, each.places)


def _make_batch_arms(scale: Scale) -> Iterator[Arm]:
    for factor in scale.ranges.batch_factors:
        at = scale.batch_clips * factor
        yield from _make_pair(scale, PLAIN, "batch", scale.seeds, at, factor=factor)
