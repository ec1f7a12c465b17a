"""The arms of a study: each is one sampling at one point of the map."""

from dataclasses import dataclass
from itertools import product

from talkies.study.scale import PLAIN, UNTRAINED, USUAL, Point, Scale


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of training: the recipe with the changes `sets`, on films of a nature.

    `measures_untrained` says whether the models are also measured before training: once for each nature and variant.
    """

    name: str
    sampling: str
    words: str
    nature: str
    films: int
    length: float
    batch: int
    variant: str
    steps: int
    sets: tuple[str, ...]
    measures_untrained: bool

    @property
    def point(self) -> Point:
        """The point of the map."""
        return Point(self.nature, self.films, self.length, self.batch, self.variant)


def list_arms(scale: Scale) -> tuple[Arm, ...]:
    """Return every arm of the scale's blocks once, in their order."""
    arms: dict[str, Arm] = {}
    begun: set[tuple[str, str]] = set()
    for block in scale.blocks:
        for point, sampling in product(scale.list_points(block), block.samplings):
            name = name_arm(scale, sampling, point)
            if name not in arms:
                arms[name] = _make_arm(scale, sampling, point, (point.nature, point.variant) not in begun)
                begun.add((point.nature, point.variant))
    return tuple(arms.values())


def _make_arm(scale: Scale, sampling: str, point: Point, measures_untrained: bool) -> Arm:
    chosen = scale.samplings[sampling]
    settings = (
        f"sampling.films_per_batch={point.batch // chosen.clips_per_film}",
        f"sampling.clips_per_film={chosen.clips_per_film}",
        f"objective.cross_film_weight={chosen.cross_film_weight:g}",
    )
    return Arm(
        name=name_arm(scale, sampling, point),
        sampling=sampling,
        words=chosen.words,
        nature=point.nature,
        films=point.films,
        length=point.length,
        batch=point.batch,
        variant=point.variant,
        steps=round(scale.count_steps(point)),
        sets=(*settings, *scale.find_variant(point.variant).set, *chosen.set),
        measures_untrained=measures_untrained,
    )


def name_arm(scale: Scale, sampling: str, point: Point) -> str:
    """Return the name of a sampling at a point, or of the untrained model there."""
    parts = [sampling]
    if sampling != UNTRAINED:
        parts += [f"films-{point.films}", f"length-{point.length:g}"]
        parts += [f"batch-{point.batch}"] if point.batch != scale.batch_clips else []
    parts += [each for each, usual in ((point.variant, USUAL), (point.nature, PLAIN)) if each != usual]
    return "_".join(parts)


def describe_point(scale: Scale, point: Point) -> str:
    """Return a point in words: `32 films, 5 × as long, batches of 128 clips`."""
    parts = [f"{point.films} films"]
    parts += [f"{point.length:g} × as long"] if point.length != 1 else []
    parts += [f"batches of {point.batch} clips"] if point.batch != scale.batch_clips else []
    parts += [each for each in (scale.find_variant(point.variant).words, scale.find_nature(point.nature).words) if each]
    return ", ".join(parts)
