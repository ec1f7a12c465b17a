"""Search: resolve a query, collect candidates, select hits."""

from talkies.retrieval.search.example import encode_file, load_example, save_example
from talkies.retrieval.search.film_curves import ClipScore, RecurringClip
from talkies.retrieval.search.query import (
    Combined,
    Example,
    Hit,
    Moment,
    Part,
    SearchQuery,
    SearchResult,
    Words,
)
from talkies.retrieval.search.search import open_searcher, search
from talkies.retrieval.search.searcher import Searcher

__all__ = [
    "ClipScore",
    "Combined",
    "Example",
    "Hit",
    "Moment",
    "Part",
    "RecurringClip",
    "SearchQuery",
    "SearchResult",
    "Searcher",
    "Words",
    "encode_file",
    "load_example",
    "open_searcher",
    "save_example",
    "search",
]
