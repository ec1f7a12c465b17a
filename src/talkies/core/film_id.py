"""The id of a film, derived from the content of its file."""

import re
from typing import NewType

FilmId = NewType("FilmId", str)
"""Sixteen hexadecimal digits: the first of the digest of the film file's bytes."""

_FILM_ID = re.compile(r"[0-9a-f]{16}")


def parse_film_id(text: str) -> FilmId:
    """Return `text` as a film id.

    Raises:
        ValueError: if it is not sixteen hexadecimal digits.
    """
    if not _FILM_ID.fullmatch(text):
        raise ValueError(f"a film id is sixteen hexadecimal digits, got {text!r}")
    return FilmId(text)
