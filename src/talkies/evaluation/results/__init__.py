"""Results of an evaluation: their documents on disk, and the table of many."""

from talkies.evaluation.results.documents import check_place, read_results, write_result
from talkies.evaluation.results.result import Metric, Result
from talkies.evaluation.results.table import as_text, table_of

__all__ = [
    "Metric",
    "Result",
    "as_text",
    "check_place",
    "read_results",
    "table_of",
    "write_result",
]
