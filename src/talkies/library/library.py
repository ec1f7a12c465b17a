"""A library folder: create, open, list, find, and commit films to it.

library/
  library.json            schema version and profile
  films/<film_id>/        one film, there whole or not at all: film.json, proxy.mp4, audio.wav, shots.parquet
  catalogue/*.parquet     films, shots, spans: rebuilt from the film folders at any time
  index/                  embeddings
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from talkies.config import Config
from talkies.core import FilmId, LibraryError, Span, cause_of, nearest
from talkies.library import catalogue
from talkies.library.profile import Profile
from talkies.library.record import SCHEMA_VERSION, FilmRecord, read_json, read_record, write_json

_PARTIAL = ".partial-"
_STORED_FILES = ("proxy.mp4", "audio.wav", "shots.parquet")


class LibraryDocument(Config):
    """What `library.json` holds."""

    schema_version: int = SCHEMA_VERSION
    profile: Profile = Profile()


class Library:
    """An open library; make one with `Library.open` or `Library.create`."""

    def __init__(self, root: Path, profile: Profile) -> None:
        self.root, self.profile = root, profile

    def __repr__(self) -> str:
        return f"Library({str(self.root)!r}, {self.profile!r})"

    @classmethod
    def open(cls, root: Path) -> "Library":
        """Return the library in folder `root`.

        Raises:
            LibraryError: if there is none, or it is of a newer version.
        """
        path = root / "library.json"
        if not path.is_file():
            what = "is not a talkies library (it has no library.json)" if root.exists() else "does not exist"
            raise LibraryError(f"{root} {what}; make a library with: talkies ingest FILMS --library {root}")
        document = read_json(path, LibraryDocument, "a library's description")
        return cls(root, document.profile)

    @classmethod
    def create(cls, root: Path, profile: Profile | None = None) -> "Library":
        """Return the library in folder `root`, made if there is none.

        Without `profile` an existing library keeps its own, and a new one has the default.

        Raises:
            LibraryError: if the folder holds something else, cannot be made, or its profile is another than `profile`.
        """
        if (root / "library.json").is_file():
            library = cls.open(root)
            if profile is not None and profile != library.profile:
                raise LibraryError(f"{root} has another profile ({library.profile}); name a new folder for {profile}")
            return library
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise LibraryError(f"{root} exists and is not a talkies library; name a new or empty folder")
        library = cls(root, profile or Profile())
        try:
            (root / "films").mkdir(parents=True, exist_ok=True)
            write_json(root / "library.json", LibraryDocument(profile=library.profile))
        except OSError as error:
            raise LibraryError(
                f"{root} cannot be made a library ({cause_of(error)}); name a folder you may write"
            ) from error
        return library

    def film_folder(self, film_id: FilmId) -> Path:
        """Return the folder of a film."""
        return self.root / "films" / film_id

    def proxy_path(self, film_id: FilmId) -> Path:
        """Return the path of a film's proxy."""
        return self.film_folder(film_id) / "proxy.mp4"

    def audio_path(self, film_id: FilmId) -> Path:
        """Return the path of a film's training audio."""
        return self.film_folder(film_id) / "audio.wav"

    @property
    def index_folder(self) -> Path:
        """The folder of the embeddings."""
        return self.root / "index"

    def record_of(self, film_id: FilmId) -> FilmRecord | None:
        """Return the record of a film, or nothing if the library does not hold it."""
        path = self.film_folder(film_id) / "film.json"
        return read_record(path) if path.is_file() else None

    def films(self) -> list[FilmRecord]:
        """Return every film's record, rejected ones too, in the order of their ids."""
        here = self._film_ids()
        return catalogue.read_films(self._catalogue, here) or [
            read_record(self.film_folder(i) / "film.json") for i in here
        ]

    def usable_films(self) -> list[FilmRecord]:
        """Return the films that clips can be drawn from.

        Raises:
            LibraryError: if there is none.
        """
        usable = [film for film in self.films() if film.usable]
        if not usable:
            raise LibraryError(f"{self.root} holds no accepted film; see: talkies films --library {self.root}")
        return usable

    def shots_of(self, film_id: FilmId) -> list[Span]:
        """Return a film's shots in order."""
        return catalogue.read_shots(self.film_folder(film_id) / "shots.parquet")

    def find(self, name: str) -> FilmRecord:
        """Return the film whose id, unique beginning of an id, or source file name is `name`.

        Raises:
            LibraryError: if there is no such film, or more than one.
        """
        films = self.films()
        for match in (
            [film for film in films if film.film_id == name],
            [film for film in films if name in (film.name, film.source, Path(film.source).stem)],
            [film for film in films if film.film_id.startswith(name)] if name else [],
        ):
            if len(match) == 1:
                return match[0]
            if match:
                ids = ", ".join(film.film_id for film in match)
                raise LibraryError(f"'{name}' names {len(match)} films of {self.root}; name one by its id: {ids}")
        hint = nearest(name, [film.name for film in films])
        raise LibraryError(f"no film '{name}' in {self.root}{hint}; see: talkies films --library {self.root}")

    @contextmanager
    def committing(self, film_id: FilmId) -> Iterator[Path]:
        """Yield a folder to put a film's files in; at the end it becomes the film's folder in one step.

        If the block raises, nothing is left of it. A whole film that is there already, from another process, stays; one
        that lacks files is replaced.
        """
        partial = self.root / "films" / f"{_PARTIAL}{film_id}-{os.getpid()}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
            for file in partial.iterdir():
                with file.open("rb") as opened:
                    os.fsync(opened.fileno())
            try:
                if not self.is_whole(film_id):
                    self._move_away(self.film_folder(film_id))
                    partial.rename(self.film_folder(film_id))
            except OSError:
                if not self.is_whole(film_id):  # another process may have been quicker
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def is_whole(self, film_id: FilmId) -> bool:
        """Return whether the library holds a film's record, and all the bytes that it speaks of."""
        if (record := self.record_of(film_id)) is None:
            return False
        paths = (self.film_folder(film_id) / name for name in _STORED_FILES)
        return sum(path.stat().st_size for path in paths if path.is_file()) == record.stored_bytes

    def _move_away(self, folder: Path) -> None:
        if folder.exists():
            broken = folder.with_name(f"{_PARTIAL}{folder.name}-broken-{os.getpid()}")
            folder.rename(broken)
            shutil.rmtree(broken, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what killed processes of this machine left half-done."""
        for partial in (self.root / "films").glob(f"{_PARTIAL}*"):
            if not _is_alive(int(partial.name.rpartition("-")[2])):
                shutil.rmtree(partial, ignore_errors=True)

    def rebuild_catalogue(self) -> None:
        """Write the catalogue's tables anew from the film folders."""
        records = [read_record(self.film_folder(film_id) / "film.json") for film_id in self._film_ids()]
        shots = {
            record.film_id: self.shots_of(record.id) for record in records if record.usable and self.is_whole(record.id)
        }
        catalogue.write(self._catalogue, records, shots)

    @property
    def _catalogue(self) -> Path:
        return self.root / "catalogue"

    def _film_ids(self) -> list[FilmId]:
        folder = self.root / "films"
        names = (entry.name for entry in os.scandir(folder)) if folder.is_dir() else ()
        return sorted(FilmId(name) for name in names if not name.startswith("."))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
