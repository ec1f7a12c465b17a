"""How all weights are fine-tuned, and the schedules that AVID and CrissCross published."""

from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from talkies.config import Config
from talkies.core import Int64s
from talkies.training import OptimiserConfig
from talkies.training.optimiser import compute_learning_rate
from talkies.transforms import TransformConfig, VideoTransformConfig

Count = Annotated[int, Field(ge=1, le=1000)]
_Probability = Annotated[float, Field(ge=0, le=1)]
_Strength = Annotated[float, Field(ge=0, le=4)]


class PictureAugmentation(Config):
    """The augmentation of pictures in fine-tuning: what is not set is the run's; the keys are `transforms.video`'s."""

    crop_area_min: Annotated[float, Field(gt=0, le=1)] | None = None
    crop_aspect_max: Annotated[float, Field(ge=1, le=4)] | None = None
    flip: _Probability | None = None
    brightness: _Strength | None = None
    contrast: _Strength | None = None
    saturation: _Strength | None = None
    hue: Annotated[float, Field(ge=0, le=0.5)] | None = None
    grey: _Probability | None = None

    def apply(self, transforms: TransformConfig) -> TransformConfig:
        """Return a run's transforms with this augmentation."""
        video = VideoTransformConfig(**transforms.video.model_dump() | self.model_dump(exclude_none=True))
        return TransformConfig(video=video, audio=transforms.audio)


_USUAL_OPTIMISER = {"kind": "adamw", "learning_rate": 5e-4, "weight_decay": 0.01}


class FineTuning(Config):
    """How all weights and a new linear layer are trained.

    An epoch sees `clips_per_epoch` random windows of each training clip. With `head_epochs`, only the linear layer
    learns at first, for so many epochs at a constant rate. In the `epochs` that follow all weights learn: the rate
    rises over `optimiser.warmup_steps` and falls to zero along a cosine. With `milestones` it falls in steps instead:
    it is multiplied by `decay` at the start of each of these epochs, counted from 0.

    `dropout` comes before the linear layer. `augmentation` replaces that of the run, key by key.

    A step learns from `batch_clips` windows. Three keys save memory: `precision` (`auto`: mixed with bfloat16 on CUDA
    devices that have it, otherwise float32), `activation_checkpointing` (a third more computation, identical numbers),
    and `chunk_clips`: so many windows are encoded at a time and their gradients added, which is the gradient of the
    whole batch, except that batch norms see chunks. Decoded clips are kept in memory up to `memory_gb`; the others are
    decoded again whenever a window of them is needed.
    """

    epochs: Count = 20
    batch_clips: Annotated[int, Field(ge=2, le=4096)] = 16
    optimiser: OptimiserConfig = OptimiserConfig.model_validate(_USUAL_OPTIMISER)
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    memory_gb: Annotated[float, Field(ge=0)] = 2.0
    clips_per_epoch: Count = 1
    head_epochs: Annotated[int, Field(ge=0, le=1000)] = 0
    milestones: tuple[Annotated[int, Field(ge=1, le=1000)], ...] = ()
    decay: Annotated[float, Field(gt=0, le=1)] = 0.1
    augmentation: PictureAugmentation = PictureAugmentation()
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    activation_checkpointing: bool = False
    chunk_clips: Annotated[int, Field(ge=2, le=4096)] | None = None

    @field_validator("optimiser", mode="before")
    @classmethod
    def _complete_optimiser(cls, optimiser: object) -> object:
        """Take what is not set from the optimiser of fine-tuning, not from that of pre-training."""
        return _USUAL_OPTIMISER | optimiser if isinstance(optimiser, dict) else optimiser

    @model_validator(mode="after")
    def _check_milestones(self) -> Self:
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"milestones must be epochs in ascending order, each once, got {list(self.milestones)}")
        return self


