"""Search by uploaded file: results, stored embeddings, limits."""

import io
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from api_client import Client, Served, read_error
from PIL import Image

from talkies.library import Library
from talkies.retrieval.index import VectorIndex
from talkies.web import uploads

pytestmark = [pytest.mark.xdist_group("web"), pytest.mark.usefixtures("temporary")]


def test_an_excerpt_finds_its_own_film_and_outlives_the_server(
    client: Client, served_library: Library, films: Path, client_of: Callable[[Library], Client]
) -> None:
    film = next(film for film in served_library.usable_films() if film.name == "film-000.mp4")
    document = client.upload("my film.mp4", (films / film.name).read_bytes()).json()
    assert (document["name"], document["sides"], document["seconds"]) == (
        "my film.mp4",
        ["video", "audio"],
        pytest.approx(12, abs=0.1),
    )
    assert client.get(f"/api/uploads/{document['upload']}").json() == document
    asked = f"/api/search?upload={document['upload']}&floor=false&per=film"
    found = client.get(asked).json()
    assert found["query"]["source"] == "my film.mp4"
    assert found["query"]["upload"] == document["upload"]
    assert len(found["hits"]) == 3
    other = client_of(served_library)
    assert other.get(asked).json() == found
    heat = other.get(f"/api/heat?in={film.film_id}&upload={document['upload']}").json()
    assert len(heat["spans"]) == 12
    (kept,) = (served_library.index_folder / "uploads").glob(f"*-{document['upload']}.safetensors")
    assert kept.stat().st_size < 50_000, "the vectors are kept and not the file"


def test_a_picture_cannot_be_searched_by_sound(client: Client) -> None:
    written = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)).save(written, "PNG")
    document = client.upload("still.png", written.getvalue()).json()
    assert document["sides"] == ["video"]
    assert client.get(f"/api/search?upload={document['upload']}&to=audio&floor=false").json()["hits"]
    refused = client.get(f"/api/search?upload={document['upload']}&from=audio")
    assert "still.png has no sound to search with" in read_error(refused, 400)


def test_the_same_file_is_encoded_once(client: Client, encoded_paths: list[Path]) -> None:
    first = client.upload("one.wav", b"the very same")
    again = client.upload("two.wav", b"the very same")
    assert len(encoded_paths) == 1
    assert first.json()["upload"] == again.json()["upload"]


def test_the_oldest_uploads_are_deleted_above_the_limit(
    client: Client, served_library: Library, encoded_paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "_MAX_KEPT", 3)
    for number in range(6):
        assert client.upload("x.wav", b"number %d" % number).status_code == 200
    assert len(list((served_library.index_folder / "uploads").glob("*.safetensors"))) == 3


def test_a_read_only_library_can_be_searched_by_file(
    served_library: Library, tmp_path: Path, encoded_paths: list[Path], client_of: Callable[[Library], Client]
) -> None:
    copy = Library.open(shutil.copytree(served_library.root, tmp_path / "lib"))
    shutil.rmtree(copy.index_folder / "uploads", ignore_errors=True)
    (copy.index_folder / "uploads").write_text("a file where the folder should be")
    client = client_of(copy)
    document = client.upload("x.wav", b"x").json()
    assert client.get(f"/api/search?upload={document['upload']}&floor=false").json()["hits"]


def test_damaged_embeddings_of_an_upload_count_as_missing(
    client: Client, served_library: Library, encoded_paths: list[Path], client_of: Callable[[Library], Client]
) -> None:
    document = client.upload("x.wav", b"to be damaged").json()
    (kept,) = (served_library.index_folder / "uploads").glob(f"*-{document['upload']}.safetensors")
    kept.write_bytes(b"\xff" * 100)
    assert "upload it again" in read_error(client_of(served_library).get(f"/api/uploads/{document['upload']}"), 404)


@pytest.mark.parametrize("upload", ["0123456789abcdef", "..%2f..%2flibrary", "nix", "0123456789ABCDEF"])
def test_an_unknown_upload_is_reported(client: Client, upload: str) -> None:
    assert read_error(client.get(f"/api/uploads/{upload}"), 404)


def test_an_unknown_model_is_reported_on_upload(client: Client) -> None:
    refused = client.request("POST", "/api/uploads?model=nix", files={"file": ("x.wav", b"x")})
    assert "was not embedded with the model asked for (stamp nix)" in read_error(refused, 404)


def test_without_its_run_a_model_still_searches_by_moment(
    served_library: Library, run: Path, tmp_path: Path, client_of: Callable[[Library], Client]
) -> None:
    copy = Library.open(shutil.copytree(served_library.root, tmp_path / "lib"))
    (description,) = (path for path in copy.index_folder.glob("*.json") if "." not in path.stem)
    description.write_text(description.read_text().replace(str(run), str(tmp_path / "gone")))
    client = client_of(copy)
    assert "its run folder is gone" in read_error(client.upload("x.wav", b"y"), 404)
    document = client.get("/api/library").json()
    assert [model["can_upload"] for model in document["models"]] == [False]
    film = next(film["film_id"] for film in document["films"] if film["usable"])
    assert client.get(f"/api/search?film={film}&at=1").status_code == 200


def test_uploads_from_many_clients_all_succeed(served: Served, encoded_paths: list[Path]) -> None:
    answers: list[int] = []

    def send(number: int) -> None:
        document = httpx.post(
            f"{served.url}/api/uploads", files={"file": ("x.wav", b"of client %d" % number)}, timeout=60
        )
        answers.append(document.status_code)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 8


def test_the_stamp_of_what_is_kept_is_that_of_the_set(
    client: Client, served_library: Library, encoded_paths: list[Path]
) -> None:
    assert client.upload("x.wav", b"stamped").json()["model"] == VectorIndex(served_library).choose().stamp
