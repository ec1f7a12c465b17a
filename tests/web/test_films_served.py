"""The library and its films as they are told, their pictures, and what is said where a film is not there."""

import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from asking import Client, sentence
from PIL import Image

from talkies.library import FilmEntry, Library
from talkies.media import AudioReader, VideoReader, yuv_to_rgb
from talkies.retrieval.index import VectorIndex, embed
from talkies.training import RunConfig, pretrain

pytestmark = pytest.mark.xdist_group("web")


@pytest.fixture
def film(shelf: Library) -> FilmEntry:
    """A film of three shots."""
    return next(film for film in shelf.usable_films() if film.shots == 3)


@pytest.fixture
def worn(shelf: Library, tmp_path: Path, client_of: Callable[[Library], Client]) -> tuple[Library, Client]:
    """A copy of the library that may be harmed, and a client of it."""
    copy = Library.open(shutil.copytree(shelf.root, tmp_path / "lib"))
    return copy, client_of(copy)


def rgb(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/jpeg"
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"), np.int32)


def test_the_library_is_told_with_its_films_and_models(client: Client, shelf: Library, run: Path) -> None:
    told = client.get("/api/library").json()
    assert told["name"] == "lib"
    assert [film["film_id"] for film in told["films"]] == [film.film_id for film in shelf.films()]
    assert [film["embedded"] for film in told["films"]] == [film.usable for film in shelf.films()]
    rejected = next(film for film in told["films"] if not film["usable"])
    assert (rejected["source"], rejected["verdict"]) == ("letter.mp4", "rejected")
    assert [reason["code"] for reason in rejected["reasons"]] == ["unreadable"]
    entry = VectorIndex(shelf).choose()
    (model,) = told["models"]
    assert (model["stamp"], model["run"], model["films"], model["can_upload"]) == (entry.stamp, run.name, 3, True)
    assert model["rows"] == VectorIndex(shelf).count(entry.stamp)
    assert (told["model"], told["notice"]) == (entry.stamp, None)


def test_a_film_is_told_with_its_timeline(client: Client, shelf: Library, film: FilmEntry) -> None:
    told = client.get(f"/api/films/{film.film_id}").json()
    fps = shelf.profile.fps
    assert told["shot_spans"] == [[s.start_frame / fps, s.end_frame / fps] for s in shelf.shots_of(film.id)]
    assert all(0 <= level <= 1 for level in told["waveform"])
    clips = round(film.duration_seconds)
    assert [len(told["recurrence"][side]) for side in ("video", "audio")] == [clips, clips]


def test_the_waveform_is_the_peaks_of_the_training_audio(client: Client, shelf: Library, film: FilmEntry) -> None:
    levels = client.get(f"/api/films/{film.film_id}").json()["waveform"]
    with AudioReader(shelf.audio_path(film.id)) as sound:
        samples = np.frombuffer(shelf.audio_path(film.id).read_bytes()[44:], "<i2")
        assert len(samples) == len(sound)
    parts = np.abs(samples.astype(np.int32)).reshape(len(levels), -1)
    np.testing.assert_allclose(levels, parts.max(1) / 32768, atol=1e-4)


def test_a_picture_is_the_frame_of_its_moment(client: Client, shelf: Library, film: FilmEntry) -> None:
    with VideoReader(shelf.proxy_path(film.id), shelf.profile.fps) as reader:
        for number in (0, 37, len(reader) - 1):
            truth = yuv_to_rgb(reader.read(range(number, number + 1))[0]).astype(np.int32)
            seen = rgb(client.get(f"/api/films/{film.film_id}/frame.jpg?at={number / shelf.profile.fps}"))
            assert np.abs(seen - truth).mean() < 6, number


def test_a_strip_shows_the_middles_of_equal_parts(client: Client, film: FilmEntry) -> None:
    strip = rgb(client.get(f"/api/films/{film.film_id}/strip.jpg?count=4"))
    assert strip.shape == (72, 4 * 108, 3)
    for place in range(4):
        at = film.duration_seconds * (2 * place + 1) / 8
        whole = rgb(client.get(f"/api/films/{film.film_id}/frame.jpg?at={at}"))
        small = np.asarray(Image.fromarray(whole.astype(np.uint8)).resize((108, 72)), np.int32)
        assert np.abs(strip[:, place * 108 : (place + 1) * 108] - small).mean() < 6, place


def test_a_rejected_film_has_its_reasons_and_no_picture(client: Client, shelf: Library) -> None:
    film_id = next(film.film_id for film in shelf.films() if not film.usable)
    told = client.get(f"/api/films/{film_id}").json()
    assert (told["waveform"], told["shot_spans"], told["recurrence"]) == ([], [], None)
    for address in (f"/api/films/{film_id}/strip.jpg", f"/api/films/{film_id}/frame.jpg?at=0"):
        assert "letter.mp4 was rejected at ingest" in sentence(client.get(address), 404)
    assert "ingest it again" in sentence(client.get(f"/media/{film_id}.mp4"), 404)


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/api/films/0123456789abcdef", 404, "holds no film 0123456789abcdef"),
        ("/api/films/abc", 422, "film_id: string should match pattern"),
        ("/api/films/{film}/frame.jpg", 422, "at is missing; name it"),
        ("/api/films/{film}/frame.jpg?at=-1", 422, "greater than or equal to 0"),
        ("/api/films/{film}/frame.jpg?at=inf", 422, "got 'inf'"),
        ("/api/films/{film}/frame.jpg?at=1e6", 400, "lasts 12.00 s, and at is 1e\\+06; name a time inside it"),
        ("/api/films/{film}/strip.jpg?count=61", 422, "less than or equal to 60"),
        ("/api/library?model=nix", 404, "was not embedded with the model asked for \\(stamp nix\\)"),
        ("/api/nothing", 404, "there is nothing at this address"),
        ("/docs", 404, "there is nothing at this address"),
    ],
)
def test_wrong_questions_are_answered_in_a_sentence(
    client: Client, film: FilmEntry, address: str, status: int, words: str
) -> None:
    told = sentence(client.get(address.format(film=film.film_id)), status)
    assert re.search(words, told), told


