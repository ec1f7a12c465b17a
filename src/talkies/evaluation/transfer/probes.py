"""Classifiers on frozen features, linear or nearest neighbours; the hyperparameter is selected without the test clips.

Shapes: `N` examples, `V` windows of each, `E` features, `K` classes, `X` = N·V rows.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from os import cpu_count
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from joblib import parallel_config
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit, StratifiedGroupKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.svm import LinearSVC

from talkies.core import Float32s, Float64s, Int64s, UsageError
from talkies.evaluation.transfer.protocol import Protocol
from talkies.evaluation.transfer.torch_probe import TorchLinear

_MIN_ROWS_FOR_TORCH = 20_000
_FITTING_BYTES = 4e9

_Fold = tuple[Int64s, Int64s]
"""The rows to fit on, and the rows to score."""


@dataclass(frozen=True, slots=True)
class LabelledFeatures:
    """Features `[N, V, E]` of examples with their labels: `[N]`, or `[N, K]` of 0 and 1.

    `group_N` is the source of each example; `fold_N` are the published folds, if there are some, for the selection of a
    hyperparameter.
    """

    features_NVE: Float32s
    label_N: Int64s
    group_N: npt.NDArray[Any]
    fold_N: Int64s | None = None

    def __len__(self) -> int:
        return len(self.features_NVE)

    def flatten_windows(self) -> tuple[Float32s, Int64s, npt.NDArray[Any]]:
        """Return features `[X, E]`, labels and groups with one row for each window."""
        windows = self.features_NVE.shape[1]
        example_X = np.repeat(np.arange(len(self)), windows)
        return self.features_NVE.reshape(len(example_X), -1), self.label_N[example_X], self.group_N[example_X]


@dataclass(frozen=True, slots=True)
class ClipScores:
    """Scores `[N, V, K]` of the test clips, and the values that were `chosen` in training, by name."""

    scores_NVK: Float64s
    chosen: dict[str, float]


def fit_and_score(
    fit: LabelledFeatures,
    test: LabelledFeatures,
    classes: int,
    protocol: Protocol,
    *,
    seed: int,
    select: LabelledFeatures | None = None,
) -> ClipScores:
    """Return the scores of `test` by a classifier fitted on `fit`; a class without training clips scores lowest.

    Args:
        fit: the training examples.
        test: the test examples.
        classes: number of classes, `K`.
        protocol: gives the classifier and the grid of its hyperparameter.
        seed: seed of the solver and of the folds.
        select: examples to select the hyperparameter on; cross-validation on `fit` if not given.

    Raises:
        UsageError: if the training clips have a single class, or are too few to select a hyperparameter on.
    """
    rows_XE, label_X, _ = fit.flatten_windows()
    if label_X.ndim == 1 and len(np.unique(label_X)) < 2:
        raise UsageError("the training clips are all of one class; a classifier needs two or more")
    estimator, grid = _build_estimator(protocol, seed, len(rows_XE), is_multi_label=label_X.ndim == 2)
    fitted, chosen = _fit_best(estimator, grid, fit, _SelectionFolds(fit, select, protocol, seed))
    scores_XK = _predict_scores(fitted, test.features_NVE.reshape(-1, rows_XE.shape[1]), label_X, classes)
    return ClipScores(scores_XK.reshape(len(test), -1, classes), chosen)


def compute_accuracy(scores_NVK: Float64s, label_N: Int64s, k: int = 1) -> dict[str, Float64s]:
    """Return the top-k accuracy of each clip, by the mean score of its windows and window by window.

    Equal scores count as the mean over all their orders, so the order of classes has no influence.

    Args:
        scores_NVK: scores of each window.
        label_N: the label of each clip.
        k: how many of the best classes may be the right one.

    Returns:
        `clip`: the accuracy `[N]` by the mean score of a clip's windows; `window`: the mean `[N]` over its windows.
    """
    return {
        "clip": _compute_top_k(scores_NVK.mean(1), label_N, k),
        "window": _compute_top_k(scores_NVK, label_N[:, None], k).mean(1),
    }


def _compute_top_k(scores: Float64s, labels: Int64s, k: int) -> Float64s:
    """Return how likely the label is among the `k` best scores `[…, K]`, if equal scores are ordered at random."""
    own = np.take_along_axis(scores, np.broadcast_to(labels, scores.shape[:-1])[..., None], -1)
    above, equal = (scores > own).sum(-1), (scores == own).sum(-1)
    share: Float64s = np.clip((k - above) / equal, 0, 1)
    return share


def _build_estimator(
    protocol: Protocol, seed: int, rows: int, *, is_multi_label: bool
) -> tuple[Pipeline, dict[str, list[Any]]]:
    """Return a classifier and the grid of its one hyperparameter."""
    if protocol.method == "knn":
        neighbours = KNeighborsClassifier(metric="euclidean", weights="distance")  # of unit rows: the order of cosines
        classifier = OneVsRestClassifier(neighbours) if is_multi_label else neighbours
        return make_pipeline(Normalizer(), classifier), {"n_neighbors": list(protocol.neighbour_grid)}

    is_large = rows > _MIN_ROWS_FOR_TORCH and torch.cuda.is_available()
    uses_torch = protocol.solver == "torch" or (protocol.solver == "auto" and is_large)
    linear: BaseEstimator
    if uses_torch:
        linear = TorchLinear(loss="squared_hinge" if protocol.classifier == "svm" else "logistic")
    elif protocol.classifier == "svm":
        linear = LinearSVC(dual=False, random_state=seed, max_iter=5000)
    else:
        linear = LogisticRegression(max_iter=5000)
    if is_multi_label and not uses_torch:
        linear = OneVsRestClassifier(linear)
    return make_pipeline(StandardScaler(), linear), {"C": list(protocol.c_grid)}


class _SelectionFolds:
    """The rows and folds that a hyperparameter is selected on.

    They are the validation examples; without such examples the published folds of the training examples; without
    such folds, stratified folds with each source in one fold.
    """

    def __init__(self, fit: LabelledFeatures, select: LabelledFeatures | None, protocol: Protocol, seed: int) -> None:
        self._protocol, self._seed = protocol, seed
        self.rows_XE, self.label_X, self._group_X = fit.flatten_windows()
        if select is not None:
            rows_XE, label_X, _ = select.flatten_windows()
            fold_X = np.repeat([-1, 0], [len(self.rows_XE), len(rows_XE)])  # -1: fitted on in every fold
            self.rows_XE = np.concatenate([self.rows_XE, rows_XE])
            self.label_X = np.concatenate([self.label_X, label_X])
            self.folds = list(PredefinedSplit(fold_X).split())
            return
        self.folds = self._keep_usable(self._build_published(fit)) or self._keep_usable(self._build_by_source(fit))

    @property
    def fewest_rows(self) -> int:
        """The number of rows in the smallest fit."""
        return min((len(fit) for fit, _ in self.folds), default=len(self.rows_XE))

    def _build_published(self, fit: LabelledFeatures) -> list[_Fold]:
        if fit.fold_N is None or len(np.unique(fit.fold_N)) < 2:
            return []
        return list(PredefinedSplit(np.repeat(fit.fold_N, fit.features_NVE.shape[1])).split())

    def _build_by_source(self, fit: LabelledFeatures) -> list[_Fold]:
        # at most as many folds as the class with the fewest sources has
        label_N = fit.label_N if fit.label_N.ndim == 1 else fit.label_N.argmax(1)
        fewest_sources = min(len(np.unique(fit.group_N[label_N == label])) for label in np.unique(label_N))
        fold_count = min(self._protocol.inner_folds, len(np.unique(fit.group_N)), max(2, fewest_sources))
        most_examples = int(np.unique(label_N, return_counts=True)[1].max())
        if min(fold_count, most_examples * fit.features_NVE.shape[1]) < 2:
            return []

        label_X = self.label_X if self.label_X.ndim == 1 else self.label_X.argmax(1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a class with fewer rows than folds
            splitter = StratifiedGroupKFold(fold_count, shuffle=True, random_state=self._seed)
            return list(splitter.split(self.rows_XE, label_X, self._group_X))

    def _keep_usable(self, folds: Sequence[_Fold]) -> list[_Fold]:
        """Return the folds that have two classes or more to fit on."""
        if self.label_X.ndim == 2:
            return [fold for fold in folds if self.label_X[fold[0]].any()]
        return [fold for fold in folds if len(fold[1]) and len(np.unique(self.label_X[fold[0]])) > 1]


def _fit_best(
    estimator: Pipeline, grid: dict[str, list[Any]], fit: LabelledFeatures, selection: _SelectionFolds
) -> tuple[Pipeline, dict[str, float]]:
    """Return the classifier fitted on `fit` with the value of the hyperparameter that is best on the folds."""
    (name, values), (step, last) = next(iter(grid.items())), estimator.steps[-1]
    parameter = f"{step}__estimator__{name}" if isinstance(last, OneVsRestClassifier) else f"{step}__{name}"
    rows_XE, label_X, _ = fit.flatten_windows()
    if name == "n_neighbors":  # there cannot be more neighbours than rows
        values = [value for value in values if value <= selection.fewest_rows] or [selection.fewest_rows]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # such a fit is scored as it is
        best = values[0]
        if len(values) > 1:
            if not selection.folds:
                raise UsageError(
                    f"the training clips have too few sources and classes to choose {name} on; give a single value, "
                    f"such as --set {'neighbour_grid=[5]' if name == 'n_neighbors' else 'c_grid=[0.1]'}"
                )
            search = GridSearchCV(
                estimator,
                {parameter: values},
                scoring="accuracy" if label_X.ndim == 1 else "average_precision",
                cv=selection.folds,
                refit=False,
                n_jobs=1 if isinstance(last, TorchLinear) else _count_parallel_fits(selection.rows_XE),
            )
            with parallel_config("threading"):  # the solvers release the GIL
                search.fit(selection.rows_XE, selection.label_X)
            best = search.best_params_[parameter]
        return estimator.set_params(**{parameter: best}).fit(rows_XE, label_X), {name: best}


def _count_parallel_fits(rows_XE: Float32s) -> int:
    """Return how many fits fit into memory at once: each holds the rows in double precision."""
    return max(1, min(cpu_count() or 1, int(_FITTING_BYTES // (2 * rows_XE.nbytes + 1))))


def _predict_scores(fitted: Pipeline, rows_XE: Float32s, label_X: Int64s, classes: int) -> Float64s:
    """Return scores `[X, K]` of all classes, also those that the classifier does not know."""
    has_decision = hasattr(fitted, "decision_function")
    predicted = fitted.decision_function(rows_XE) if has_decision else fitted.predict_proba(rows_XE)
    known_XK = np.asarray(predicted, np.float64)
    known_classes = np.arange(classes) if label_X.ndim == 2 else np.unique(label_X)
    if known_XK.ndim == 1:  # two classes have one score
        known_XK = np.stack([-known_XK, known_XK], axis=1)

    scores_XK = np.full((len(rows_XE), classes), known_XK.min() - 1.0)
    scores_XK[:, known_classes] = known_XK
    return scores_XK
