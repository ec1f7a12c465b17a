"""Find films by what people call them: an id, the start of one, a path, a file name, or a name that a film had before.

Names are compared in NFC, so that one letter has one spelling, and by their bytes where these are not UTF-8.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from talkies.core import normalize_name, path_to_text, replace_surrogates, replace_undecodable
from talkies.library.catalogue import FilmEntry

Matches = Callable[[FilmEntry], bool]


def match_films(films: Sequence[FilmEntry], name: str) -> list[FilmEntry]:
    """Return the films that `name` names: more than one if it is ambiguous, none if it names none.

    The first of these that names a film decides: the id; the path as it is; a path, a file name, or one without its
    suffix; the same of the names that a film had before; the same of libraries that hold question marks for bytes that
    are not UTF-8; the start of an id.
    """
    paths = {path_to_text(name)}
    if "/" in name:
        paths.add(path_to_text(os.path.normpath(Path(name).absolute())))
    spelled = {normalize_name(each) for each in (*paths, replace_surrogates(name))}  # as typed, or as programs pass it
    replaced = {normalize_name(replace_undecodable(each)) for each in spelled}

    tests: tuple[Matches, ...] = (
        lambda film: film.film_id == name,
        lambda film: film.source in paths,
        lambda film: _is_called(film.source, spelled),
        lambda film: any(_is_called(source, spelled) for source in film.other_sources),
        lambda film: any(_is_called(replace_undecodable(source), replaced) for source in film.sources),
        lambda film: bool(name) and film.film_id.startswith(name),
    )
    for test in tests:
        if matches := [film for film in films if test(film)]:
            return matches
    return []


def _is_called(source: str, names: set[str]) -> bool:
    """Return whether one of `names` is the path `source`, its file name, or that without the suffix."""
    path = normalize_name(source)
    file_name = path.rpartition("/")[2]
    return path in names or file_name in names or _remove_suffix(file_name) in names


def _remove_suffix(name: str) -> str:
    return name.rpartition(".")[0] or name
