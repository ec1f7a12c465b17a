"""Evaluate a representation: transfer to labelled data sets, and tasks on films, each with its protocol."""

from talkies.evaluation.evaluate import TASKS, evaluate, evaluate_features
from talkies.evaluation.results import (
    Metric,
    Result,
    build_table,
    check_writable,
    format_table,
    read_results,
    write_result,
)
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
    "build_table",
    "check_writable",
    "evaluate",
    "evaluate_features",
    "format_table",
    "read_results",
    "resolve_protocol",
    "write_result",
]
