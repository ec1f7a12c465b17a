"""Films to be played: a proxy, whole or a range of its bytes, sent piece by piece."""

import os
import re
import stat
from collections.abc import Mapping
from email.utils import formatdate
from pathlib import Path

import anyio
from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from talkies.core import describe_os_error
from talkies.web.errors import FAULTS, answer
from talkies.web.served_library import FilmIdInPath, Shelf

_PIECE_BYTES = 1 << 18
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_LONGEST_HEADER = 64
_CONTENT = {"content": {"video/mp4": {"schema": {"type": "string", "format": "binary"}}}}


class UnsatisfiableError(Exception):
    """A range that a file of this size does not have, or that is not one."""


def range_of(header: str | None, size: int) -> range | None:
    """Return the bytes that a `Range` header asks for of a file of `size` bytes; nothing: all of it.

    Raises:
        UnsatisfiableError: if there are none such, or it is not one range.
    """
    if header is None or not header.lower().startswith("bytes"):
        return None
    found = _RANGE.fullmatch(header.lower().replace(" ", "")) if len(header) <= _LONGEST_HEADER else None
    if found is None or not any(found.groups()):
        raise UnsatisfiableError
    first, last = (int(part) if part else None for part in found.groups())
    if first is None:
        first, last = max(0, size - (last or 0)), None
    wanted = range(first, size if last is None else min(last + 1, size))
    if not wanted or (last is not None and last < first):
        raise UnsatisfiableError
    return wanted


class Played(Response):
    """The answer that holds a file, or what a request wants of it; the file is never in memory."""

    media_type = "video/mp4"

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Open the file, decide what is sent of it, and send that unless the one who asks goes away."""
        asked = Request(scope).headers
        try:
            descriptor = await anyio.to_thread.run_sync(_opened, self._path)
        except OSError as error:
            sentence = f"{self._path.parent.name} cannot be played ({describe_os_error(error)}); ingest its film again"
            await answer(404, sentence)(scope, receive, send)
            return
        try:
            status, headers, wanted = _decided(asked, os.fstat(descriptor))
            if status == 416:
                sentence = (
                    f"a range of bytes of this film is bytes=FIRST-LAST, less than {headers['content-range'][8:]}"
                )
                await answer(416, sentence, headers)(scope, receive, send)
                return
            raw = [(name.encode(), value.encode()) for name, value in headers.items()]
            await send({"type": "http.response.start", "status": status, "headers": raw})
            silent = scope["method"] == "HEAD" or not wanted
            await (_end(send) if silent else _send_while_wanted(descriptor, wanted, receive, send))
        finally:
            os.close(descriptor)


def _opened(path: Path) -> int:
    """Return the descriptor of an open file; none that waits for a writer (a pipe)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("it is not a file")
    return descriptor


def _decided(asked: Mapping[str, str], there: os.stat_result) -> tuple[int, dict[str, str], range]:
    """Return the status, the headers and the bytes of an answer."""
    size = there.st_size
    tag = f'"{there.st_mtime_ns:x}-{size:x}-{there.st_ino:x}"'
    changed = formatdate(there.st_mtime, usegmt=True)
    headers = {"etag": tag, "last-modified": changed, "accept-ranges": "bytes", "cache-control": "no-cache"}
    if asked.get("if-none-match", "").removeprefix("W/") == tag:
        return 304, headers, range(0)
    # Who has a part of another file wants all of this one.
    same = asked.get("if-range", tag) in (tag, changed)
    try:
        wanted = range_of(asked.get("range"), size) if same else None
    except UnsatisfiableError:
        return 416, {"content-range": f"bytes */{size}", "accept-ranges": "bytes"}, range(0)
    sent = range(size) if wanted is None else wanted
    headers |= {"content-type": "video/mp4", "content-length": str(len(sent))}
    if wanted is None:
        return 200, headers, sent
    return 206, headers | {"content-range": f"bytes {sent.start}-{sent.stop - 1}/{size}"}, sent


async def _end(send: Send) -> None:
    await send({"type": "http.response.body", "body": b""})


async def _send_while_wanted(descriptor: int, wanted: range, receive: Receive, send: Send) -> None:
    async with anyio.create_task_group() as tasks:

        async def send_all() -> None:
            await _send_pieces(descriptor, wanted, send)
            tasks.cancel_scope.cancel()

        tasks.start_soon(send_all)
        while (await receive())["type"] != "http.disconnect":
            pass
        tasks.cancel_scope.cancel()


async def _send_pieces(descriptor: int, wanted: range, send: Send) -> None:
    place = wanted.start
    while place < wanted.stop:
        count = min(_PIECE_BYTES, wanted.stop - place)
        piece = await anyio.to_thread.run_sync(os.pread, descriptor, count, place)
        if not piece:  # it was cut short meanwhile: the connection ends where the file does
            return
        place += len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": place < wanted.stop})


def media_routes(shelf: Shelf) -> APIRouter:
    """Return the address of films to be played."""
    routes = APIRouter()

    async def played(film_id: FilmIdInPath) -> Response:
        return Played(await anyio.to_thread.run_sync(shelf.file, film_id, "proxy.mp4"))

    @routes.get(
        "/media/{film_id}.mp4",
        response_class=Response,
        responses={200: _CONTENT, 206: {"description": "A range of the film", **_CONTENT}, **FAULTS},
    )
    async def play(film_id: FilmIdInPath) -> Response:
        """Return a film as people and browsers play it, or a range of its bytes."""
        return await played(film_id)

    @routes.head("/media/{film_id}.mp4", include_in_schema=False)
    async def look(film_id: FilmIdInPath) -> Response:
        return await played(film_id)

    return routes
