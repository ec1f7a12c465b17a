"""How good a representation is: probes and retrieval, each with its protocol."""

from talkies.evaluation.evaluate import TASKS, evaluate
from talkies.evaluation.results import Metric, Result

__all__ = ["TASKS", "Metric", "Result", "evaluate"]
