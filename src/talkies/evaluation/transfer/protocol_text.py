"""The protocol of a measurement in words and numbers: all that was decided, what was used of the data, and chance."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from talkies.evaluation.datasets import DataSet, Split
from talkies.evaluation.transfer.extract import Extracted, towers_of
from talkies.evaluation.transfer.features import Features, TowerFeatures
from talkies.evaluation.transfer.protocol import Protocol
from talkies.evaluation.transfer.scoring import measures_of

_CLASSIFIERS = {
    "svm": "linear SVM (squared hinge, L2, one against the rest) on standardised features",
    "logistic": "logistic regression (L2) on standardised features",
}
_FOLDS = "the published folds of the training side, or else {} folds of it with each source in one; by windows"


def protocol_of(protocol: Protocol, features: Features, data: DataSet) -> dict[str, Any]:
    """Return how clips were looked at, learnt from and scored."""
    look, own = features.look, {"method": protocol.method, "seeds": list(protocol.seeds), "clips": protocol.clips}
    told: dict[str, Any] = {**own, "fps": look.fps}
    if "video" in towers_of(data):
        told |= {"frames": look.frames, "short_side": look.short_side, "size": look.size, "crops": protocol.crops}
    if "audio" in towers_of(data):
        told |= {"audio_seconds": look.audio_seconds, "audio_rate_hz": look.audio_rate_hz}
    told |= {name: value for name, value in protocol.data.model_dump().items() if value is not None}
    match protocol.method:
        case "linear":
            solver = protocol.solver if protocol.solver != "auto" or torch.cuda.is_available() else "scikit-learn"
            told |= {
                "classifier": _CLASSIFIERS[protocol.classifier],
                "solver": solver,
                "c_grid": list(protocol.c_grid),
            }
        case "knn":
            told |= {
                "classifier": "nearest neighbours by cosine, weighted by 1 / distance",
                "neighbour_grid": list(protocol.neighbour_grid),
            }
        case "finetune":
            told["finetune"] = protocol.finetune.model_dump(mode="json", exclude={"memory_gb"})
            if isinstance(features, TowerFeatures):
                told["augmentation"] = features.transforms.model_dump(mode="json")
    if protocol.method != "finetune":
        has_select = any(split.select for split in data.splits)
        told["setting_chosen_on"] = "the validation list" if has_select else _FOLDS.format(protocol.inner_folds)
    return told | {
        "learnt_from": "the training list alone",
        "score_of_a_clip": "mean of its windows' scores; mean over seeds of what a clip gets",
        "short_clips": "begin again until they fill a window",
    }


def facts_of(data: DataSet, found: Extracted, splits: Sequence[Split], dropped: int) -> dict[str, Any]:
    """Return what was used of the data, and the chance level: always the commonest class of the training clips."""
    there = data.published.examples if data.published else None
    listed = max(len(data.examples), there or 0)
    facts: dict[str, Any] = {
        "clips_listed": len(data.examples),
        "clips_used": len(found.rows),
        "missing_share": 1 - len(found.rows) / listed,
        "unfit": {data.examples[number].path: why for number, why in sorted(found.unfit.items())},
        "dropped_for_overlap": dropped,
        "classes": len(data.classes),
        "splits": {split.name: [len(split.train), len(split.select), len(split.test)] for split in splits},
    }
    if data.multi_label:
        return facts | {"chance": {}}
    level = float(np.mean([_commonest(data, split) for split in splits]))
    kinds = ("accuracy", "window_accuracy")
    return facts | {"chance": {f"{name}{kind}": level for name in measures_of(data).values() for kind in kinds}}


def _commonest(data: DataSet, split: Split) -> float:
    labels = [data.examples[number].labels[0] for number in split.train]
    common = int(np.bincount(labels).argmax())
    return float(np.mean([data.examples[number].labels[0] == common for number in split.test]))
