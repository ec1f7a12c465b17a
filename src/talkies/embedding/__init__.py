"""Encode clips with a run's model, keep the embeddings with their times, and search them."""

from talkies.embedding.embed import EmbedReport, embed, encode_all
from talkies.embedding.encoder import ClipEncoder, Encoded, load_encoder
from talkies.embedding.index import EmbeddingSet, VectorIndex
from talkies.embedding.search import Hit, SearchQuery, SearchResult, search

__all__ = [
    "ClipEncoder",
    "EmbedReport",
    "EmbeddingSet",
    "Encoded",
    "Hit",
    "SearchQuery",
    "SearchResult",
    "VectorIndex",
    "embed",
    "encode_all",
    "load_encoder",
    "search",
]
