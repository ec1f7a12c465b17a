"""Transfer to a labelled data set: a classifier on frozen features, learnt and tested on the published splits.

Shapes: `N` examples, `V` windows of each, `E` features, `K` classes.
"""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score

from talkies.core import UsageError, plural
from talkies.evaluation.datasets import DataSet, Split
from talkies.evaluation.datasets.dataset import check_published
from talkies.evaluation.extract import Extracted, OnClip, extract_all, towers_of
from talkies.evaluation.features import Features
from talkies.evaluation.finetune import FineTuner
from talkies.evaluation.learners import Learner, Probe, labels_of
from talkies.evaluation.overlap import checked_splits
from talkies.evaluation.probes import Labels, Scores, accuracy
from talkies.evaluation.protocol import Protocol
from talkies.evaluation.results import Metric, Result

_CLASSIFIERS = {
    "svm": "linear SVM (squared hinge, L2, one against the rest) on standardised features",
    "logistic": "logistic regression (L2) on standardised features",
}


def check_complete(data: DataSet, unfit: dict[int, str], allow_missing: bool) -> None:
    """Do nothing if every listed clip is there and can be used, or if some may be missing.

    Raises:
        UsageError: with how many, and the first by name; or if nothing is left at all.
    """
    listed, absent = len(data.examples), len(data.absent)
    if absent + len(unfit) >= listed:
        first = (
            next(iter(unfit.values()), None) or f"{data.path_of(0)} is not there" if listed else "its lists are empty"
        )
        raise UsageError(f"{data.name} in {data.root} has no clip that can be used: {first}")
    if allow_missing:
        return
    if absent:
        first_absent = data.examples[min(data.absent)].path
        raise UsageError(
            f"{data.root} lacks {absent} of the {plural(listed, 'clip')} of {data.name}, {first_absent} first; fetch "
            f"what is missing, or give --allow-missing to go on without"
        )
    if unfit:
        number = min(unfit)
        raise UsageError(
            f"{len(unfit)} of the {plural(listed, 'clip')} of {data.name} cannot be used, {data.examples[number].path} "
            f"first: {unfit[number]}; fetch them again, or give --allow-missing to go on without"
        )


def transfer(
    data: DataSet,
    arms: Sequence[Features],
    protocol: Protocol,
    *,
    store: Path | None = None,
    allow_missing: bool = False,
    on_clip: OnClip | None = None,
) -> Result:
    """Return how well each arm's features tell the classes: the first is what is measured, the others are baselines.

    `store` is where features are kept. With two towers, pictures, sound and both joined are measured apart.

    Raises:
        UsageError: if the data are not complete, leak from test to training, or no encoder speaks to them.
    """
    if not allow_missing:
        check_published(data)
    check_complete(data, {}, allow_missing)
    measured: dict[str, dict[str, Metric]] = {}
    chosen: dict[str, Any] = {}
    learners, found = _learners(data, arms, protocol, store, on_clip)
    check_complete(data, found.unfit, allow_missing)
    splits, dropped = checked_splits(data, found.hashes, protocol.drop_overlap)
    usable = _usable(splits, found)
    for arm, learner in zip(arms, learners, strict=True):
        measured[arm.name], chosen[arm.name] = _measured(data, usable, protocol, learner)
    first, *others = measured
    return Result(
        task=data.name,
        protocol=_protocol(protocol, arms[0], data) | _facts(data, found, usable, dropped) | {"chosen": chosen},
        metrics=measured[first],
        baselines={name: measured[name] for name in others},
        hashes={f"weights of {arm.name}": arm.stamp for arm in arms} | data.hashes_of_lists() | _clips_hash(found),
    )


def _learners(
    data: DataSet, arms: Sequence[Features], protocol: Protocol, store: Path | None, on_clip: OnClip | None
) -> tuple[list[Learner], Extracted]:
    """Return what learns from each arm, and what was found of the clips: which can be used is the same for all."""
    if protocol.method != "finetune":
        founds = extract_all(data, arms, protocol, store, on_clip)
        return [Probe(data, found, protocol) for found in founds], founds[0]
    first = FineTuner(data, arms[0], protocol)
    shared = {arms[0].look: first.clips}  # read once for all that are shown alike
    tuners = [FineTuner(data, arm, protocol, shared.get(arm.look)) for arm in arms]
    return [*tuners], first.clips.read_all(on_clip)


def _usable(splits: Sequence[Split], found: Extracted) -> tuple[Split, ...]:
    def only(numbers: Sequence[int]) -> tuple[int, ...]:
        return tuple(number for number in numbers if number in found.rows)

    kept = tuple(Split(split.name, only(split.train), only(split.test), only(split.select)) for split in splits)
    for split in kept:
        if not split.train or not split.test:
            raise UsageError(f"{split.name} has no clip left to {'learn from' if not split.train else 'test on'}")
    return kept


