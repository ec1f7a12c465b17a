"""The whole road on real films: from a folder to a search result."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

FILMS = ("big_buck_bunny_30s_5.1.mp4", "sintel_trailer.mp4", "tears_of_steel_excerpt.webm")
ALL = (*FILMS, "big_buck_bunny.mp4")
SMALL = ("training.steps=3", "sampling.films_per_batch=3", "loader.workers=0")


@pytest.mark.real_data
def test_real_films_become_a_library_a_model_and_answers_with_times(
    real_data: Path, tmp_path: Path, document_of: Callable[..., Any]
) -> None:
    sources, lib, run = [real_data / "films" / name for name in FILMS], tmp_path / "lib", tmp_path / "run"

    taken = document_of("ingest", *sources, "--library", lib)["films"]
    films = document_of("films", "--library", lib)["films"]
    assert [film["source"] for film in taken] == [str(source) for source in sources]
    assert sorted(film["film_id"] for film in taken) == [film["film_id"] for film in films]
    assert {film["verdict"] for film in films} == {"accepted"}
    duration_seconds = {Path(film["source"]).name: film["duration_seconds"] for film in films}
    assert min(duration_seconds.values()) > 20

    sets = [part for setting in SMALL for part in ("--set", setting)]
    trained = document_of("pretrain", "--library", lib, "--recipe", "tiny", "--run", run, *sets)
    assert (trained["steps"], trained["last"]["step"]) == (3, 3)
    assert trained["last"]["within_film_share"] == pytest.approx(15 / 47, abs=1e-6)  # 3 films of 16 clips

    embedded = document_of("embed", "--library", lib, "--run", run)
    assert (embedded["films"], embedded["too_short"], embedded["model"]) == (3, [], trained["model"])
    # One each second, and one of each shot.
    assert embedded["clips"] == sum(int(film["duration_seconds"]) + film["shots"] for film in films)

    # A model of three steps finds nothing that is more alike than chance, and says so; --weak shows it all the same.
    asked = ("search", "--library", lib, "--film", "sintel_trailer.mp4", "--at", 20, "--from", "audio", "--to", "video")
    found = document_of(*asked, "--weak")
    query, hits = found["query"], found["hits"]
    assert (query["source"], query["from"], query["to"]) == ("sintel_trailer.mp4", "audio", "video")
    assert query["start_seconds"] <= 20 <= query["end_seconds"]
    assert len(hits) == 10
    for hit in hits:
        assert 0 <= hit["start_seconds"] < hit["end_seconds"] <= duration_seconds[hit["source"]]
        assert hit["source"] != query["source"] or not (
            hit["start_seconds"] < query["end_seconds"] and query["start_seconds"] < hit["end_seconds"]
        )
    scores = [hit["score"] for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert all(-1 <= score <= 1 for score in scores)


@pytest.mark.real_data
@pytest.mark.skipif(os.environ.get("TALKIES_SOAK") != "1", reason="make soak takes the whole Big Buck Bunny too")
def test_all_four_real_films_are_accepted_by_two_workers(
    real_data: Path, tmp_path: Path, document_of: Callable[..., Any]
) -> None:
    lib = tmp_path / "lib"
    taken = document_of("ingest", real_data / "films", "--library", lib, "--workers", 2)["films"]
    films = document_of("films", "--library", lib)["films"]
    assert {Path(film["source"]).name for film in films} == set(ALL)
    assert {film["verdict"] for film in films} == {"accepted"}
    assert all(film["shots"] > 1 for film in films if film["duration_seconds"] > 60)
    new = [{**film, "reused": False, "duplicate_of": None} for film in films]
    assert sorted(taken, key=lambda film: film["film_id"]) == new
    again = document_of("ingest", real_data / "films", "--library", lib)["films"]
    assert again == [{**film, "reused": True} for film in taken]
