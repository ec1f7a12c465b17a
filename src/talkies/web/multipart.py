"""Receives an uploaded file: the single field of a multipart form, streamed to a temporary file.

Nothing that the request claims (length, type, name) is trusted: bytes are counted, and the name is only displayed.
"""

import hashlib
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import anyio
from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from talkies.core import describe_os_error
from talkies.web.errors import RefusedError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FIELD = "file"
_MAX_OVERHEAD_BYTES = 16_384  # boundaries and headers
_STALL_SECONDS, _TOTAL_SECONDS = 20.0, 600.0
_DRAIN_SECONDS = 3.0
_MAX_NAME_LENGTH = 120
_UNSAFE = re.compile(r"[^\w.,()+ -]")
_ONE_FILE = f"an upload is a form (multipart/form-data) with one file in a field named '{FIELD}'"


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A received file: its temporary path, its name for people, and its id (a hash of its bytes)."""

    path: Path
    name: str
    upload_id: str


@asynccontextmanager
async def receive_file(request: Request, limit_bytes: int) -> AsyncIterator[UploadedFile]:
    """Yield the single file of a request; it is deleted at the end in every case.

    Args:
        request: A `multipart/form-data` request whose body was not read yet.
        limit_bytes: Largest accepted size of the file.

    Raises:
        RefusedError: If the file is larger than `limit_bytes`, the request is not one file, or it stalls.
    """
    boundary = _parse_boundary(request)
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit_bytes + _MAX_OVERHEAD_BYTES:
        raise _build_size_error(limit_bytes)

    folder = Path(await anyio.to_thread.run_sync(lambda: tempfile.mkdtemp(prefix="talkies-upload-")))
    try:
        yield await _write_file(request, boundary, folder, limit_bytes)
    finally:
        await anyio.to_thread.run_sync(lambda: shutil.rmtree(folder, ignore_errors=True))


async def _write_file(request: Request, boundary: bytes, folder: Path, limit_bytes: int) -> UploadedFile:
    try:
        with (folder / "part").open("wb") as file:
            form = _SingleFileForm(file, limit_bytes)
            await _parse_body(request, MultipartParser(boundary, form.get_callbacks()), form)
        if not form.is_complete:
            raise RefusedError(400, f"the upload broke off before its end; send it again ({_ONE_FILE})")
        if not form.size_bytes:
            raise RefusedError(422, f"{form.name} is empty; send a picture, a sound or a clip")
        path = (folder / "part").rename(folder / _make_file_name(form.name))
    except OSError as error:
        reason = describe_os_error(error)
        raise RefusedError(
            413, f"the upload cannot be stored while it is read ({reason}); free some disk space"
        ) from error
    return UploadedFile(path, form.name, form.digest.hexdigest()[:16])


def _parse_boundary(request: Request) -> bytes:
    content_type, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if content_type.lower() != b"multipart/form-data" or not 1 <= len(boundary) <= 200:
        raise RefusedError(415, _ONE_FILE)
    return boundary


def _build_size_error(limit_bytes: int) -> RefusedError:
    return RefusedError(
        413, f"an upload may have at most {limit_bytes / 1e6:g} MB; cut out the part that you are looking for"
    )


async def _parse_body(request: Request, parser: MultipartParser, form: "_SingleFileForm") -> None:
    """Feed the body to the parser until the form is complete, then discard some of what still arrives.

    A client that is still sending when the connection closes would not read the answer.
    """
    stream = request.stream()
    start = time.monotonic()
    try:
        while not form.is_complete and (piece := await _read_piece(stream)) is not None:
            await anyio.to_thread.run_sync(parser.write, piece)
            if time.monotonic() - start > _TOTAL_SECONDS:
                raise RefusedError(408, f"the upload took more than {_TOTAL_SECONDS:g} s; send a shorter file")
    except FormParserError as error:
        raise RefusedError(400, f"{_ONE_FILE}; this one cannot be read") from error
    finally:
        await _discard_rest(stream)


async def _read_piece(stream: AsyncIterator[bytes]) -> bytes | None:
    """Return the next bytes of the body, or `None` at its end."""
    try:
        with anyio.fail_after(_STALL_SECONDS):
            return await anext(stream, None)
    except TimeoutError as error:
        raise RefusedError(408, f"the upload stalled for {_STALL_SECONDS:g} s; send it again") from error
    except ClientDisconnect:
        return None


async def _discard_rest(stream: AsyncIterator[bytes]) -> None:
    with anyio.move_on_after(_DRAIN_SECONDS), suppress(ClientDisconnect):
        async for _ in stream:
            pass


class _SingleFileForm:
    """The parser's callbacks: reads the headers of the only part, and writes its bytes to a file."""

    def __init__(self, file: BinaryIO, limit_bytes: int) -> None:
        self.name = ""
        self.size_bytes = 0
        self.is_complete = False
        self.digest = hashlib.blake2b(digest_size=32)
        self._file = file
        self._limit_bytes = limit_bytes
        self._parts = 0
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""

    def get_callbacks(self) -> "MultipartCallbacks":
        """Return the functions that the parser calls."""
        return {
            "on_part_begin": self._start_part,
            "on_header_field": self._add_header_name,
            "on_header_value": self._add_header_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._write_data,
            "on_end": self._end_form,
        }

    def _start_part(self) -> None:
        self._parts += 1
        if self._parts > 1:
            raise RefusedError(400, _ONE_FILE)

    def _add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        if options.get(b"name") != FIELD.encode() or b"filename" not in options:
            raise RefusedError(400, _ONE_FILE)
        self.name = _make_display_name(options[b"filename"])

    def _write_data(self, data: bytes, start: int, end: int) -> None:
        self.size_bytes += end - start
        if self.size_bytes > self._limit_bytes:
            raise _build_size_error(self._limit_bytes)
        self.digest.update(data[start:end])
        self._file.write(data[start:end])

    def _end_form(self) -> None:
        self.is_complete = self._parts == 1


def _make_display_name(name: bytes) -> str:
    """Return a file's name for people: without folders and without unprintable characters."""
    last = re.split(r"[/\\]", name.decode("utf-8", "replace"))[-1]
    return "".join(letter for letter in last if letter.isprintable())[:_MAX_NAME_LENGTH] or "upload"


def _make_file_name(name: str) -> str:
    """Return a safe name for a file; its end is kept because decoders look at the extension."""
    safe = _UNSAFE.sub("_", name).strip(" .") or "upload"
    while len(safe.encode()) > _MAX_NAME_LENGTH:
        safe = safe[1:]
    return safe if not safe.startswith("-") and safe != "part" else f"_{safe}"