def plan_epoch(train_N: Int64s, clips_per_epoch: int, random: np.random.Generator) -> Int64s:
    """Return the examples of an epoch's windows in random order: each of `train_N` so many times."""
    order: Int64s = random.permutation(np.repeat(train_N, clips_per_epoch))
    return order


def compute_rate(step: int, steps_per_epoch: int, options: FineTuning) -> float:
    """Return the learning rate of a step, counted from 0, when all weights learn."""
    optimiser = options.optimiser
    if not options.milestones:
        return compute_learning_rate(step, options.epochs * steps_per_epoch, optimiser)
    passed = sum(milestone <= step // steps_per_epoch for milestone in options.milestones)
    rise = min(1.0, (step + 1) / max(1, optimiser.warmup_steps))
    return optimiser.learning_rate * rise * options.decay**passed


_AVID: dict[str, Any] = {
    "epochs": 16,
    "clips_per_epoch": 5,
    "head_epochs": 5,
    "batch_clips": 32,
    "optimiser": {"kind": "adamw", "learning_rate": 1e-4, "weight_decay": 0.0},
    "milestones": (6, 10, 14),
    "decay": 0.3,
    "dropout": 0.5,
    "augmentation": {
        "crop_area_min": 0.08,
        "crop_aspect_max": 4 / 3,
        "flip": 0.5,
        "brightness": 0.4,
        "contrast": 0.4,
        "saturation": 0.4,
        "hue": 0.2,
        "grey": 0.0,
    },
    "activation_checkpointing": True,
}
_CRISSCROSS: dict[str, Any] = {
    "epochs": 20,
    "clips_per_epoch": 10,
    "batch_clips": 32,
    "optimiser": {"kind": "sgd", "learning_rate": 7e-5, "weight_decay": 0.0, "momentum": 0.9},
    "milestones": (8, 12, 16),
    "decay": 0.3,
    "augmentation": _AVID["augmentation"] | {"grey": 0.2},
    "activation_checkpointing": True,
}

AVID_UCF101 = _AVID
"""AVID-CMA (Morgado, Vasconcelos and Misra 2021, arXiv:2004.12943), 32 frames, UCF101.

Read from github.com/facebookresearch/AVID-CMA at commit 4538e40: configs/benchmark/ucf/32at16-fold1.yaml (2 and 3 are
the same), eval-action-recg.py (five epochs of the classifier alone come first) and utils/main_utils.py (Adam with betas
0.9 and 0.999, which AdamW without weight decay is; MultiStepLR). Pictures are 32 at 16 a second and 224 px, tested on
ten windows and the middle crop.
"""
AVID_HMDB51 = _AVID | {
    "epochs": 10,
    "clips_per_epoch": 10,
    "milestones": (3, 6, 8),
    "augmentation": _AVID["augmentation"] | {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0},
}
"""The same on HMDB51: configs/benchmark/hmdb51/32at16-fold1.yaml."""

CRISSCROSS_UCF101 = _CRISSCROSS
"""CrissCross (Sarkar and Etemad 2023, arXiv:2111.05329), 32 frames, pre-trained on AudioSet, UCF101.

Read from github.com/pritamqu/CrissCross at commit 1fe8953:
crisscross/evaluate/configs/downstream/ucf101/audioset/full_ft_32f_fold1.yaml (2 and 3 are the same; no dropout),
evaluate/video/video_fullft.py and evaluate/utils.py. Its configs name two warm-up epochs, which its code does not read.
"""
CRISSCROSS_HMDB51 = _CRISSCROSS | {
    "optimiser": _CRISSCROSS["optimiser"] | {"learning_rate": 1e-4},
    "milestones": (6, 10, 14),
    "decay": 0.1,
    "dropout": 0.5,
}
"""The same on HMDB51: configs/downstream/hmdb51/audioset/full_ft_32f_fold1.yaml.

It names the transform `strong_tc`, which the published code does not have; its settings are those of `strong`.
"""
