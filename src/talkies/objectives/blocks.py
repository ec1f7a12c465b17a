"""Blocks of rows and columns of a matrix that never exists at once."""

from collections.abc import Iterator


def iterate_blocks(length: int, block: int) -> Iterator[slice]:
    """Yield slices of at most `block` rows that cover `length` rows."""
    return (slice(start, min(start + block, length)) for start in range(0, length, block))
