"""Find the films in the files, folders and URLs that the user names, and the duplicates among them."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from talkies.core import (
    SourceError,
    UsageError,
    describe_os_error,
    escape_controls,
    format_path,
    path_to_text,
    replace_surrogates,
)
from talkies.ingestion.walk import Unreadable, walk_folder
from talkies.media import has_media_suffix
from talkies.runtime import download, find_path, hash_file, is_remote, list_files


@dataclass(frozen=True, slots=True)
class Source:
    """A film's file: an absolute path or a URL, and its size in bytes when it was found."""

    location: str
    size: int

    @property
    def text(self) -> str:
        r"""The location as text; bytes of a path that are not UTF-8 are written as `\xe9`."""
        return replace_surrogates(self.location) if is_remote(self.location) else path_to_text(self.location)

    @property
    def name(self) -> str:
        """The file's name, as text."""
        return self.text.rstrip("/").rpartition("/")[2]

    @property
    def printable_text(self) -> str:
        """The location without control characters, for messages."""
        return escape_controls(self.text)

    @property
    def printable_name(self) -> str:
        """The file's name without control characters, for messages."""
        return escape_controls(self.name)

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
                raise SourceError(f"{self.printable_text} no longer exists") from error
            except OSError as error:
                raise SourceError(f"{self.printable_text} cannot be downloaded ({describe_os_error(error)})") from error
            yield path


@dataclass(frozen=True, slots=True)
class DiscoveredFilms:
    """The films that `discover` found, in order and each file once, with the duplicates among them.

    Args:
        films: The films.
        duplicates: Maps the location of a film to the earlier film with the same bytes.
        skipped_files: How many files are not media.
        other_paths: Maps the location of a film to the other paths of the very same file: links to it.
        unreadable: The folders and files that could not be read, and the links that lead nowhere.
        loops: How many links lead to a folder around them; they are not followed.
    """

    films: tuple[Source, ...]
    duplicates: dict[str, Source]
    skipped_files: int
    other_paths: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unreadable: tuple[Unreadable, ...] = ()
    loops: int = 0


@dataclass(frozen=True, slots=True)
class _Found:
    """What one of the named sources holds, as in `DiscoveredFilms`."""

    films: list[Source]
    skipped_files: int = 0
    unreadable: Sequence[Unreadable] = ()
    loops: int = 0


def discover(sources: Sequence[str | Path]) -> DiscoveredFilms:
    """Return the films among `sources`: files or URLs as named, folders searched recursively.

    In a folder, media files are recognised by their suffix; hidden files and folders, and libraries, are skipped. Links
    to files and folders are followed. A folder below a source that cannot be read does not stop the search.

    Raises:
        UsageError: if a source does not exist or cannot be read, or a folder holds no film.
    """
    films: dict[str, Source] = {}  # by the resolved path: a link to a film is not another film
    paths: dict[str, dict[str, None]] = {}  # the paths of each film's file, in order
    all_found = []
    for source in map(str, sources):
        found = _list_remote(source) if is_remote(source) else _list_local(Path(source))
        if not found.films:
            _raise_no_film(source, found.unreadable)
        all_found.append(found)
        for film in found.films:
            resolved = film.location if is_remote(film.location) else os.path.realpath(film.location)
            first = films.setdefault(resolved, film)
            paths.setdefault(first.location, {})[film.location] = None

    ordered = tuple(films.values())
    return DiscoveredFilms(
        ordered,
        _find_duplicates(ordered),
        skipped_files=sum(found.skipped_files for found in all_found),
        other_paths={first: tuple(same)[1:] for first, same in paths.items() if len(same) > 1},
        unreadable=tuple({each.location: each for found in all_found for each in found.unreadable}.values()),
        loops=sum(found.loops for found in all_found),
    )


def _raise_no_film(source: str, unreadable: Sequence[Unreadable]) -> NoReturn:
    shown = format_path(source)
    if unreadable:
        others = len(unreadable) - 1
        more = f", and {others} more cannot be read" if others else ""
        raise UsageError(
            f"{shown} holds no film that can be read: {unreadable[0].message}{more}; name a folder that you may read"
        )
    raise UsageError(f"{shown} holds no film; name a film file, or a folder with films in it")


def _list_local(source: Path) -> _Found:
    """Return the films in a local file or folder, and the number of other files."""
    source = find_path(source)
    try:
        if source.is_file():
            return _Found([_make_source(source)])
        if source.is_dir():
            return _list_folder(source)
    except OSError as error:
        where = format_path(error.filename or source)
        raise UsageError(
            f"{where} cannot be searched ({describe_os_error(error)}); name a folder that you may read"
        ) from error
    shown = format_path(source)
    if source.is_symlink():
        target = format_path(source.readlink())
        raise UsageError(f"{shown} is a link to {target}, which does not exist; name a film file, or a folder of films")
    raise UsageError(f"{shown} does not exist; name a film file, or a folder with films in it")


def _list_folder(folder: Path) -> _Found:
    walked = walk_folder(folder.absolute())
    films, unreadable = [], list(walked.unreadable)
    for path in walked.files:
        if not has_media_suffix(path.name):
            continue
        try:
            films.append(_make_source(path))
        except OSError as error:
            message = f"{format_path(path)} cannot be read ({describe_os_error(error)})"
            unreadable.append(Unreadable(str(path), message))
    others = sum(not has_media_suffix(path.name) for path in walked.files)
    return _Found(films, others, unreadable, walked.loops)


def _list_remote(source: str) -> _Found:
    """Return the films at a URL, and the number of other files."""
    files = sorted(list_files(source).items())
    if not files:
        raise UsageError(f"{format_path(source)} does not exist; name a film file, or a folder with films in it")
    films = [Source(url, size) for url, size in files if url == source or has_media_suffix(url)]
    return _Found(films, len(files) - len(films))


def _make_source(path: Path) -> Source:
    return Source(str(path.absolute()), path.stat().st_size)


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
