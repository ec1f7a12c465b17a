"""The scale of a study: its films, the points of its map, and the questions that are asked of it, all fixed beforehand.

The package ships several scales in the folder `scales`; a YAML file of your own works as well.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from talkies.config import Config, check, read_yaml
from talkies.core import ConfigError, suggest_nearest
from talkies.library import Profile
from talkies.study.measure import MEASURES
from talkies.synth import SynthConfig

PLAIN, USUAL, RANDOM, UNTRAINED = "plain", "usual", "random", "untrained"
Several = Annotated[int, Field(ge=2)]
Factor = Annotated[float, Field(gt=0)]


class Sampling(Config):
    """A way of drawing and weighting negatives: k clips of each film, other films with a weight; `set` changes more."""

    words: str
    clips_per_film: Annotated[int, Field(ge=1)]
    cross_film_weight: Annotated[float, Field(ge=0, le=1)] = 1.0
    set: tuple[str, ...] = ()


class Variant(Config):
    """A change of the recipe that is made with every sampling: stronger augmentation, say, or larger encoders."""

    words: str
    set: tuple[str, ...] = ()


class Nature(Config):
    """A kind of films: `changes` to the scale's synthetic films.

    Models that learn from them are measured on unseen films of the same nature, or of the nature `judged_on`.
    `composed` films have real recordings under the pictures and sounds of real films.
    """

    words: str
    changes: dict[str, Any] = Field(default_factory=dict)
    composed: bool = False
    judged_on: str | None = None


class Axes(Config):
    """Points of the map: every combination of these values. A `batch` of None is the scale's."""

    films: tuple[Several, ...]
    lengths: tuple[Factor, ...] = (1.0,)
    batches: tuple[Several | None, ...] = (None,)
    variants: tuple[str, ...] = (USUAL,)
    natures: tuple[str, ...] = (PLAIN,)


class Block(Axes):
    """Arms of the study: every sampling at every point of the axes."""

    samplings: tuple[str, ...]


class Pairing(Axes):
    """Comparisons of two samplings at every point of the axes; `against` may be `untrained`."""

    arm: str
    against: str = RANDOM


