"""The values that travel between rooms, exact time, and the one exception tree.

The values that hold tensors come with their first use, for PyTorch takes seconds and memory that a worker which only
decodes, or a verb which only lists, should not spend.
"""

from typing import TYPE_CHECKING

from talkies.core.cluster import on_ray
from talkies.core.errors import (
    ConfigError,
    LibraryError,
    MediaError,
    PlanError,
    RunError,
    SourceError,
    TalkiesError,
    UsageError,
    WorkError,
)
from talkies.core.files import hash_of_file, remove_abandoned, replace_atomically, write_atomically
from talkies.core.film_id import FilmId, as_film_id
from talkies.core.isolation import Isolated, IsolationError, ProcessLimits, Report, peak_memory_bytes
from talkies.core.parallel import ahead, end_with, in_processes
from talkies.core.remote import fetched, filesystem, is_remote, list_files
from talkies.core.spans import Int64s, SpanTable, film_line
from talkies.core.time import ClipShape, Grid, Span
from talkies.core.words import cause_of, nearest, plural, text_of

if TYPE_CHECKING:
    from talkies.core.values import Clip, ClipBatch, ClipRequest, Embeddings

__all__ = [
    "Clip",
    "ClipBatch",
    "ClipRequest",
    "ClipShape",
    "ConfigError",
    "Embeddings",
    "FilmId",
    "Grid",
    "Int64s",
    "Isolated",
    "IsolationError",
    "LibraryError",
    "MediaError",
    "PlanError",
    "ProcessLimits",
    "Report",
    "RunError",
    "SourceError",
    "Span",
    "SpanTable",
    "TalkiesError",
    "UsageError",
    "WorkError",
    "ahead",
    "as_film_id",
    "cause_of",
    "end_with",
    "fetched",
    "filesystem",
    "film_line",
    "hash_of_file",
    "in_processes",
    "is_remote",
    "list_files",
    "nearest",
    "on_ray",
    "peak_memory_bytes",
    "plural",
    "remove_abandoned",
    "replace_atomically",
    "text_of",
    "write_atomically",
]


def __getattr__(name: str) -> object:
    if name in {"Clip", "ClipBatch", "ClipRequest", "Embeddings"}:
        from talkies.core import values

        return getattr(values, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
