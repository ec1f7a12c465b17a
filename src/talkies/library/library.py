"""A library folder: create it, open it, list and find its films, and commit films to it.

library/
  library.json            schema version and profile
  films/<film_id>/        one film, complete or absent: film.json, proxy.mp4, audio.wav, shots.parquet, strip.jpg
                          (a rejected film has only film.json, and strip.jpg if a picture could be decoded)
  catalogue/*.parquet     films, shots, spans: rebuilt from the film folders at any time
  index/                  embeddings
"""

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from talkies.config import Config
from talkies.core import (
    FilmId,
    LibraryError,
    Span,
    SpanTable,
    WorkError,
    describe_os_error,
    escape_controls,
    path_to_text,
    suggest_nearest,
)
from talkies.library.catalogue import SHOT, Catalogue, Change, FilmEntry, read_annotations
from talkies.library.lookup import match_films
from talkies.library.mirror import Mirror
from talkies.library.profile import Profile, ProfileChoice
from talkies.library.record import SCHEMA_VERSION, FilmRecord, read_json, read_record, write_json
from talkies.library.staging import create_staging_folder, flush, hold_lock, replace_folder, sweep
from talkies.runtime import is_remote, remove_abandoned

_STORED_FILES = ("proxy.mp4", "audio.wav", "shots.parquet", "strip.jpg")


class LibraryDocument(Config):
    """The content of `library.json`."""

    schema_version: int = SCHEMA_VERSION
    profile: Profile = Profile()


