"""The guard: foreign host names and cross-site requests are refused before any work is done."""

import asyncio

import pytest
from api_client import Client, read_error

from talkies.library import FilmEntry, Library
from talkies.web import create_app
from talkies.web.guard import Guard

pytestmark = pytest.mark.xdist_group("web")

OWN = "127.0.0.1:8017"


@pytest.fixture
def film(served_library: Library) -> FilmEntry:
    return served_library.usable_films()[0]


@pytest.mark.parametrize("host", [OWN, "localhost:8017", "LOCALHOST", "[::1]:8017", "127.0.0.1", "localhost:9000"])
def test_this_machine_is_answered(client: Client, host: str) -> None:
    assert client.get("/api/library", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8017",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example#localhost",
        "localhost@evil.example",
        "localhost, evil.example",
        "192.168.1.5:8017",
        "0.0.0.0:8017",
        "127.0.0.2",
        "[::2]",
        "localhost:8017:1",
        "localhost:",
        "",
        "localhost\tevil",
    ],
)
@pytest.mark.parametrize("address", ["/", "/api/library", "/static/app.js", "/media/{film}.mp4"])
def test_other_hosts_names_are_refused(client: Client, film: FilmEntry, host: str, address: str) -> None:
    answer = client.get(address.format(film=film.film_id), headers={"host": host})
    assert "does not answer to that name" in read_error(answer, 421)


def test_two_hosts_or_none_are_refused(client: Client) -> None:
    for headers in ([("host", OWN), ("host", "evil.example")], [("host", OWN), ("host", OWN)]):
        assert read_error(client.get("/api/library", headers=headers), 421)


def test_a_bound_host_is_answered_and_a_name_for_it_is_not(served_library: Library) -> None:
    one = Client(create_app(served_library.root, ("192.168.1.5",)))
    assert one.get("/api/library", headers={"host": "192.168.1.5:8017"}).status_code == 200
    assert read_error(one.get("/api/library", headers={"host": "192.168.1.6:8017"}), 421)
    every = Client(create_app(served_library.root, ("0.0.0.0",)))
    assert every.get("/api/library", headers={"host": "192.168.1.6:8017"}).status_code == 200
    assert read_error(every.get("/api/library", headers={"host": "evil.example"}), 421)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8018"},
        {"origin": "http://127.0.0.1:8017.evil.example"},
        {"origin": "file://"},
        {"origin": ""},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": f"http://{OWN}"},
        {"sec-fetch-site": "nonsense"},
    ],
    ids=str,
)
def test_another_site_cannot_post(client: Client, headers: dict[str, str]) -> None:
    refused = client.upload("x.wav", b"x", headers=headers)
    assert read_error(refused, 403) == "another site may not send anything here; use the page itself"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": f"http://{OWN}"},
        {"sec-fetch-site": "same-origin", "origin": f"http://{OWN}"},
        {"sec-fetch-site": "none"},
    ],
    ids=str,
)
def test_the_page_itself_can_post(client: Client, headers: dict[str, str]) -> None:
    assert "x.wav is empty" in read_error(client.upload("x.wav", b"", headers=headers), 422)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_cannot_embed_what_is_here(client: Client, film: FilmEntry, site: str) -> None:
    cross_site = {"sec-fetch-site": site, "sec-fetch-mode": "no-cors"}
    for address in ("/api/library", f"/media/{film.film_id}.mp4", f"/api/films/{film.film_id}/frame.jpg?at=0"):
        assert "another site may not show what is here" in read_error(client.get(address, headers=cross_site), 403)
        assert read_error(client.get(address, headers={**cross_site, "sec-fetch-mode": "cors"}), 403)
    assert client.get("/", headers={**cross_site, "sec-fetch-mode": "navigate"}).status_code == 200


def test_every_answer_tells_a_browser_what_it_may_not_do(client: Client, film: FilmEntry) -> None:
    addresses = (
        "/",
        "/api/library",
        "/api/nothing",
        f"/media/{film.film_id}.mp4",
        "/static/none.js",
        "/api/openapi.json",
    )
    answers = [client.get(address) for address in addresses] + [client.get("/", headers={"host": "evil.example"})]
    for answer in answers:
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_no_preflight_is_granted(client: Client) -> None:
    asked = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    answer = client.request("OPTIONS", "/api/uploads", headers=asked)
    assert answer.status_code == 405
    assert "access-control-allow-origin" not in answer.headers


def test_the_guard_lets_other_protocols_pass_to_the_application(served_library: Library) -> None:
    seen = []

    async def application(scope: dict, receive: object, send: object) -> None:
        seen.append(scope["type"])

    asyncio.run(Guard(application)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan"]
