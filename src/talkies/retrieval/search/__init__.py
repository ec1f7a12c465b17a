"""Search: resolve a query, collect candidates, select hits."""

from talkies.retrieval.search.example import encode_file, load_example, save_example
from talkies.retrieval.search.film_curves import ClipScore, RecurringClip
from talkies.retrieval.search.query import Example, Hit, Moment, SearchQuery, SearchResult
from talkies.retrieval.search.search import open_searcher, search
from talkies.retrieval.search.searcher import Searcher

__all__ = [
    "ClipScore",
    "Example",
    "Hit",
    "Moment",
    "RecurringClip",
    "SearchQuery",
    "SearchResult",
    "Searcher",
    "encode_file",
    "load_example",
    "open_searcher",
    "save_example",
    "search",
]
