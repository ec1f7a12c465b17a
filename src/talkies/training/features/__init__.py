"""Features of frozen towers, computed once and kept: fixed views of clips, their cache, and batches from it."""
