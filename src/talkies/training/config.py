"""The config of a run: every choice that decides what is trained, on what, and how."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from talkies.clips import ClipConfig, LoaderConfig, SamplingConfig
from talkies.config import Config
from talkies.core.precision import PrecisionName
from talkies.models import AdaptationConfig, ModelConfig
from talkies.objectives import ObjectiveConfig
from talkies.transforms import TransformConfig


class OptimiserConfig(Config):
    """The optimiser and its learning rate, which rises over `warmup_steps` and then falls to zero along a cosine.

    `kind` is AdamW (with `beta2`), SGD, or LARS for batches of thousands of clips (both with `momentum`). With
    `max_grad_norm`, a gradient whose norm is larger is scaled down to it.
    """

    renamed_keys: ClassVar[Mapping[str, str]] = {"longest_gradient": "max_grad_norm"}

    kind: Literal["adamw", "sgd", "lars"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    max_grad_norm: Annotated[float, Field(gt=0)] | None = None


class TrainingConfig(Config):
    """How long training lasts, from which seed it starts, and on which devices it runs.

    A checkpoint is written every `checkpoint_every` steps. The last `keep` are kept, and the best by `best_by`: the
    `last` one, or a logged number, averaged over the steps since the checkpoint before (the lowest loss, the highest
    accuracy). Such a number is one of training: how it ranks checkpoints depends on how hard the negatives were.

    `devices` train on each machine, each with its own share of the batch; under `torchrun`, its processes count. With
    `chunk_clips`, a device encodes this many clips at a time, twice, and all clips of the batch are still negatives of
    each other: gradient caching (Gao et al. 2021, arXiv:2101.06983). `activation_checkpointing` keeps fewer activations
    in memory and recomputes the others.

    With `sync_batch_norm` and several devices, batch norms compute their statistics over the clips of all devices.
    Before a checkpoint is written, the running statistics, with which films are encoded, are measured anew over the
    next `recalibration_batches` batches; with 0, they are what training left behind, averaged over devices.

    `precision` is float32 (`32-true`), TF32 on CUDA devices (`tf32`), or mixed precision with bfloat16 (`bf16-mixed`)
    on GPUs and CPUs that have bfloat16 arithmetic. `channels_last` is the memory format of convolutions.

    `ema_decay` also keeps a moving average of the weights, which then encodes films. `trackers` also receive everything
    that is logged.
    """

    dropped_keys: ClassVar[Mapping[str, str]] = {
        "cpu_convolutions": "it has no effect; PyTorch computes all convolutions"
    }

    steps: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0)] = 0
    log_every: Annotated[int, Field(ge=1)] = 1
    checkpoint_every: Annotated[int, Field(ge=1)] = 500
    keep: Annotated[int, Field(ge=1)] = 2
    best_by: Literal["last", "loss", "cross_entropy", "accuracy_within_film", "accuracy_which_film"] = (
        "accuracy_within_film"  # recipes take `last`; another default would change the digests of finished studies
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: Annotated[int, Field(ge=1)] = 1
    strategy: Literal["ddp", "fsdp"] = "ddp"
    precision: PrecisionName = "32-true"
    channels_last: bool = True
    compile: bool = False
    activation_checkpointing: bool = False
    sync_batch_norm: bool = True
    recalibration_batches: Annotated[int, Field(ge=0)] = 8
    chunk_clips: Annotated[int, Field(ge=2)] | None = None
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    trackers: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ("tensorboard",)


class RunConfig(Config):
    """A complete recipe: one section for each part of a run."""

    clip: ClipConfig
    sampling: SamplingConfig
    transforms: TransformConfig
    model: ModelConfig
    adaptation: AdaptationConfig = AdaptationConfig()
    objective: ObjectiveConfig
    optimiser: OptimiserConfig
    training: TrainingConfig
    loader: LoaderConfig

    @model_validator(mode="after")
    def _check_batch_divides(self) -> Self:
        if self.sampling.batch_clips % self.training.devices:
            raise ValueError(
                f"the {self.sampling.batch_clips} clips of a batch must divide among training.devices, "
                f"got {self.training.devices}"
            )
        return self

    @model_validator(mode="after")
    def _check_negatives_count(self) -> Self:
        """Refuse steps without any negative: one clip of each film, no queue, and no weight of other films."""
        clips_from = {0: self.sampling.clips_per_film} | {s.from_step: s.clips_per_film for s in self.sampling.schedule}
        for step in {*clips_from, *(point.at_step for point in self.objective.cross_film_schedule)}:
            clips = clips_from[max(first for first in clips_from if first <= step)]
            has_negatives = clips > 1 or self.objective.queue_clips_per_film is not None
            if not has_negatives and self.objective.compute_cross_film_weight(step) == 0:
                raise ValueError(
                    "with sampling.clips_per_film = 1 there are no within-film negatives, and with "
                    "objective.cross_film_weight = 0 no others count: set the weight to 1 for the usual random recipe"
                )
        return self

    @model_validator(mode="after")
    def _check_views_differ(self) -> Self:
        """Refuse to contrast two views of a clip that are the same."""
        views, needed = self.adaptation.views, self.objective.views
        if views is not None and needed > max(views, 1):
            raise ValueError(
                f"objective.within_modal_weight contrasts {needed} views of each clip, and adaptation.views is "
                f"{views}; "
                f"set it to at least {needed}, or the weight to 0"
            )
        return self

    @model_validator(mode="after")
    def _check_sound_is_of_the_same_moment(self) -> Self:
        near = self.objective.mask_nearer_than_seconds or self.objective.within_film_positives_seconds
        if near and self.sampling.positives_within_seconds:
            raise ValueError(
                "with sampling.positives_within_seconds a clip's sound is of another moment, so "
                "objective.mask_nearer_than_seconds and within_film_positives_seconds cannot measure how near it is: "
                "set one or the other to 0"
            )
        return self

    @model_validator(mode="after")
    def _check_time_can_be_measured(self) -> Self:
        objective, sampling = self.objective, self.sampling
        if sampling.positives_within_seconds and (objective.time_weighting != "none" or objective.recurrences):
            raise ValueError(
                "with sampling.positives_within_seconds a clip's sound is of another moment, so "
                "objective.time_weighting and objective.recurrences cannot tell which moments are near or the same: "
                "set sampling.positives_within_seconds to 0, or leave them out"
            )
        return self

    @model_validator(mode="after")
    def _check_queue_is_supported(self) -> Self:
        if self.objective.queue_clips_per_film is None:
            return self
        if self.training.strategy == "fsdp":
            raise ValueError(
                "objective.queue_clips_per_film keeps the weights of a second encoder on each device, and "
                "training.strategy is fsdp; set it to ddp, or leave the queue out"
            )
        if self.sampling.positives_within_seconds:
            raise ValueError(
                "with sampling.positives_within_seconds a clip's sound is of another moment, so which keys of "
                "objective.queue_clips_per_film show the moment of a query is unknown; leave one of them out"
            )
        return self

    @model_validator(mode="after")
    def _check_within_film_keys_have_negatives(self) -> Self:
        """Refuse to weigh negatives within films where no film ever gives two clips, and there is no queue."""
        if max(self.sampling.clip_counts) > 1 or self.objective.queue_clips_per_film is not None:
            return self
        for name in ("time_weighting", "within_film_weight"):
            value = getattr(self.objective, name)
            if value != ObjectiveConfig.model_fields[name].default:
                raise ValueError(
                    f"objective.{name} weighs negatives within films, and with sampling.clips_per_film = 1 there are "
                    f"none: raise sampling.clips_per_film, or leave the weight out"
                )
        return self

    @model_validator(mode="after")
    def _check_mask_leaves_negatives(self) -> Self:
        """Refuse a mask that covers the whole window in which a film's clips of a batch are placed."""
        window, mask = self.sampling.widest_window_seconds, self.objective.mask_nearer_than_seconds
        if window is not None and mask and mask >= window:
            raise ValueError(
                f"objective.mask_nearer_than_seconds must be under sampling.widest_window_seconds, got {mask:g} and "
                f"{window:g}: a film's clips would all be masked"
            )
        return self