def _measured(
    data: DataSet, splits: Sequence[Split], protocol: Protocol, learner: Learner
) -> tuple[dict[str, Metric], dict[str, Any]]:
    """Return the metrics, and the setting that was chosen, over all splits and seeds."""
    values: dict[str, list[npt.NDArray[np.float64]]] = {}
    chosen: dict[str, list[Any]] = {}
    for name in _joint(towers_of(data)):
        for seed in protocol.seeds:
            for split in splits:
                scores = learner.scores(name, split, seed)
                for metric, each in _judged(data, scores, labels_of(data, split.test)).items():
                    values.setdefault(f"{name}_{metric}" if data.modality == "both" else metric, []).append(each)
                for setting, value in scores.chosen.items():
                    chosen.setdefault(f"{name} {setting}", []).append(value)
    return {name: metric_of(parts) for name, parts in values.items()}, chosen


def metric_of(parts: Sequence[npt.NDArray[np.float64]]) -> Metric:
    """Return the metric of what each split and seed gave for its test clips: over these means, or of the only one."""
    if len(parts) == 1 and len(parts[0]) > 1:
        return Metric.of_share(float(parts[0].sum()), len(parts[0]))
    return Metric.of([float(part.mean()) for part in parts])


def _judged(data: DataSet, scores: Scores, label_N: Labels) -> dict[str, npt.NDArray[np.float64]]:
    """Return what each test clip got; of a data set with several labels a clip, one number over all: mAP."""
    if data.multi_label:
        means_NK = scores.scores_NVK.mean(1)
        seen = label_N.any(0) & ~label_N.all(0)
        value = average_precision_score(label_N[:, seen], means_NK[:, seen], average="macro")
        return {"mean_average_precision": np.array([value])}
    found = accuracy(scores.scores_NVK, label_N)
    told = {"accuracy": found["video"], "window_accuracy": found["clip"]}
    if len(data.classes) > 10:
        told["top5_accuracy"] = accuracy(scores.scores_NVK, label_N, best=5)["video"]
    return told


def _joint(towers: Sequence[str]) -> tuple[str, ...]:
    return (*towers, "joint") if len(towers) == 2 else tuple(towers)


def _facts(data: DataSet, found: Extracted, splits: Sequence[Split], dropped: int) -> dict[str, Any]:
    """Return what was used of the data, and the chance level: always the commonest class of the training clips."""
    used = len(found.rows)
    missing = len(data.absent) + len(found.unfit)
    facts: dict[str, Any] = {
        "clips_listed": len(data.examples),
        "clips_used": used,
        "missing_share": missing / len(data.examples),
        "unfit": {data.examples[number].path: why for number, why in sorted(found.unfit.items())},
        "dropped_for_overlap": dropped,
        "classes": len(data.classes),
        "splits": {split.name: [len(split.train), len(split.select), len(split.test)] for split in splits},
    }
    if data.multi_label:
        return facts | {"chance": {}}
    level = float(np.mean([_commonest(data, split) for split in splits]))
    names = [f"{tower}_" for tower in _joint(towers_of(data))] if data.modality == "both" else [""]
    return facts | {"chance": {f"{name}{kind}": level for name in names for kind in ("accuracy", "window_accuracy")}}


def _commonest(data: DataSet, split: Split) -> float:
    labels = [data.examples[number].labels[0] for number in (*split.train, *split.select)]
    common = int(np.bincount(labels).argmax())
    return float(np.mean([data.examples[number].labels[0] == common for number in split.test]))


def _protocol(protocol: Protocol, features: Features, data: DataSet) -> dict[str, Any]:
    look = features.look
    own: dict[str, Any] = {"clips": protocol.clips, "method": protocol.method, "seeds": list(protocol.seeds)}
    if "video" in towers_of(data):
        own |= {"frames": look.frames, "fps": look.fps, "size": look.size, "crops": protocol.crops}
    if "audio" in towers_of(data):
        own |= {"audio_seconds": look.audio_seconds, "audio_rate_hz": look.audio_rate_hz}
    if protocol.method == "linear":
        own |= {"classifier": _CLASSIFIERS[protocol.classifier], "c_grid": list(protocol.c_grid)}
    if protocol.method == "knn":
        own |= {"classifier": "nearest neighbours by cosine", "neighbour_grid": list(protocol.neighbour_grid)}
    if protocol.method == "finetune":
        own |= {"finetune": protocol.finetune.model_dump(mode="json", exclude={"memory_gb"})}
    folds = (
        f"{protocol.inner_folds} folds of the training clips, each source in one"
        if len(data.splits) < 3
        else (
            "the published folds of the training side where each clip is tested once, "
            f"else {protocol.inner_folds} folds with each source in one"
        )
    )
    return own | {
        "setting_chosen_on": folds,
        "score_of_a_clip": "mean of its windows' scores",
        "short_clips": "begin again until they fill a window",
    }


def _clips_hash(found: Extracted) -> dict[str, str]:
    told = "".join(f"{number} {name}\n" for number, name in sorted(found.hashes.items()))
    return {"clips": blake2b(told.encode(), digest_size=8).hexdigest()}
