"""The application: its addresses, the page's own files, and the guard before them all."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from talkies.library import Library
from talkies.web.errors import answer_faults
from talkies.web.films import film_routes
from talkies.web.guard import Guard
from talkies.web.media import media_routes
from talkies.web.search import search_routes
from talkies.web.served_library import Shelf
from talkies.web.sets import Sets
from talkies.web.uploads import Uploads

UPLOAD_LIMIT_BYTES = 64_000_000
_STATIC = Path(__file__).with_name("static")
_NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
_FRESH = {"cache-control": "no-cache"}  # a browser asks whether a file is still the same


def create_app(library: str | Path, hosts: Sequence[str] = (), upload_limit_bytes: int = UPLOAD_LIMIT_BYTES) -> FastAPI:
    """Return the application that serves a library, to this machine or to whoever names one of `hosts`.

    Raises:
        LibraryError: if there is no such library.
    """
    opened = Library.open(library)
    shelf, sets = Shelf(opened), Sets(opened)
    app = FastAPI(
        title="talkies",
        version=version("talkies"),
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/openapi.json",
        telemetry=_NO_TELEMETRY,
    )
    answer_faults(app)
    app.state.sets = sets
    app.include_router(film_routes(shelf, sets, upload_limit_bytes))
    app.include_router(search_routes(shelf, sets, Uploads(sets), upload_limit_bytes))
    app.include_router(media_routes(shelf))
    app.mount("/static", _Static(directory=_STATIC, check_dir=False))
    app.add_middleware(Guard, hosts=hosts)

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(_STATIC / "index.html", headers=_FRESH)

    return app


class _Static(StaticFiles):
    """The page's own files."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_FRESH)
        return response
