"""How a batch is made up at each step: M films × k clips, where k may change as training goes on."""

from bisect import bisect_right
from dataclasses import dataclass

from talkies.sampling.config import SamplingConfig


@dataclass(frozen=True, slots=True)
class Shape:
    """From step `first_step` on a batch is `films` × `clips`; `first_place` films were taken before."""

    first_step: int
    first_place: int
    films: int
    clips: int

    def place_of(self, step: int) -> int:
        """Return how many films were taken before a step of this stage."""
        return self.first_place + (step - self.first_step) * self.films


class Schedule:
    """The stages of a sampling, in order."""

    def __init__(self, config: SamplingConfig) -> None:
        shapes = [Shape(0, 0, config.films_per_batch, config.clips_per_film)]
        for stage in config.schedule:
            films = config.batch_clips // stage.clips_per_film
            shapes.append(Shape(stage.from_step, shapes[-1].place_of(stage.from_step), films, stage.clips_per_film))
        self.shapes = tuple(shapes)

    @property
    def most_films(self) -> int:
        """The most films that a batch takes."""
        return max(shape.films for shape in self.shapes)

    @property
    def most_clips(self) -> int:
        """The most clips that a film gives to a batch."""
        return max(shape.clips for shape in self.shapes)

    def at(self, step: int) -> Shape:
        """Return the stage of a step."""
        return self.shapes[bisect_right(self.shapes, step, key=lambda shape: shape.first_step) - 1]

    def taken_before(self, place: int) -> int:
        """Return how many films of the batch that takes the film at `place` come before it."""
        shape = self._around(place)
        return (place - shape.first_place) % shape.films

    def films_at(self, place: int) -> int:
        """Return how many films the batch that takes the film at `place` has."""
        return self._around(place).films

    def _around(self, place: int) -> Shape:
        return self.shapes[bisect_right(self.shapes, place, key=lambda shape: shape.first_place) - 1]
