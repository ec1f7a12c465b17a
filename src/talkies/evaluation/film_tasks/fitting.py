"""A classifier fitted on train films, with settings selected on validation films, and its scores.

Shapes: `N` examples, `F` features.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import StandardScaler

from talkies.core import Bools, Float32s, Float64s, UsageError

STRENGTHS = (0.001, 0.01, 0.1, 1.0)
CLASSIFIER = f"logistic regression (L2, C of {list(STRENGTHS)}) on features standardised by the train films"
TRAIN, VALIDATION, TEST = "train", "validation", "test"


@dataclass(frozen=True, slots=True)
class FittedClassifier:
    """The setting that was selected, its average precision on the validation films, and its scores by split."""

    form: str
    strength: float
    validation_average_precision: float
    scores: Mapping[str, Float64s]

    def describe(self) -> dict[str, Any]:
        """Return the setting as the protocol records it."""
        return {
            "features": self.form,
            "C": self.strength,
            "validation_average_precision": self.validation_average_precision,
        }


def average_precision(labels_N: Bools, scores_N: Float64s) -> float:
    """Return the average precision (the sum of precision times step in recall), equal scores taken together."""
    return float(average_precision_score(labels_N, scores_N))


def check_labels(labels: Mapping[str, Bools], what: str) -> None:
    """Check that each split has positive and negative examples.

    Args:
        labels: Labels `[N]` by split.
        what: What the positive examples are, for the message.

    Raises:
        UsageError: if a split has only one of the two.
    """
    for split, labels_N in labels.items():
        if labels_N.all() or not labels_N.any():
            raise UsageError(
                f"the {split} films have {int(labels_N.sum())} {what} in {len(labels_N)}, and both kinds are needed; "
                f"add more of the films that the lists name"
            )


def fit_classifier(
    features: Callable[[str, str], Float32s],
    forms: Sequence[str],
    labels: Mapping[str, Bools],
    strengths: Sequence[float] = STRENGTHS,
) -> FittedClassifier:
    """Return the classifier that ranks the validation examples best; among equals the first.

    Args:
        features: Returns a new array `[N, F]` for a form and a split. It is standardised in place, and only the arrays
            of one form are kept at a time.
        forms: The forms of features to try.
        labels: Labels `[N]` by split.
        strengths: The values of C to try, the inverse of the strength of regularisation.
    """
    best: FittedClassifier | None = None
    for form in forms:
        scaler = StandardScaler(copy=False)
        train_NF = scaler.fit_transform(features(form, TRAIN))
        others = {split: scaler.transform(features(form, split)) for split in labels if split != TRAIN}

        for strength in strengths:
            model = LogisticRegression(C=strength, max_iter=5000).fit(train_NF, labels[TRAIN])
            scores = {split: np.asarray(model.decision_function(x_NF), np.float64) for split, x_NF in others.items()}
            precision = average_precision(labels[VALIDATION], scores[VALIDATION])
            if best is None or precision > best.validation_average_precision:
                best = FittedClassifier(form, strength, precision, scores)

    assert best is not None, "at least one form and one strength are tried"
    return best
