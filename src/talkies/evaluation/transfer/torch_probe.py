"""A linear classifier for large sets, on a GPU where there is one: the same optimum as scikit-learn's, by L-BFGS.

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


class TorchLinear(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """½‖w‖² + C · loss, over all rows at once and in float64.

    `squared_hinge` is one against the rest with the bias in the norm, as liblinear's `LinearSVC(dual=False)`;
    `logistic` is multinomial with a free bias, as `LogisticRegression`. With labels `[X, K]` of 0 and 1 each class is
    a problem of its own.
    """

    def __init__(
        self, C: float = 1.0, loss: Literal["squared_hinge", "logistic"] = "squared_hinge", max_iter: int = 500
    ) -> None:
        self.C, self.loss, self.max_iter = C, loss, max_iter

    def fit(self, rows_XE: npt.ArrayLike, labels: npt.ArrayLike) -> Self:
        """Fit; labels are `[X]` of any classes, or `[X, K]` of 0 and 1."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        x_XE = torch.as_tensor(np.asarray(rows_XE), dtype=torch.float64, device=device)
        given = np.asarray(labels)
        if given.ndim == 1:
            self.classes_, index_X = np.unique(given, return_inverse=True)
            target: Tensor = torch.as_tensor(index_X, device=device)
        else:
            self.classes_ = np.arange(given.shape[1])
            target = torch.as_tensor(given, dtype=torch.float64, device=device)
        weight_EK = torch.zeros(
            x_XE.shape[1], len(self.classes_), dtype=torch.float64, device=device, requires_grad=True
        )
        bias_K = torch.zeros(len(self.classes_), dtype=torch.float64, device=device, requires_grad=True)
        self._descend(x_XE, target, weight_EK, bias_K)
        self.coef_, self.intercept_ = weight_EK.detach().T.cpu().numpy(), bias_K.detach().cpu().numpy()
        return self

    def decision_function(self, rows_XE: npt.ArrayLike) -> Float64s:
        """Return scores `[X, K]`."""
        scores_XK: Float64s = np.asarray(rows_XE, np.float64) @ self.coef_.T + self.intercept_
        return scores_XK

    def predict(self, rows_XE: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the class of the highest score."""
        return np.asarray(self.classes_[self.decision_function(rows_XE).argmax(1)])

    def _descend(self, x_XE: Tensor, target: Tensor, weight_EK: Tensor, bias_K: Tensor) -> None:
        optimiser = torch.optim.LBFGS(
            [weight_EK, bias_K], max_iter=self.max_iter, tolerance_grad=1e-8, tolerance_change=1e-14,
            history_size=20, line_search_fn="strong_wolfe",
        )  # fmt: skip

        def closure() -> Tensor:
            optimiser.zero_grad()
            value = self._objective(x_XE @ weight_EK + bias_K, target, weight_EK, bias_K) / len(x_XE)
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimiser.step(closure)  # type: ignore[no-untyped-call]

    def _objective(self, scores_XK: Tensor, target: Tensor, weight_EK: Tensor, bias_K: Tensor) -> Tensor:
        norm = weight_EK.square().sum() / 2
        if self.loss == "squared_hinge":
            signs_XK = -torch.ones_like(scores_XK)
            if target.ndim == 1:
                signs_XK[torch.arange(len(target)), target] = 1.0
            else:
                signs_XK = 2 * target - 1
            return norm + bias_K.square().sum() / 2 + self.C * (1 - signs_XK * scores_XK).clamp(min=0).square().sum()
        if target.ndim == 1:
            return norm + self.C * cross_entropy(scores_XK, target, reduction="sum")
        return norm + self.C * binary_cross_entropy_with_logits(scores_XK, target, reduction="sum")
