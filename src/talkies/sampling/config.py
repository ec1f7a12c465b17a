"""How batches are drawn."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from talkies.config import Config


class SamplingConfig(Config):
    """A batch is `films_per_batch` films × `clips_per_film` clips; with one clip a film it is the usual random recipe.

    Clips of one film lie at least `least_gap_seconds` apart, from one's end to the next one's beginning.
    """

    films_per_batch: Annotated[int, Field(ge=1)]
    clips_per_film: Annotated[int, Field(ge=1)]
    least_gap_seconds: Annotated[float, Field(ge=0)] = 0.0

    @property
    def batch_clips(self) -> int:
        """How many clips a batch has."""
        return self.films_per_batch * self.clips_per_film

    @model_validator(mode="after")
    def _there_are_negatives(self) -> Self:
        if self.batch_clips < 2:
            raise ValueError("a batch needs at least two clips, for one is the other's negative")
        return self
