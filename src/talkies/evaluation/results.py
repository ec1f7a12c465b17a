"""A result: numbers, with the protocol that they were got by."""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from talkies.config import Config


class Metric(Config):
    """The mean of `n` values (splits, or films), and their standard deviation."""

    mean: float
    sd: Annotated[float, Field(ge=0)]
    n: Annotated[int, Field(ge=1)]

    @classmethod
    def of(cls, values: Sequence[float]) -> "Metric":
        """Return the metric of some values; the deviation of a single one is 0."""
        sd = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        return cls(mean=float(np.mean(values)), sd=sd, n=len(values))


class Result(Config):
    """What a task came to; `protocol` says how it was measured, with the chance level of each metric."""

    task: str
    protocol: dict[str, Any]
    metrics: dict[str, Metric]
