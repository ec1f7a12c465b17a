"""The protocol of a measurement on a labelled data set: every choice, with the usual published value as default."""

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from talkies.config import Config, apply_overrides, check
from talkies.core import Modality, UsageError, suggest_nearest
from talkies.evaluation.transfer.schedules import (
    AVID_HMDB51,
    AVID_UCF101,
    CRISSCROSS_HMDB51,
    CRISSCROSS_UCF101,
    Count,
    FineTuning,
)

Positive = Annotated[float, Field(gt=0)]


class ZeroShotOptions(Config):
    """How classes are put into words: `templates` are sentences with `{}` where the name of the class goes.

    Without them, pictures and sounds have lists of their own.
    """

    templates: tuple[str, ...] | None = None

    @field_validator("templates")
    @classmethod
    def _check_templates(cls, templates: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if templates is not None and not templates:
            raise ValueError("there must be one template or more")
        for template in templates or ():
            if template.count("{}") != 1 or template.replace("{}", "").count("{"):
                raise ValueError(f"a template has {{}} once, where the class goes, got '{template}'")
        return templates


class DataOptions(Config):
    """Options of single data sets.

    For a folder of classes, `group` is a regular expression whose first group finds the source in a file's name (each
    source is left out once); without it there are `folds` stratified folds. `subset` is AudioSet's: `20k` or `2m`.
    `tower` measures only video or only audio of a data set that has both.
    """

    group: str | None = None
    folds: Annotated[int, Field(ge=2, le=100)] | None = None
    subset: Literal["20k", "2m"] | None = None
    tower: Modality | None = None


class Protocol(Config):
    """How transfer is measured.

    `linear` and `knn` are probes on frozen features, `finetune` trains all weights, and `zeroshot` learns nothing: it
    compares embeddings with those of the classes' names, for models that have words. An encoder gets `clips` windows of
    each clip, each in 1 or 3 square `crops`; `frames`, `fps`, `size` and `audio_seconds` are the run's own if not set.
    `classifier` is a linear SVM or a logistic regression on standardised features; its C, or the number of neighbours,
    is selected from the grid by cross-validation with `inner_folds` folds, on the training clips only.
    """

    method: Literal["linear", "knn", "finetune", "zeroshot"] = "linear"
    clips: Count = 10
    crops: Literal[1, 3] = 1
    frames: Count | None = None
    fps: Annotated[int, Field(ge=1, le=120)] | None = None
    size: Annotated[int, Field(ge=16, le=1024)] | None = None
    audio_seconds: Annotated[float, Field(gt=0, le=60)] | None = None
    classifier: Literal["svm", "logistic"] = "svm"
    c_grid: tuple[Positive, ...] = (0.001, 0.01, 0.1, 1.0)
    neighbour_grid: tuple[Count, ...] = (1, 5, 10, 20)
    inner_folds: Annotated[int, Field(ge=2, le=20)] = 3
    solver: Literal["auto", "scikit-learn", "torch"] = "auto"
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = (0,)
    baselines: bool = True
    drop_overlap: bool = False
    finetune: FineTuning = FineTuning()
    zeroshot: ZeroShotOptions = ZeroShotOptions()
    data: DataOptions = DataOptions()

    @model_validator(mode="after")
    def _check_grids(self) -> Self:
        for name in ("c_grid", "neighbour_grid", "seeds"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ValueError(f"{name} must hold one value or more, each once, got {list(values)}")
        return self


_FRAMES_32 = {"method": "finetune", "frames": 32, "fps": 16, "clips": 10}

PROTOCOLS: dict[str, dict[str, object]] = {
    "linear": {"method": "linear"},
    "linear-3-crops": {"method": "linear", "crops": 3},
    "knn": {"method": "knn"},
    "finetune": {**_FRAMES_32, "size": 112},
    "finetune-224": {**_FRAMES_32, "size": 224, "crops": 3, "finetune": {"activation_checkpointing": True}},
    "finetune-avid": {**_FRAMES_32, "size": 224, "finetune": AVID_UCF101},
    "finetune-avid-hmdb51": {**_FRAMES_32, "size": 224, "finetune": AVID_HMDB51},
    "finetune-crisscross": {**_FRAMES_32, "size": 224, "finetune": CRISSCROSS_UCF101},
    "finetune-crisscross-hmdb51": {**_FRAMES_32, "size": 224, "finetune": CRISSCROSS_HMDB51},
    "finetune-audio": {"method": "finetune"},
    "finetune-own": {"method": "finetune"},
    "zeroshot": {"method": "zeroshot", "clips": 4},
}
"""Protocols by name; `--set` changes single values."""


def resolve_protocol(name: str, overrides: Iterable[str] = ()) -> Protocol:
    """Return a named protocol with some values changed.

    Args:
        name: one of `PROTOCOLS`.
        overrides: texts `key=value`.

    Raises:
        UsageError: if there is no such protocol, key or value.
    """
    if name not in PROTOCOLS:
        raise UsageError(f"no protocol '{name}'{suggest_nearest(name, PROTOCOLS)}; there are: {', '.join(PROTOCOLS)}")
    return check(Protocol, apply_overrides(PROTOCOLS[name], overrides, Protocol), f"protocol {name}")
