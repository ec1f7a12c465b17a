"""What the contrastive objective weighs, masks and takes for positive."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from talkies.config import Config

HIGHEST_TEMPERATURE = 10.0
LOWEST_TEMPERATURE = 0.01  # below it, float32 logits of unit vectors lose the differences that matter

Weight = Annotated[float, Field(ge=0, le=1)]


class WeightPoint(Config):
    """At step `at_step` the weight is `cross_film_weight`."""

    at_step: Annotated[int, Field(ge=1)]
    cross_film_weight: Weight


class ObjectiveConfig(Config):
    """Symmetric InfoNCE between pictures and sounds: 1 is the plain one, 0 looks within each film only.

    `cross_film_weight` says how much other films count: with `cross_film_weighs: term` it is the weight of the second
    term of the chain rule, which film the clip is of; with `negatives`, of each candidate of another film beside those
    of the own. It goes in straight lines to the points of `cross_film_schedule`.

    `temperature` is fixed, or where learning begins. Candidates of the query's film that begin less than
    `mask_nearer_than_seconds` from it are no negatives (0: all others are). Those that begin at most
    `within_film_positives_seconds` from it are positives beside its own counterpart (0: only that is), each counting
    alike. With a `within_modal_weight`, two views of each clip, differently augmented, are also told apart from all
    others in pictures alone and in sounds alone, and that counts so much beside the cross-modal loss.

    `block_clips` computes the same loss in blocks of so many clips, in memory that does not grow with the square of
    the batch.
    """

    cross_film_weight: Weight = 1.0
    cross_film_weighs: Literal["term", "negatives"] = "term"
    cross_film_schedule: tuple[WeightPoint, ...] = ()
    temperature: Annotated[float, Field(ge=LOWEST_TEMPERATURE, le=HIGHEST_TEMPERATURE)] = 0.1
    learn_temperature: bool = False
    mask_nearer_than_seconds: Annotated[float, Field(ge=0)] = 0.0
    within_film_positives_seconds: Annotated[float, Field(ge=0)] = 0.0
    within_modal_weight: Annotated[float, Field(ge=0, le=10)] = 0.0
    block_clips: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _points_rise(self) -> Self:
        steps = [point.at_step for point in self.cross_film_schedule]
        if steps != sorted(set(steps)):
            raise ValueError(f"the points of cross_film_schedule must come in the order of their steps, got {steps}")
        return self

    @property
    def views(self) -> int:
        """How many times each clip is augmented and encoded."""
        return 2 if self.within_modal_weight else 1

    def weight_at(self, step: int) -> float:
        """Return the weight of other films at one step."""
        before, weight = 0, self.cross_film_weight
        for point in self.cross_film_schedule:
            if step < point.at_step:
                share = (step - before) / (point.at_step - before)
                return weight + share * (point.cross_film_weight - weight)
            before, weight = point.at_step, point.cross_film_weight
        return weight
