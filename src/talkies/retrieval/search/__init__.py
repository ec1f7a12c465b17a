"""Search: resolve a query, collect candidates, select hits."""

from talkies.retrieval.search.example import example_of, load_example, save_example
from talkies.retrieval.search.query import Example, Hit, Moment, SearchQuery, SearchResult, Side
from talkies.retrieval.search.search import open_searcher, search
from talkies.retrieval.search.searcher import Searcher

__all__ = [
    "Example",
    "Hit",
    "Moment",
    "SearchQuery",
    "SearchResult",
    "Searcher",
    "Side",
    "example_of",
    "load_example",
    "open_searcher",
    "save_example",
    "search",
]
