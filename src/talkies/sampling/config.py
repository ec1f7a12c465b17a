"""How batches are drawn."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from talkies.config import Config

Mark = Literal["black", "silent", "still", "credits"]


class Stage(Config):
    """From step `from_step` on, a film gives `clips_per_film` clips; the batch stays as large as it was."""

    from_step: Annotated[int, Field(ge=1)]
    clips_per_film: Annotated[int, Field(ge=1)]


class SamplingConfig(Config):
    """A batch is `films_per_batch` films × `clips_per_film` clips; with one clip a film it is the usual random recipe.

    Clips of one film lie at least `least_gap_seconds` apart, from one's end to the next one's beginning, and if
    `widest_window_seconds` is given all within that time. `one_clip_per_shot` draws no two of them from one shot (a
    clip's shot is that of its middle). `film_weights` visits all films equally often, or in proportion to what is
    eligible of them. Nothing is drawn from what is marked as one of `exclude`, nor from a film's first and last
    seconds that are skipped. With `positives_within_seconds` a clip's sound is that of another moment, begun at most
    so far from its pictures. A film that cannot give its clips is refused, or left out (`short_films`). Each stage of
    `schedule` gives another number of clips a film from a step on; a batch has as many clips as ever.
    """

    films_per_batch: Annotated[int, Field(ge=1)]
    clips_per_film: Annotated[int, Field(ge=1)]
    least_gap_seconds: Annotated[float, Field(ge=0)] = 0.0
    widest_window_seconds: Annotated[float, Field(gt=0)] | None = None
    one_clip_per_shot: bool = False
    film_weights: Literal["uniform", "duration"] = "uniform"
    exclude: tuple[Mark, ...] = ("black", "silent", "still", "credits")
    skip_first_seconds: Annotated[float, Field(ge=0)] = 0.0
    skip_last_seconds: Annotated[float, Field(ge=0)] = 0.0
    positives_within_seconds: Annotated[float, Field(ge=0)] = 0.0
    short_films: Literal["refuse", "leave_out"] = "refuse"
    schedule: tuple[Stage, ...] = ()

    @classmethod
    def within_film(cls, films_per_batch: int, clips_per_film: int, least_gap_seconds: float = 0.0) -> Self:
        """Return the sampling of the paper: a share (k−1)/(Mk−1) of the negatives is of the same film."""
        return cls(films_per_batch=films_per_batch, clips_per_film=clips_per_film, least_gap_seconds=least_gap_seconds)

    @classmethod
    def random(cls, batch_clips: int) -> Self:
        """Return the usual sampling: every clip of a batch is of another film."""
        return cls(films_per_batch=batch_clips, clips_per_film=1)

    @classmethod
    def within_film_positives(cls, batch_clips: int, within_seconds: float) -> Self:
        """Return the sampling of earlier work: a clip's positive is another moment of its film."""
        return cls(films_per_batch=batch_clips, clips_per_film=1, positives_within_seconds=within_seconds)

    @property
    def batch_clips(self) -> int:
        """How many clips a batch has."""
        return self.films_per_batch * self.clips_per_film

    @property
    def clip_counts(self) -> tuple[int, ...]:
        """How many clips a film gives, stage by stage."""
        return (self.clips_per_film, *(stage.clips_per_film for stage in self.schedule))

    @model_validator(mode="after")
    def _there_are_negatives(self) -> Self:
        if self.batch_clips < 2:
            raise ValueError("a batch needs at least two clips, for one is the other's negative")
        return self

    @model_validator(mode="after")
    def _stages_keep_the_batch(self) -> Self:
        steps = [stage.from_step for stage in self.schedule]
        if steps != sorted(set(steps)):
            raise ValueError(f"the stages of a schedule must come in the order of their steps, got {steps}")
        for stage in self.schedule:
            if self.batch_clips % stage.clips_per_film:
                raise ValueError(
                    f"each stage's clips_per_film must divide the batch's {self.batch_clips} clips, "
                    f"got {stage.clips_per_film}"
                )
        return self
