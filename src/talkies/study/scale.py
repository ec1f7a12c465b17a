"""How much a study does: its films, the model, the arms' ranges, how many seeds; complete configs, by name or by file.

`small`, `medium` and `gpu` lie beside this file; a YAML file of one's own is taken as well.
"""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from talkies.config import Config, check, read_yaml
from talkies.core import ConfigError, suggest_nearest
from talkies.library import Profile
from talkies.synth import CONCEPTS, SynthConfig

Several = Annotated[int, Field(ge=2)]


class Recurrence(Config):
    """How few places and characters a film has; the fewer, the oftener each comes back."""

    places: Annotated[int, Field(ge=1)]
    characters: Annotated[int, Field(ge=1)]


class Ranges(Config):
    """What the arms go through, beside the pair that is compared on films of each nature.

    With `schedules`, there is an arm of rising clips of a film, and one of a falling weight of the other films.
    """

    clips_per_film: tuple[Annotated[int, Field(ge=2)], ...] = ()
    cross_film_weights: tuple[Annotated[float, Field(ge=0, le=1)], ...] = ()
    positives_within_seconds: tuple[float, ...] = ()
    widest_window_seconds: tuple[float, ...] = ()
    schedules: bool = False
    mark_strengths: tuple[Annotated[float, Field(ge=0, le=1)], ...] = ()
    concepts_per_film: tuple[Annotated[int, Field(ge=2, le=len(CONCEPTS))], ...] = ()
    recurrences: tuple[Recurrence, ...] = ()
    batch_factors: tuple[Annotated[float, Field(gt=0)], ...] = ()


class Scale(Config):
    """A study. Every arm sees `batch_clips × steps` clips; the pair of `pair_seeds` is random films against
    `pair_clips_per_film` clips of a film and `pair_cross_film_weight`.

    `judged_at` are shares of the steps at which a model is measured. `set` changes the recipe. `side_by_side` arms
    train at a time, each with its share of the cores; as many as there are cores if that is not said.
    """

    name: str
    films: Several
    unseen_films: Annotated[int, Field(ge=4)]
    synth: SynthConfig
    profile: Profile
    recipe: str
    set: tuple[str, ...]
    side_by_side: Annotated[int, Field(ge=1)] | None = None
    batch_clips: Several
    steps: Annotated[int, Field(ge=4)]
    judged_at: tuple[Annotated[float, Field(gt=0, le=1)], ...]
    seeds: Several
    pair_seeds: Several
    pair_clips_per_film: Several
    pair_cross_film_weight: Annotated[float, Field(ge=0, le=1)]
    ranges: Ranges

    @model_validator(mode="after")
    def _arms_can_be(self) -> Self:
        if self.judged_at != tuple(sorted(set(self.judged_at))) or not self.judged_at or self.judged_at[-1] != 1:
            raise ValueError(f"judged_at must rise and end with 1, got {list(self.judged_at)}")
        for clips in (self.pair_clips_per_film, *self.ranges.clips_per_film):
            if self.batch_clips % clips:
                raise ValueError(f"clips_per_film must divide the batch's {self.batch_clips} clips, got {clips}")
        for name, own in self._own.items():
            values = [*own, *getattr(self.ranges, name)]
            if any(values.count(value) > 1 for value in values):
                raise ValueError(f"{name} must name each value once, and not that of the films of the pair ({own})")
        for factor in self.ranges.batch_factors:
            batch, steps = self.batch_clips * factor, self.steps / factor
            if batch % self.pair_clips_per_film or steps % 1:
                raise ValueError(
                    f"a batch of {batch:g} clips must be whole films of {self.pair_clips_per_film} clips each and "
                    f"{steps:g} steps a whole number; give other batch_factors"
                )
        largest = max((1, *self.ranges.batch_factors)) * self.batch_clips
        if self.films < largest:
            raise ValueError(f"a batch of {largest:g} clips of as many films needs so many films, got {self.films}")
        return self

    @property
    def _own(self) -> dict[str, list[object]]:
        """What the films and batches of the pair are, by the range that goes through others."""
        synth = self.synth
        return {
            "clips_per_film": [],
            "cross_film_weights": [],
            "positives_within_seconds": [],
            "widest_window_seconds": [],
            "mark_strengths": [synth.mark_strength],
            "concepts_per_film": [synth.concepts_per_film],
            "recurrences": [Recurrence(places=synth.places, characters=synth.characters)],
            "batch_factors": [1.0],
        }

    @property
    def measured_steps(self) -> tuple[int, ...]:
        """The steps at which a model is measured."""
        return tuple(max(1, round(share * self.steps)) for share in self.judged_at)


def scale_names() -> list[str]:
    """Return the names of the scales that the package ships."""
    return sorted(
        entry.name.removesuffix(".yaml") for entry in _lock_folder().iterdir() if entry.name.endswith(".yaml")
    )


def read_scale(name: str, pair_seeds: int | None = None) -> Scale:
    """Return a scale by its name, or from a YAML file; `pair_seeds` in place of its own.

    Raises:
        ConfigError: if there is none, or a key or a value is wrong.
    """
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
    elif name in scale_names():
        path = _lock_folder() / f"{name}.yaml"
    else:
        names = scale_names()
        raise ConfigError(
            f"no scale '{name}'{suggest_nearest(name, names)}; there are: {', '.join(names)}, or name a YAML file"
        )
    values = read_yaml(path)
    if pair_seeds is not None:
        values |= {"pair_seeds": pair_seeds, "seeds": min(pair_seeds, values.get("seeds", pair_seeds))}
    return check(Scale, values, "--seeds" if pair_seeds is not None else f"scale {name}")


def _lock_folder() -> Path:
    return Path(__file__).parent / "scales"
