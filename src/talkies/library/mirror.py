"""A library that lies elsewhere (`s3://…`, `gs://…`, `memory://…`): a folder of this machine stands for it.

What is read is fetched when it is wanted, once; what is committed is sent, a film's record last, for object stores know
no renaming: a film is there when its `film.json` is. The folder is a cache and can be removed at any time.
"""

import hashlib
import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from talkies.core import FilmId
from talkies.runtime import open_filesystem

_RECORD = "film.json"
_HEAVY = frozenset({".mp4", ".wav"})  # fetched again only if the size differs
TABLES = ("films.parquet", "shots.parquet", "spans.parquet")
STALE = ".stale-"


class Mirror:
    """The library at `url`, and its folder on this machine."""

    def __init__(self, url: str) -> None:
        """Find the file system.

        Raises:
            UsageError: if fsspec does not know the URL's kind, or lacks the package for it.
        """
        self.url = url.rstrip("/")
        self._system, self._path = open_filesystem(self.url)
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self.folder = cache / "talkies" / hashlib.blake2b(self.url.encode(), digest_size=8).hexdigest()
        (self.folder / "films").mkdir(parents=True, exist_ok=True)

    def exists(self, relative: str = "") -> bool:
        """Return whether a file, or a folder with something in it, is there."""
        return bool(self._system.exists(self._at(relative)))

    def fetch(self, relative: str) -> Path:
        """Return the path of a file on this machine, brought up to date; it is missing if it is missing there."""
        local = self.folder / relative
        try:
            size = int(self._system.size(self._at(relative)) or 0)
        except FileNotFoundError:
            local.unlink(missing_ok=True)
            return local
        if local.suffix in _HEAVY and local.is_file() and local.stat().st_size == size:
            return local
        local.parent.mkdir(parents=True, exist_ok=True)
        partial = local.with_name(f".{local.name}.{secrets.token_hex(4)}")
        try:
            self._system.get_file(self._at(relative), str(partial))
            partial.replace(local)
        finally:
            partial.unlink(missing_ok=True)
        return local

    def send(self, relative: str) -> None:
        """Send a file of this machine's folder."""
        self._system.makedirs(self._at(relative).rpartition("/")[0], exist_ok=True)
        self._system.put_file(str(self.folder / relative), self._at(relative))

    def send_film(self, film_id: FilmId) -> None:
        """Send a film's folder, its record last, and keep none of it here."""
        folder = self.folder / "films" / film_id
        before = self._names(f"films/{film_id}")
        if _RECORD in before:  # until the new record is there, the film is not
            self._system.rm_file(self._at(f"films/{film_id}/{_RECORD}"))
        names = sorted((file.name for file in folder.iterdir()), key=lambda name: name == _RECORD)
        for name in names:
            self.send(f"films/{film_id}/{name}")
        for name in set(before) - set(names):
            self._system.rm_file(self._at(f"films/{film_id}/{name}"))
        shutil.rmtree(folder, ignore_errors=True)

    def remove_film(self, film_id: FilmId) -> None:
        """Remove a film, its record first."""
        for name in sorted(self._names(f"films/{film_id}"), key=lambda name: name != _RECORD):
            self._system.rm_file(self._at(f"films/{film_id}/{name}"))

    def film_ids(self) -> list[FilmId]:
        """Return the ids of the films that are there, in order."""
        paths = self._system.glob(f"{self._at('films')}/*/{_RECORD}")
        return sorted(FilmId(path.split("/")[-2]) for path in paths)

    def size_of_film(self, film_id: FilmId, names: Sequence[str]) -> int:
        """Return how many bytes those of a film's files that are among `names` have."""
        sizes = self._names(f"films/{film_id}")
        return sum(sizes.get(name, 0) for name in names)

    def fetch_catalogue(self) -> None:
        """Bring this machine's copy of the catalogue up to date."""
        for table in TABLES:
            self.fetch(f"catalogue/{table}")
        there = {name for name in self._names("catalogue") if name.startswith(STALE)}
        here = self.folder / "catalogue"
        here.mkdir(exist_ok=True)
        for path in here.glob(f"{STALE}*"):
            if path.name not in there:
                path.unlink(missing_ok=True)
        for name in there:
            (here / name).touch()

    def send_catalogue(self) -> None:
        """Send the tables, and take away the marks of what they now hold."""
        for table in TABLES:
            self.send(f"catalogue/{table}")
        for name in self._names("catalogue"):
            if name.startswith(STALE) and not (self.folder / "catalogue" / name).exists():
                self._system.rm_file(self._at(f"catalogue/{name}"))

    def _at(self, relative: str) -> str:
        return f"{self._path}/{relative}" if relative else self._path

    def _names(self, folder: str) -> dict[str, int]:
        """Return the sizes of the files in a folder, by name."""
        try:
            entries = self._system.ls(self._at(folder), detail=True)
        except FileNotFoundError:
            return {}
        return {e["name"].rstrip("/").rpartition("/")[2]: int(e["size"] or 0) for e in entries if e["type"] == "file"}
