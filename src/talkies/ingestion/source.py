"""Find the films in the files, folders and URLs that the user names, and the duplicates among them."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from talkies.core import SourceError, UsageError, describe_os_error, format_path
from talkies.media import has_media_suffix
from talkies.runtime import download, hash_file, is_remote, list_files


@dataclass(frozen=True, slots=True)
class Source:
    """A film's file: an absolute path or a URL, and its size in bytes when it was found."""

    location: str
    size: int

    @property
    def text(self) -> str:
        """The location as text; bytes of a path that are not UTF-8 become question marks."""
        return format_path(self.location)

    @property
    def name(self) -> str:
        """The file's name, as text."""
        return self.text.rstrip("/").rpartition("/")[2]

    @contextmanager
    def open_local(self) -> Iterator[Path]:
        """Yield the file's path on this machine; a downloaded copy is removed at the end.

        Raises:
            SourceError: if the file cannot be downloaded.
        """
        if not is_remote(self.location):
            yield Path(self.location)
            return

        with ExitStack() as stack:  # errors of the caller's block must not be caught below
            try:
                path = stack.enter_context(download(self.location))
            except FileNotFoundError as error:
                raise SourceError(f"{self.text} no longer exists") from error
            except OSError as error:
                raise SourceError(f"{self.text} cannot be downloaded ({describe_os_error(error)})") from error
            yield path


@dataclass(frozen=True, slots=True)
class DiscoveredFilms:
    """The films that `discover` found, in order and each file once, with the duplicates among them.

    `duplicates` maps the location of a film to the earlier film with the same bytes; `skipped_files` counts the files
    that are not media.
    """

    films: tuple[Source, ...]
    duplicates: dict[str, Source]
    skipped_files: int


def discover(sources: Sequence[str | Path]) -> DiscoveredFilms:
    """Return the films among `sources`: files or URLs as named, folders searched recursively.

    In a folder, media files are recognised by their suffix; hidden files and folders, and libraries, are skipped.

    Raises:
        UsageError: if a source does not exist, or a folder holds no film.
    """
    films: dict[str, Source] = {}  # by the resolved path: a link to a film is not another film
    skipped_files = 0
    for source in map(str, sources):
        found, others = _list_remote(source) if is_remote(source) else _list_local(Path(source))
        if not found:
            raise UsageError(f"{source} holds no film; name a film file, or a folder with films in it")
        skipped_files += others
        for film in found:
            resolved = film.location if is_remote(film.location) else str(Path(film.location).resolve())
            films.setdefault(resolved, film)

    ordered = tuple(films.values())
    return DiscoveredFilms(ordered, _find_duplicates(ordered), skipped_files)


def _list_local(source: Path) -> tuple[list[Source], int]:
    """Return the films in a local file or folder, and the number of other files."""
    try:
        if source.is_file():
            return [_make_source(source)], 0
        if source.is_dir():
            files = sorted(_walk_files(source))
            films = [path for path in files if has_media_suffix(path.name)]
            return [_make_source(path) for path in films], len(files) - len(films)
    except OSError as error:
        where = error.filename or source
        raise UsageError(
            f"{where} cannot be searched ({describe_os_error(error)}); name a folder that you may read"
        ) from error
    raise UsageError(f"{source} does not exist; name a film file, or a folder with films in it")


def _list_remote(source: str) -> tuple[list[Source], int]:
    """Return the films at a URL, and the number of other files."""
    files = sorted(list_files(source).items())
    if not files:
        raise UsageError(f"{source} does not exist; name a film file, or a folder with films in it")
    films = [Source(url, size) for url, size in files if url == source or has_media_suffix(url)]
    return films, len(files) - len(films)


def _make_source(path: Path) -> Source:
    return Source(str(path.absolute()), path.stat().st_size)


def _walk_files(folder: Path) -> Iterator[Path]:
    """Yield all files in a folder except hidden ones and those of libraries; an unreadable folder is an error."""

    def raise_error(error: OSError) -> None:
        raise error

    for parent, folders, names in os.walk(folder, onerror=raise_error):
        if "library.json" in names:
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = [Path(parent, name) for name in names if not name.startswith(".")]
        yield from (path for path in paths if path.is_file())


def _find_duplicates(films: Sequence[Source]) -> dict[str, Source]:
    """Return the earlier film with the same bytes, by location; only local files of equal sizes are hashed."""
    size_counts = Counter(film.size for film in films)
    first_films: dict[tuple[int, str], Source] = {}
    duplicates: dict[str, Source] = {}
    for film in films:
        if size_counts[film.size] == 1 or is_remote(film.location):
            continue
        try:
            key = film.size, hash_file(Path(film.location))
        except OSError:  # the error is reported when the film itself is ingested
            continue
        if first_films.setdefault(key, film) is not film:
            duplicates[film.location] = first_films[key]
    return duplicates
