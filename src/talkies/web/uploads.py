"""Files to search by: looked at once, in a process of their own; what they look and sound like is kept, not the file.

<library>/index/uploads/
  <stamp>-<upload>.safetensors   what one file is like, with its name, so that a shared URL outlives the server
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
from talkies.web.multipart import Received
from talkies.web.sets import Sets

_MOST_KEPT = 1000
_AT_ONCE, _MOST_COMING = 2, 10
_LIMITS = LIMITS
_UPLOAD = re.compile("[0-9a-f]{16}")


class Uploads:
    """The files that can be searched by."""

    def __init__(self, sets: Sets) -> None:
        self._sets, self._folder = sets, sets.index.folder / "uploads"
        self._kept: LRUCache[tuple[str, str], Example] = LRUCache(_MOST_KEPT)
        self._turns, self._coming = anyio.CapacityLimiter(_AT_ONCE), 0

    @contextmanager
    def coming(self) -> Iterator[None]:
        """Let one more file come while the block runs.

        Raises:
            RefusedError: if too many come, or wait to be looked at.
        """
        if self._coming >= _MOST_COMING:
            raise RefusedError(429, f"{_MOST_COMING} uploads wait to be looked at already; try again in a minute")
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1

    async def add(self, file: Received, stamp: str | None) -> Example:
        """Return what a file looks and sounds like to a model, and keep it.

        Raises:
            RefusedError: if it cannot be read.
            LibraryError: if the library was not embedded (with this model), or the model is not there any more.
        """
        searcher = await anyio.to_thread.run_sync(self._sets.searcher, stamp)
        known = await anyio.to_thread.run_sync(self._known, searcher.entry.stamp, file.upload)
        if known:
            return known
        example = await anyio.to_thread.run_sync(_looked_at, file, searcher, limiter=self._turns)
        await anyio.to_thread.run_sync(self._keep, file.upload, example)
        return example

    def find(self, upload: str, stamp: str | None) -> Example:
        """Return what a file looks and sounds like that was uploaded before.

        Raises:
            RefusedError: if there is none, or not for this model.
        """
        entry = self._sets.chosen(stamp)
        example = self._known(entry.stamp, upload) if _UPLOAD.fullmatch(upload) else None
        if example is None:
            raise RefusedError(404, f"no file was uploaded as {upload} for the model {entry.stamp}; upload it again")
        return example

    def _known(self, stamp: str, upload: str) -> Example | None:
        try:
            return self._kept.get((stamp, upload), lambda: load_example(self._path(stamp, upload)))
        except LibraryError:  # not there, or damaged: it can be uploaded again
            return None

    def _keep(self, upload: str, example: Example) -> None:
        self._kept.put((example.stamp, upload), example)
        with suppress(OSError):  # a library that cannot be written is searched as well; a URL then ends with the server
            self._folder.mkdir(exist_ok=True)
            save_example(self._path(example.stamp, upload), example)
            oldest = sorted(self._folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime_ns)[:-_MOST_KEPT]
            for path in oldest:
                path.unlink(missing_ok=True)

    def _path(self, stamp: str, upload: str) -> Path:
        return self._folder / f"{stamp}-{upload}.safetensors"


def _looked_at(file: Received, searcher: Searcher) -> Example:
    try:
        return searcher.encode_example(file.path, file.name, _LIMITS)
    except (MediaError, WorkError) as error:
        raise RefusedError(422, str(error).replace(f"{file.path.parent}/", "")) from error
