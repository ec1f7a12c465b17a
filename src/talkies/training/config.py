"""All that decides a run."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from talkies.clips import ClipConfig, LoaderConfig, SamplingConfig
from talkies.config import Config
from talkies.models import ModelConfig
from talkies.objectives import ObjectiveConfig
from talkies.transforms import TransformConfig


class OptimiserConfig(Config):
    """AdamW; the learning rate rises over `warmup_steps` and then falls to zero along a cosine."""

    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    warmup_steps: Annotated[int, Field(ge=0)] = 0


class TrainingConfig(Config):
    """How long, from which seed, on what; checkpoints each `checkpoint_every` steps, of which `keep` stay."""

    steps: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0)] = 0
    log_every: Annotated[int, Field(ge=1)] = 10
    checkpoint_every: Annotated[int, Field(ge=1)] = 500
    keep: Annotated[int, Field(ge=1)] = 2
    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: Annotated[int, Field(ge=1)] = 1
    precision: Literal["32-true", "bf16-mixed"] = "32-true"


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
    def _there_is_something_to_learn(self) -> Self:
        if self.sampling.batch_clips % self.training.devices:
            raise ValueError(
                f"the {self.sampling.batch_clips} clips of a batch must divide among training.devices, "
                f"got {self.training.devices}"
            )
        if 1 in self.sampling.clip_counts and self.objective.cross_film_weight == 0:
            raise ValueError(
                "with sampling.clips_per_film = 1 there are no within-film negatives, and with "
                "objective.cross_film_weight = 0 no others count: set the weight to 1 for the usual random recipe"
            )
        return self
