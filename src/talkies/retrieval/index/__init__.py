"""Embeddings on disk: the vector index of a library, and the verb that fills it."""

from talkies.retrieval.index.choose_set import choose_set
from talkies.retrieval.index.embed import EmbedReport, EmbedRunner, embed
from talkies.retrieval.index.embedding_set import EmbeddingSet
from talkies.retrieval.index.library_map import MapPoint, build_map
from talkies.retrieval.index.rows import IndexRows
from talkies.retrieval.index.vector_index import VectorIndex

__all__ = [
    "EmbedReport",
    "EmbedRunner",
    "EmbeddingSet",
    "IndexRows",
    "MapPoint",
    "VectorIndex",
    "build_map",
    "choose_set",
    "embed",
]
