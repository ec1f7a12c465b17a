"""How good a representation is: probes, retrieval and film tasks, each with its protocol."""

from talkies.evaluation.evaluate import TASKS, evaluate, evaluate_features
from talkies.evaluation.results import Metric, Result, as_text, check_place, read_results, table_of, write_result
from talkies.evaluation.transfer import (
    PROTOCOLS,
    ClipSpec,
    Features,
    Protocol,
    Statistics,
    TowerFeatures,
    resolve_protocol,
)

__all__ = [
    "PROTOCOLS",
    "TASKS",
    "ClipSpec",
    "Features",
    "Metric",
    "Protocol",
    "Result",
    "Statistics",
    "TowerFeatures",
    "as_text",
    "check_place",
    "evaluate",
    "evaluate_features",
    "read_results",
    "resolve_protocol",
    "table_of",
    "write_result",
]
