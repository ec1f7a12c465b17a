"""The script of a synthetic film: its shortcut cues, places, characters and shots, from a seed and a config."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from talkies.config import Config
from talkies.core import UsageError
from talkies.synth.concepts import CONCEPTS

Recordings = Sequence[Sequence[str]]
"""Paths of audio files, by class."""
SATURATIONS = 0.5, 1.0
SHAPES = ("square", "triangle", "cross", "bar", "star")


class SynthConfig(Config):
    """How synthetic films are made; the study varies these.

    `mark_strength` is how strongly the shortcut cues (palette, texture and theme music) identify a film (0: not at
    all). `concepts_per_film` is its semantic diversity. The fewer `places` and `characters`, the more often each
    recurs.
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
    def _check_shot_lengths(self) -> Self:
        if self.shot_seconds_min > self.shot_seconds_max:
            raise ValueError(
                f"shot_seconds_min must not exceed shot_seconds_max, "
                f"got {self.shot_seconds_min} and {self.shot_seconds_max}"
            )
        return self


class Shot(Config):
    """One shot: frames `[start_frame, end_frame)` at the film's own rate, what happens in it, and when, in seconds.

    If its sound is a recording, it is played from `recording_at` on, a share of its length, and repeated.
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


class ShortcutCues(Config):
    """What identifies a film without meaning: hue of its palette, wave vector of its texture, its theme music."""

    hue: float
    saturation: float
    texture_x: float
    texture_y: float
    theme_hz: tuple[float, ...]
    theme_beat_seconds: float
    theme_brightness: float


class FilmScript(Config):
    """All that is needed to render a film, and so its ground truth; `marks` are its shortcut cues."""

    name: str
    seed: int
    config: SynthConfig
    marks: ShortcutCues
    shots: tuple[Shot, ...]

    @property
    def frames(self) -> int:
        """The number of frames in the film."""
        return self.shots[-1].end_frame


def generate_script(name: str, seed: int, config: SynthConfig, recordings: Recordings = ()) -> FilmScript:
    """Return the script of a film: the same for the same seed, config and recordings.

    Args:
        name: the name of the film.
        seed: the seed of everything random in it.
        config: how the film is made.
        recordings: if given, concept *c* sounds like a recording of class *c*; its motion stays the same.

    Raises:
        UsageError: if there are more concepts than classes of recordings, more classes than concepts, or a class is
            empty.
    """
    if recordings:
        _check_recordings(recordings, config)
    random = np.random.default_rng([seed, 1])
    concepts = random.permutation(len(recordings) or len(CONCEPTS))[: config.concepts_per_film]

    shots: list[Shot] = []
    for start, end, concept in deal_shots(concepts.tolist(), config, random):
        shot = generate_shot(start, end, concept, config, random)
        shots.append(_add_recording(shot, recordings, random) if recordings else shot)
    return FilmScript(name=name, seed=seed, config=config, marks=_generate_cues(random), shots=tuple(shots))


def deal_shots(
    concepts: Sequence[int], config: SynthConfig, random: np.random.Generator
) -> Iterator[tuple[int, int, int]]:
    """Yield the first frame of each shot of a film, the frame after its last, and its concept.

    Concepts are dealt from a shuffled bag, so that all occur about equally often.
    """
    total_frames = round(config.seconds * config.fps)
    start = 0
    bag: list[int] = []
    while start < total_frames:
        length = round(random.uniform(config.shot_seconds_min, config.shot_seconds_max) * config.fps)
        # The last shot takes the rest of the film, so that no shot is too short.
        is_last = total_frames - (start + length) < config.shot_seconds_min * config.fps
        end = total_frames if is_last else start + length

        bag = bag or [int(concept) for concept in random.permutation(concepts)]
        yield start, end, bag.pop()
        start = end


def _check_recordings(recordings: Recordings, config: SynthConfig) -> None:
    """Check that there are enough classes of recordings, not too many, and that none is empty."""
    if len(recordings) > len(CONCEPTS) or config.concepts_per_film > len(recordings):
        raise UsageError(
            f"films of recordings need {config.concepts_per_film} to {len(CONCEPTS)} classes of them, "
            f"got {len(recordings)}; give other concepts_per_film, or other sounds"
        )
    for number, files in enumerate(recordings):
        if not files:
            raise UsageError(f"class {number} of the recordings is empty; give it sounds, or remove it")


def _add_recording(shot: Shot, recordings: Recordings, random: np.random.Generator) -> Shot:
    """Return the shot with a random recording of its class, played from a random position on."""
    files = recordings[shot.concept]
    recording = files[int(random.integers(len(files)))]
    position = round(float(random.uniform()), 6)
    return shot.model_copy(update={"recording": recording, "recording_at": position})


def generate_shot(start: int, end: int, concept: int, config: SynthConfig, random: np.random.Generator) -> Shot:
    """Return a shot of frames `[start, end)` with the events of a concept, its tempo varied by up to 8 %."""
    period = 1 / (CONCEPTS[concept].rate_hz * random.uniform(0.92, 1.08))
    start_seconds, end_seconds = start / config.fps, end / config.fps
    first = start_seconds + random.uniform(0, 1) * period
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


def _generate_cues(random: np.random.Generator) -> ShortcutCues:
    root_hz = 110 * 2 ** (random.integers(0, 24) / 12)
    chord_semitones = (0, *random.choice([3, 4, 5, 7, 8, 9, 10], size=2, replace=False))
    return ShortcutCues(
        hue=float(random.uniform()),
        saturation=float(random.uniform(*SATURATIONS)),
        texture_x=float(random.uniform(-0.5, 0.5)),
        texture_y=float(random.uniform(-0.5, 0.5)),
        theme_hz=tuple(float(root_hz * 2 ** (semitones / 12)) for semitones in chord_semitones),
        theme_beat_seconds=float(random.uniform(0.25, 0.8)),
        theme_brightness=float(random.uniform(0.2, 0.9)),
    )
