"""Error responses: a JSON document `{"error": "one sentence"}` with the HTTP status that fits the error."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from talkies.core import (
    LibraryError,
    MediaError,
    RunError,
    TalkiesError,
    UsageError,
    describe_os_error,
    escape_controls,
)

CLOSE_CONNECTION = {"connection": "close"}
"""Header for an answer that is sent before the request's body was read: the body may never end."""

_MAX_VALUE_LENGTH = 80  # characters of a wrong value that a message quotes
_STATUSES: tuple[tuple[type[TalkiesError], int], ...] = (
    (MediaError, 422),  # a file cannot be decoded
    (LibraryError, 404),  # the library does not hold the requested thing
    (RunError, 409),  # the model that made the index no longer exists
    (UsageError, 400),
    (TalkiesError, 422),  # the work started and failed
)


class ErrorAnswer(BaseModel):
    """The document of every answer with a status of 400 or above."""

    error: str


ERROR_ANSWERS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorAnswer, "description": "What is wrong, in one sentence"}
}


class RefusedError(UsageError):
    """A request that is refused with an HTTP status and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        """Store the status with the sentence."""
        super().__init__(sentence)
        self.status = status


def build_error_response(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    """Return the response that says what is wrong."""
    return JSONResponse({"error": escape_controls(" ".join(sentence.split()))}, status, headers)


def get_status(error: TalkiesError) -> int:
    """Return the HTTP status of an error."""
    if isinstance(error, RefusedError):
        return error.status
    return next(status for error_type, status in _STATUSES if isinstance(error, error_type))


def register_error_handlers(app: FastAPI) -> None:
    """Make `app` answer every expected error with its sentence."""
    app.add_exception_handler(TalkiesError, _handle_talkies_error)
    app.add_exception_handler(RequestValidationError, _handle_invalid_request)
    app.add_exception_handler(HTTPException, _handle_http_error)
    app.add_exception_handler(OSError, _handle_os_error)


def _get_close_header(request: Request) -> dict[str, str]:
    return {} if request.method in ("GET", "HEAD") else CLOSE_CONNECTION


async def _handle_talkies_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, TalkiesError)
    return build_error_response(get_status(error), str(error), _get_close_header(request))


async def _handle_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return build_error_response(422, format_validation_error(error.errors()[0]), _get_close_header(request))


async def _handle_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentences = {
        404: "there is nothing at this address; the page is at /",
        405: f"this address does not accept {request.method}",
    }
    sentence = sentences.get(error.status_code, error.detail)
    headers = {**(error.headers or {}), **_get_close_header(request)}
    return build_error_response(error.status_code, sentence, headers)


async def _handle_os_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, OSError)
    reason = describe_os_error(error)
    return build_error_response(503, f"a file of the library cannot be read ({reason}); check its disk and try again")


def format_validation_error(details: dict[str, Any]) -> str:
    """Return the sentence for one invalid value of a request, from pydantic's description of it."""
    name = next((str(part) for part in details["loc"][1:] if isinstance(part, str)), "the request")
    message, error_type = str(details["msg"]), details["type"]
    if error_type == "missing":
        return f"{name} is missing; add it to the request"
    if error_type == "extra_forbidden":
        return f"{name} is not a parameter of this address"
    if error_type == "value_error":
        return message.removeprefix("Value error, ")

    value = repr(details.get("input"))
    if len(value) > _MAX_VALUE_LENGTH:
        value = f"{value[:_MAX_VALUE_LENGTH]}…"
    return f"{name}: {message[:1].lower()}{message[1:]}, got {value}"
