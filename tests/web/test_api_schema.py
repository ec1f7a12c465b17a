"""Property tests of the API against its OpenAPI document: every answer matches it, and none is a server error."""

from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
import schemathesis
from api_client import Client
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from talkies.library import Library
from talkies.retrieval.search import Example, Searcher
from talkies.runtime import ProcessLimits
from talkies.web import create_app

pytestmark = [pytest.mark.xdist_group("web"), pytest.mark.slow]

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
api = schemathesis.pytest.from_fixture("schema")


@pytest.fixture(scope="session")
def schema(served_library: Library) -> schemathesis.BaseSchema:
    """The document of the application."""
    app = create_app(served_library.root, ("testserver",), upload_limit_bytes=10_000)
    return schemathesis.openapi.from_asgi("/api/openapi.json", app)


@pytest.fixture
def known(served_library: Library, client: Client, monkeypatch: pytest.MonkeyPatch) -> dict[str, "cycle[str | None]"]:
    """Existing values to use in turn with made-up ones; uploaded files are not decoded."""

    def encode_made_up(searcher: Searcher, path: Path, name: str, limits: ProcessLimits) -> Example:
        vector = np.full(searcher.entry.dim, searcher.entry.dim**-0.5, np.float32)
        return Example(name, 1.0, searcher.entry.stamp, vector, None)

    monkeypatch.setattr(Searcher, "encode_example", encode_made_up)
    upload = client.upload("x.wav", b"x").json()["upload"]
    films = [film.film_id for film in served_library.films()]
    model = client.get("/api/library").json()["model"]
    return {
        **{name: cycle([*films, None]) for name in ("film_id", "film", "in")},
        "upload": cycle([upload, None]),
        "model": cycle([model, model, None]),
    }


@api.parametrize()
@settings(
    max_examples=20, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
def test_every_answer_matches_the_openapi_document(
    case: schemathesis.Case, known: dict[str, "cycle[str | None]"]
) -> None:
    for values in (case.path_parameters, case.query):
        for name in values or ():
            if name in known and (value := next(known[name])) is not None:
                values[name] = value
    case.call_and_validate(checks=CHECKS)
