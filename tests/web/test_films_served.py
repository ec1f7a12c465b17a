"""The API of the library and its films: documents, pictures, and errors for missing films and sets."""

import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from api_client import Client, read_error
from PIL import Image

from talkies.library import FilmEntry, Library
from talkies.media import AudioReader, VideoReader, yuv_to_rgb
from talkies.retrieval.index import VectorIndex, embed
from talkies.training import RunConfig, pretrain

pytestmark = pytest.mark.xdist_group("web")


@pytest.fixture
def film(served_library: Library) -> FilmEntry:
    """A film of three shots."""
    return next(film for film in served_library.usable_films() if film.shots == 3)


@pytest.fixture
def copied(served_library: Library, tmp_path: Path, client_of: Callable[[Library], Client]) -> tuple[Library, Client]:
    """A copy of the library that may be harmed, and a client of it."""
    copy = Library.open(shutil.copytree(served_library.root, tmp_path / "lib"))
    return copy, client_of(copy)


def decode_rgb(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/jpeg"
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"), np.int32)


def test_the_library_document_lists_films_and_models(client: Client, served_library: Library, run: Path) -> None:
    document = client.get("/api/library").json()
    assert document["name"] == "lib"
    assert [film["film_id"] for film in document["films"]] == [film.film_id for film in served_library.films()]
    assert [film["embedded"] for film in document["films"]] == [film.usable for film in served_library.films()]
    rejected = next(film for film in document["films"] if not film["usable"])
    assert (rejected["source"], rejected["verdict"]) == ("letter.mp4", "rejected")
    assert [reason["code"] for reason in rejected["reasons"]] == ["unreadable"]
    entry = VectorIndex(served_library).choose()
    (model,) = document["models"]
    assert (model["stamp"], model["run"], model["films"], model["can_upload"]) == (entry.stamp, run.name, 3, True)
    assert model["rows"] == VectorIndex(served_library).count(entry.stamp)
    assert (document["model"], document["notice"]) == (entry.stamp, None)


def test_a_film_document_has_its_timeline(client: Client, served_library: Library, film: FilmEntry) -> None:
    document = client.get(f"/api/films/{film.film_id}").json()
    fps = served_library.profile.fps
    assert document["shot_spans"] == [
        [s.start_frame / fps, s.end_frame / fps] for s in served_library.shots_of(film.id)
    ]
    assert all(0 <= level <= 1 for level in document["waveform"])
    clips = round(film.duration_seconds)
    assert [len(document["recurrence"][side]) for side in ("video", "audio")] == [clips, clips]


def test_the_waveform_is_the_peaks_of_the_training_audio(
    client: Client, served_library: Library, film: FilmEntry
) -> None:
    levels = client.get(f"/api/films/{film.film_id}").json()["waveform"]
    with AudioReader(served_library.audio_path(film.id)) as sound:
        samples = np.frombuffer(served_library.audio_path(film.id).read_bytes()[44:], "<i2")
        assert len(samples) == len(sound)
    parts = np.abs(samples.astype(np.int32)).reshape(len(levels), -1)
    np.testing.assert_allclose(levels, parts.max(1) / 32768, atol=1e-4)


def test_a_picture_is_the_frame_of_its_moment(client: Client, served_library: Library, film: FilmEntry) -> None:
    with VideoReader(served_library.proxy_path(film.id), served_library.profile.fps) as reader:
        for number in (0, 37, len(reader) - 1):
            truth = yuv_to_rgb(reader.read(range(number, number + 1))[0]).astype(np.int32)
            seen = decode_rgb(
                client.get(f"/api/films/{film.film_id}/frame.jpg?at={number / served_library.profile.fps}")
            )
            assert np.abs(seen - truth).mean() < 6, number


def test_a_strip_shows_the_middles_of_equal_parts(client: Client, film: FilmEntry) -> None:
    strip = decode_rgb(client.get(f"/api/films/{film.film_id}/strip.jpg?count=4"))
    assert strip.shape == (72, 4 * 108, 3)
    for place in range(4):
        at = film.duration_seconds * (2 * place + 1) / 8
        whole = decode_rgb(client.get(f"/api/films/{film.film_id}/frame.jpg?at={at}"))
        small = np.asarray(Image.fromarray(whole.astype(np.uint8)).resize((108, 72)), np.int32)
        assert np.abs(strip[:, place * 108 : (place + 1) * 108] - small).mean() < 6, place


def test_a_rejected_film_has_its_reasons_and_no_picture(client: Client, served_library: Library) -> None:
    film_id = next(film.film_id for film in served_library.films() if not film.usable)
    document = client.get(f"/api/films/{film_id}").json()
    assert (document["waveform"], document["shot_spans"], document["recurrence"]) == ([], [], None)
    for address in (f"/api/films/{film_id}/strip.jpg", f"/api/films/{film_id}/frame.jpg?at=0"):
        assert "letter.mp4 was rejected at ingest" in read_error(client.get(address), 404)
    assert "ingest it again" in read_error(client.get(f"/media/{film_id}.mp4"), 404)


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/api/films/0123456789abcdef", 404, "film 0123456789abcdef is not in the library"),
        ("/api/films/abc", 422, "film_id: string should match pattern"),
        ("/api/films/{film}/frame.jpg", 422, "at is missing; add it to the request"),
        ("/api/films/{film}/frame.jpg?at=-1", 422, "greater than or equal to 0"),
        ("/api/films/{film}/frame.jpg?at=inf", 422, "got 'inf'"),
        ("/api/films/{film}/frame.jpg?at=1e6", 400, "lasts 12.00 s, and at is 1e\\+06; name a time inside it"),
        ("/api/films/{film}/strip.jpg?count=61", 422, "less than or equal to 60"),
        ("/api/library?model=nix", 404, "was not embedded with the model asked for \\(stamp nix\\)"),
        ("/api/nothing", 404, "there is nothing at this address"),
        ("/docs", 404, "there is nothing at this address"),
    ],
)
def test_invalid_requests_are_refused_with_a_message(
    client: Client, film: FilmEntry, address: str, status: int, words: str
) -> None:
    message = read_error(client.get(address.format(film=film.film_id)), status)
    assert re.search(words, message), message


