"""Results of evaluations: the value, its JSON files, and a table of many."""

from talkies.evaluation.results.detectable import Detectable, describe_detectable
from talkies.evaluation.results.documents import check_writable, read_results, write_result
from talkies.evaluation.results.result import Metric, Result
from talkies.evaluation.results.table import build_table, format_table, name_measured

__all__ = [
    "Detectable",
    "Metric",
    "Result",
    "build_table",
    "check_writable",
    "describe_detectable",
    "format_table",
    "name_measured",
    "read_results",
    "write_result",
]
