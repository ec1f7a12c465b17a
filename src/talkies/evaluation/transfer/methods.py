"""How transfer is measured: a method that trains on a split and scores its test clips; here, probes on frozen features.

Shapes: `N` examples, `V` windows of each, `E` features, `K` classes.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from talkies.core import Int64s, Modality
from talkies.evaluation.datasets import DataSet, Split
from talkies.evaluation.transfer.extract import ExtractedFeatures
from talkies.evaluation.transfer.probes import ClipScores, LabelledFeatures, fit_and_score
from talkies.evaluation.transfer.protocol import Protocol

FeatureChoice = Modality | Literal["joint"]
"""The features that are used: of one modality, or of both, concatenated."""


class TransferMethod(ABC):
    """A way to train on the training clips of a split and to score its test clips."""

    @abstractmethod
    def fit_and_score(self, choice: FeatureChoice, split: Split, seed: int) -> ClipScores:
        """Return the scores of a split's test clips, after training on its training clips."""


class FrozenProbe(TransferMethod):
    """A linear classifier or nearest neighbours on frozen features."""

    def __init__(self, data: DataSet, extracted: ExtractedFeatures, protocol: Protocol) -> None:
        self._data, self._extracted, self._protocol = data, extracted, protocol

    def fit_and_score(self, choice: FeatureChoice, split: Split, seed: int) -> ClipScores:
        """Return the scores of the test clips; hyperparameters are selected without them."""
        fit, test = self._collect_features(choice, split.train), self._collect_features(choice, split.test)
        select = self._collect_features(choice, split.select) if split.select else None
        return fit_and_score(fit, test, len(self._data.classes), self._protocol, seed=seed, select=select)

    def _collect_features(self, choice: FeatureChoice, numbers: Sequence[int]) -> LabelledFeatures:
        modalities = [modality for modality in self._data.modalities if choice in (modality, "joint")]
        features = [
            torch.cat([self._extracted.features[number][modality] for modality in modalities], dim=1)
            for number in numbers
        ]
        return LabelledFeatures(
            torch.stack(features).numpy(),
            collect_labels(self._data, numbers),
            np.array([self._data.examples[number].source for number in numbers]),
            find_published_folds(numbers, self._data.splits),
        )


def collect_labels(data: DataSet, numbers: Sequence[int]) -> Int64s:
    """Return the labels `[N]` of some examples, or `[N, K]` of 0 and 1 for a multi-label data set."""
    examples = [data.examples[number] for number in numbers]
    if not data.multi_label:
        return np.array([example.labels[0] for example in examples], np.int64)
    label_NK = np.zeros((len(numbers), len(data.classes)), np.int64)
    for row, example in enumerate(examples):
        label_NK[row, list(example.labels)] = 1
    return label_NK


def find_published_folds(numbers: Sequence[int], splits: Sequence[Split]) -> Int64s | None:
    """Return the published fold `[N]` of some examples, or None if the splits are not folds.

    Splits are folds if there are three or more, and each example is tested exactly once.
    """
    fold_of_example = {number: index for index, split in enumerate(splits) for number in split.test}
    tested = sum(len(split.test) for split in splits)
    are_folds = len(splits) >= 3 and tested == len(fold_of_example)
    if not are_folds or not all(number in fold_of_example for number in numbers):
        return None
    return np.array([fold_of_example[number] for number in numbers], np.int64)
