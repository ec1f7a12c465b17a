"""How good a representation is: probes and retrieval, each with its protocol."""

from talkies.evaluation.documents import check_place, read_results, write_result
from talkies.evaluation.evaluate import TASKS, evaluate, evaluate_features
from talkies.evaluation.features import Features, Statistics, TowerFeatures
from talkies.evaluation.look import Look
from talkies.evaluation.protocol import PROTOCOLS, Protocol, resolve_protocol
from talkies.evaluation.results import Metric, Result
from talkies.evaluation.table import as_text, table_of

__all__ = [
    "PROTOCOLS",
    "TASKS",
    "Features",
    "Look",
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
