"""Uploaded files to search with: each is encoded once, in a process of its own; its embeddings are kept, not the file.

<library>/index/uploads/
  <stamp>-<upload>.safetensors   the embeddings of one file, with its name, so that a shared URL outlives the server
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio

from talkies.core import LibraryError, MediaError, WorkError
from talkies.retrieval.search import Example, Searcher, load_example, save_example
from talkies.retrieval.search.example import LIMITS
from talkies.web.cache import LRUCache
from talkies.web.errors import RefusedError
from talkies.web.multipart import UploadedFile
from talkies.web.served_models import ServedModels

_MAX_KEPT = 1000
_MAX_PARALLEL = 2  # files that are encoded at the same time
_MAX_PENDING = 10  # files that are being received, waiting or being encoded
_LIMITS = LIMITS
_UPLOAD_ID = re.compile("[0-9a-f]{16}")


class Uploads:
    """The uploaded files that can be searched with."""

    def __init__(self, models: ServedModels) -> None:
        self._models = models
        self._folder = models.index.folder / "uploads"
        self._examples: LRUCache[tuple[str, str], Example] = LRUCache(_MAX_KEPT)
        self._encoders = anyio.CapacityLimiter(_MAX_PARALLEL)
        self._pending = 0

    @contextmanager
    def reserve_slot(self) -> Iterator[None]:
        """Count one more pending upload while the block runs.

        Raises:
            RefusedError: If too many uploads are pending already.
        """
        if self._pending >= _MAX_PENDING:
            raise RefusedError(429, f"{_MAX_PENDING} uploads are waiting already; try again in a minute")
        self._pending += 1
        try:
            yield
        finally:
            self._pending -= 1

    async def add(self, file: UploadedFile, stamp: str | None) -> Example:
        """Return the embeddings of a file, computed and stored if it is new.

        Args:
            file: The received file.
            stamp: Model to encode it with; `None` for the newest.

        Raises:
            RefusedError: If the file cannot be read.
            LibraryError: If the library was not embedded with this model, or the model's run folder is gone.
        """
        searcher = await anyio.to_thread.run_sync(self._models.get_searcher, stamp)
        known = await anyio.to_thread.run_sync(self._load_known, searcher.entry.stamp, file.upload_id)
        if known:
            return known
        example = await anyio.to_thread.run_sync(_encode_file, file, searcher, limiter=self._encoders)
        await anyio.to_thread.run_sync(self._store, file.upload_id, example)
        return example

    def find(self, upload_id: str, stamp: str | None) -> Example:
        """Return the embeddings of a file that was uploaded before.

        Raises:
            RefusedError: If there is no such upload for this model.
        """
        entry = self._models.choose(stamp)
        example = self._load_known(entry.stamp, upload_id) if _UPLOAD_ID.fullmatch(upload_id) else None
        if example is None:
            raise RefusedError(404, f"no file was uploaded as {upload_id} for the model {entry.stamp}; upload it again")
        return example

    def _load_known(self, stamp: str, upload_id: str) -> Example | None:
        try:
            return self._examples.get((stamp, upload_id), lambda: load_example(self._get_path(stamp, upload_id)))
        except LibraryError:  # missing or damaged: the file can be uploaded again
            return None

    def _store(self, upload_id: str, example: Example) -> None:
        self._examples.put((example.stamp, upload_id), example)
        # A library that cannot be written can still be searched; shared URLs then end with the server.
        with suppress(OSError):
            self._folder.mkdir(exist_ok=True)
            save_example(self._get_path(example.stamp, upload_id), example)
            by_age = sorted(self._folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime_ns)
            for path in by_age[:-_MAX_KEPT]:
                path.unlink(missing_ok=True)

    def _get_path(self, stamp: str, upload_id: str) -> Path:
        return self._folder / f"{stamp}-{upload_id}.safetensors"


def _encode_file(file: UploadedFile, searcher: Searcher) -> Example:
    try:
        return searcher.encode_example(file.path, file.name, _LIMITS)
    except (MediaError, WorkError) as error:
        raise RefusedError(422, str(error).replace(f"{file.path.parent}/", "")) from error