def test_another_method_is_refused(client: Client) -> None:
    refused = client.request("DELETE", "/api/library")
    assert "this address does not accept DELETE" in read_error(refused, 405)
    assert refused.headers["allow"] == "GET"


def test_a_library_without_embeddings_is_shown_with_the_command(
    library: Library, film: FilmEntry, client_of: Callable[[Library], Client]
) -> None:
    client = client_of(library)
    document = client.get("/api/library").json()
    assert (document["models"], document["model"], len(document["films"])) == ([], None, 3)
    assert "make them with: talkies embed --library" in document["notice"]
    assert client.get(f"/api/films/{film.film_id}").json()["recurrence"] is None
    for address in (f"/api/search?film={film.film_id}&at=1", "/api/map", "/api/uploads/0123456789abcdef"):
        assert "has no embeddings yet" in read_error(client.get(address), 404)
    assert "has no embeddings yet" in read_error(client.upload("x.wav", b"x"), 404)


def test_the_newest_of_several_models_is_the_default(
    copied: tuple[Library, Client], library: Library, two_steps: Callable[..., RunConfig], run: Path, tmp_path: Path
) -> None:
    copy, client = copied
    before = client.get("/api/library").json()["model"]
    other = pretrain(library.root, two_steps("training.seed=3", "training.steps=1"), tmp_path / "run").run
    newer = embed(copy.root, other).entry.stamp
    document = client.get("/api/library").json()
    assert [model["stamp"] for model in document["models"]] == [newer, before]
    film_id = document["films"][0]["film_id"]
    assert client.get(f"/api/search?film={film_id}&at=1").json()["model"] == newer
    assert client.get(f"/api/search?film={film_id}&at=1&model={before}").json()["model"] == before


def test_a_removed_film_is_reported_by_every_route(copied: tuple[Library, Client], film: FilmEntry) -> None:
    copy, client = copied
    assert client.get(f"/media/{film.film_id}.mp4").status_code == 200
    assert client.get(f"/api/search?film={film.film_id}&at=1").status_code == 200
    shutil.rmtree(copy.film_folder(film.id))
    for address in ("", "/frame.jpg?at=1", "/strip.jpg"):
        message = read_error(client.get(f"/api/films/{film.film_id}{address}"), 404)
        assert message == f"film {film.film_id} is not in the library, or no longer; reload the page"
    assert "has no proxy.mp4 in the library" in read_error(client.get(f"/media/{film.film_id}.mp4"), 404)
    assert f"no film '{film.film_id}'" in read_error(client.get(f"/api/search?film={film.film_id}&at=1"), 404)
    other = copy.usable_films()[0].film_id
    hits = client.get(f"/api/search?film={other}&at=1&floor=false&count=100").json()["hits"]
    assert hits
    assert film.film_id not in {hit["film_id"] for hit in hits}


