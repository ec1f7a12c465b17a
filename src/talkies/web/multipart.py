"""A file that is sent to the server: one field of a multipart form, written to a temporary file as it comes.

What is told of it (its length, its type, its name) is not believed: bytes are counted, and the name is shown alone.
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

from talkies.core import describe_os_error, format_path
from talkies.web.errors import RefusedError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FIELD = "file"
_BODY_BEYOND_FILE_BYTES = 16_384  # boundaries and headers
_STALL_SECONDS, _TOTAL_SECONDS = 20.0, 600.0
_DRAIN_SECONDS = 3.0
_LONGEST_NAME = 120
_UNFIT = re.compile(r"[^\w.,()+ -]")
_ONE_FILE = f"an upload is a form (multipart/form-data) with one file in a field named '{FIELD}'"


@dataclass(frozen=True, slots=True)
class Received:
    """A file that came: where it is for now, its name as a person may read it, and its id (the hash of its bytes)."""

    path: Path
    name: str
    upload: str


@asynccontextmanager
async def received(request: Request, limit_bytes: int) -> AsyncIterator[Received]:
    """Yield the one file of a request; it is removed at the end, whatever happens.

    Raises:
        RefusedError: if it is larger than `limit_bytes`, the request is not one file, or stands still.
    """
    boundary = _boundary_of(request)
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told) > limit_bytes + _BODY_BEYOND_FILE_BYTES:
        raise _too_large(limit_bytes)
    folder = Path(await anyio.to_thread.run_sync(lambda: tempfile.mkdtemp(prefix="talkies-upload-")))
    try:
        yield await _written(request, boundary, folder, limit_bytes)
    finally:
        await anyio.to_thread.run_sync(lambda: shutil.rmtree(folder, ignore_errors=True))


async def _written(request: Request, boundary: bytes, folder: Path, limit_bytes: int) -> Received:
    try:
        with (folder / "part").open("wb") as file:
            part = _OneFile(file, limit_bytes)
            await _read(request, MultipartParser(boundary, part.callbacks()), part)
        if not part.complete:
            raise RefusedError(400, f"the upload broke off before its end; send it again ({_ONE_FILE})")
        if not part.bytes:
            raise RefusedError(422, f"{part.name} is empty; send a picture, a sound or a clip")
        path = (folder / "part").rename(folder / _file_name(part.name))
    except OSError as error:
        raise RefusedError(413, f"the upload cannot be kept while it is read ({describe_os_error(error)}); make room") from error
    return Received(path, part.name, part.digest.hexdigest()[:16])


def _boundary_of(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind.lower() != b"multipart/form-data" or not 1 <= len(boundary) <= 200:
        raise RefusedError(415, _ONE_FILE)
    return boundary


def _too_large(limit_bytes: int) -> RefusedError:
    return RefusedError(413, f"an upload has at most {limit_bytes / 1e6:g} MB; cut the part out that you look for")


async def _read(request: Request, parser: MultipartParser, part: "_OneFile") -> None:
    """Feed the parser what comes until the form is complete; take in some of what still comes after it or a fault.

    (Who sends on when the connection closes does not hear the answer.)
    """
    stream, begun = request.stream(), time.monotonic()
    try:
        while not part.complete and (piece := await _next(stream)) is not None:
            await anyio.to_thread.run_sync(parser.write, piece)
            if time.monotonic() - begun > _TOTAL_SECONDS:
                raise RefusedError(408, f"the upload took more than {_TOTAL_SECONDS:g} s; send a shorter file")
    except FormParserError as error:
        raise RefusedError(400, f"{_ONE_FILE}; this one cannot be read") from error
    finally:
        await _drain(stream)


async def _next(stream: AsyncIterator[bytes]) -> bytes | None:
    """Return what comes next, nothing at the end."""
    try:
        with anyio.fail_after(_STALL_SECONDS):
            return await anext(stream, None)
    except TimeoutError as error:
        raise RefusedError(408, f"the upload stood still for {_STALL_SECONDS:g} s; send it again") from error
    except ClientDisconnect:
        return None


async def _drain(stream: AsyncIterator[bytes]) -> None:
    with anyio.move_on_after(_DRAIN_SECONDS), suppress(ClientDisconnect):
        async for _ in stream:
            pass


class _OneFile:
    """Takes what the parser finds: the headers of a part, and the bytes of the only file."""

    def __init__(self, file: BinaryIO, limit_bytes: int) -> None:
        self._file, self._limit = file, limit_bytes
        self._field, self._value = b"", b""
        self._disposition = b""
        self._parts = 0
        self.name, self.bytes, self.complete = "", 0, False
        self.digest = hashlib.blake2b(digest_size=32)

    def callbacks(self) -> "MultipartCallbacks":
        """Return what the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._take_field,
            "on_header_value": self._take_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._take,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > 1:
            raise RefusedError(400, _ONE_FILE)

    def _take_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field = self._value = b""

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        if options.get(b"name") != FIELD.encode() or b"filename" not in options:
            raise RefusedError(400, _ONE_FILE)
        self.name = _shown(options[b"filename"])

    def _take(self, data: bytes, start: int, end: int) -> None:
        self.bytes += end - start
        if self.bytes > self._limit:
            raise _too_large(self._limit)
        self.digest.update(data[start:end])
        self._file.write(data[start:end])

    def _end(self) -> None:
        self.complete = self._parts == 1


def _shown(name: bytes) -> str:
    """Return a file's name as a person may read it: without folders, without what cannot be seen."""
    last = re.split(r"[/\\]", format_path(name.decode("utf-8", "replace")))[-1]
    return "".join(letter for letter in last if letter.isprintable())[:_LONGEST_NAME] or "upload"


def _file_name(name: str) -> str:
    """Return a name for a file: letters, digits and a few signs, for decoders look at its end."""
    fit = _UNFIT.sub("_", name).strip(" .") or "upload"
    while len(fit.encode()) > _LONGEST_NAME:
        fit = fit[1:]
    return fit if not fit.startswith("-") and fit != "part" else f"_{fit}"
