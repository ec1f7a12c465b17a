"""Metrics of a transfer method: its scores on every split and seed, turned into accuracies with intervals.

Shapes: `N` examples, `V` windows of each, `K` classes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score

from talkies.core import Float64s, Int64s
from talkies.evaluation.datasets import DataSet, Split
from talkies.evaluation.results.detectable import Detectable, compare_clips, compare_values
from talkies.evaluation.results.result import Metric
from talkies.evaluation.transfer.methods import FeatureChoice, TransferMethod, collect_labels
from talkies.evaluation.transfer.probes import ClipScores, compute_accuracy
from talkies.evaluation.transfer.protocol import Protocol

MIN_CLASSES_FOR_TOP5 = 11

Scores = dict[str, list[Float64s]]
"""By metric and split the scores of the test clips, or of a multi-label data set a single number."""


def list_metric_prefixes(data: DataSet) -> dict[FeatureChoice, str]:
    """Return the prefix of the metrics' names for each choice of features: either modality, or both joined."""
    if len(data.modalities) == 1:
        return {data.modalities[0]: ""}
    choices: tuple[FeatureChoice, ...] = (*data.modalities, "joint")
    return {choice: f"{choice}_" for choice in choices}


def count_fits(data: DataSet, splits: Sequence[Split], protocol: Protocol) -> int:
    """Return how many times `score_method` trains."""
    return len(list_metric_prefixes(data)) * len(splits) * len(protocol.seeds)


def score_method(
    data: DataSet, splits: Sequence[Split], protocol: Protocol, method: TransferMethod, on_fit: Callable[[str], None]
) -> tuple[Scores, dict[str, Any]]:
    """Return the scores of a method by metric and split, and the values that it chose in training.

    A clip counts with its mean over seeds: more seeds are no further evidence on the test clips, and do not make an
    interval narrower.

    Args:
        data: the data set.
        splits: the splits to train and test on.
        protocol: gives the seeds.
        method: what trains and scores.
        on_fit: called after each training with the features and split in words.
    """
    folds: Scores = {}
    chosen: dict[str, list[Any]] = {}
    for choice, prefix in list_metric_prefixes(data).items():
        for split in splits:
            label_N = collect_labels(data, split.test)
            by_seed: dict[str, list[Float64s]] = {}
            for seed in protocol.seeds:
                scores = method.fit_and_score(choice, split, seed)
                for metric, values in _score_clips(data, scores, label_N).items():
                    by_seed.setdefault(metric, []).append(values)
                for setting, value in scores.chosen.items():
                    chosen.setdefault(f"{choice} {setting}", []).append(value)
                on_fit(f"{choice}, {split.name}")
            for metric, seeds in by_seed.items():
                folds.setdefault(prefix + metric, []).append(np.mean(seeds, axis=0))
    return folds, chosen


def summarise_scores(data: DataSet, scores: Scores) -> dict[str, Metric]:
    """Return the metrics of the scores of all splits."""
    return {metric: _summarise_folds(data, folds) for metric, folds in scores.items()}


def compare_scores(data: DataSet, measured: Scores, baseline: Scores) -> dict[str, Detectable]:
    """Return by metric how large a difference from a baseline could have been seen."""
    if data.multi_label:
        numbers = {name: [float(fold[0]) for fold in folds] for name, folds in measured.items()}
        return {name: compare_values(own, [float(fold[0]) for fold in baseline[name]]) for name, own in numbers.items()}
    return {name: compare_clips(folds, baseline[name]) for name, folds in measured.items()}


def _score_clips(data: DataSet, scores: ClipScores, label_N: Int64s) -> dict[str, Float64s]:
    """Return the accuracies of each test clip; of a multi-label data set a single number, mean average precision."""
    if data.multi_label:
        means_NK = scores.scores_NVK.mean(1)
        has_both_K = label_N.any(0) & ~label_N.all(0)
        value = average_precision_score(label_N[:, has_both_K], means_NK[:, has_both_K], average="macro")
        return {"mean_average_precision": np.array([value])}

    top1 = compute_accuracy(scores.scores_NVK, label_N)
    metrics = {"accuracy": top1["clip"], "window_accuracy": top1["window"]}
    if len(data.classes) >= MIN_CLASSES_FOR_TOP5:
        metrics["top5_accuracy"] = compute_accuracy(scores.scores_NVK, label_N, k=5)["clip"]
    return metrics


def _summarise_folds(data: DataSet, folds: Sequence[Float64s]) -> Metric:
    """Return the metric over folds, each of the values of its test clips, or of a single number."""
    if data.multi_label:
        return Metric.of([float(fold[0]) for fold in folds], 0.0, 1.0)
    return Metric.of_folds(folds)
