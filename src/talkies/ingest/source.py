"""Where films come from: the files and folders that were named, and what is the same film twice."""

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
        """The location as text; bytes of a path that are no UTF-8 become question marks."""
        return format_path(self.location)

    @property
    def name(self) -> str:
        """The file's name, as text."""
        return self.text.rstrip("/").rpartition("/")[2]

    @contextmanager
    def local(self) -> Iterator[Path]:
        """Yield the file on this machine; what had to be fetched is removed at the end.

        Raises:
            SourceError: if it cannot be fetched.
        """
        if not is_remote(self.location):
            yield Path(self.location)
            return
        with ExitStack() as stack:  # what goes wrong with the copy is not the fetching's fault
            try:
                path = stack.enter_context(download(self.location))
            except FileNotFoundError as error:
                raise SourceError(f"{self.text} is not there any more") from error
            except OSError as error:
                raise SourceError(f"{self.text} cannot be fetched ({describe_os_error(error)})") from error
            yield path


@dataclass(frozen=True, slots=True)
class Found:
    """What the named sources hold: films in order, each file once; those that have the bytes of an earlier one; and how
    many other files were passed over.
    """

    films: tuple[Source, ...]
    duplicates: dict[str, Source]  # by location, the film that has the same bytes
    skipped_files: int


def discover(sources: Sequence[str | Path]) -> Found:
    """Return the films among `sources`: files (or URLs) as they are named, folders searched all through.

    In a folder media is told by its suffix; hidden files and folders, and libraries, are passed over.

    Raises:
        UsageError: if a source does not exist, or a folder holds no film.
    """
    films: dict[str, Source] = {}  # by the real file, so that a link to a film is not another film
    skipped_files = 0
    for source in map(str, sources):
        here, others = _remote(source) if is_remote(source) else _local(Path(source))
        if not here:
            raise UsageError(f"{source} holds no film; name a film file, or a folder with films in it")
        skipped_files += others
        for film in here:
            real = film.location if is_remote(film.location) else str(Path(film.location).resolve())
            films.setdefault(real, film)
    ordered = tuple(films.values())
    return Found(ordered, _duplicates(ordered), skipped_files)


def _local(source: Path) -> tuple[list[Source], int]:
    try:
        if source.is_file():
            return [_of(source)], 0
        if source.is_dir():
            files = sorted(_files_in(source))
            films = [path for path in files if has_media_suffix(path.name)]
            return [_of(path) for path in films], len(files) - len(films)
    except OSError as error:
        where = error.filename or source
        raise UsageError(f"{where} cannot be searched ({describe_os_error(error)}); name a folder that you may read") from error
    raise UsageError(f"{source} does not exist; name a film file, or a folder with films in it")


def _remote(source: str) -> tuple[list[Source], int]:
    files = sorted(list_files(source).items())
    if not files:
        raise UsageError(f"{source} does not exist; name a film file, or a folder with films in it")
    films = [Source(url, size) for url, size in files if url == source or has_media_suffix(url)]
    return films, len(files) - len(films)


def _of(path: Path) -> Source:
    return Source(str(path.absolute()), path.stat().st_size)


def _files_in(folder: Path) -> Iterator[Path]:
    """Yield all files in a folder but hidden ones and those of libraries; a folder that may not be read is an error."""

    def refuse(error: OSError) -> None:
        raise error

    for place, folders, names in os.walk(folder, onerror=refuse):
        is_library = "library.json" in names
        folders[:] = [] if is_library else [name for name in folders if not name.startswith(".")]
        paths = [Path(place, name) for name in names if not (is_library or name.startswith("."))]
        yield from (path for path in paths if path.is_file())


def _duplicates(films: Sequence[Source]) -> dict[str, Source]:
    """Return the earlier film of the same bytes, by location; only files of one size need to be read for that."""
    sizes = Counter(film.size for film in films)
    first: dict[tuple[int, str], Source] = {}
    same: dict[str, Source] = {}
    for film in films:
        if sizes[film.size] > 1 and not is_remote(film.location):
            try:
                key = film.size, hash_file(Path(film.location))
            except OSError:  # it will say so itself when its turn comes
                continue
            if first.setdefault(key, film) is not film:
                same[film.location] = first[key]
    return same
