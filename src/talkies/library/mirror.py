"""A remote library (`s3://…`, `gs://…`, `memory://…`) and the folder of this machine that mirrors it.

A file is downloaded once, when it is needed. A committed film is uploaded with its record last, because object stores
cannot rename: a film exists once its `film.json` does. The folder is a cache and can be removed at any time.
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
_LARGE_SUFFIXES = frozenset({".mp4", ".wav"})  # downloaded again only if the size differs
TABLES = ("films.parquet", "shots.parquet", "spans.parquet")
STALE = ".stale-"


class Mirror:
    """The library at `url`, and its folder on this machine."""

    def __init__(self, url: str) -> None:
        """Open the file system of the URL.

        Raises:
            UsageError: if fsspec does not know the URL's protocol, or the package for it is not installed.
        """
        self.url = url.rstrip("/")
        self._system, self._path = open_filesystem(self.url)
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self.folder = cache / "talkies" / hashlib.blake2b(self.url.encode(), digest_size=8).hexdigest()
        (self.folder / "films").mkdir(parents=True, exist_ok=True)

    def exists(self, relative: str = "") -> bool:
        """Return whether a file, or a folder that is not empty, exists in the remote library."""
        return bool(self._system.exists(self._resolve(relative)))

    def fetch(self, relative: str) -> Path:
        """Return the path of a file on this machine, up to date; it is missing if it is missing in the library."""
        local = self.folder / relative
        try:
            size = int(self._system.size(self._resolve(relative)) or 0)
        except FileNotFoundError:
            local.unlink(missing_ok=True)
            return local
        if local.suffix in _LARGE_SUFFIXES and local.is_file() and local.stat().st_size == size:
            return local

        local.parent.mkdir(parents=True, exist_ok=True)
        partial = local.with_name(f".{local.name}.{secrets.token_hex(4)}")
        try:
            self._system.get_file(self._resolve(relative), str(partial))
            partial.replace(local)
        finally:
            partial.unlink(missing_ok=True)
        return local

    def send(self, relative: str) -> None:
        """Upload a file of this machine's folder."""
        self._system.makedirs(self._resolve(relative).rpartition("/")[0], exist_ok=True)
        self._system.put_file(str(self.folder / relative), self._resolve(relative))

    def send_film(self, film_id: FilmId) -> None:
        """Upload a film's folder, its record last, and remove the local copy."""
        folder = self.folder / "films" / film_id
        before = self._list_sizes(f"films/{film_id}")
        if _RECORD in before:  # until the new record is uploaded, the film does not exist
            self._system.rm_file(self._resolve(f"films/{film_id}/{_RECORD}"))

        names = sorted((file.name for file in folder.iterdir()), key=lambda name: name == _RECORD)
        for name in names:
            self.send(f"films/{film_id}/{name}")
        for name in set(before) - set(names):
            self._system.rm_file(self._resolve(f"films/{film_id}/{name}"))
        shutil.rmtree(folder, ignore_errors=True)

    def remove_film(self, film_id: FilmId) -> None:
        """Remove a film from the remote library, its record first."""
        for name in sorted(self._list_sizes(f"films/{film_id}"), key=lambda name: name != _RECORD):
            self._system.rm_file(self._resolve(f"films/{film_id}/{name}"))

    def list_film_ids(self) -> list[FilmId]:
        """Return the ids of the films in the remote library, in order."""
        paths = self._system.glob(f"{self._resolve('films')}/*/{_RECORD}")
        return sorted(FilmId(path.split("/")[-2]) for path in paths)

    def sum_sizes(self, film_id: FilmId, names: Sequence[str]) -> int:
        """Return the total size in bytes of those of a film's files that are among `names`."""
        sizes = self._list_sizes(f"films/{film_id}")
        return sum(sizes.get(name, 0) for name in names)

    def fetch_catalogue(self) -> None:
        """Bring this machine's copy of the catalogue up to date, with the files that mark stale rows."""
        for table in TABLES:
            self.fetch(f"catalogue/{table}")

        remote_names = {name for name in self._list_sizes("catalogue") if name.startswith(STALE)}
        local = self.folder / "catalogue"
        local.mkdir(exist_ok=True)
        for path in local.glob(f"{STALE}*"):
            if path.name not in remote_names:
                path.unlink(missing_ok=True)
        for name in remote_names:
            (local / name).touch()

    def send_catalogue(self) -> None:
        """Upload the tables, and remove the marks of the stale rows that they replace."""
        for table in TABLES:
            self.send(f"catalogue/{table}")
        for name in self._list_sizes("catalogue"):
            if name.startswith(STALE) and not (self.folder / "catalogue" / name).exists():
                self._system.rm_file(self._resolve(f"catalogue/{name}"))

    def _resolve(self, relative: str) -> str:
        return f"{self._path}/{relative}" if relative else self._path

    def _list_sizes(self, folder: str) -> dict[str, int]:
        """Return the sizes in bytes of the files in a folder of the remote library, by name."""
        try:
            entries = self._system.ls(self._resolve(folder), detail=True)
        except FileNotFoundError:
            return {}
        files = (entry for entry in entries if entry["type"] == "file")
        return {entry["name"].rstrip("/").rpartition("/")[2]: int(entry["size"] or 0) for entry in files}