def test_another_method_is_refused(client: Client) -> None:
    refused = client.request("DELETE", "/api/library")
    assert "DELETE is not what this address takes" in sentence(refused, 405)
    assert refused.headers["allow"] == "GET"


def test_a_library_without_embeddings_is_shown_with_the_command(
    library: Library, film: FilmEntry, client_of: Callable[[Library], Client]
) -> None:
    client = client_of(library)
    told = client.get("/api/library").json()
    assert (told["models"], told["model"], len(told["films"])) == ([], None, 3)
    assert "make them with: talkies embed --library" in told["notice"]
    assert client.get(f"/api/films/{film.film_id}").json()["recurrence"] is None
    for address in (f"/api/search?film={film.film_id}&at=1", "/api/map", "/api/uploads/0123456789abcdef"):
        assert "has no embeddings yet" in sentence(client.get(address), 404)
    assert "has no embeddings yet" in sentence(client.upload("x.wav", b"x"), 404)


def test_of_several_models_the_newest_is_asked(
    worn: tuple[Library, Client], library: Library, two_steps: Callable[..., RunConfig], run: Path, tmp_path: Path
) -> None:
    copy, client = worn
    before = client.get("/api/library").json()["model"]
    other = pretrain(library.root, two_steps("training.seed=3", "training.steps=1"), tmp_path / "run").run
    newer = embed(copy.root, other).entry.stamp
    told = client.get("/api/library").json()
    assert [model["stamp"] for model in told["models"]] == [newer, before]
    film_id = told["films"][0]["film_id"]
    assert client.get(f"/api/search?film={film_id}&at=1").json()["model"] == newer
    assert client.get(f"/api/search?film={film_id}&at=1&model={before}").json()["model"] == before


