"""The config of the contrastive objective: its weights, masks, positives and temperature."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from talkies.config import Config

HIGHEST_TEMPERATURE = 10.0
LOWEST_TEMPERATURE = 0.01  # below it, float32 logits of unit vectors lose the differences that matter

Weight = Annotated[float, Field(ge=0, le=1)]


class WeightPoint(Config):
    """A point of the schedule: at step `at_step` the weight is `cross_film_weight`."""

    at_step: Annotated[int, Field(ge=1)]
    cross_film_weight: Weight


class ObjectiveConfig(Config):
    """Symmetric InfoNCE between video and audio, in which negatives of other films may count less.

    `cross_film_weight` says how much other films count: 1 is plain InfoNCE, 0 uses only negatives of the same film.
    With `cross_film_weighs: term` it is the weight of the chain rule's second term, the loss of finding the right film;
    with `negatives`, the weight of each candidate of another film. It changes linearly between the points of
    `cross_film_schedule`.

    `temperature` is fixed, or the initial value if it is learnt. Candidates of the query's film that start less than
    `mask_nearer_than_seconds` from it are not used as negatives (0: all are used). Those that start at most
    `within_film_positives_seconds` from it are positives, with the same weight as its own counterpart (0: only its own
    counterpart is a positive). With a `within_modal_weight` above 0, two differently augmented views of each clip are
    also contrasted in video only and in audio only, and this loss is added with that weight.

    `block_clips` computes the same loss in blocks of this many clips, in memory that does not grow with the square of
    the batch.

    `loss: decoupled` leaves the positives out of the denominator (Yeh et al. 2022, arXiv:2110.06848). `loss: sigmoid`
    decides about each pair alone (Zhai et al. 2023, arXiv:2303.15343): it adds a `bias` to all scores, which is learnt
    with `learn_bias`; `within_film_weight` is the weight of each negative of the query's film, and `cross_film_weight`
    that of each negative of another film.

    `time_weighting` weighs the negatives of the query's film by their distance Δt from it, with τ the
    `time_scale_seconds`: `farther` counts them 1 − exp(−Δt / τ), `nearer` exp(−Δt / τ).

    `agreement` says what becomes of candidates that agree with the query in both modalities: `ignore` takes them out of
    the negatives, `positives` makes them positives, of whichever film. The agreement of two clips is the smaller cosine
    of their videos and of their audios, as in AVID-CMA (Morgado et al. 2021, arXiv:2004.12943); those candidates agree
    that are among the `agreement_share` with the largest agreement and have at least `agreement_threshold`; one of the
    two may be left out. `recurrences` is the `repeats.json` of `talkies repeats`: clips that show, or sound, the same
    moment of a passage that comes back are not negatives of each other.

    With `queue_clips_per_film` the candidates are keys: embeddings of a second encoder, whose weights are an
    exponential moving average of the trained ones with the decay `momentum` (MoCo, He et al. 2020, arXiv:1911.05722).
    The last so many keys of each film are kept, and are further negatives of the queries of that film; with
    `queue_negatives: batch_films`, of all queries of the batches that the film is in.
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
    loss: Literal["infonce", "decoupled", "sigmoid"] = "infonce"
    bias: Annotated[float, Field(ge=-100, le=100)] = -10.0
    learn_bias: bool = True
    within_film_weight: Annotated[float, Field(ge=0, le=100)] = 1.0
    time_weighting: Literal["none", "farther", "nearer"] = "none"
    time_scale_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 10.0
    agreement: Literal["none", "ignore", "positives"] = "none"
    agreement_share: Annotated[float, Field(gt=0, le=1)] | None = None
    agreement_threshold: Annotated[float, Field(ge=-1, le=1)] | None = None
    recurrences: str | None = None
    queue_clips_per_film: Annotated[int, Field(ge=1)] | None = None
    queue_negatives: Literal["own_film", "batch_films"] = "own_film"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99

    @model_validator(mode="after")
    def _check_points_rise(self) -> Self:
        steps = [point.at_step for point in self.cross_film_schedule]
        if steps != sorted(set(steps)):
            raise ValueError(f"the points of cross_film_schedule must come in the order of their steps, got {steps}")
        return self

    @model_validator(mode="after")
    def _check_loss(self) -> Self:
        weights = [self.cross_film_weight, *(point.cross_film_weight for point in self.cross_film_schedule)]
        if self.loss != "infonce" and self.cross_film_weighs == "term" and set(weights) != {1.0}:
            raise ValueError(
                f"loss={self.loss} has no which-film term, so cross_film_weight can only weigh negatives: set "
                f"cross_film_weighs to negatives, or every cross_film_weight to 1"
            )
        if self.loss == "sigmoid" and not self.within_film_weight and not all(weights):
            raise ValueError("with within_film_weight = 0 and cross_film_weight = 0 no negatives count: raise one")
        if self.loss != "sigmoid":
            for name in ("bias", "learn_bias", "within_film_weight"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name} belongs to loss=sigmoid, and loss is {self.loss}: leave it out")
        return self

    @model_validator(mode="after")
    def _check_agreement(self) -> Self:
        has_limit = self.agreement_share is not None or self.agreement_threshold is not None
        if self.agreement != "none" and not has_limit:
            raise ValueError(
                f"agreement={self.agreement} needs agreement_share or agreement_threshold, to say which clips agree"
            )
        if self.agreement == "none" and has_limit:
            raise ValueError(
                "agreement_share and agreement_threshold say which clips agree, and agreement is none: set it to "
                "ignore or positives, or leave them out"
            )
        if self.agreement != "none" and self.queue_clips_per_film is not None:
            raise ValueError(
                "agreement compares the clips of a batch by the trained encoders, and queue_clips_per_film makes all "
                "candidates keys of another encoder: leave one of them out"
            )
        return self

    @property
    def views(self) -> int:
        """The number of times that each clip is augmented and encoded."""
        return 2 if self.within_modal_weight else 1

    def compute_cross_film_weight(self, step: int) -> float:
        """Return the weight of other films at a step, interpolated between the points of the schedule."""
        last_step, weight = 0, self.cross_film_weight
        for point in self.cross_film_schedule:
            if step < point.at_step:
                share = (step - last_step) / (point.at_step - last_step)
                return weight + share * (point.cross_film_weight - weight)
            last_step, weight = point.at_step, point.cross_film_weight
        return weight
