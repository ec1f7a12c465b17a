"""Classifiers on frozen features: a linear one, or the nearest neighbours, its setting chosen on training clips alone.

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

_Fold = tuple[Int64s, Int64s]
_TORCH_ROWS = 20_000
_FITTING_BYTES = 4e9


@dataclass(frozen=True, slots=True)
class Labelled:
    """Examples: features `[N, V, E]`; labels `[N]`, or `[N, K]` of 0 and 1; `group_N` tells what comes of one source.

    `fold_N` are the published folds, where there are some, for choosing among settings.
    """

    rows_NVE: Float32s
    label_N: Int64s
    group_N: npt.NDArray[Any]
    fold_N: Int64s | None = None

    def __len__(self) -> int:
        return len(self.rows_NVE)

    def by_window(self) -> tuple[Float32s, Int64s, npt.NDArray[Any]]:
        """Return rows `[X, E]`, labels and groups, one for each window."""
        windows = self.rows_NVE.shape[1]
        each = np.repeat(np.arange(len(self)), windows)
        return self.rows_NVE.reshape(len(each), -1), self.label_N[each], self.group_N[each]


@dataclass(frozen=True, slots=True)
class Scores:
    """A score for each window and class `[N, V, K]` of the test clips; `chosen` is the setting that was taken."""

    scores_NVK: Float64s
    chosen: dict[str, float]


def fit_and_score(
    fit: Labelled, test: Labelled, classes: int, protocol: Protocol, seed: int, *, select: Labelled | None = None
) -> Scores:
    """Return what a classifier fitted on `fit` says of `test`; a class that `fit` lacks scores least.

    Its setting is chosen on `select`, or else on parts of `fit` that are left out in turn.

    Raises:
        UsageError: if the training clips hold a single class, or too little to choose a setting on.
    """
    rows_XE, label_X, _ = fit.by_window()
    if label_X.ndim == 1 and len(np.unique(label_X)) < 2:
        raise UsageError("the training clips are all of one class; a classifier needs two or more")
    estimator, grid = _estimator(protocol, seed, len(rows_XE), label_X.ndim == 2)
    best, chosen = _chosen(estimator, grid, fit, _Choosing(fit, select, protocol, seed))
    scores_XK = _scores(best, test.rows_NVE.reshape(-1, rows_XE.shape[1]), label_X, classes)
    return Scores(scores_XK.reshape(len(test), -1, classes), chosen)


def accuracy(scores_NVK: Float64s, label_N: Int64s, best: int = 1) -> dict[str, Float64s]:
    """Return of each clip whether its class is among the `best` by its windows' mean, and in which share of them.

    Equal scores count for the class as the mean over all orders would: nothing is won by the order of classes.
    """
    return {
        "video": _among(scores_NVK.mean(1), label_N, best),
        "clip": _among(scores_NVK, label_N[:, None], best).mean(1),
    }


def _among(scores: Float64s, labels: Int64s, best: int) -> Float64s:
    own = np.take_along_axis(scores, np.broadcast_to(labels, scores.shape[:-1])[..., None], -1)
    above, equal = (scores > own).sum(-1), (scores == own).sum(-1)
    share: Float64s = np.clip((best - above) / equal, 0, 1)
    return share


def _estimator(protocol: Protocol, seed: int, rows: int, many: bool) -> tuple[Pipeline, dict[str, list[Any]]]:
    """Return a classifier and the grid of its one setting."""
    if protocol.method == "knn":
        neighbours = KNeighborsClassifier(metric="euclidean", weights="distance")  # of unit rows: the order of cosines
        classifier = OneVsRestClassifier(neighbours) if many else neighbours
        return make_pipeline(Normalizer(), classifier), {"n_neighbors": list(protocol.neighbour_grid)}
    on_torch = protocol.solver == "torch" or (
        protocol.solver == "auto" and rows > _TORCH_ROWS and torch.cuda.is_available()
    )
    linear: BaseEstimator
    if on_torch:
        linear = TorchLinear(loss="squared_hinge" if protocol.classifier == "svm" else "logistic")
    elif protocol.classifier == "svm":
        linear = LinearSVC(dual=False, random_state=seed, max_iter=5000)
    else:
        linear = LogisticRegression(max_iter=5000)
    if many and not on_torch:
        linear = OneVsRestClassifier(linear)
    return make_pipeline(StandardScaler(), linear), {"C": list(protocol.c_grid)}


class _Choosing:
    """The rows that a setting is chosen on, and how they are split: `folds` holds rows to fit and rows to judge by."""

    def __init__(self, fit: Labelled, select: Labelled | None, protocol: Protocol, seed: int) -> None:
        self._protocol, self._seed = protocol, seed
        self.rows_XE, self.label_X, self._group_X = fit.by_window()
        if select is not None:
            rows_XE, label_X, _ = select.by_window()
            side_X = np.repeat([-1, 0], [len(self.rows_XE), len(rows_XE)])  # -1: never judged by
            self.rows_XE = np.concatenate([self.rows_XE, rows_XE])
            self.label_X = np.concatenate([self.label_X, label_X])
            self.folds = list(PredefinedSplit(side_X).split())
            return
        self.folds = self._usable(self._published(fit)) or self._usable(self._by_source(fit))

    @property
    def fewest_rows(self) -> int:
        """How many rows the smallest fit has."""
        return min((len(fit) for fit, _ in self.folds), default=len(self.rows_XE))

    def _published(self, fit: Labelled) -> list[_Fold]:
        if fit.fold_N is None or len(np.unique(fit.fold_N)) < 2:
            return []
        return list(PredefinedSplit(np.repeat(fit.fold_N, fit.rows_NVE.shape[1])).split())

    def _by_source(self, fit: Labelled) -> list[_Fold]:
        label_N = fit.label_N if fit.label_N.ndim == 1 else fit.label_N.argmax(1)
        sources = min(len(np.unique(fit.group_N[label_N == label])) for label in np.unique(label_N))
        most = min(self._protocol.inner_folds, len(np.unique(fit.group_N)), max(2, sources))
        commonest = int(np.unique(label_N, return_counts=True)[1].max())
        if min(most, commonest * fit.rows_NVE.shape[1]) < 2:
            return []
        label_X = self.label_X if self.label_X.ndim == 1 else self.label_X.argmax(1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a class with fewer rows than folds
            folds = StratifiedGroupKFold(most, shuffle=True, random_state=self._seed)
            return list(folds.split(self.rows_XE, label_X, self._group_X))

    def _usable(self, folds: Sequence[_Fold]) -> list[_Fold]:
        """Return the folds that leave two classes or more to fit on."""
        if self.label_X.ndim == 2:
            return [fold for fold in folds if self.label_X[fold[0]].any()]
        return [fold for fold in folds if len(fold[1]) and len(np.unique(self.label_X[fold[0]])) > 1]


def _chosen(
    estimator: Pipeline, grid: dict[str, list[Any]], fit: Labelled, choosing: _Choosing
) -> tuple[Pipeline, dict[str, float]]:
    """Return the classifier fitted on `fit`, with the setting that was best on what was left out."""
    (name, values), (step, last) = next(iter(grid.items())), estimator.steps[-1]
    key = f"{step}__estimator__{name}" if isinstance(last, OneVsRestClassifier) else f"{step}__{name}"
    rows_XE, label_X, _ = fit.by_window()
    if name == "n_neighbors":
        values = [value for value in values if value <= choosing.fewest_rows] or [choosing.fewest_rows]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # such a fit is judged as it is
        best = values[0]
        if len(values) > 1:
            if not choosing.folds:
                raise UsageError(
                    f"the training clips are of too few sources and classes to choose {name} on; give one value alone, "
                    f"such as --set {'neighbour_grid=[5]' if name == 'n_neighbors' else 'c_grid=[0.1]'}"
                )
            scoring = "accuracy" if label_X.ndim == 1 else "average_precision"
            jobs = 1 if isinstance(last, TorchLinear) else _fits_at_once(choosing.rows_XE)
            search = GridSearchCV(
                estimator, {key: values}, scoring=scoring, cv=choosing.folds, refit=False, n_jobs=jobs
            )
            with parallel_config("threading"):  # the solvers let other threads run
                search.fit(choosing.rows_XE, choosing.label_X)
            best = search.best_params_[key]
        return estimator.set_params(**{key: best}).fit(rows_XE, label_X), {name: best}


def _fits_at_once(rows_XE: Float32s) -> int:
    """Return how many fits have room beside each other: each takes the rows in double precision."""
    return max(1, min(cpu_count() or 1, int(_FITTING_BYTES // (2 * rows_XE.nbytes + 1))))


def _scores(fitted: Pipeline, rows_XE: Float32s, label_X: Int64s, classes: int) -> Float64s:
    """Return scores `[X, K]` in the order of all classes."""
    told = fitted.decision_function(rows_XE) if hasattr(fitted, "decision_function") else fitted.predict_proba(rows_XE)
    told_XK = np.asarray(told, np.float64)
    known = np.arange(classes) if label_X.ndim == 2 else np.unique(label_X)
    if told_XK.ndim == 1:  # two classes, one score
        told_XK = np.stack([-told_XK, told_XK], axis=1)
    scores_XK = np.full((len(rows_XE), classes), told_XK.min() - 1.0)
    scores_XK[:, known] = told_XK
    return scores_XK
