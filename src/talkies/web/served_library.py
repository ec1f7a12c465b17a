"""The library that is served: its films by id, and their files, none of which lies outside of it."""

from pathlib import Path
from typing import Annotated

from fastapi import Path as PathParameter

from talkies.core import FilmId, parse_film_id
from talkies.library import FilmEntry, Library
from talkies.web.errors import RefusedError

FilmIdInPath = Annotated[str, PathParameter(pattern="^[0-9a-f]{16}$", description="Sixteen hexadecimal digits")]


class Shelf:
    """The films of an open library."""

    def __init__(self, library: Library) -> None:
        self.library = library

    def films(self) -> list[FilmEntry]:
        """Return every film, rejected ones too."""
        return self.library.films()

    def film(self, name: str) -> FilmEntry:
        """Return the film of an id.

        Raises:
            RefusedError: if the library does not hold it (any more).
        """
        film_id = self._id(name)
        record = self.library.record_of(film_id)
        if record is None:
            raise RefusedError(404, f"the library holds no film {name}, or not any more; reload the page")
        return FilmEntry.of(record)

    def file(self, name: str, file: str) -> Path:
        """Return the path of one of a film's files.

        Raises:
            RefusedError: if it is not there, or is a link to outside the library.
        """
        film_id = self._id(name)
        path = self.library.film_file(film_id, file)
        whole = path.resolve()
        if not whole.is_relative_to(path.parent.parent.resolve()):
            raise RefusedError(404, f"{file} of film {film_id} is a link to outside the library, which is not followed")
        if not whole.is_file():
            raise RefusedError(404, f"film {film_id} has no {file} in the library (any more); ingest it again")
        return whole

    def _id(self, name: str) -> FilmId:
        try:
            return parse_film_id(name)
        except ValueError as error:
            raise RefusedError(404, str(error)) from error
