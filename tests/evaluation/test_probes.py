"""Classifiers on frozen features: known answers, and the same answers as scikit-learn."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from talkies.core import UsageError
from talkies.evaluation.results.result import Metric
from talkies.evaluation.transfer.probes import LabelledFeatures, compute_accuracy, fit_and_score
from talkies.evaluation.transfer.protocol import resolve_protocol
from talkies.evaluation.transfer.torch_probe import TorchLinear

pytestmark = pytest.mark.slow

CLASSES = 4
KINDS = ("linear classifier=svm", "linear classifier=logistic", "linear solver=torch", "knn")


def protocol(kind: str, *more: str) -> Any:
    """Return a protocol: its name, then what is set."""
    name, *sets = kind.split()
    return resolve_protocol(name, [*sets, *more])


def labelled(count: int, seed: int, leak: float = 0.0, windows: int = 3, folds: int = 0) -> LabelledFeatures:
    """Return examples of noise, in which the label leaks by so much."""
    random = np.random.default_rng(seed)
    label_N = np.arange(count) % CLASSES
    rows = random.standard_normal((count, windows, 12)).astype(np.float32)
    rows[..., :CLASSES] += leak * np.eye(CLASSES, dtype=np.float32)[label_N][:, None]
    groups = np.array([f"source {number}" for number in range(count)])
    fold_N = np.arange(count) // CLASSES % folds if folds else None
    return LabelledFeatures(rows, label_N, groups, fold_N)


@pytest.mark.parametrize("kind", KINDS)
def test_a_label_that_leaks_is_found(kind: str) -> None:
    scores = fit_and_score(labelled(80, 0, leak=30.0), labelled(40, 1, leak=30.0), CLASSES, protocol(kind), seed=0)
    found = compute_accuracy(scores.scores_NVK, labelled(40, 1).label_N)
    assert found["clip"].mean() == found["window"].mean() == 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_shuffled_labels_give_chance_within_its_interval(kind: str) -> None:
    hits: list[float] = []
    for seed in range(5):
        test = labelled(200, 100 + seed)
        scores = fit_and_score(labelled(100, seed), test, CLASSES, protocol(kind), seed=0)
        hits += list(compute_accuracy(scores.scores_NVK, test.label_N)["clip"])
    metric = Metric.of_share(sum(hits), len(hits))
    assert metric.low is not None
    assert metric.high is not None
    assert metric.low < 1 / CLASSES < metric.high


@pytest.mark.parametrize("classifier", ["svm", "logistic"])
def test_folds_are_scikit_learns_cross_validation(classifier: str) -> None:
    everything = labelled(120, 3, leak=1.0, windows=1, folds=5)
    estimator = LinearSVC(C=0.1, dual=False) if classifier == "svm" else LogisticRegression(C=0.1, max_iter=5000)
    rows, fold = everything.features_NVE[:, 0], everything.fold_N
    assert fold is not None
    folds = PredefinedSplit(fold)
    wanted = cross_val_score(make_pipeline(StandardScaler(), estimator), rows, everything.label_N, cv=folds)
    ours = []
    for train, test in folds.split():
        fit, held = _part(everything, train), _part(everything, test)
        scores = fit_and_score(fit, held, CLASSES, protocol(f"linear classifier={classifier}", "c_grid=[0.1]"), seed=0)
        ours.append(compute_accuracy(scores.scores_NVK, held.label_N)["clip"].mean())
    assert 0.3 < np.mean(ours) < 0.95  # neither trivial nor hopeless
    np.testing.assert_array_equal(ours, wanted)


def test_the_setting_is_chosen_as_a_grid_search_over_the_training_folds_would() -> None:
    everything = labelled(120, 4, leak=1.0, windows=1, folds=5)
    assert everything.fold_N is not None
    train = np.flatnonzero(everything.fold_N != 2)
    fit = _part(everything, train)
    inner = PredefinedSplit(everything.fold_N[train])
    values = [1e-5, 1e-3, 0.1, 10.0]
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LinearSVC(dual=False)), {"linearsvc__C": values}, cv=inner, scoring="accuracy"
    ).fit(fit.features_NVE[:, 0], fit.label_N)
    test = _part(everything, np.flatnonzero(everything.fold_N == 2))
    chosen = fit_and_score(fit, test, CLASSES, protocol("linear", f"c_grid={values}"), seed=0).chosen
    assert chosen == {"C": search.best_params_["linearsvc__C"]}


def test_test_clips_have_no_say_in_the_setting() -> None:
    fit = labelled(60, 5, leak=1.0)
    first = fit_and_score(fit, labelled(40, 6, leak=1.0), CLASSES, protocol("linear"), seed=0)
    second = fit_and_score(fit, labelled(40, 7, leak=9.0), CLASSES, protocol("linear"), seed=0)
    assert first.chosen == second.chosen


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (TorchLinear(C=0.3), LinearSVC(C=0.3, dual=False, tol=1e-8, max_iter=20_000)),
        (TorchLinear(C=0.3, loss="logistic"), LogisticRegression(C=0.3, tol=1e-8, max_iter=20_000)),
    ],
)
def test_the_torch_solver_comes_to_scikit_learns_optimum(ours: TorchLinear, theirs: Any) -> None:
    rows, label_X, _ = labelled(100, 8, leak=1.0).flatten_windows()
    ours.fit(rows, label_X)
    theirs.fit(rows.astype(np.float64), label_X)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=2e-4)
    np.testing.assert_array_equal(ours.predict(rows), theirs.predict(rows))


def test_several_labels_a_clip_are_a_problem_each() -> None:
    random = np.random.default_rng(0)
    label_NK = random.integers(0, 2, (80, 3))
    rows = np.concatenate([label_NK * 20.0, random.standard_normal((80, 5))], axis=1).astype(np.float32)[:, None]
    groups = np.arange(80)
    for kind in ("linear classifier=logistic", "linear", "knn", "linear solver=torch"):
        fit, test = (LabelledFeatures(rows[part], label_NK[part], groups[part]) for part in (slice(50), slice(50, 80)))
        scores = fit_and_score(fit, test, 3, protocol(kind, "c_grid=[0.1]", "neighbour_grid=[3]"), seed=0).scores_NVK
        for label in range(3):
            own = scores[:, 0, label]
            assert own[test.label_N[:, label] == 1].min() > own[test.label_N[:, label] == 0].max(), kind


def test_a_class_that_training_lacks_scores_least() -> None:
    fit = _part(labelled(60, 0, leak=9.0), np.flatnonzero(np.arange(60) % CLASSES != 3))
    test = labelled(20, 1, leak=9.0)
    scores = fit_and_score(fit, test, CLASSES, protocol("linear"), seed=0).scores_NVK
    assert (scores[..., 3] < scores[..., :3].min(-1)).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
@settings(max_examples=50)
def test_accuracy_is_the_mean_over_the_orders_of_equal_scores(seed: int, best: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.integers(0, 3, (6, 1, CLASSES)).astype(np.float64)
    labels = random.integers(0, CLASSES, 6)
    tiny = 1e-6 * np.stack([random.permutation(CLASSES) for _ in range(4000)])
    broken = scores[None, :, 0] + tiny[:, None]
    ranks = (broken > np.take_along_axis(broken, labels[None, :, None], -1)).sum(-1)
    np.testing.assert_allclose(compute_accuracy(scores, labels, best)["clip"], (ranks < best).mean(0), atol=0.06)


def test_scores_that_are_all_equal_give_chance() -> None:
    found = compute_accuracy(np.zeros((8, 2, CLASSES)), np.arange(8) % CLASSES)
    assert set(found["clip"]) == set(found["window"]) == {1 / CLASSES}


def test_a_single_class_cannot_be_learnt() -> None:
    fit = _part(labelled(40, 0), np.arange(0, 40, CLASSES))
    with pytest.raises(UsageError, match="the training clips are all of one class"):
        fit_and_score(fit, labelled(8, 1), CLASSES, protocol("linear"), seed=0)


def test_a_single_source_leaves_nothing_to_choose_on() -> None:
    one = labelled(40, 0)
    fit = LabelledFeatures(one.features_NVE, one.label_N, np.zeros(40))
    with pytest.raises(
        UsageError, match=r"too few sources and classes to choose C on; give a single value, .*c_grid=\[0.1\]"
    ):
        fit_and_score(fit, labelled(8, 1), CLASSES, protocol("linear"), seed=0)
    assert fit_and_score(fit, labelled(8, 1), CLASSES, protocol("linear", "c_grid=[1.0]"), seed=0).chosen == {"C": 1.0}


@pytest.mark.parametrize("kind", ["linear", "knn"])
@pytest.mark.parametrize(
    ("labels", "groups", "folds"),
    [
        ([0, 0, 1, 1], [0, 1, 2, 3], None),  # as many clips of a class as folds
        ([0, 0, 0, 0, 0, 1], [0, 1, 2, 3, 4, 5], None),  # a class with one clip
        ([0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 2], None),  # groups that are classes
        ([0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 2]),  # and are the published folds
        ([0, 1, 0, 1, 0, 1, 0, 1], [0, 0, 0, 0, 0, 0, 1, 1], None),  # groups of very different sizes
    ],
)
def test_awkward_training_clips_are_learnt_from_or_refused_in_a_sentence(
    kind: str, labels: list[int], groups: list[int], folds: list[int] | None
) -> None:
    label_N = np.array(labels)
    rows = np.random.default_rng(0).standard_normal((len(labels), 2, 6)).astype(np.float32)
    rows[..., :3] += 9 * np.eye(3, dtype=np.float32)[label_N][:, None]
    fit = LabelledFeatures(rows, label_N, np.array(groups), None if folds is None else np.array(folds))
    try:
        scores = fit_and_score(fit, fit, 3, protocol(kind), seed=0)
    except UsageError as refusal:
        assert "too few sources and classes" in str(refusal)  # noqa: PT017
    else:
        assert compute_accuracy(scores.scores_NVK, label_N)["clip"].mean() == 1.0


def test_a_validation_list_chooses_and_is_not_learnt_from() -> None:
    fit, select, test = (labelled(count, seed, leak=1.0) for count, seed in ((60, 0), (40, 1), (40, 2)))
    flipped = LabelledFeatures(select.features_NVE, (select.label_N + 1) % CLASSES, select.group_N)
    values = [1e-6, 1.0]
    chosen = {}
    for name, some in (("true", select), ("flipped", flipped)):
        found = fit_and_score(fit, test, CLASSES, protocol("linear", f"c_grid={values}"), seed=0, select=some)
        chosen[name] = found.chosen["C"]
        alone = fit_and_score(fit, test, CLASSES, protocol("linear", f"c_grid=[{found.chosen['C']}]"), seed=0)
        np.testing.assert_array_equal(found.scores_NVK, alone.scores_NVK)
    wanted = {}
    for name, some in (("true", select), ("flipped", flipped)):
        rows, label_X, _ = fit.flatten_windows()
        held, held_X, _ = some.flatten_windows()
        scaled = StandardScaler().fit(rows)
        judged = {
            c: LinearSVC(C=c, dual=False, max_iter=5000)
            .fit(scaled.transform(rows), label_X)
            .score(scaled.transform(held), held_X)
            for c in values
        }
        wanted[name] = max(values, key=lambda c: judged[c])
    assert chosen == wanted


def _part(data: LabelledFeatures, chosen: Any) -> LabelledFeatures:
    fold_N = None if data.fold_N is None else data.fold_N[chosen]
    return LabelledFeatures(data.features_NVE[chosen], data.label_N[chosen], data.group_N[chosen], fold_N)