class Library:
    """An open library; get one with `Library.open` or `Library.create`."""

    def __init__(self, root: Path, profile: Profile, mirror: Mirror | None = None) -> None:
        self.root, self.profile, self._mirror = root, profile, mirror
        self._catalogue = Catalogue(root / "catalogue")

    def __repr__(self) -> str:
        return f"Library({self.location!r}, {self.profile!r})"

    @property
    def location(self) -> str:
        """The library's folder, or its URL."""
        return self._mirror.url if self._mirror else str(self.root)

    @classmethod
    def open(cls, root: str | Path) -> "Library":
        """Return the library in the folder, or at the URL, `root`.

        Raises:
            LibraryError: if there is none, or a newer version wrote it.
        """
        mirror = Mirror(str(root)) if is_remote(root) else None
        folder = mirror.folder if mirror else Path(root)
        path = mirror.fetch("library.json") if mirror else folder / "library.json"
        if not path.is_file():
            exists = mirror.exists() if mirror else folder.exists()
            what = "is not a talkies library (it has no library.json)" if exists else "does not exist"
            raise LibraryError(f"{root} {what}; make a library with: talkies ingest FILMS --library {root}")
        document = read_json(path, LibraryDocument, "a library's description")
        return cls(folder, document.profile, mirror)

    @classmethod
    def create(cls, root: str | Path, profile: Profile | ProfileChoice | None = None) -> "Library":
        """Return the library in the folder, or at the URL, `root`; it is created if it does not exist.

        An existing library keeps its profile. Without `profile` a new one gets the default, `small`.

        Raises:
            LibraryError: if the folder holds something else, cannot be created, or has another profile than `profile`.
            ConfigError: if there is no such profile.
        """
        choice = ProfileChoice.of(profile) if isinstance(profile, Profile) else profile or ProfileChoice()
        mirror = Mirror(str(root)) if is_remote(root) else None
        folder = mirror.folder if mirror else Path(root)

        # Whether the folder is occupied is checked first: another process may be creating the library right now.
        occupied = mirror.exists() if mirror else folder.exists() and not _is_free(folder)
        if mirror.exists("library.json") if mirror else (folder / "library.json").is_file():
            library = cls.open(root)
            asked = choice.resolve(library.profile)
            if asked != library.profile:
                raise LibraryError(
                    f"{root} keeps the profile that it was begun with, {library.profile.describe()}, and not "
                    f"{asked.describe()}; for that make another library: "
                    f"talkies ingest SOURCES --library NEW {asked.options}"
                )
            return library
        if occupied:
            raise LibraryError(f"{root} exists and is not a talkies library; name a new or empty folder")

        library = cls(folder, choice.resolve(None), mirror)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / "library.json", LibraryDocument(profile=library.profile))
            (folder / "films").mkdir(exist_ok=True)
            if mirror:
                mirror.send("library.json")
        except OSError as error:
            raise LibraryError(
                f"cannot create a library in {root} ({describe_os_error(error)}); name a folder that you may write"
            ) from error
        return library

    def film_folder(self, film_id: FilmId) -> Path:
        """Return the folder of a film on this machine."""
        return self._films_folder / film_id

    def film_file(self, film_id: FilmId, name: str) -> Path:
        """Return the path of one of a film's files, downloaded from a remote library; the file may be missing."""
        return self._mirror.fetch(f"films/{film_id}/{name}") if self._mirror else self.film_folder(film_id) / name

    def has_file(self, film_id: FilmId, name: str) -> bool:
        """Return whether the library has one of a film's files, without downloading it."""
        if self._mirror:
            return self._mirror.sum_sizes(film_id, (name,)) > 0
        return (self.film_folder(film_id) / name).is_file()

    def proxy_path(self, film_id: FilmId) -> Path:
        """Return the path of a film's proxy."""
        return self.film_file(film_id, "proxy.mp4")

    def audio_path(self, film_id: FilmId) -> Path:
        """Return the path of a film's training audio."""
        return self.film_file(film_id, "audio.wav")

    @property
    def index_folder(self) -> Path:
        """The folder of the embeddings, on this machine."""
        return self.root / "index"

    def record_of(self, film_id: FilmId) -> FilmRecord | None:
        """Return the record of a film, or None if the library does not hold it."""
        path = self.film_file(film_id, "film.json")
        return read_record(path) if path.is_file() else None

    def films(self) -> list[FilmEntry]:
        """Return every film, rejected ones too, in the order of their ids."""
        if self._mirror:
            self._mirror.fetch_catalogue()
        film_ids, rows = self._list_film_ids(), self._catalogue.read_films()
        if [row.film_id for row in rows] == film_ids:
            return rows

        # The catalogue is out of date: read the other films' records.
        known = {row.film_id: row for row in rows}
        return [known.get(film_id) or FilmEntry.of(self._read_record(film_id)) for film_id in film_ids]

    def usable_films(self) -> list[FilmEntry]:
        """Return the films that were not rejected, in the order of their ids.

        Raises:
            LibraryError: if there is none.
        """
        usable = [film for film in self.films() if film.usable]
        if not usable:
            raise LibraryError(f"{self.root} holds no accepted film; see: talkies films --library {self.root}")
        return usable

    def annotations_of(self, film_id: FilmId) -> dict[str, list[Span]]:
        """Return a film's spans by kind (`shot`, `black`, `silent`, `still`, `credits`, `damaged`), each in order.

        Raises:
            LibraryError: if they are missing or damaged.
        """
        return read_annotations(self.film_file(film_id, "shots.parquet"))

    def shots_of(self, film_id: FilmId) -> list[Span]:
        """Return a film's shots in order."""
        return self.annotations_of(film_id).get(SHOT, [])

    def spans(self, films: Sequence[FilmEntry], kinds: Collection[str]) -> SpanTable:
        """Return the annotated spans of many films; spans of the same film that overlap are merged.

        They come from the catalogue's tables; a film's own file is opened only if the catalogue does not hold the film.

        Args:
            films: The films; film *i* of the table is `films[i]`.
            kinds: The kinds of spans, as in `annotations_of`.
        """
        numbers = {film.film_id: number for number, film in enumerate(films)}
        listed: set[str] = set()
        if self._catalogue.is_complete():
            listed = numbers.keys() & {row.film_id for row in self._catalogue.read_films()}
        listed_R3 = self._catalogue.read_spans(kinds, {i: n for i, n in numbers.items() if i in listed})

        others = [
            (numbers[film.film_id], span.start_frame, span.end_frame)
            for film in films
            if film.film_id not in listed
            for kind, spans in self.annotations_of(film.id).items()
            if kind in kinds
            for span in spans
        ]
        rows_R3 = np.concatenate([listed_R3, np.array(others, np.int64).reshape(-1, 3)])
        return SpanTable.from_rows(len(films), *rows_R3.T)

    def find(self, name: str) -> FilmEntry:
        """Return the film whose id, unique start of an id, or source file name, present or former, is `name`.

        Raises:
            LibraryError: if there is no such film, or more than one.
        """
        films = self.films()
        matches = match_films(films, name)
        if len(matches) == 1:
            return matches[0]
        shown, root = escape_controls(path_to_text(name)), self.root
        if matches:
            ids = ", ".join(film.film_id for film in matches)
            raise LibraryError(f"'{shown}' names {len(matches)} films of {root}; name one by its id: {ids}")
        hint = suggest_nearest(shown, [film.printable_name for film in films])
        raise LibraryError(f"no film '{shown}' in {root}{hint}; see: talkies films --library {root}")

    @contextmanager
    def commit_film(self, film_id: FilmId) -> Iterator[Path]:
        """Yield a folder for a film's files, which becomes the film's folder in one step at the end.

        If the block raises, nothing of it is kept. A film that the library already holds is replaced.
        """
        with create_staging_folder(self._films_folder, film_id) as staging:
            folder = staging / "film"
            folder.mkdir()
            yield folder

            flush(*folder.iterdir(), folder)
            target = self.film_folder(film_id)
            with hold_lock(self._films_lock):
                if self._mirror.exists(f"films/{film_id}") if self._mirror else target.exists():
                    self._mark_stale(film_id)
                replace_folder(staging, folder, target)
            flush(self._films_folder)
            if self._mirror:
                self._mirror.send_film(film_id)

    def replace_record(self, record: FilmRecord) -> None:
        """Replace a film's record, and keep its other files; the record is written as one of this version."""
        record = record.model_copy(update={"schema_version": SCHEMA_VERSION})
        with create_staging_folder(self._films_folder, record.id) as staging, hold_lock(self._films_lock):
            self._mark_stale(record.id)
            write_json(staging / "film.json", record)
            (staging / "film.json").replace(self.film_file(record.id, "film.json"))
            if self._mirror:
                self._mirror.send(f"films/{record.id}/film.json")

    def remove(self, film_id: FilmId) -> None:
        """Remove a film from the library."""
        with create_staging_folder(self._films_folder, film_id) as staging, hold_lock(self._films_lock):
            self._mark_stale(film_id)  # the same film may be added again before the tables are written
            if self.film_folder(film_id).exists():
                self.film_folder(film_id).rename(staging / "gone")
            if self._mirror:
                self._mirror.remove_film(film_id)

    def is_complete(self, film_id: FilmId) -> bool:
        """Return whether the library holds a film's record, and all the bytes that the record mentions."""
        try:
            record = self.record_of(film_id)
        except LibraryError:  # damaged, or of a version that this one replaces
            return False
        if record is None:
            return False
        if self._mirror:
            return record.stored_bytes == self._mirror.sum_sizes(film_id, _STORED_FILES)
        paths = (self.film_folder(film_id) / name for name in _STORED_FILES)
        return record.stored_bytes == sum(path.stat().st_size for path in paths if path.is_file())

    def sweep(self) -> None:
        """Remove the unfinished files of killed processes.

        Raises:
            LibraryError: if the library cannot be written.
        """
        try:
            self._films_folder.mkdir(exist_ok=True)  # `create` may have been killed before it made the folder
            with hold_lock(self._films_lock):
                sweep(self._films_folder)
            for folder in (self.root, self.root / "catalogue"):
                remove_abandoned(folder)
            with create_staging_folder(self._films_folder, "check"):
                pass  # the library can be written
        except OSError as error:
            raise LibraryError(
                f"{self.root} cannot be written ({describe_os_error(error)}); ingest into a library that you may write"
            ) from error

    def update_catalogue(self) -> None:
        """Bring the catalogue's tables up to date with the film folders; other processes may do so at the same time.

        Raises:
            WorkError: if the tables cannot be written.
        """
        try:
            self._catalogue.lock.parent.mkdir(exist_ok=True)
            # Lock the films too: none may be replaced while its row is written.
            with hold_lock(self._catalogue.lock), hold_lock(self._films_lock):
                self._update_catalogue()
        except OSError as error:
            cause = os.strerror(error.errno).lower() if error.errno else describe_os_error(error)
            raise WorkError(
                f"{self.root / 'catalogue'} cannot be written ({cause}); the films are in the library, only its tables "
                "are out of date: run the command again"
            ) from error

    def _update_catalogue(self) -> None:
        if self._mirror:
            self._mirror.fetch_catalogue()
        film_ids = self._list_film_ids()
        complete = self._catalogue.is_complete()
        listed = {row.film_id for row in self._catalogue.read_films()} if complete else set()

        changes = [self._build_change(film_id) for film_id in film_ids if film_id not in listed]
        if not complete or changes or listed != set(film_ids) or self._catalogue.list_stale():
            self._catalogue.update(changes, keep=listed.intersection(film_ids))
            if self._mirror:
                self._mirror.send_catalogue()

    def upload_file(self, name: str) -> None:
        """Upload a file of the library's folder if the library is remote."""
        if self._mirror:
            self._mirror.send(name)

    def _mark_stale(self, film_id: FilmId) -> None:
        path = self._catalogue.mark_stale(film_id)
        if self._mirror:
            self._mirror.send(f"catalogue/{path.name}")

    def _build_change(self, film_id: FilmId) -> Change:
        record = self._read_record(film_id)
        try:
            annotations = self.annotations_of(film_id) if record.usable else {}
        except LibraryError:  # raised when someone asks for them; the other films' rows are still written
            annotations = {}
        return Change(FilmEntry.of(record), annotations)

    def _read_record(self, film_id: FilmId) -> FilmRecord:
        return read_record(self.film_file(film_id, "film.json"))

    @property
    def _films_folder(self) -> Path:
        return self.root / "films"

    @property
    def _films_lock(self) -> Path:
        return self._films_folder / ".lock"

    def _list_film_ids(self) -> list[FilmId]:
        if self._mirror:
            return self._mirror.list_film_ids()
        names = (entry.name for entry in os.scandir(self._films_folder)) if self._films_folder.is_dir() else ()
        return sorted(FilmId(name) for name in names if not name.startswith("."))


def _is_free(folder: Path) -> bool:
    """Return whether a folder holds only files that another process, perhaps a killed one, is writing."""
    return folder.is_dir() and all(entry.name.startswith(".library.json.") for entry in folder.iterdir())
