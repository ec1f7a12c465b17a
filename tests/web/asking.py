"""Asking a server: over its port, or its application without a network; and reading what it answers."""

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
    """Asks an application without a network; what it raises unforeseen is raised here, and fails the test."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def request(self, method: str, address: str, **more: Any) -> httpx.Response:
        """Return the answer to one request."""

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8017") as client:
                return await client.request(method, address, **more)

        return asyncio.run(ask())

    def get(self, address: str, **more: Any) -> httpx.Response:
        return self.request("GET", address, **more)

    def upload(self, name: str, content: bytes, **more: Any) -> httpx.Response:
        return self.request("POST", "/api/uploads", files={"file": (name, content)}, **more)


def sentence(answer: httpx.Response, status: int) -> str:
    """The one sentence of an answer that says what is wrong."""
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert list(document) == ["error"]
    assert "\n" not in document["error"]
    return str(document["error"])
