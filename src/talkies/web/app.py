"""The FastAPI application: the API routes, the page's static files, and the guard in front of both."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from talkies.library import Library
from talkies.web.errors import register_error_handlers
from talkies.web.films import build_film_routes
from talkies.web.guard import Guard
from talkies.web.media import build_media_routes
from talkies.web.search import build_search_routes
from talkies.web.served_library import ServedLibrary
from talkies.web.served_models import ServedModels
from talkies.web.uploads import Uploads

UPLOAD_LIMIT_BYTES = 64_000_000
_STATIC = Path(__file__).with_name("static")
_NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
_REVALIDATE = {"cache-control": "no-cache"}  # the browser asks every time whether its copy is still current


def create_app(library: str | Path, hosts: Sequence[str] = (), upload_limit_bytes: int = UPLOAD_LIMIT_BYTES) -> FastAPI:
    """Return the application that serves a library.

    Args:
        library: Folder or URL of the library.
        hosts: Names that requests may use for this server in addition to `localhost`.
        upload_limit_bytes: Largest file that can be uploaded to search with.

    Returns:
        The application; `app.state.models` holds the models that the library was embedded with.

    Raises:
        LibraryError: If there is no such library.
    """
    opened = Library.open(library)
    served, models = ServedLibrary(opened), ServedModels(opened)
    app = FastAPI(
        title="talkies",
        version=version("talkies"),
        docs_url=None,  # its pages load scripts from other sites
        redoc_url=None,
        openapi_url="/api/openapi.json",
        telemetry=_NO_TELEMETRY,
    )
    app.state.models = models
    register_error_handlers(app)

    app.include_router(build_film_routes(served, models, upload_limit_bytes))
    app.include_router(build_search_routes(served, models, Uploads(models), upload_limit_bytes))
    app.include_router(build_media_routes(served))
    app.mount("/static", _PageFiles(directory=_STATIC, check_dir=False))
    app.add_middleware(Guard, hosts=hosts)

    @app.get("/", include_in_schema=False)
    async def get_page() -> Response:
        return FileResponse(_STATIC / "index.html", headers=_REVALIDATE)

    return app


class _PageFiles(StaticFiles):
    """The page's scripts and style sheets."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_REVALIDATE)
        return response
