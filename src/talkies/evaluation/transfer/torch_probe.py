"""A linear classifier for large data sets, on a GPU if there is one: scikit-learn's optimum, found by L-BFGS.

Shapes: `X` rows, `E` features, `K` classes.
"""

from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from talkies.core import Float64s
from talkies.core.precision import choose_device


class TorchLinear(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A linear classifier that minimises ½‖w‖² + C · loss over all rows at once, in float64.

    `squared_hinge` is one against the rest with the bias in the norm, as liblinear's `LinearSVC(dual=False)`;
    `logistic` is multinomial with a free bias, as `LogisticRegression`. With labels `[X, K]` of 0 and 1, each class is
    a separate binary problem.
    """

    def __init__(
        self, C: float = 1.0, loss: Literal["squared_hinge", "logistic"] = "squared_hinge", max_iter: int = 500
    ) -> None:
        self.C, self.loss, self.max_iter = C, loss, max_iter

    def fit(self, rows_XE: npt.ArrayLike, labels: npt.ArrayLike) -> Self:
        """Fit the classifier.

        Args:
            rows_XE: features.
            labels: `[X]` of any classes, or `[X, K]` of 0 and 1.
        """
        device = choose_device()
        features_XE = torch.as_tensor(np.asarray(rows_XE), dtype=torch.float64, device=device)
        label_array = np.asarray(labels)
        if label_array.ndim == 1:
            self.classes_, class_X = np.unique(label_array, return_inverse=True)
            target: Tensor = torch.as_tensor(class_X, device=device)
        else:
            self.classes_ = np.arange(label_array.shape[1])
            target = torch.as_tensor(label_array, dtype=torch.float64, device=device)

        shape = features_XE.shape[1], len(self.classes_)
        weight_EK = torch.zeros(shape, dtype=torch.float64, device=device, requires_grad=True)
        bias_K = torch.zeros(len(self.classes_), dtype=torch.float64, device=device, requires_grad=True)
        self._minimise(features_XE, target, weight_EK, bias_K)
        self.coef_, self.intercept_ = weight_EK.detach().T.cpu().numpy(), bias_K.detach().cpu().numpy()
        return self

    def decision_function(self, rows_XE: npt.ArrayLike) -> Float64s:
        """Return scores `[X, K]`."""
        scores_XK: Float64s = np.asarray(rows_XE, np.float64) @ self.coef_.T + self.intercept_
        return scores_XK

    def predict(self, rows_XE: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the class of the highest score."""
        return np.asarray(self.classes_[self.decision_function(rows_XE).argmax(1)])

    def _minimise(self, features_XE: Tensor, target: Tensor, weight_EK: Tensor, bias_K: Tensor) -> None:
        optimiser = torch.optim.LBFGS(
            [weight_EK, bias_K],
            max_iter=self.max_iter,
            tolerance_grad=1e-8,
            tolerance_change=1e-14,
            history_size=20,
            line_search_fn="strong_wolfe",
        )

        def compute_gradients() -> Tensor:
            optimiser.zero_grad()
            scores_XK = features_XE @ weight_EK + bias_K
            loss = self._compute_loss(scores_XK, target, weight_EK, bias_K) / len(features_XE)
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        optimiser.step(compute_gradients)  # type: ignore[no-untyped-call]

    def _compute_loss(self, scores_XK: Tensor, target: Tensor, weight_EK: Tensor, bias_K: Tensor) -> Tensor:
        norm = weight_EK.square().sum() / 2
        if self.loss == "squared_hinge":
            if target.ndim == 1:
                sign_XK = torch.full_like(scores_XK, -1.0).scatter_(1, target[:, None], 1.0)
            else:
                sign_XK = 2 * target - 1
            hinge = (1 - sign_XK * scores_XK).clamp(min=0)
            return norm + bias_K.square().sum() / 2 + self.C * hinge.square().sum()
        if target.ndim == 1:
            return norm + self.C * cross_entropy(scores_XK, target, reduction="sum")
        return norm + self.C * binary_cross_entropy_with_logits(scores_XK, target, reduction="sum")
