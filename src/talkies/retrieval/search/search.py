"""The search verb: the moments of a library that are most similar to a moment of a film, to a file, or to words."""

from pathlib import Path

from talkies.library import Library
from talkies.retrieval.index.choose_set import choose_set
from talkies.retrieval.search.query import Combined, SearchQuery, SearchResult, Single, Words
from talkies.retrieval.search.searcher import Searcher
from talkies.runs import is_model_address


def search(
    library: str | Path, query: SearchQuery | Single | Combined | str, run: str | Path | None = None
) -> SearchResult:
    """Return the moments of a library most similar to the query's.

    Args:
        library: The folder or URL of the library.
        query: What to search for: a query with its options, or only a moment, a file's path, or words; a text is words.
        run: The run whose newest checkpoint embedded the library, or the address of the public encoders that did; None
            if the library has one embedding set only.

    Returns:
        The hits, best first.

    Raises:
        UsageError: if the query does not fit its film or file, or the set lacks what it needs.
        LibraryError: if there is no such library or film, it has no embeddings, they are another model's, or the model
            that must encode a file or words is gone.
        MediaError, IsolationError: if the file cannot be read.
        RunError: if there is no such run.
    """
    if isinstance(query, str):
        query = Words(query)
    if not isinstance(query, SearchQuery):
        query = SearchQuery(query)
    return open_searcher(library, run).search(query)


def open_searcher(library: str | Path, run: str | Path | None = None) -> Searcher:
    """Return a searcher of a library's embeddings by a run, an exported model or public encoders, or of its only ones.

    Raises:
        LibraryError, RunError: as `search`.
    """
    opened = Library.open(library)
    entry = choose_set(opened, run)
    named_by_address = isinstance(run, str) and is_model_address(run)
    return Searcher(opened, entry.stamp, trust_code=named_by_address)
