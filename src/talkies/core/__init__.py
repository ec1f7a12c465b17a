"""The values that travel between rooms, exact time, and the one exception tree."""

from talkies.core.errors import (
    ConfigError,
    LibraryError,
    MediaError,
    PlanError,
    RunError,
    TalkiesError,
    UsageError,
    WorkError,
)
from talkies.core.files import hash_of_file, replace_atomically, write_atomically
from talkies.core.parallel import in_processes
from talkies.core.time import ClipShape, Grid, Span
from talkies.core.values import Clip, ClipBatch, ClipRequest, Embeddings, FilmId, as_film_id
from talkies.core.words import cause_of, nearest, plural

__all__ = [
    "Clip",
    "ClipBatch",
    "ClipRequest",
    "ClipShape",
    "ConfigError",
    "Embeddings",
    "FilmId",
    "Grid",
    "LibraryError",
    "MediaError",
    "PlanError",
    "RunError",
    "Span",
    "TalkiesError",
    "UsageError",
    "WorkError",
    "as_film_id",
    "cause_of",
    "hash_of_file",
    "in_processes",
    "nearest",
    "plural",
    "replace_atomically",
    "write_atomically",
]
