"""Playback: sends a film's proxy, or a byte range of it, piece by piece."""

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
from talkies.web.errors import ERROR_ANSWERS, build_error_response
from talkies.web.served_library import FilmIdInPath, ServedLibrary

_PIECE_BYTES = 1 << 18
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_MAX_HEADER_LENGTH = 64
_CONTENT = {"content": {"video/mp4": {"schema": {"type": "string", "format": "binary"}}}}


class UnsatisfiableRangeError(Exception):
    """A `Range` header that names no byte of the file, or is not a single range."""


def parse_range(header: str | None, size: int) -> range | None:
    """Return the bytes that a `Range` header asks for.

    Args:
        header: The header's value, `None` if the request has none.
        size: Size of the file in bytes.

    Returns:
        A half-open range of byte positions, or `None` for the whole file.

    Raises:
        UnsatisfiableRangeError: If the header names no byte of the file, or is not a single range.
    """
    if header is None or not header.lower().startswith("bytes"):
        return None
    match = _RANGE.fullmatch(header.lower().replace(" ", "")) if len(header) <= _MAX_HEADER_LENGTH else None
    if match is None or not any(match.groups()):
        raise UnsatisfiableRangeError

    first, last = (int(part) if part else None for part in match.groups())
    if first is None:  # "bytes=-N": the last N bytes
        first, last = max(0, size - (last or 0)), None
    requested = range(first, size if last is None else min(last + 1, size))
    if not requested or (last is not None and last < first):
        raise UnsatisfiableRangeError
    return requested


class VideoResponse(Response):
    """A response that sends a file, or the byte range that the request asks for, without loading it into memory."""

    media_type = "video/mp4"

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Open the file, choose its bytes from the request's headers, and send them until the client disconnects."""
        try:
            descriptor = await anyio.to_thread.run_sync(_open_regular_file, self._path)
        except OSError as error:
            sentence = f"{self._path.parent.name} cannot be played ({describe_os_error(error)}); ingest its film again"
            await build_error_response(404, sentence)(scope, receive, send)
            return

        try:
            status, headers, requested = _plan_response(Request(scope).headers, os.fstat(descriptor))
            if status == 416:
                size = headers["content-range"][8:]
                sentence = f"a range of bytes of this film is bytes=FIRST-LAST, less than {size}"
                await build_error_response(416, sentence, headers)(scope, receive, send)
                return

            raw = [(name.encode(), value.encode()) for name, value in headers.items()]
            await send({"type": "http.response.start", "status": status, "headers": raw})
            if scope["method"] == "HEAD" or not requested:
                await send({"type": "http.response.body", "body": b""})
            else:
                await _send_until_disconnect(descriptor, requested, receive, send)
        finally:
            os.close(descriptor)


def _open_regular_file(path: Path) -> int:
    """Return the descriptor of an open regular file; a pipe would wait for a writer."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("it is not a file")
    return descriptor


def _plan_response(request_headers: Mapping[str, str], file: os.stat_result) -> tuple[int, dict[str, str], range]:
    """Return the status, the headers and the half-open byte range of the response."""
    size = file.st_size
    tag = f'"{file.st_mtime_ns:x}-{size:x}-{file.st_ino:x}"'
    changed = formatdate(file.st_mtime, usegmt=True)
    headers = {"etag": tag, "last-modified": changed, "accept-ranges": "bytes", "cache-control": "no-cache"}
    if request_headers.get("if-none-match", "").removeprefix("W/") == tag:
        return 304, headers, range(0)

    # A client that holds a part of an older file gets all of this one.
    is_same_file = request_headers.get("if-range", tag) in (tag, changed)
    try:
        requested = parse_range(request_headers.get("range"), size) if is_same_file else None
    except UnsatisfiableRangeError:
        return 416, {"content-range": f"bytes */{size}", "accept-ranges": "bytes"}, range(0)

    sent = range(size) if requested is None else requested
    headers |= {"content-type": "video/mp4", "content-length": str(len(sent))}
    if requested is None:
        return 200, headers, sent
    return 206, headers | {"content-range": f"bytes {sent.start}-{sent.stop - 1}/{size}"}, sent


async def _send_until_disconnect(descriptor: int, requested: range, receive: Receive, send: Send) -> None:
    async with anyio.create_task_group() as tasks:

        async def send_all() -> None:
            await _send_pieces(descriptor, requested, send)
            tasks.cancel_scope.cancel()

        tasks.start_soon(send_all)
        while (await receive())["type"] != "http.disconnect":
            pass
        tasks.cancel_scope.cancel()


async def _send_pieces(descriptor: int, requested: range, send: Send) -> None:
    position = requested.start
    while position < requested.stop:
        count = min(_PIECE_BYTES, requested.stop - position)
        piece = await anyio.to_thread.run_sync(os.pread, descriptor, count, position)
        if not piece:  # the file was truncated meanwhile: the response ends early
            return
        position += len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": position < requested.stop})


def build_media_routes(served: ServedLibrary) -> APIRouter:
    """Return the route that plays films."""
    routes = APIRouter()

    async def build_response(film_id: str) -> Response:
        return VideoResponse(await anyio.to_thread.run_sync(served.get_file_path, film_id, "proxy.mp4"))

    @routes.get(
        "/media/{film_id}.mp4",
        response_class=Response,
        responses={200: _CONTENT, 206: {"description": "A range of the film", **_CONTENT}, **ERROR_ANSWERS},
    )
    async def play(film_id: FilmIdInPath) -> Response:
        """Return a film's proxy, the file that browsers play, or a byte range of it."""
        return await build_response(film_id)

    @routes.head("/media/{film_id}.mp4", include_in_schema=False)
    async def get_headers(film_id: FilmIdInPath) -> Response:
        return await build_response(film_id)

    return routes