class Family(Config):
    """Comparisons that answer one question together: their p values are corrected for their number (Holm)."""

    title: str
    question: str
    endpoints: tuple[str, ...] = ()
    pairings: Annotated[tuple[Pairing, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """A point of the map: what models learn from and for how long, besides the sampling."""

    nature: str
    films: int
    length: float
    batch: int
    variant: str


class Scale(Config):
    """The config of a study: `film_sets` times every arm, each film set with films of its own.

    A model sees `batch_clips × steps` clips at length 1. `judged_at` are the shares of the steps at which a model is
    measured. `set` changes the recipe for every arm. The `endpoints` are measures that the families compare;
    differences within ± `equivalence_margin` count as none. `probe_films` films that every model has learnt from are
    those that the probes are fitted on. `side_by_side` models train at once; by default one for each core.
    """

    name: str
    film_sets: Several
    unseen_films: Annotated[int, Field(ge=4)]
    probe_films: Annotated[int, Field(ge=4)]
    synth: SynthConfig
    profile: Profile
    recipe: str
    set: tuple[str, ...]
    side_by_side: Annotated[int, Field(ge=1)] | None = None
    batch_clips: Several
    steps: Annotated[int, Field(ge=4)]
    judged_at: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (1.0,)
    endpoints: tuple[str, ...]
    equivalence_margin: Annotated[float, Field(gt=0, lt=1)]
    samplings: dict[str, Sampling]
    variants: dict[str, Variant] = Field(default_factory=dict)
    natures: dict[str, Nature] = Field(default_factory=dict)
    blocks: tuple[Block, ...]
    families: dict[str, Family]

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        for block in self.blocks:
            for sampling in block.samplings:
                _check_listed(sampling, self.samplings, "blocks", "samplings")
        for pairing in (pairing for family in self.families.values() for pairing in family.pairings):
            _check_listed(pairing.arm, self.samplings, "families", "samplings")
            _check_listed(pairing.against, [*self.samplings, UNTRAINED], "families", "samplings")
        for axes in self._all_axes():
            for variant in axes.variants:
                _check_listed(variant, [*self.variants, USUAL], "variants", "variants")
            for nature in axes.natures:
                _check_listed(nature, [*self.natures, PLAIN], "natures", "natures")
        for measure in (*self.endpoints, *(name for family in self.families.values() for name in family.endpoints)):
            _check_listed(measure, MEASURES, "endpoints", "measures")
        return self

    @model_validator(mode="after")
    def _check_arms(self) -> Self:
        if self.judged_at != tuple(sorted(set(self.judged_at))) or not self.judged_at or self.judged_at[-1] != 1:
            raise ValueError(f"judged_at must rise and end with 1, got {list(self.judged_at)}")
        for block in self.blocks:
            for point, name in product(self.list_points(block), block.samplings):
                self._check_arm(point, self.samplings[name])
        fewest = min(films for block in self.blocks for films in block.films)
        if self.probe_films > fewest:
            raise ValueError(f"probe_films must be films that every model learns from, at most {fewest}")
        return self

    @model_validator(mode="after")
    def _check_contrasts_have_arms(self) -> Self:
        arms = {(name, p) for block in self.blocks for name in block.samplings for p in self.list_points(block)}
        for key, family in self.families.items():
            for pairing in family.pairings:
                for name, point in product((pairing.arm, pairing.against), self.list_points(pairing)):
                    if name != UNTRAINED and (name, point) not in arms:
                        raise ValueError(f"family {key} compares {name} at {point}, and no block trains it there")
        return self

    def _check_arm(self, point: Point, sampling: Sampling) -> None:
        steps = self.count_steps(point)
        if steps % 1:
            raise ValueError(f"batches of {point.batch} clips must give a whole number of steps, got {steps:g}")
        if point.batch % sampling.clips_per_film:
            raise ValueError(
                f"clips_per_film must divide the batch's {point.batch} clips, got {sampling.clips_per_film}"
            )
        if point.batch // sampling.clips_per_film > point.films:
            raise ValueError(
                f"a batch of {point.batch // sampling.clips_per_film} films needs as many to learn from, "
                f"got {point.films}"
            )

    def _all_axes(self) -> Iterator[Axes]:
        yield from self.blocks
        yield from (pairing for family in self.families.values() for pairing in family.pairings)

    def list_points(self, axes: Axes) -> list[Point]:
        """Return every combination of the axes' values."""
        return [
            Point(nature, films, length, batch or self.batch_clips, variant)
            for nature, variant, batch, films, length in product(
                axes.natures, axes.variants, axes.batches, axes.films, axes.lengths
            )
        ]

    def count_steps(self, point: Point) -> float:
        """Return the steps that a model takes at a point: in them it sees as many clips as with any other batch."""
        return self.steps * point.length * self.batch_clips / point.batch

    def find_nature(self, name: str) -> Nature:
        """Return a kind of films by name."""
        return self.natures.get(name) or Nature(words="")

    def find_variant(self, name: str) -> Variant:
        """Return a change of the recipe by name."""
        return self.variants.get(name) or Variant(words="")

    def count_films(self, nature: str) -> int:
        """Return the largest number of films of a nature that a model learns from."""
        return max((n for block in self.blocks if nature in block.natures for n in block.films), default=0)

    @property
    def trained_natures(self) -> tuple[str, ...]:
        """The natures of films that a model learns from or is judged on, in the order in which they come."""
        trained = [nature for block in self.blocks for nature in block.natures]
        judged = [self.find_nature(nature).judged_on for nature in trained]
        return tuple(dict.fromkeys([*trained, *(nature for nature in judged if nature)]))


def _check_listed(name: str, names: Mapping[str, Any] | list[str], where: str, what: str) -> None:
    if name not in names:
        raise ValueError(f"{where} name '{name}'{suggest_nearest(name, [*names])}; {what}: {', '.join(names)}")


def list_scale_names() -> list[str]:
    """Return the names of the scales that the package ships."""
    return sorted(
        entry.name.removesuffix(".yaml") for entry in _scales_folder().iterdir() if entry.name.endswith(".yaml")
    )


def read_scale(name: str, film_sets: int | None = None) -> Scale:
    """Return a scale by name or from a YAML file; `film_sets` replaces its own.

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
    if film_sets is not None:
        values |= {"film_sets": film_sets}
    return check(Scale, values, "--film-sets" if film_sets is not None else f"scale {name}")


def _scales_folder() -> Path:
    return Path(__file__).parent / "scales"
