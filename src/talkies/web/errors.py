"""What goes wrong, as one sentence: `{"error": "…"}` with a status that says whose fault it is."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from talkies.core import LibraryError, MediaError, RunError, TalkiesError, UsageError, describe_os_error

_LONGEST_SHOWN = 80  # characters of a wrong value
_STATUSES: tuple[tuple[type[TalkiesError], int], ...] = (
    (MediaError, 422),  # a file cannot be read as what it is taken for
    (LibraryError, 404),  # the library does not hold what was asked of it
    (RunError, 409),  # the model that embedded is not there any more
    (UsageError, 400),
    (TalkiesError, 422),  # the work was begun and failed
)


CLOSING = {"connection": "close"}
"""Where a body may still come that nobody reads: it may have no end."""


class Fault(BaseModel):
    """What every answer of 400 and above holds."""

    error: str


FAULTS: dict[int | str, dict[str, Any]] = {"4XX": {"model": Fault, "description": "What is wrong, as one sentence"}}


class RefusedError(UsageError):
    """A request that is answered with `status` and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        """Keep the status beside the sentence."""
        super().__init__(sentence)
        self.status = status


def answer(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    """Return the answer that says what is wrong."""
    return JSONResponse({"error": " ".join(sentence.split())}, status, headers)


def status_of(error: TalkiesError) -> int:
    """Return the HTTP status of an error."""
    if isinstance(error, RefusedError):
        return error.status
    return next(status for kind, status in _STATUSES if isinstance(error, kind))


def answer_faults(app: FastAPI) -> None:
    """Let every foreseen failure of `app` be answered with its sentence."""
    app.add_exception_handler(TalkiesError, _talkies)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(OSError, _system)


def _closing(request: Request) -> dict[str, str]:
    return {} if request.method in ("GET", "HEAD") else CLOSING


async def _talkies(request: Request, error: Exception) -> Response:
    assert isinstance(error, TalkiesError)
    return answer(status_of(error), str(error), _closing(request))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return answer(422, sentence_of(error.errors()[0]), _closing(request))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentences = {
        404: "there is nothing at this address; the page is at /",
        405: f"{request.method} is not what this address takes",
    }
    return answer(
        error.status_code,
        sentences.get(error.status_code, error.detail),
        {**(error.headers or {}), **_closing(request)},
    )


async def _system(_: Request, error: Exception) -> Response:
    assert isinstance(error, OSError)
    return answer(503, f"a file of the library cannot be read ({describe_os_error(error)}); look after its disk and try again")


def sentence_of(found: dict[str, Any]) -> str:
    """Return what is wrong with one value, as a sentence."""
    name = next((str(part) for part in found["loc"][1:] if isinstance(part, str)), "the request")
    message, kind = str(found["msg"]), found["type"]
    if kind == "missing":
        return f"{name} is missing; name it"
    if kind == "extra_forbidden":
        return f"{name} is not something that can be asked here"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    shown = repr(found.get("input"))
    shown = shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"
    return f"{name}: {message[:1].lower()}{message[1:]}, got {shown}"
