"""The search verb: the moments of a library that are most similar to a moment of a film, or to a file."""

from pathlib import Path

from talkies.library import Library
from talkies.retrieval.search.query import SearchQuery, SearchResult
from talkies.retrieval.search.searcher import Searcher
from talkies.runs.exported_model import read_stamp


def search(library: str | Path, query: SearchQuery, run: str | Path | None = None) -> SearchResult:
    """Return the moments of a library most similar to the query's.

    Args:
        library: The folder or URL of the library.
        query: What to search for.
        run: The run whose newest checkpoint embedded the library; None if the library has one embedding set only.

    Returns:
        The hits, best first.

    Raises:
        UsageError: if the query does not fit its film or file.
        LibraryError: if there is no such library or film, it has no embeddings, they are another model's, or the model
            that must encode a file is gone.
        MediaError, IsolationError: if the file cannot be read.
        RunError: if there is no such run.
    """
    run = Path(run) if run is not None else None
    return open_searcher(library, run).search(query)


def open_searcher(library: str | Path, run: Path | None = None) -> Searcher:
    """Return a searcher of a library's embeddings by a run or an exported model, or of its only embeddings.

    Raises:
        LibraryError, RunError: as `search`.
    """
    stamp = read_stamp(run) if run else None
    return Searcher(Library.open(library), stamp)
