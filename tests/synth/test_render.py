"""Rendered films: deterministic, reused if they exist, and true to their ground truth."""

import json
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from talkies.core import UsageError
from talkies.synth import CONCEPTS, FilmScript, SynthConfig, generate_script, render_films

SMALL = SynthConfig(seconds=3.0, width=64, height=48)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small films; read only."""
    return render_films(tmp_path_factory.mktemp("rendered"), 2, SMALL, seed=4).folder


def read_pictures(path: Path) -> list[npt.NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray() for frame in container.decode(container.streams.video[0])]


def list_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def read_truth(folder: Path) -> dict:
    return json.loads((folder / "truth.json").read_text())


def test_films_and_truth_are_all_that_is_there(rendered: Path) -> None:
    assert list_files(rendered) == ["film-000.mp4", "film-001.mp4", "truth.json"]


def test_rendered_twice_a_film_has_the_same_pictures_and_truth(rendered: Path, tmp_path: Path) -> None:
    render_films(tmp_path, 2, SMALL, seed=4)
    for name in ("film-000.mp4", "film-001.mp4"):
        one, two = read_pictures(rendered / name), read_pictures(tmp_path / name)
        assert len(one) == 72
        assert np.array_equal(one, two)
    assert (tmp_path / "truth.json").read_bytes() == (rendered / "truth.json").read_bytes()


def test_two_workers_render_the_same_bytes_as_one(rendered: Path, tmp_path: Path) -> None:
    report = render_films(tmp_path, 2, SMALL, seed=4, workers=2)
    assert report.films == (tmp_path / "film-000.mp4", tmp_path / "film-001.mp4")
    assert list_files(tmp_path) == list_files(rendered)
    assert all((tmp_path / name).read_bytes() == (rendered / name).read_bytes() for name in list_files(rendered))


def test_another_seed_renders_other_pictures(rendered: Path, tmp_path: Path) -> None:
    render_films(tmp_path, 1, SMALL, seed=5)
    assert not np.array_equal(read_pictures(rendered / "film-000.mp4"), read_pictures(tmp_path / "film-000.mp4"))


def test_a_film_depends_on_its_number_and_not_on_how_many_there_are(rendered: Path, tmp_path: Path) -> None:
    render_films(tmp_path, 1, SMALL, seed=4)
    assert (tmp_path / "film-000.mp4").read_bytes() == (rendered / "film-000.mp4").read_bytes()
    assert read_truth(tmp_path)["films"] == read_truth(rendered)["films"][:1]


def test_rendering_again_reuses_and_more_films_are_added(tmp_path: Path) -> None:
    first = render_films(tmp_path, 1, SMALL, seed=4)
    before = (tmp_path / "film-000.mp4").stat().st_mtime_ns
    seen: list[Path] = []
    again = render_films(tmp_path, 2, SMALL, seed=4, on_film=seen.append)
    assert (first.reused, again.reused) == (0, 1)
    assert (tmp_path / "film-000.mp4").stat().st_mtime_ns == before
    assert seen == [tmp_path / "film-000.mp4", tmp_path / "film-001.mp4"]
    assert [film["name"] for film in read_truth(tmp_path)["films"]] == ["film-000", "film-001"]


def test_the_truth_is_that_of_the_script(rendered: Path) -> None:
    truth = read_truth(rendered)
    assert truth["schema_version"] == 1
    assert truth["concepts"] == [concept.name for concept in CONCEPTS]
    for number, film in enumerate(truth["films"]):
        script = generate_script(f"film-{number:03d}", 4 * 100_003 + number, SMALL)
        assert FilmScript.model_validate_json(json.dumps(film["script"])) == script
        assert film["file"] == f"film-{number:03d}.mp4"
        assert [(s["start_seconds"], s["end_seconds"]) for s in film["shots"]] == [
            (shot.start_frame / 24, shot.end_frame / 24) for shot in script.shots
        ]
        assert [s["concept_name"] for s in film["shots"]] == [CONCEPTS[shot.concept].name for shot in script.shots]
        assert [s["event_seconds"] for s in film["shots"]] == [list(shot.event_seconds) for shot in script.shots]


@pytest.mark.parametrize("change", ["seed", "config"])
def test_another_script_in_the_same_folder_is_refused_and_changes_nothing(tmp_path: Path, change: str) -> None:
    render_films(tmp_path, 1, SMALL, seed=4)
    before = {name: (tmp_path / name).read_bytes() for name in list_files(tmp_path)}
    config = SMALL if change == "seed" else SMALL.model_copy(update={"mark_strength": 0.1})
    sentence = f"^{tmp_path / 'film-000.mp4'} exists and is not of this script; name an empty folder$"
    with pytest.raises(UsageError, match=sentence):
        render_films(tmp_path, 1, config, seed=5 if change == "seed" else 4)
    assert {name: (tmp_path / name).read_bytes() for name in list_files(tmp_path)} == before


def test_a_film_without_truth_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "film-000.mp4").write_bytes(b"somebody's film")
    with pytest.raises(UsageError, match=r"film-000\.mp4 exists and is not of this script; name an empty"):
        render_films(tmp_path, 1, SMALL, seed=4)
    assert (tmp_path / "film-000.mp4").read_bytes() == b"somebody's film"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"films": [{"name": "a", "script": {"name": "a"}}]}'])
def test_a_truth_that_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "truth.json").write_text(text)
    sentence = f"^{tmp_path / 'truth.json'} is not a truth file of this version; name an empty folder$"
    with pytest.raises(UsageError, match=sentence):
        render_films(tmp_path, 1, SMALL, seed=4)


def test_there_must_be_a_film_to_render(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^there must be at least one film to render, got 0$"):
        render_films(tmp_path / "films", 0, SMALL)
    assert not (tmp_path / "films").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    folder = tmp_path / "letter.txt" / "films"
    with pytest.raises(UsageError, match=rf"^{folder} cannot be created \(not a directory\); name another folder$"):
        render_films(folder, 1, SMALL)


def test_a_rendering_that_fails_leaves_no_part_of_a_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    painted: list[int] = []

    def fail_at_the_tenth(self: object, frame: int, shot: object) -> npt.NDArray[np.uint8]:
        if frame == 10:
            raise KeyError("no paint is left")
        painted.append(frame)
        return np.zeros((48, 64, 3), np.uint8)

    monkeypatch.setattr("talkies.synth.painter.Painter.paint", fail_at_the_tenth)
    with pytest.raises(KeyError, match="no paint is left"):
        render_films(tmp_path, 1, SMALL, seed=4)
    assert painted == list(range(10))
    assert list_files(tmp_path) == ["truth.json"]
    monkeypatch.undo()
    render_films(tmp_path, 1, SMALL, seed=4)  # and the same call goes on from there
    assert list_files(tmp_path) == ["film-000.mp4", "truth.json"]


def test_no_worker_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there must be at least one worker, got 0"):
        render_films(tmp_path / "films", 1, SynthConfig(seconds=2.0), workers=0)
    assert list(tmp_path.iterdir()) == []
