"""Encode clips with a run's model, keep the embeddings with their times, and search them."""

from talkies.embedding.embed import EmbedReport, EmbedRunner, embed, encode_all
from talkies.embedding.encoder import ClipEncoder, Encoded, load_encoder
from talkies.embedding.example import example_of, load_example, save_example
from talkies.embedding.index import EmbeddingSet, Modality, VectorIndex
from talkies.embedding.layout import MapPoint, map_of
from talkies.embedding.query import Example, Hit, Moment, SearchQuery, SearchResult, Side
from talkies.embedding.rows import IndexRows
from talkies.embedding.search import open_searcher, search
from talkies.embedding.searcher import Searcher

__all__ = [
    "ClipEncoder",
    "EmbedReport",
    "EmbedRunner",
    "EmbeddingSet",
    "Encoded",
    "Example",
    "Hit",
    "IndexRows",
    "MapPoint",
    "Modality",
    "Moment",
    "SearchQuery",
    "SearchResult",
    "Searcher",
    "Side",
    "VectorIndex",
    "embed",
    "encode_all",
    "example_of",
    "load_encoder",
    "load_example",
    "map_of",
    "open_searcher",
    "save_example",
    "search",
]
