"""How a representation is measured on a labelled data set: every choice, each with its published default."""

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from talkies.config import Config, apply_overrides, check
from talkies.core import UsageError, suggest_nearest
from talkies.training import OptimiserConfig

Count = Annotated[int, Field(ge=1, le=1000)]
Positive = Annotated[float, Field(gt=0)]


class FineTuning(Config):
    """Every weight is learnt on, with a new linear layer: `epochs` over the training clips, one random window of each.

    The learning rate rises over `optimiser.warmup_steps` and falls to zero along a cosine. `dropout` is before the
    layer. Clips are kept in memory as they were decoded, up to `memory_gb`; the others are decoded again.
    """

    epochs: Count = 20
    batch_clips: Annotated[int, Field(ge=2, le=4096)] = 16
    optimiser: OptimiserConfig = OptimiserConfig(kind="adamw", learning_rate=5e-4, weight_decay=0.01)
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    memory_gb: Annotated[float, Field(ge=0)] = 2.0


class DataOptions(Config):
    """What a data set leaves open.

    Of a folder of classes: `group` is a regular expression whose first group tells from a file's name what it belongs
    to (each is left out once), and without it there are so many `folds`. `subset` is AudioSet's: `20k` or `2m`.
    `tower` looks at one of pictures and sound where there are both.
    """

    group: str | None = None
    folds: Annotated[int, Field(ge=2, le=100)] | None = None
    subset: Literal["20k", "2m"] | None = None
    tower: Literal["video", "audio"] | None = None


class Protocol(Config):
    """A way to measure.

    `linear` and `knn` learn on frozen features, `finetune` on all weights. Of each clip `clips` windows are looked at,
    in 1 or 3 square `crops`; `frames`, `fps`, `size` and `audio_seconds` are the run's own where they say nothing.
    `classifier` is a linear SVM or a logistic regression on standardised features; its C, or the number of neighbours,
    is chosen from the grid by `inner_folds`-fold cross-validation on the training clips alone.
    """

    method: Literal["linear", "knn", "finetune"] = "linear"
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
    data: DataOptions = DataOptions()

    @model_validator(mode="after")
    def _something_to_choose_from(self) -> Self:
        for name in ("c_grid", "neighbour_grid", "seeds"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ValueError(f"{name} must hold one value or more, each once, got {list(values)}")
        return self


PROTOCOLS: dict[str, dict[str, object]] = {
    "linear": {"method": "linear"},
    "linear-3-crops": {"method": "linear", "crops": 3},
    "knn": {"method": "knn"},
    "finetune": {"method": "finetune", "frames": 32, "fps": 16, "size": 112, "clips": 10},
    "finetune-224": {"method": "finetune", "frames": 32, "fps": 16, "size": 224, "clips": 10, "crops": 3},
    "finetune-audio": {"method": "finetune"},
}
"""Protocols by name; `--set` changes single values of one."""


def resolve_protocol(name: str, overrides: Iterable[str] = ()) -> Protocol:
    """Return a named protocol with single values changed, `key=value` each.

    Raises:
        UsageError: if there is no such protocol, key or value.
    """
    if name not in PROTOCOLS:
        raise UsageError(f"no protocol '{name}'{suggest_nearest(name, PROTOCOLS)}; there are: {', '.join(PROTOCOLS)}")
    return check(Protocol, apply_overrides(PROTOCOLS[name], overrides, Protocol), f"protocol {name}")
