"""Files to search by: what comes of them, and what is kept."""

import io
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from asking import Client, Served, sentence
from PIL import Image

from talkies.library import Library
from talkies.retrieval.index import VectorIndex
from talkies.web import uploads

pytestmark = [pytest.mark.xdist_group("web"), pytest.mark.usefixtures("temporary")]


def test_an_excerpt_finds_its_own_film_and_outlives_the_server(
    client: Client, shelf: Library, films: Path, client_of: Callable[[Library], Client]
) -> None:
    film = next(film for film in shelf.usable_films() if film.name == "film-000.mp4")
    told = client.upload("my film.mp4", (films / film.name).read_bytes()).json()
    assert (told["name"], told["sides"], told["seconds"]) == (
        "my film.mp4",
        ["video", "audio"],
        pytest.approx(12, abs=0.1),
    )
    assert client.get(f"/api/uploads/{told['upload']}").json() == told
    asked = f"/api/search?upload={told['upload']}&floor=false&per=film"
    found = client.get(asked).json()
    assert found["query"]["source"] == "my film.mp4"
    assert found["query"]["upload"] == told["upload"]
    assert len(found["hits"]) == 3
    other = client_of(shelf)
    assert other.get(asked).json() == found
    heat = other.get(f"/api/heat?in={film.film_id}&upload={told['upload']}").json()
    assert len(heat["spans"]) == 12
    (kept,) = (shelf.index_folder / "uploads").glob(f"*-{told['upload']}.safetensors")
    assert kept.stat().st_size < 50_000, "the vectors are kept and not the file"


def test_a_picture_has_no_sound_to_ask_with(client: Client) -> None:
    written = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)).save(written, "PNG")
    told = client.upload("still.png", written.getvalue()).json()
    assert told["sides"] == ["video"]
    assert client.get(f"/api/search?upload={told['upload']}&to=audio&floor=false").json()["hits"]
    refused = client.get(f"/api/search?upload={told['upload']}&from=audio")
    assert "still.png has no sound to search with" in sentence(refused, 400)


def test_the_same_file_is_looked_at_once(client: Client, looked_at: list[Path]) -> None:
    first = client.upload("one.wav", b"the very same")
    again = client.upload("two.wav", b"the very same")
    assert len(looked_at) == 1
    assert first.json()["upload"] == again.json()["upload"]


def test_only_so_many_files_are_kept(
    client: Client, shelf: Library, looked_at: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "_MOST_KEPT", 3)
    for number in range(6):
        assert client.upload("x.wav", b"number %d" % number).status_code == 200
    assert len(list((shelf.index_folder / "uploads").glob("*.safetensors"))) == 3


def test_a_library_that_cannot_be_written_is_searched_as_well(
    shelf: Library, tmp_path: Path, looked_at: list[Path], client_of: Callable[[Library], Client]
) -> None:
    copy = Library.open(shutil.copytree(shelf.root, tmp_path / "lib"))
    shutil.rmtree(copy.index_folder / "uploads", ignore_errors=True)
    (copy.index_folder / "uploads").write_text("a file where the folder should be")
    client = client_of(copy)
    told = client.upload("x.wav", b"x").json()
    assert client.get(f"/api/search?upload={told['upload']}&floor=false").json()["hits"]


def test_damaged_vectors_are_as_if_the_file_was_not_there(
    client: Client, shelf: Library, looked_at: list[Path], client_of: Callable[[Library], Client]
) -> None:
    told = client.upload("x.wav", b"to be damaged").json()
    (kept,) = (shelf.index_folder / "uploads").glob(f"*-{told['upload']}.safetensors")
    kept.write_bytes(b"\xff" * 100)
    assert "upload it again" in sentence(client_of(shelf).get(f"/api/uploads/{told['upload']}"), 404)


@pytest.mark.parametrize("upload", ["0123456789abcdef", "..%2f..%2flibrary", "nix", "0123456789ABCDEF"])
def test_an_upload_that_is_not_there_is_a_sentence(client: Client, upload: str) -> None:
    assert sentence(client.get(f"/api/uploads/{upload}"), 404)


def test_another_models_stamp_is_a_sentence(client: Client) -> None:
    refused = client.request("POST", "/api/uploads?model=nix", files={"file": ("x.wav", b"x")})
    assert "was not embedded with the model asked for (stamp nix)" in sentence(refused, 404)


def test_a_run_that_went_leaves_the_search_by_moments(
    shelf: Library, run: Path, tmp_path: Path, client_of: Callable[[Library], Client]
) -> None:
    copy = Library.open(shutil.copytree(shelf.root, tmp_path / "lib"))
    (description,) = (path for path in copy.index_folder.glob("*.json") if "." not in path.stem)
    description.write_text(description.read_text().replace(str(run), str(tmp_path / "gone")))
    client = client_of(copy)
    assert "its run folder is gone" in sentence(client.upload("x.wav", b"y"), 404)
    told = client.get("/api/library").json()
    assert [model["can_upload"] for model in told["models"]] == [False]
    film = next(film["film_id"] for film in told["films"] if film["usable"])
    assert client.get(f"/api/search?film={film}&at=1").status_code == 200


def test_uploads_from_many_clients_all_find(served: Served, looked_at: list[Path]) -> None:
    answers: list[int] = []

    def send(number: int) -> None:
        told = httpx.post(f"{served.url}/api/uploads", files={"file": ("x.wav", b"of client %d" % number)}, timeout=60)
        answers.append(told.status_code)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 8


def test_the_stamp_of_what_is_kept_is_that_of_the_set(client: Client, shelf: Library, looked_at: list[Path]) -> None:
    assert client.upload("x.wav", b"stamped").json()["model"] == VectorIndex(shelf).choose().stamp
