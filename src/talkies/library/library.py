"""A library folder: create, open, list, find, and commit films to it.

library/
  library.json            schema version and profile
  films/<film_id>/        one film, there whole or not at all: film.json, proxy.mp4, audio.wav, shots.parquet
                          (a rejected one has film.json alone, or with it a thumbnail of what could be seen)
  catalogue/*.parquet     films, shots, spans: rebuilt from the film folders at any time
  index/                  embeddings
"""

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from talkies.config import Config
from talkies.core import FilmId, LibraryError, Span, SpanTable, WorkError, describe_os_error, suggest_nearest
from talkies.library.catalogue import SHOT, Catalogue, Change, FilmEntry, read_annotations
from talkies.library.mirror import Mirror
from talkies.library.profile import Profile
from talkies.library.record import SCHEMA_VERSION, FilmRecord, read_json, read_record, write_json
from talkies.library.staging import flush, hold_lock, replace_folder, create_staging_folder, sweep
from talkies.runtime import is_remote, remove_abandoned

_STORED_FILES = ("proxy.mp4", "audio.wav", "shots.parquet", "strip.jpg")


class LibraryDocument(Config):
    """What `library.json` holds."""

    schema_version: int = SCHEMA_VERSION
    profile: Profile = Profile()


class Library:
    """An open library; make one with `Library.open` or `Library.create`."""

    def __init__(self, root: Path, profile: Profile, mirror: Mirror | None = None) -> None:
        self.root, self.profile, self._mirror = root, profile, mirror
        self._catalogue = Catalogue(root / "catalogue")

    def __repr__(self) -> str:
        return f"Library({self.location!r}, {self.profile!r})"

    @property
    def location(self) -> str:
        """Where the library is: its folder, or its URL."""
        return self._mirror.url if self._mirror else str(self.root)

    @classmethod
    def open(cls, root: str | Path) -> "Library":
        """Return the library in folder, or at URL, `root`.

        Raises:
            LibraryError: if there is none, or it is of a newer version.
        """
        mirror = Mirror(str(root)) if is_remote(root) else None
        folder = mirror.folder if mirror else Path(root)
        path = mirror.fetch("library.json") if mirror else folder / "library.json"
        if not path.is_file():
            there = mirror.exists() if mirror else folder.exists()
            what = "is not a talkies library (it has no library.json)" if there else "does not exist"
            raise LibraryError(f"{root} {what}; make a library with: talkies ingest FILMS --library {root}")
        document = read_json(path, LibraryDocument, "a library's description")
        return cls(folder, document.profile, mirror)

    @classmethod
    def create(cls, root: str | Path, profile: Profile | None = None) -> "Library":
        """Return the library in folder, or at URL, `root`, made if there is none.

        Without `profile` an existing library keeps its own, and a new one has the default.

        Raises:
            LibraryError: if the folder holds something else, cannot be made, or its profile is another than `profile`.
        """
        mirror = Mirror(str(root)) if is_remote(root) else None
        folder = mirror.folder if mirror else Path(root)
        # Asked before whether it is a library, for another process may make it one at this moment.
        occupied = mirror.exists() if mirror else folder.exists() and not _is_free(folder)
        if mirror.exists("library.json") if mirror else (folder / "library.json").is_file():
            library = cls.open(root)
            if profile is not None and profile != library.profile:
                raise LibraryError(f"{root} has another profile ({library.profile}); name a new folder for {profile}")
            return library
        if occupied:
            raise LibraryError(f"{root} exists and is not a talkies library; name a new or empty folder")
        library = cls(folder, profile or Profile(), mirror)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / "library.json", LibraryDocument(profile=library.profile))
            (folder / "films").mkdir(exist_ok=True)
            if mirror:
                mirror.send("library.json")
        except OSError as error:
            raise LibraryError(
                f"{root} cannot be made a library ({describe_os_error(error)}); name a folder you may write"
            ) from error
        return library

    def film_folder(self, film_id: FilmId) -> Path:
        """Return the folder of a film on this machine."""
        return self._films / film_id

    def film_file(self, film_id: FilmId, name: str) -> Path:
        """Return the path of one of a film's files, fetched if the library lies elsewhere; it may be missing."""
        return self._mirror.fetch(f"films/{film_id}/{name}") if self._mirror else self.film_folder(film_id) / name

    def has_file(self, film_id: FilmId, name: str) -> bool:
        """Return whether the library has one of a film's files, without fetching it."""
        if self._mirror:
            return self._mirror.size_of_film(film_id, (name,)) > 0
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
        """Return the record of a film, or nothing if the library does not hold it."""
        path = self.film_file(film_id, "film.json")
        return read_record(path) if path.is_file() else None

    def films(self) -> list[FilmEntry]:
        """Return every film, rejected ones too, in the order of their ids."""
        if self._mirror:
            self._mirror.fetch_catalogue()
        here, rows = self._film_ids(), self._catalogue.films()
        if [row.film_id for row in rows] == here:
            return rows
        known = {row.film_id: row for row in rows}
        return [known.get(i) or FilmEntry.of(self._record(i)) for i in here]

    def usable_films(self) -> list[FilmEntry]:
        """Return the films that clips can be drawn from.

        Raises:
            LibraryError: if there is none.
        """
        usable = [film for film in self.films() if film.usable]
        if not usable:
            raise LibraryError(f"{self.root} holds no accepted film; see: talkies films --library {self.root}")
        return usable

    def annotations_of(self, film_id: FilmId) -> dict[str, list[Span]]:
        """Return a film's spans by kind (`shot`, `black`, `silent`, `still`, `credits`, `damaged`), each in order."""
        return read_annotations(self.film_file(film_id, "shots.parquet"))

    def spans(self, films: Sequence[FilmEntry], kinds: Collection[str]) -> SpanTable:
        """Return the spans of these kinds (see `annotations_of`) of many films, those of one film joined where they overlap.

        Those of films that a whole catalogue holds come from its tables; only for others a file is opened.
        """
        number = {film.film_id: i for i, film in enumerate(films)}
        whole = self._catalogue.is_complete()
        known = number.keys() & {row.film_id for row in self._catalogue.films()} if whole else set()
        rest = [
            (number[film.film_id], span.start_frame, span.end_frame)
            for film in films
            if film.film_id not in known
            for kind, spans in self.annotations_of(film.id).items()
            if kind in kinds
            for span in spans
        ]
        listed_R3 = self._catalogue.spans(kinds, {i: n for i, n in number.items() if i in known})
        rows_R3 = np.concatenate([listed_R3, np.array(rest, np.int64).reshape(-1, 3)])
        return SpanTable.from_rows(len(films), *rows_R3.T)

    def shots_of(self, film_id: FilmId) -> list[Span]:
        """Return a film's shots in order."""
        return self.annotations_of(film_id).get(SHOT, [])

    def find(self, name: str) -> FilmEntry:
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
        hint = suggest_nearest(name, [film.name for film in films])
        raise LibraryError(f"no film '{name}' in {self.root}{hint}; see: talkies films --library {self.root}")

    @contextmanager
    def commit_film(self, film_id: FilmId) -> Iterator[Path]:
        """Yield a folder to put a film's files in; at the end it becomes the film's folder in one step.

        If the block raises, nothing is left of it. A film that is there already is replaced.
        """
        with create_staging_folder(self._films, film_id) as folder:
            made = folder / "film"
            made.mkdir()
            yield made
            flush(*made.iterdir(), made)
            target = self.film_folder(film_id)
            with hold_lock(self._films / ".lock"):
                if self._mirror.exists(f"films/{film_id}") if self._mirror else target.exists():
                    self._mark_stale(film_id)
                replace_folder(folder, made, target)
            flush(self._films)
            if self._mirror:
                self._mirror.send_film(film_id)

    def replace_record(self, record: FilmRecord) -> None:
        """Write a film's record anew, its other files as they are."""
        with create_staging_folder(self._films, record.id) as folder, hold_lock(self._films / ".lock"):
            self._mark_stale(record.id)
            write_json(folder / "film.json", record)
            (folder / "film.json").replace(self.film_file(record.id, "film.json"))
            if self._mirror:
                self._mirror.send(f"films/{record.id}/film.json")

    def remove(self, film_id: FilmId) -> None:
        """Take a film out of the library."""
        with create_staging_folder(self._films, film_id) as folder, hold_lock(self._films / ".lock"):
            self._mark_stale(film_id)  # the same film may come again before the tables are written
            if self.film_folder(film_id).exists():
                self.film_folder(film_id).rename(folder / "gone")
            if self._mirror:
                self._mirror.remove_film(film_id)

    def is_complete(self, film_id: FilmId) -> bool:
        """Return whether the library holds a film's record, and all the bytes that it speaks of."""
        try:
            record = self.record_of(film_id)
        except LibraryError:  # damaged, or of a version that this talkies replaces
            return False
        if record is None:
            return False
        if self._mirror:
            return record.stored_bytes == self._mirror.size_of_film(film_id, _STORED_FILES)
        paths = (self.film_folder(film_id) / name for name in _STORED_FILES)
        return record.stored_bytes == sum(path.stat().st_size for path in paths if path.is_file())

    def sweep(self) -> None:
        """Remove what killed processes left half-done.

        Raises:
            LibraryError: if the library cannot be written.
        """
        try:
            self._films.mkdir(exist_ok=True)  # `create` may have been killed before it was made
            with hold_lock(self._films / ".lock"):
                sweep(self._films)
            for folder in (self.root, self.root / "catalogue"):
                remove_abandoned(folder)
            with create_staging_folder(self._films, "check"):
                pass
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
            # The lock of the films too: none may be replaced while its row is written.
            with hold_lock(self._catalogue.lock), hold_lock(self._films / ".lock"):
                self._update_catalogue()
        except OSError as error:
            cause = os.strerror(error.errno).lower() if error.errno else describe_os_error(error)
            raise WorkError(
                f"{self.root / 'catalogue'} cannot be written ({cause}); the films are in the library, only its tables "
                "are behind: give the command again"
            ) from error

    def _update_catalogue(self) -> None:
        if self._mirror:
            self._mirror.fetch_catalogue()
        here = self._film_ids()
        whole = self._catalogue.is_complete()
        known = {row.film_id for row in self._catalogue.films()} if whole else set()
        changes = [self._change(film_id) for film_id in here if film_id not in known]
        if not whole or changes or known != set(here) or self._catalogue.stale():
            self._catalogue.update(changes, known.intersection(here))
            if self._mirror:
                self._mirror.send_catalogue()

    def upload_file(self, name: str) -> None:
        """Send a file that was written into the library's folder to where the library lies."""
        if self._mirror:
            self._mirror.send(name)

    def _mark_stale(self, film_id: FilmId) -> None:
        mark = self._catalogue.mark_stale(film_id)
        if self._mirror:
            self._mirror.send(f"catalogue/{mark.name}")

    def _change(self, film_id: FilmId) -> Change:
        record = self._record(film_id)
        try:
            marks = self.annotations_of(film_id) if record.usable else {}
        except LibraryError:  # who asks for them is told; other films' rows do not suffer
            marks = {}
        return Change(FilmEntry.of(record), marks)

    def _record(self, film_id: FilmId) -> FilmRecord:
        return read_record(self.film_file(film_id, "film.json"))

    @property
    def _films(self) -> Path:
        return self.root / "films"

    def _film_ids(self) -> list[FilmId]:
        if self._mirror:
            return self._mirror.film_ids()
        names = (entry.name for entry in os.scandir(self._films)) if self._films.is_dir() else ()
        return sorted(FilmId(name) for name in names if not name.startswith("."))


def _is_free(folder: Path) -> bool:
    """Return whether nothing is in a folder but what another process, perhaps a killed one, writes at this moment."""
    return folder.is_dir() and all(entry.name.startswith(".library.json.") for entry in folder.iterdir())
