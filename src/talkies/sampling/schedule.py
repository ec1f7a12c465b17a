"""The shape of the batch at each step: M films × k clips, where k may change during training."""

from bisect import bisect_right
from dataclasses import dataclass

from talkies.sampling.config import SamplingConfig


@dataclass(frozen=True, slots=True)
class BatchShape:
    """The shape of batches from step `first_step` on: `films` × `clips`.

    Films are counted over all batches: `first_place` films were taken before step `first_step`.
    """

    first_step: int
    first_place: int
    films: int
    clips: int

    def count_films_before(self, step: int) -> int:
        """Return how many films all batches before `step` took; `step` must have this shape, or be the next stage's."""
        return self.first_place + (step - self.first_step) * self.films


class Schedule:
    """The shapes of batches, in the order of steps."""

    def __init__(self, config: SamplingConfig) -> None:
        """Prepare the shapes of the stages of `config`."""
        shapes = [BatchShape(0, 0, config.films_per_batch, config.clips_per_film)]
        for stage in config.schedule:
            films = config.batch_clips // stage.clips_per_film
            place = shapes[-1].count_films_before(stage.from_step)
            shapes.append(BatchShape(stage.from_step, place, films, stage.clips_per_film))
        self.shapes = tuple(shapes)

    @property
    def most_films(self) -> int:
        """The largest number of films that a batch takes."""
        return max(shape.films for shape in self.shapes)

    @property
    def most_clips(self) -> int:
        """The largest number of clips that a film gives to a batch."""
        return max(shape.clips for shape in self.shapes)

    def find_shape(self, step: int) -> BatchShape:
        """Return the shape of the batch of a step."""
        return self.shapes[bisect_right(self.shapes, step, key=lambda shape: shape.first_step) - 1]

    def find_place_in_batch(self, place: int) -> int:
        """Return the position within its batch of film number `place`, counted over all batches."""
        shape = self._find_shape_of_place(place)
        return (place - shape.first_place) % shape.films

    def count_films_of_batch(self, place: int) -> int:
        """Return how many films the batch has that takes film number `place`, counted over all batches."""
        return self._find_shape_of_place(place).films

    def _find_shape_of_place(self, place: int) -> BatchShape:
        return self.shapes[bisect_right(self.shapes, place, key=lambda shape: shape.first_place) - 1]