def test_a_missing_or_damaged_proxy_is_reported(copied: tuple[Library, Client], film: FilmEntry) -> None:
    copy, client = copied
    proxy, sound = copy.proxy_path(film.id), copy.audio_path(film.id)
    whole = proxy.read_bytes()
    proxy.write_bytes(whole[: len(whole) // 2])
    assert "ingest its film again" in read_error(client.get(f"/api/films/{film.film_id}/frame.jpg?at=11"), 422)
    assert "ingest its film again" in read_error(client.get(f"/api/films/{film.film_id}/strip.jpg"), 422)
    proxy.write_bytes(b"\0" * 1000)
    assert "cannot be opened as a proxy" in read_error(client.get(f"/api/films/{film.film_id}/frame.jpg?at=1"), 422)
    proxy.unlink()
    assert "has no proxy.mp4" in read_error(client.get(f"/api/films/{film.film_id}/frame.jpg?at=1"), 404)
    sound.write_bytes(sound.read_bytes()[:-100])
    assert "is not the training audio that ingest wrote" in read_error(client.get(f"/api/films/{film.film_id}"), 422)


def test_a_removed_set_is_reported_and_found_again_once_rebuilt(
    copied: tuple[Library, Client], film: FilmEntry, run: Path
) -> None:
    copy, client = copied
    asked = f"/api/search?film={film.film_id}&at=1&floor=false"
    before = client.get(asked).json()
    shutil.rmtree(copy.index_folder)
    assert "has no embeddings yet" in read_error(client.get(asked), 404)
    embed(copy.root, run)
    assert client.get(asked).json() == before


def test_a_set_without_its_table_is_reported(copied: tuple[Library, Client], film: FilmEntry) -> None:
    copy, client = copied
    for folder in copy.index_folder.glob("*.lance"):
        shutil.rmtree(folder)
    for address in (f"search?film={film.film_id}&at=1", "map"):
        assert "are gone; remove" in read_error(client.get(f"/api/{address}"), 404)
    document = client.get("/api/library").json()
    assert ("are gone; remove" in document["notice"], document["models"], document["model"]) == (True, [], None)
    assert client.get(f"/api/films/{film.film_id}").json()["embedded"] is False


def test_a_set_of_an_older_version_is_skipped_and_reported(copied: tuple[Library, Client], film: FilmEntry) -> None:
    copy, client = copied
    asked = f"/api/search?film={film.film_id}&at=1&floor=false"
    before, stamp = client.get(asked).json(), client.get("/api/library").json()["model"]
    text = (copy.index_folder / f"{stamp}.json").read_text(encoding="utf-8")
    older = text.replace(stamp, "aaaaaaaaaaaa").replace('"schema_version": 4', '"schema_version": 2')
    (copy.index_folder / "aaaaaaaaaaaa.json").write_text(older, encoding="utf-8")
    assert client.get(asked).json() == client.get(f"{asked}&model={stamp}").json() == before
    document = client.get("/api/library").json()
    assert ([model["stamp"] for model in document["models"]], document["model"]) == ([stamp], stamp)
    assert "aaaaaaaaaaaa.json was made by an older talkies" in document["notice"]
    assert client.get(f"/api/films/{film.film_id}").json()["embedded"] is True
    assert "made by an older talkies" in read_error(client.get(f"{asked}&model=aaaaaaaaaaaa"), 404)


def test_the_page_is_there_with_its_files(client: Client) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "<script>" not in page.text, "the policy allows no script in the page itself"
    assert read_error(client.get("/static/../app.py"), 404)
    assert read_error(client.get("/static/%2e%2e/app.py"), 404)


def test_a_renamed_film_is_served_and_searched_by_both_names(copied: tuple[Library, Client]) -> None:
    library, client = copied
    film = next(film for film in library.usable_films() if film.name == "film-001.mp4")
    record = library.record_of(film.id)
    assert record is not None
    renamed = {"source": "/films/Ame\u0301lie\u202e.mp4", "other_sources": (record.source, r"/films/caf\xe9.mp4")}
    library.replace_record(record.model_copy(update=renamed))

    document = client.get(f"/api/films/{film.film_id}").json()
    assert (document["source"], document["other_names"]) == ("Ame\u0301lie\u202e.mp4", ["film-001.mp4", r"caf\xe9.mp4"])
    for name in ("film-001.mp4", "Am\u00e9lie\u202e.mp4", "caf%E9.mp4", renamed["source"]):
        answer = client.get(f"/api/search?film={name}&at=3").json()
        assert answer["query"]["source"] == "Ame\u0301lie\u202e.mp4", answer
    sentence = read_error(client.get(f"/api/search?film={film.film_id}&at=99"), 400)
    assert sentence.startswith(r"Amélie\u202e.mp4 lasts ".replace("é", "e\u0301"))
