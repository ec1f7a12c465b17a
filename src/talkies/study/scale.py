"""The scale of a study: its films, the model, the ranges of its arms, the number of seeds.

The package ships `small`, `medium` and `gpu` in the folder `scales`; a YAML file of your own works as well.
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
    """The number of places and characters of a film; the fewer, the more often each recurs."""

    places: Annotated[int, Field(ge=1)]
    characters: Annotated[int, Field(ge=1)]


class Ranges(Config):
    """The values that the arms cover, besides the pair that is compared on films of each nature.

    `schedules` adds an arm with a rising number of clips per film, and one with a falling weight of other films.
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
    """The config of a study, in which every arm sees `batch_clips × steps` clips.

    The compared pair, with `pair_seeds` seeds, is random films against `pair_clips_per_film` clips of each film with
    the weight `pair_cross_film_weight` of other films. `judged_at` are the shares of the steps at which a model is
    measured. `set` changes the recipe. `side_by_side` arms train at once, each with its share of the cores;
    by default one for each core.
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
    def _check_arms(self) -> Self:
        if self.judged_at != tuple(sorted(set(self.judged_at))) or not self.judged_at or self.judged_at[-1] != 1:
            raise ValueError(f"judged_at must rise and end with 1, got {list(self.judged_at)}")
        for clips in (self.pair_clips_per_film, *self.ranges.clips_per_film):
            if self.batch_clips % clips:
                raise ValueError(f"clips_per_film must divide the batch's {self.batch_clips} clips, got {clips}")
        for name, own in self._own.items():
            values = [*own, *getattr(self.ranges, name)]
            if any(values.count(value) > 1 for value in values):
                raise ValueError(f"{name} must list each value once and leave out that of the pair's films ({own})")
        for factor in self.ranges.batch_factors:
            batch, steps = self.batch_clips * factor, self.steps / factor
            if batch % self.pair_clips_per_film or steps % 1:
                raise ValueError(
                    f"a batch of {batch:g} clips must be a multiple of {self.pair_clips_per_film}, and its "
                    f"{steps:g} steps a whole number; choose other batch_factors"
                )
        largest = max((1, *self.ranges.batch_factors)) * self.batch_clips
        if self.films < largest:
            raise ValueError(f"a batch of {largest:g} clips from different films needs as many films, got {self.films}")
        return self

    @property
    def _own(self) -> dict[str, list[object]]:
        """The values of the pair's films and batches, by the name of the range that covers others."""
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


def list_scale_names() -> list[str]:
    """Return the names of the scales that the package ships."""
    return sorted(
        entry.name.removesuffix(".yaml") for entry in _scales_folder().iterdir() if entry.name.endswith(".yaml")
    )


def read_scale(name: str, pair_seeds: int | None = None) -> Scale:
    """Return a scale by name or from a YAML file; `pair_seeds` replaces its own.

    Raises:
        ConfigError: if there is none, or a key or a value is wrong.
    """
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
    elif name in list_scale_names():
        path = _scales_folder() / f"{name}.yaml"
    else:
        names = list_scale_names()
        raise ConfigError(
            f"no scale '{name}'{suggest_nearest(name, names)}; there are: {', '.join(names)}, or name a YAML file"
        )
    values = read_yaml(path)
    if pair_seeds is not None:
        values |= {"pair_seeds": pair_seeds, "seeds": min(pair_seeds, values.get("seeds", pair_seeds))}
    return check(Scale, values, "--seeds" if pair_seeds is not None else f"scale {name}")


def _scales_folder() -> Path:
    return Path(__file__).parent / "scales"
