"""What learns the classes of a data set: here, classifiers on frozen features.

Shapes: `N` examples, `V` windows of each, `E` features, `K` classes.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch

from talkies.core import Int64s
from talkies.evaluation.datasets import DataSet, Split
from talkies.evaluation.transfer.extract import Extracted, towers_of
from talkies.evaluation.transfer.probes import Labelled, Scores, fit_and_score
from talkies.evaluation.transfer.protocol import Protocol


class Learner(ABC):
    """Something that learns the classes of a data set's training clips, and scores its test clips."""

    @abstractmethod
    def scores(self, tower: str, split: Split, seed: int) -> Scores:
        """Return the scores of a split's test clips by what one tower, or both (`joint`), tells."""


class Probe(Learner):
    """A linear classifier or the nearest neighbours, on the features that were found."""

    def __init__(self, data: DataSet, found: Extracted, protocol: Protocol) -> None:
        self._data, self._found, self._protocol = data, found, protocol

    def scores(self, tower: str, split: Split, seed: int) -> Scores:
        """Return scores by one tower's features, or by both in a row; test clips have no say in the setting."""
        fit, test = self._labelled(tower, split.train), self._labelled(tower, split.test)
        select = self._labelled(tower, split.select) if split.select else None
        return fit_and_score(fit, test, len(self._data.classes), self._protocol, seed, select=select)

    def _labelled(self, name: str, numbers: Sequence[int]) -> Labelled:
        towers = [tower for tower in towers_of(self._data) if name in (tower, "joint")]
        rows = [torch.cat([self._found.rows[n][tower] for tower in towers], dim=1) for n in numbers]
        groups = np.array([self._data.examples[number].source for number in numbers])
        folds = folds_of(numbers, self._data.splits)
        return Labelled(torch.stack(rows).numpy(), labels_of(self._data, numbers), groups, folds)


def labels_of(data: DataSet, numbers: Sequence[int]) -> Int64s:
    """Return the labels `[N]` of examples, or `[N, K]` of 0 and 1 where there may be several."""
    examples = [data.examples[number] for number in numbers]
    if not data.multi_label:
        return np.array([example.labels[0] for example in examples], np.int64)
    label_NK = np.zeros((len(numbers), len(data.classes)), np.int64)
    for row, example in enumerate(examples):
        label_NK[row, list(example.labels)] = 1
    return label_NK


def folds_of(numbers: Sequence[int], splits: Sequence[Split]) -> Int64s | None:
    """Return which published fold each example is of, if the splits are folds: each example tested exactly once."""
    fold = {number: index for index, split in enumerate(splits) for number in split.test}
    tested = sum(len(split.test) for split in splits)
    if len(splits) < 3 or tested != len(fold) or not all(number in fold for number in numbers):
        return None
    return np.array([fold[number] for number in numbers], np.int64)
