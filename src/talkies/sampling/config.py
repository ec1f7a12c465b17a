"""The settings of sampling: how many films and clips a batch has, and which parts of films clips come from."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from talkies.config import Config

AnnotationKind = Literal["black", "silent", "still", "credits"]


class Stage(Config):
    """From step `from_step` on, a film gives `clips_per_film` clips; the number of clips in a batch stays the same."""

    from_step: Annotated[int, Field(ge=1)]
    clips_per_film: Annotated[int, Field(ge=1)]


class SamplingConfig(Config):
    """A batch is `films_per_batch` films × `clips_per_film` clips; one clip a film is the usual random sampling.

    Attributes:
        films_per_batch: films of a batch, M.
        clips_per_film: clips that each film gives to a batch, k.
        least_gap_seconds: smallest gap between two clips of a film, from the end of one to the start of the next.
        widest_window_seconds: length of film that all clips of a film must fit into; None for any.
        start_grid_seconds: distance between the moments at which clips may start, so that a film has a bounded number
            of different clips; None for any frame.
        one_clip_per_shot: whether to draw no two clips from one shot; a clip belongs to the shot of its middle.
        film_weights: visit all films equally often, or in proportion to their eligible duration.
        exclude: annotated spans that no clip may touch.
        skip_first_seconds: length skipped at the start of each film.
        skip_last_seconds: length skipped at the end of each film.
        positives_within_seconds: if not 0, a clip's audio is from another moment, starting at most this far from its
            video.
        crop_position: where along the long side of its pictures a clip's square is: anywhere, or in the middle.
        short_films: refuse films that are too short for their clips, or leave them out.
        schedule: stages that change the number of clips a film gives.
    """

    films_per_batch: Annotated[int, Field(ge=1)]
    clips_per_film: Annotated[int, Field(ge=1)]
    least_gap_seconds: Annotated[float, Field(ge=0)] = 0.0
    widest_window_seconds: Annotated[float, Field(gt=0)] | None = None
    start_grid_seconds: Annotated[float, Field(gt=0)] | None = None
    one_clip_per_shot: bool = False
    film_weights: Literal["uniform", "duration"] = "uniform"
    exclude: tuple[AnnotationKind, ...] = ("black", "silent", "still", "credits")
    skip_first_seconds: Annotated[float, Field(ge=0)] = 0.0
    skip_last_seconds: Annotated[float, Field(ge=0)] = 0.0
    positives_within_seconds: Annotated[float, Field(ge=0)] = 0.0
    crop_position: Literal["random", "centre"] = "random"
    short_films: Literal["refuse", "leave_out"] = "refuse"
    schedule: tuple[Stage, ...] = ()

    @classmethod
    def within_film(cls, films_per_batch: int, clips_per_film: int, least_gap_seconds: float = 0.0) -> Self:
        """Return within-film sampling: a share (k−1)/(Mk−1) of a clip's negatives comes from its own film."""
        return cls(films_per_batch=films_per_batch, clips_per_film=clips_per_film, least_gap_seconds=least_gap_seconds)

    @classmethod
    def random(cls, batch_clips: int) -> Self:
        """Return the usual random sampling: every clip of a batch comes from another film."""
        return cls(films_per_batch=batch_clips, clips_per_film=1)

    @classmethod
    def within_film_positives(cls, batch_clips: int, within_seconds: float) -> Self:
        """Return the sampling of earlier work: a clip's positive is another moment of its film.

        Args:
            batch_clips: clips of a batch, each from another film.
            within_seconds: the largest distance between the video and the audio of a clip.
        """
        return cls(films_per_batch=batch_clips, clips_per_film=1, positives_within_seconds=within_seconds)

    @property
    def batch_clips(self) -> int:
        """How many clips a batch has."""
        return self.films_per_batch * self.clips_per_film

    @property
    def clip_counts(self) -> tuple[int, ...]:
        """How many clips a film gives, in each stage."""
        return (self.clips_per_film, *(stage.clips_per_film for stage in self.schedule))

    @model_validator(mode="after")
    def _check_negatives(self) -> Self:
        if self.batch_clips < 2:
            raise ValueError("a batch needs at least two clips, because each is the negative of the others")
        return self

    @model_validator(mode="after")
    def _check_stages(self) -> Self:
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
