"""Embeddings of a library on disk, search over them, and passages that recur in films."""
