"""The script of a synthetic film: its marks, places, characters and shots, a pure function of config and seed."""

from collections.abc import Sequence
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from talkies.config import Config
from talkies.core import UsageError
from talkies.synth.concepts import CONCEPTS

Recordings = Sequence[Sequence[str]]
"""Files of sound, class by class."""
SATURATIONS = 0.5, 1.0
SHAPES = ("square", "triangle", "cross", "bar", "star")


class SynthConfig(Config):
    """How films are made; the study turns these.

    `mark_strength` is how strongly palette, texture and theme music mark a film (0: not at all). `concepts_per_film`
    is its semantic diversity; `places` and `characters` are few when they come back often.
    """

    seconds: Annotated[float, Field(gt=1, le=1_800)] = 60.0
    fps: Annotated[int, Field(ge=8, le=120)] = 24
    width: Annotated[int, Field(ge=32, le=3840, multiple_of=2)] = 192
    height: Annotated[int, Field(ge=32, le=2160, multiple_of=2)] = 128
    audio_rate_hz: Annotated[int, Field(ge=8_000, le=48_000)] = 44_100
    concepts_per_film: Annotated[int, Field(ge=1, le=len(CONCEPTS))] = len(CONCEPTS)
    places: Annotated[int, Field(ge=1, le=64)] = 4
    characters: Annotated[int, Field(ge=1, le=64)] = 3
    mark_strength: Annotated[float, Field(ge=0, le=1)] = 0.6
    shot_seconds_min: Annotated[float, Field(gt=0.5)] = 2.0
    shot_seconds_max: Annotated[float, Field(gt=0.5)] = 5.0

    @model_validator(mode="after")
    def _shots_have_a_length(self) -> Self:
        if self.shot_seconds_min > self.shot_seconds_max:
            raise ValueError(
                f"shot_seconds_min must not exceed shot_seconds_max, "
                f"got {self.shot_seconds_min} and {self.shot_seconds_max}"
            )
        return self


class Shot(Config):
    """One shot: frames `[start_frame, end_frame)` at the film's own rate, what happens in it, and when, in seconds.

    Where its sound is a recording, that is played from `recording_at` on, a share of its length, again and again.
    """

    start_frame: int
    end_frame: int
    concept: int
    place: int
    character: int
    first_event_seconds: float
    period_seconds: float
    event_seconds: tuple[float, ...]
    recording: str | None = None
    recording_at: float = 0.0


class Marks(Config):
    """What marks a film and means nothing: hue of its palette, its texture's wave vector, its theme music."""

    hue: float
    saturation: float
    texture_x: float
    texture_y: float
    theme_hz: tuple[float, ...]
    theme_beat_seconds: float
    theme_brightness: float


class FilmScript(Config):
    """All that a film is made from, and so its truth."""

    name: str
    seed: int
    config: SynthConfig
    marks: Marks
    shots: tuple[Shot, ...]

    @property
    def frames(self) -> int:
        """How many frames the film has."""
        return self.shots[-1].end_frame


def generate_script(name: str, seed: int, config: SynthConfig, recordings: Recordings = ()) -> FilmScript:
    """Return the script of film `name`: the same for the same seed and config.

    With `recordings`, concept *c* moves as ever and sounds like a recording of the class *c*.

    Raises:
        UsageError: if there are more concepts than classes of recordings, more classes than can move, or one is empty.
    """
    if recordings:
        _check(recordings, config)
    random = np.random.default_rng([seed, 1])
    concepts = random.permutation(len(recordings) or len(CONCEPTS))[: config.concepts_per_film]
    shots: list[Shot] = []
    total, start = round(config.seconds * config.fps), 0
    bag: list[int] = []  # concepts are dealt from a shuffled bag, so that each comes back about equally often
    while start < total:
        length = round(random.uniform(config.shot_seconds_min, config.shot_seconds_max) * config.fps)
        # The last shot takes what is left, rather than leave a stump.
        end = total if total - (start + length) < config.shot_seconds_min * config.fps else start + length
        bag = bag or [int(concept) for concept in random.permutation(concepts)]
        shot = _shot(start, end, bag.pop(), config, random)
        shots.append(_recorded(shot, recordings, random) if recordings else shot)
        start = end
    return FilmScript(name=name, seed=seed, config=config, marks=_marks(random), shots=tuple(shots))


def _check(recordings: Recordings, config: SynthConfig) -> None:
    if len(recordings) > len(CONCEPTS) or config.concepts_per_film > len(recordings):
        raise UsageError(
            f"films of recordings need {config.concepts_per_film} to {len(CONCEPTS)} classes of them, "
            f"got {len(recordings)}; give other concepts_per_film, or other sounds"
        )
    for number, files in enumerate(recordings):
        if not files:
            raise UsageError(f"the class number {number} of the recordings is empty; give it sounds, or take it out")


def _recorded(shot: Shot, recordings: Recordings, random: np.random.Generator) -> Shot:
    files = recordings[shot.concept]
    chosen = {"recording": files[int(random.integers(len(files)))], "recording_at": round(float(random.uniform()), 6)}
    return shot.model_copy(update=chosen)


def _shot(start: int, end: int, concept: int, config: SynthConfig, random: np.random.Generator) -> Shot:
    period = 1 / (CONCEPTS[concept].rate_hz * random.uniform(0.92, 1.08))
    begin_seconds, end_seconds = start / config.fps, end / config.fps
    first = begin_seconds + random.uniform(0, 1) * period
    events = np.arange(first, end_seconds, period)
    return Shot(
        start_frame=start,
        end_frame=end,
        concept=concept,
        place=int(random.integers(config.places)),
        character=int(random.integers(config.characters)),
        first_event_seconds=float(first),
        period_seconds=float(period),
        event_seconds=tuple(round(float(event), 6) for event in events),
    )


def _marks(random: np.random.Generator) -> Marks:
    root = 110 * 2 ** (random.integers(0, 24) / 12)
    chord = (0, *random.choice([3, 4, 5, 7, 8, 9, 10], size=2, replace=False))
    return Marks(
        hue=float(random.uniform()),
        saturation=float(random.uniform(*SATURATIONS)),
        texture_x=float(random.uniform(-0.5, 0.5)),
        texture_y=float(random.uniform(-0.5, 0.5)),
        theme_hz=tuple(float(root * 2 ** (step / 12)) for step in chord),
        theme_beat_seconds=float(random.uniform(0.25, 0.8)),
        theme_brightness=float(random.uniform(0.2, 0.9)),
    )
