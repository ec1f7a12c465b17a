"""The `protocol` part of a result: every decision of a measurement, what was used of the data, and chance levels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from talkies.evaluation.datasets import DataSet, Split
from talkies.evaluation.transfer.classifier import uses_bf16
from talkies.evaluation.transfer.extract import ExtractedFeatures
from talkies.evaluation.transfer.features import Features, TowerFeatures
from talkies.evaluation.transfer.protocol import Protocol
from talkies.evaluation.transfer.schedules import FineTuning
from talkies.evaluation.transfer.scoring import MIN_CLASSES_FOR_TOP5, list_metric_prefixes
from talkies.evaluation.transfer.zeroshot import CLASS_NAMES, choose_templates, make_readable

# These words are part of results, and of the names of their files: a change gives the same measurement a new name.
_CLASSIFIERS = {
    "svm": "linear SVM (squared hinge, L2, one against the rest) on standardised features",
    "logistic": "logistic regression (L2) on standardised features",
}
_FOLDS = "the published folds of the training side, or else {} folds of it with each source in one; by windows"


def describe_protocol(protocol: Protocol, features: Features, data: DataSet) -> dict[str, Any]:
    """Return how clips were sampled, trained on and scored."""
    description = _describe_input(protocol, features, data)
    description |= {name: value for name, value in protocol.data.model_dump().items() if value is not None}
    description |= _describe_method(protocol, features, data)
    if protocol.method in ("linear", "knn"):
        has_validation = any(split.select for split in data.splits)
        description["setting_chosen_on"] = (
            "the validation list" if has_validation else _FOLDS.format(protocol.inner_folds)
        )
    return description | {
        "learnt_from": "nothing" if protocol.method == "zeroshot" else "the training list alone",
        "score_of_a_clip": "mean of its windows' scores; mean over seeds of what a clip gets",
        "short_clips": "begin again until they fill a window",
    }


def describe_data(
    data: DataSet, extracted: ExtractedFeatures, splits: Sequence[Split], dropped: int, *, learns: bool = True
) -> dict[str, Any]:
    """Return what was used of the data, and the chance level.

    Chance is the accuracy of always naming the majority class, or, if nothing is learnt, of any class as good as
    another.

    Args:
        data: the data set.
        extracted: which clips could be used.
        splits: the splits without clips that could not be used.
        dropped: how many training clips were removed because of leakage.
        learns: whether the method learns from the training clips.
    """
    published = data.published.examples if data.published else None
    listed = max(len(data.examples), published or 0)
    unusable = sorted(extracted.unusable.items())
    description: dict[str, Any] = {
        "clips_listed": len(data.examples),
        "clips_used": len(extracted.features),
        "missing_share": 1 - len(extracted.features) / listed,
        "unfit": {data.examples[number].path: reason for number, reason in unusable},
        "dropped_for_overlap": dropped,
        "classes": len(data.classes),
        "splits": {split.name: [len(split.train), len(split.select), len(split.test)] for split in splits},
    }
    if data.multi_label:
        return description | {"chance": {}}

    prefixes = list_metric_prefixes(data).values()
    if learns:
        majority = float(np.mean([_compute_majority_accuracy(data, split) for split in splits]))
        levels = dict.fromkeys(("accuracy", "window_accuracy"), majority)
    else:
        levels = dict.fromkeys(("accuracy", "window_accuracy"), 1 / len(data.classes))
        if len(data.classes) >= MIN_CLASSES_FOR_TOP5:
            levels["top5_accuracy"] = 5 / len(data.classes)
    return description | {
        "chance": {f"{prefix}{metric}": level for prefix in prefixes for metric, level in levels.items()}
    }


def _describe_input(protocol: Protocol, features: Features, data: DataSet) -> dict[str, Any]:
    spec = features.clip_spec
    description: dict[str, Any] = {
        "method": protocol.method,
        "seeds": list(protocol.seeds),
        "clips": protocol.clips,
        "fps": spec.fps,
    }
    if "video" in data.modalities:
        description |= {
            "frames": spec.frames,
            "short_side": spec.short_side,
            "size": spec.size,
            "crops": protocol.crops,
        }
    if "audio" in data.modalities:
        description |= {"audio_seconds": spec.audio_seconds, "audio_rate_hz": spec.audio_rate_hz}
    return description


def _describe_method(protocol: Protocol, features: Features, data: DataSet) -> dict[str, Any]:
    match protocol.method:
        case "zeroshot":
            return {
                "classifier": "cosine with the unit mean of the class's texts, one for each template",
                "templates": {modality: list(choose_templates(protocol, modality)) for modality in data.modalities},
                "class_names": f"{CLASS_NAMES}: {', '.join(map(make_readable, data.classes[:3]))} …",
            }
        case "linear":
            is_decided = protocol.solver != "auto" or torch.cuda.is_available()
            return {
                "classifier": _CLASSIFIERS[protocol.classifier],
                "solver": protocol.solver if is_decided else "scikit-learn",
                "c_grid": list(protocol.c_grid),
            }
        case "knn":
            return {
                "classifier": "nearest neighbours by cosine, weighted by 1 / distance",
                "neighbour_grid": list(protocol.neighbour_grid),
            }
        case "finetune":
            finetune = _describe_finetuning(protocol.finetune)
            if not isinstance(features, TowerFeatures):
                return {"finetune": finetune}
            transforms = protocol.finetune.augmentation.apply(features.transforms)
            return {"finetune": finetune, "augmentation": transforms.model_dump(mode="json")}


def _describe_finetuning(options: FineTuning) -> dict[str, Any]:
    """Return the options that a result depends on; later ones only if they are not what was always done before."""
    elsewhere = {"memory_gb", "activation_checkpointing", "augmentation", "precision"}
    description = options.model_dump(mode="json", exclude=elsewhere)
    optimiser = description["optimiser"]
    optimiser["longest_gradient"] = optimiser.pop("max_grad_norm")  # documents keep their keys
    usual = FineTuning().model_dump(mode="json")
    for name in ("clips_per_epoch", "head_epochs", "milestones", "chunk_clips"):
        if description[name] == usual[name]:
            del description[name]
    if not options.milestones:
        del description["decay"]
    return description | ({"precision": "bf16-mixed"} if uses_bf16(options) else {})


def _compute_majority_accuracy(data: DataSet, split: Split) -> float:
    """Return the share of test clips that have the most frequent class of the training clips."""
    labels = [data.examples[number].labels[0] for number in split.train]
    majority = int(np.bincount(labels).argmax())
    return float(np.mean([data.examples[number].labels[0] == majority for number in split.test]))
