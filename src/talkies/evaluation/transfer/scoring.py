"""What a learner's scores are worth: metrics over folds, from what each test clip got.

Shapes: `N` examples, `V` windows of each, `K` classes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score

from talkies.core import Float64s, Int64s
from talkies.evaluation.datasets import DataSet, Split
from talkies.evaluation.results.result import Metric
from talkies.evaluation.transfer.extract import towers_of
from talkies.evaluation.transfer.learners import Learner, labels_of
from talkies.evaluation.transfer.probes import Scores, accuracy
from talkies.evaluation.transfer.protocol import Protocol


def measures_of(data: DataSet) -> dict[str, str]:
    """Return what is measured apart, each with what its metrics' names begin with: of two towers either, and both."""
    towers = towers_of(data)
    return {towers[0]: ""} if len(towers) == 1 else {name: f"{name}_" for name in (*towers, "joint")}


def fits_of(data: DataSet, splits: Sequence[Split], protocol: Protocol) -> int:
    """Return how many times a learner learns."""
    return len(measures_of(data)) * len(splits) * len(protocol.seeds)


def measured(
    data: DataSet, splits: Sequence[Split], protocol: Protocol, learner: Learner, on_fit: Callable[[str], None]
) -> tuple[dict[str, Metric], dict[str, Any]]:
    """Return the metrics over all splits, of each clip the mean over seeds, and the settings that were chosen.

    Seeds are no further evidence on the test clips: they do not make an interval narrower.
    """
    metrics: dict[str, Metric] = {}
    chosen: dict[str, list[Any]] = {}
    for name, prefix in measures_of(data).items():
        folds: dict[str, list[Float64s]] = {}
        for split in splits:
            by_seed: dict[str, list[Float64s]] = {}
            for seed in protocol.seeds:
                scores = learner.scores(name, split, seed)
                for metric, each in _judged(data, scores, labels_of(data, split.test)).items():
                    by_seed.setdefault(metric, []).append(each)
                for setting, value in scores.chosen.items():
                    chosen.setdefault(f"{name} {setting}", []).append(value)
                on_fit(f"{name}, {split.name}")
            for metric, seeds in by_seed.items():
                folds.setdefault(metric, []).append(np.mean(seeds, axis=0))
        for metric, parts in folds.items():
            if data.multi_label:  # one number a split
                metrics[prefix + metric] = Metric.of([float(part[0]) for part in parts], 0.0, 1.0)
            else:
                metrics[prefix + metric] = Metric.of_folds(parts)
    return metrics, chosen


def _judged(data: DataSet, scores: Scores, label_N: Int64s) -> dict[str, Float64s]:
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
