"""Clients of the API: over a port, or of the application without a network; and reading its errors."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from talkies.library import Library


@dataclass(frozen=True)
class Served:
    """A server: its URL without a slash at the end, its library, and the stamp of the model that embedded it."""

    url: str
    library: Library
    stamp: str
    run: Path


class Client:
    """A client of an application without a network; unexpected exceptions are raised here and fail the test."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def request(self, method: str, address: str, **more: Any) -> httpx.Response:
        """Return the response to one request."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8017") as client:
                return await client.request(method, address, **more)

        return asyncio.run(send())

    def get(self, address: str, **more: Any) -> httpx.Response:
        return self.request("GET", address, **more)

    def upload(self, name: str, content: bytes, **more: Any) -> httpx.Response:
        return self.request("POST", "/api/uploads", files={"file": (name, content)}, **more)


def read_error(answer: httpx.Response, status: int) -> str:
    """Return the message of an error response."""
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert list(document) == ["error"]
    assert "\n" not in document["error"]
    return str(document["error"])