def test_a_film_that_vanished_is_a_sentence_everywhere(worn: tuple[Library, Client], film: FilmEntry) -> None:
    copy, client = worn
    assert client.get(f"/media/{film.film_id}.mp4").status_code == 200
    assert client.get(f"/api/search?film={film.film_id}&at=1").status_code == 200
    shutil.rmtree(copy.film_folder(film.id))
    for address in ("", "/frame.jpg?at=1", "/strip.jpg"):
        told = sentence(client.get(f"/api/films/{film.film_id}{address}"), 404)
        assert told == f"the library holds no film {film.film_id}, or not any more; reload the page"
    assert "has no proxy.mp4 in the library" in sentence(client.get(f"/media/{film.film_id}.mp4"), 404)
    assert f"no film '{film.film_id}'" in sentence(client.get(f"/api/search?film={film.film_id}&at=1"), 404)
    other = copy.usable_films()[0].film_id
    hits = client.get(f"/api/search?film={other}&at=1&floor=false&count=100").json()["hits"]
    assert hits
    assert film.film_id not in {hit["film_id"] for hit in hits}


def test_a_proxy_that_vanished_or_broke_is_a_sentence(worn: tuple[Library, Client], film: FilmEntry) -> None:
    copy, client = worn
    proxy, sound = copy.proxy_path(film.id), copy.audio_path(film.id)
    whole = proxy.read_bytes()
    proxy.write_bytes(whole[: len(whole) // 2])
    assert "ingest its film again" in sentence(client.get(f"/api/films/{film.film_id}/frame.jpg?at=11"), 422)
    assert "ingest its film again" in sentence(client.get(f"/api/films/{film.film_id}/strip.jpg"), 422)
    proxy.write_bytes(b"\0" * 1000)
    assert "cannot be opened as a proxy" in sentence(client.get(f"/api/films/{film.film_id}/frame.jpg?at=1"), 422)
    proxy.unlink()
    assert "has no proxy.mp4" in sentence(client.get(f"/api/films/{film.film_id}/frame.jpg?at=1"), 404)
    sound.write_bytes(sound.read_bytes()[:-100])
    assert "is not the training audio that was written" in sentence(client.get(f"/api/films/{film.film_id}"), 422)


def test_a_set_that_was_taken_away_is_a_sentence(worn: tuple[Library, Client], film: FilmEntry, run: Path) -> None:
    copy, client = worn
    asked = f"/api/search?film={film.film_id}&at=1&floor=false"
    before = client.get(asked).json()
    shutil.rmtree(copy.index_folder)
    assert "has no embeddings yet" in sentence(client.get(asked), 404)
    embed(copy.root, run)
    assert client.get(asked).json() == before


def test_a_set_whose_table_is_gone_is_a_sentence(worn: tuple[Library, Client], film: FilmEntry) -> None:
    copy, client = worn
    for folder in copy.index_folder.glob("*.lance"):
        shutil.rmtree(folder)
    for address in (f"search?film={film.film_id}&at=1", "map"):
        assert "are gone; remove" in sentence(client.get(f"/api/{address}"), 404)
    told = client.get("/api/library").json()
    assert ("are gone; remove" in told["notice"], told["models"], told["model"]) == (True, [], None)
    assert client.get(f"/api/films/{film.film_id}").json()["embedded"] is False


def test_a_set_of_an_older_version_takes_no_part_and_is_told(worn: tuple[Library, Client], film: FilmEntry) -> None:
    copy, client = worn
    asked = f"/api/search?film={film.film_id}&at=1&floor=false"
    before, stamp = client.get(asked).json(), client.get("/api/library").json()["model"]
    text = (copy.index_folder / f"{stamp}.json").read_text(encoding="utf-8")
    older = text.replace(stamp, "aaaaaaaaaaaa").replace('"schema_version": 3', '"schema_version": 2')
    (copy.index_folder / "aaaaaaaaaaaa.json").write_text(older, encoding="utf-8")
    assert client.get(asked).json() == client.get(f"{asked}&model={stamp}").json() == before
    told = client.get("/api/library").json()
    assert ([model["stamp"] for model in told["models"]], told["model"]) == ([stamp], stamp)
    assert "aaaaaaaaaaaa.json was made by an older talkies" in told["notice"]
    assert client.get(f"/api/films/{film.film_id}").json()["embedded"] is True
    assert "made by an older talkies" in sentence(client.get(f"{asked}&model=aaaaaaaaaaaa"), 404)


def test_the_page_is_there_with_its_files(client: Client) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "<script>" not in page.text, "the policy allows no script in the page itself"
    assert sentence(client.get("/static/../app.py"), 404)
    assert sentence(client.get("/static/%2e%2e/app.py"), 404)
