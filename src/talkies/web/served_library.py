"""The served library: its films by id, and the paths of their files, which must be inside the library."""

from pathlib import Path
from typing import Annotated

from fastapi import Path as PathParameter

from talkies.core import FilmId, parse_film_id
from talkies.library import FilmEntry, Library
from talkies.web.errors import RefusedError

FilmIdInPath = Annotated[str, PathParameter(pattern="^[0-9a-f]{16}$", description="Sixteen hexadecimal digits")]


class ServedLibrary:
    """An open library, looked up by the ids that requests name."""

    def __init__(self, library: Library) -> None:
        self.library = library

    def list_films(self) -> list[FilmEntry]:
        """Return every film, including rejected ones."""
        return self.library.films()

    def get_film(self, name: str) -> FilmEntry:
        """Return the film with an id.

        Raises:
            RefusedError: If the library does not hold it, or no longer.
        """
        record = self.library.record_of(_parse_id(name))
        if record is None:
            raise RefusedError(404, f"film {name} is not in the library, or no longer; reload the page")
        return FilmEntry.of(record)

    def get_file_path(self, name: str, file_name: str) -> Path:
        """Return the path of one of a film's files.

        Args:
            name: Id of the film.
            file_name: Name of the file in the film's folder, such as `proxy.mp4`.

        Raises:
            RefusedError: If the file does not exist, or is a link out of the library.
        """
        film_id = _parse_id(name)
        path = self.library.film_file(film_id, file_name)
        resolved = path.resolve()
        films_folder = path.parent.parent.resolve()
        if not resolved.is_relative_to(films_folder):
            raise RefusedError(
                404, f"{file_name} of film {film_id} is a link to outside the library, which is not followed"
            )
        if not resolved.is_file():
            raise RefusedError(404, f"film {film_id} has no {file_name} in the library, or no longer; ingest it again")
        return resolved


def _parse_id(name: str) -> FilmId:
    try:
        return parse_film_id(name)
    except ValueError as error:
        raise RefusedError(404, str(error)) from error
