"""Find the films that a list of files and folders names."""

from collections.abc import Sequence
from pathlib import Path

from talkies.core import UsageError
from talkies.media import looks_like_media


def discover(sources: Sequence[Path]) -> list[Path]:
    """Return the films among `sources` in order, each once: files as they are named, folders searched all through.

    In a folder a film is told by its suffix; hidden files and folders, and libraries, are passed over.

    Raises:
        UsageError: if a source does not exist, or a folder holds no film.
    """
    films: dict[Path, Path] = {}  # by the real file, so that a link to a film is not another film
    for source in sources:
        if source.is_file():
            films.setdefault(source.resolve(), source.absolute())
        elif source.is_dir():
            inside = sorted(path for path in source.rglob("*") if _is_film(path, source))
            if not inside:
                raise UsageError(f"{source} holds no film; name a film file, or a folder with films in it")
            for path in inside:
                films.setdefault(path.resolve(), path.absolute())
        else:
            raise UsageError(f"{source} does not exist; name a film file, or a folder with films in it")
    return list(films.values())


def _is_film(path: Path, root: Path) -> bool:
    inside = path.relative_to(root)
    hidden = any(part.startswith(".") for part in inside.parts)
    return not hidden and looks_like_media(path) and path.is_file() and not _is_in_library(root, inside)


def _is_in_library(root: Path, inside: Path) -> bool:
    return any((root / folder / "library.json").is_file() for folder in inside.parents)
