"""All that decides a run."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from talkies.clips import ClipConfig, LoaderConfig, SamplingConfig
from talkies.config import Config
from talkies.models import ModelConfig
from talkies.objectives import ObjectiveConfig
from talkies.transforms import TransformConfig


class OptimiserConfig(Config):
    """The learning rate rises over `warmup_steps` and then falls to zero along a cosine.

    `kind` is AdamW (with `beta2`), SGD, or LARS for batches of thousands (both with `momentum`). Where given, longer
    gradients are cut to `longest_gradient`.
    """

    kind: Literal["adamw", "sgd", "lars"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    longest_gradient: Annotated[float, Field(gt=0)] | None = None


class TrainingConfig(Config):
    """How long, from which seed, on what.

    Checkpoints are written each `checkpoint_every` steps; the `keep` last stay, and the best by `best_by`, a number of
    the log averaged over the steps since the checkpoint before (a loss: the lowest, an accuracy: the highest).

    `devices` train on each machine, each with its own share of the batch (under `torchrun`, its processes do). With
    `chunk_clips` a device encodes so many clips at a time, twice, and still all clips of the batch are each other's
    negatives: gradient caching (Gao et al. 2021, arXiv:2101.06983). `activation_checkpointing` keeps less in memory
    and computes it again. `cpu_convolutions` says how a CPU computes those of R(2+1)D-18: `winograd` takes fewer
    multiplications, and a C++ compiler once. `sync_batch_norm` takes the statistics over all devices. `ema_decay`
    also keeps a moving average of the weights, which then is what encodes films. `trackers` are told all that is
    logged.
    """

    steps: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0)] = 0
    log_every: Annotated[int, Field(ge=1)] = 1
    checkpoint_every: Annotated[int, Field(ge=1)] = 500
    keep: Annotated[int, Field(ge=1)] = 2
    best_by: Literal["loss", "cross_entropy", "accuracy_within_film", "accuracy_which_film"] = "accuracy_within_film"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: Annotated[int, Field(ge=1)] = 1
    strategy: Literal["ddp", "fsdp"] = "ddp"
    precision: Literal["32-true", "tf32", "bf16-mixed"] = "32-true"
    channels_last: bool = True
    compile: bool = False
    cpu_convolutions: Literal["direct", "winograd"] = "direct"
    activation_checkpointing: bool = False
    sync_batch_norm: bool = False
    chunk_clips: Annotated[int, Field(ge=2)] | None = None
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    trackers: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ("tensorboard",)


class RunConfig(Config):
    """A complete recipe."""

    clip: ClipConfig
    sampling: SamplingConfig
    transforms: TransformConfig
    model: ModelConfig
    objective: ObjectiveConfig
    optimiser: OptimiserConfig
    training: TrainingConfig
    loader: LoaderConfig

    @model_validator(mode="after")
    def _the_batch_divides(self) -> Self:
        if self.sampling.batch_clips % self.training.devices:
            raise ValueError(
                f"the {self.sampling.batch_clips} clips of a batch must divide among training.devices, "
                f"got {self.training.devices}"
            )
        return self

    @model_validator(mode="after")
    def _there_is_something_to_learn(self) -> Self:
        """Refuse steps at which no negative counts: with one clip a film, and a weight of zero for other films."""
        clips_from = {0: self.sampling.clips_per_film} | {s.from_step: s.clips_per_film for s in self.sampling.schedule}
        for step in {*clips_from, *(point.at_step for point in self.objective.cross_film_schedule)}:
            clips = clips_from[max(begin for begin in clips_from if begin <= step)]
            if clips == 1 and self.objective.weight_at(step) == 0:
                raise ValueError(
                    "with sampling.clips_per_film = 1 there are no within-film negatives, and with "
                    "objective.cross_film_weight = 0 no others count: set the weight to 1 for the usual random recipe"
                )
        return self

    @model_validator(mode="after")
    def _moments_are_where_clips_are(self) -> Self:
        near = self.objective.mask_nearer_than_seconds or self.objective.within_film_positives_seconds
        if near and self.sampling.positives_within_seconds:
            raise ValueError(
                "with sampling.positives_within_seconds a clip's sound is of another moment, and "
                "objective.mask_nearer_than_seconds and within_film_positives_seconds cannot tell how near it is: set "
                "one or the other to 0"
            )
        return self

    @model_validator(mode="after")
    def _something_is_left_to_tell_apart(self) -> Self:
        """Refuse a mask that leaves the only positives and no negatives of a film that lies in a narrow window."""
        window, mask = self.sampling.widest_window_seconds, self.objective.mask_nearer_than_seconds
        if window is not None and mask and mask >= window:
            raise ValueError(
                f"objective.mask_nearer_than_seconds must be under sampling.widest_window_seconds, got {mask:g} and "
                f"{window:g}: a film's clips would all be masked"
            )
        return self
