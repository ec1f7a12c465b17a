"""The verb: from a moment of a film, or from a file, to the moments of the library that are most like it."""

from pathlib import Path

from talkies.library import Library
from talkies.retrieval.search.query import SearchQuery, SearchResult
from talkies.retrieval.search.searcher import Searcher
from talkies.runs.exported_model import stamp_at


def search(library: str | Path, query: SearchQuery, run: Path | None = None) -> SearchResult:
    """Return the moments most like the query's.

    With `run`, the embeddings must be those of its newest checkpoint; without it there must be one set alone.

    Raises:
        UsageError: if the query makes no sense for its film or file.
        LibraryError: if there is no such library or film, it has no embeddings, they are another model's, or the model
            that a file must be encoded with is there no more.
        MediaError, IsolationError: if the file cannot be read.
        RunError: if there is no such run.
    """
    return open_searcher(library, run).search(query)


def open_searcher(library: str | Path, run: Path | None = None) -> Searcher:
    """Return a library open for searching with the embeddings of a run or an exported model, or with the only ones.

    Raises:
        LibraryError, RunError: as `search`.
    """
    stamp = stamp_at(run) if run else None
    return Searcher(Library.open(library), stamp)
