"""Ends of scenes in MovieNet's layout: planted embeddings, a miniature of the lists over films, each damage."""

import json
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miniatures import edit
from sklearn.metrics import average_precision_score, f1_score

from talkies.core import ClipShape, MediaError, UsageError
from talkies.evaluation.film_tasks.films import list_films
from talkies.evaluation.film_tasks.scenes import (
    ScenesTask,
    choose_threshold,
    compute_boundary_features,
    compute_miou,
    compute_scene_metrics,
    score_zero_shot,
)
from talkies.evaluation.film_tasks.scenes_data import FilmScenes, read_scene_lists
from talkies.evaluation.film_tasks.shots import EncodedShots, TimedShot, encode_shots
from talkies.evaluation.results import Result
from talkies.ingestion import ingest
from talkies.runs import ClipEncoder
from talkies.synth import SynthConfig, render_films

pytestmark = pytest.mark.slow

IDS = {"train": "tt0000003", "val": "tt0000001", "test": "tt0000002"}
FPS = 24  # of rendered films


def write_lists(folder: Path, films: Path) -> None:
    """A miniature of the published lists: a scene ends with every second shot, and perhaps with the fourth."""
    for name in ("meta", "label318", "shot_movie318"):
        (folder / name).mkdir()
    split = {name: [imdb_id] for name, imdb_id in IDS.items()} | {"all": sorted(IDS.values())}
    (folder / "meta" / "split318.json").write_text(json.dumps(split))
    truth = json.loads((films / "truth.json").read_text())
    for imdb_id, film in zip(IDS.values(), truth["films"], strict=True):
        frames = [[round(shot[f"{end}_seconds"] * FPS) for end in ("start", "end")] for shot in film["shots"]]
        labels = [-1 if number == 3 else number % 2 for number in range(len(frames))]
        shots = "".join(f"{first} {end - 1} {first} {first} {first}\n" for first, end in frames)
        (folder / "shot_movie318" / f"{imdb_id}.txt").write_text(shots)
        marked = "".join(f"{number:04d} {label}\n" for number, label in enumerate(labels))
        (folder / "label318" / f"{imdb_id}.txt").write_text(marked)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lists and films of many shots; read only."""
    folder, films = tmp_path_factory.mktemp("scenes"), tmp_path_factory.mktemp("rendered")
    render_films(films, 3, SynthConfig(seconds=14.0, shot_seconds_min=1.0, shot_seconds_max=2.0), seed=11)
    write_lists(folder, films)
    (folder / "films").mkdir()
    for number, imdb_id in enumerate(IDS.values()):
        shutil.copy(films / f"film-{number:03d}.mp4", folder / "films" / f"{imdb_id}.mp4")
    return folder


@pytest.fixture(scope="module")
def result(encoder: ClipEncoder, published: Path) -> Result:
    return ScenesTask().measure(encoder, published)


def film_of(
    lengths: list[int], rows_of_scene: Callable[[int], npt.NDArray[np.float32]]
) -> tuple[FilmScenes, EncodedShots]:
    """A film of scenes of so many shots, 10 frames each, and the rows of its shots by the number of their scene."""
    scene = np.repeat(np.arange(len(lengths)), lengths)
    starts = 10 * np.arange(len(scene))
    rows = np.stack([rows_of_scene(number) for number in scene])
    return FilmScenes(np.stack([starts, starts + 9], axis=1), scene[1:] != scene[:-1]), EncodedShots(
        rows, rows, rows, rows
    )


def planted(
    rows_of_scene: Callable[[int], npt.NDArray[np.float32]],
) -> tuple[dict[str, EncodedShots], dict[str, FilmScenes], dict[str, list[str]]]:
    lengths = {"a": [3, 4, 3], "b": [5, 3], "c": [4, 3, 6], "d": [3, 3, 3]}
    films = {name: film_of(some, rows_of_scene) for name, some in lengths.items()}
    splits = {"train": ["a"], "validation": ["b"], "test": ["c", "d"]}
    return {name: film[1] for name, film in films.items()}, {name: film[0] for name, film in films.items()}, splits


def test_a_perfect_model_finds_every_end() -> None:
    metrics, chance, chosen = compute_scene_metrics(*planted(lambda scene: np.eye(4, dtype=np.float32)[scene]))
    zero = {name: metric.mean for name, metric in metrics.items() if name.startswith("zero_shot")}
    assert zero == dict.fromkeys(zero, 1.0)
    assert {name: metrics[f"classifier_video_{name}"].mean for name in ("average_precision", "f1", "miou")} == {
        "average_precision": 1.0,
        "f1": 1.0,
        "miou": 1.0,
    }
    assert chosen["classifier_video"]["features"] == "differences"
    assert chance["zero_shot_video_average_precision"] == pytest.approx(4 / 20)
    assert metrics.keys() == chance.keys()


def test_a_model_that_gives_all_shots_one_embedding_is_at_chance_exactly() -> None:
    metrics, chance, _ = compute_scene_metrics(*planted(lambda _: np.full(5, 0.3, np.float32)))
    assert {name: metric.mean for name, metric in metrics.items()} == pytest.approx(chance, abs=1e-12)
    assert chance["classifier_both_mean_average_precision"] == pytest.approx((2 / 12 + 2 / 8) / 2)
    assert chance["zero_shot_audio_f1"] == pytest.approx(2 * 0.2 / 1.2)


def test_a_film_without_an_end_of_a_scene_counts_for_all_but_the_mean_over_films() -> None:
    encoded, truth, splits = planted(lambda scene: np.eye(4, dtype=np.float32)[scene])
    truth["e"], encoded["e"] = film_of([5], lambda scene: np.eye(4, dtype=np.float32)[scene])
    metrics, chance, _ = compute_scene_metrics(encoded, truth, splits | {"test": ["c", "d", "e"]})
    assert (metrics["zero_shot_video_mean_average_precision"].n, metrics["zero_shot_video_miou"].n) == (2, 3)
    assert metrics["zero_shot_video_miou"].mean == pytest.approx(2 / 3)  # in "e" none was found, which counts 0
    assert chance["zero_shot_video_average_precision"] == pytest.approx(4 / 24)


def test_metrics_over_films_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(5)
    encoded, truth, splits = planted(lambda _: random.normal(size=6).astype(np.float32))
    metrics, _, chosen = compute_scene_metrics(encoded, truth, splits)
    labels = [truth[name].boundary_B for name in splits["test"]]
    scores = [score_zero_shot(encoded[name], "video") for name in splits["test"]]
    joined = np.concatenate(labels), np.concatenate(scores)
    assert metrics["zero_shot_video_average_precision"].mean == pytest.approx(average_precision_score(*joined))
    by_film = [average_precision_score(*film) for film in zip(labels, scores, strict=True)]
    assert metrics["zero_shot_video_mean_average_precision"].mean == pytest.approx(np.mean(by_film))
    found = joined[1] >= chosen["zero_shot_video"]["threshold"]
    assert metrics["zero_shot_video_f1"].mean == pytest.approx(f1_score(joined[0], found))


def reference_miou(frames: list[tuple[int, int]], true: list[bool], found: list[bool]) -> float:
    """The published measure, scene by scene and frame by frame."""

    def scenes_of(ends: list[bool]) -> list[set[int]]:
        listed: list[set[int]] = [set()]
        for number, (first, last) in enumerate(frames):
            listed[-1] |= set(range(first, last + 1))
            if number < len(ends) and ends[number]:
                listed.append(set())
        return listed

    def mean_best(one: list[set[int]], other: list[set[int]]) -> float:
        return float(np.mean([max(len(a & b) / len(a | b) for b in other) for a in one]))

    if not any(found):
        return 0.0
    one, other = scenes_of(true), scenes_of(found)
    return (mean_best(one, other) + mean_best(other, one)) / 2


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.booleans(), st.booleans()), min_size=2, max_size=12))
def test_miou_is_that_of_counting_frames(shots: list[tuple[int, bool, bool]]) -> None:
    ends = np.cumsum([length for length, _, _ in shots]).tolist()
    frames = [(end - length, end - 1) for end, (length, _, _) in zip(ends, shots, strict=True)]
    true, found = [shot[1] for shot in shots[:-1]], [shot[2] for shot in shots[:-1]]
    own = compute_miou(np.array(frames), np.array(true), np.array(found))
    assert own == pytest.approx(reference_miou(frames, true, found))
    if any(true):
        assert compute_miou(np.array(frames), np.array(true), np.array(true)) == 1.0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=15))
def test_no_threshold_is_better_than_the_best(examples: list[tuple[bool, int]]) -> None:
    labels, scores = np.array([label for label, _ in examples]), np.array([float(score) for _, score in examples])
    if not labels.any():
        return

    def f1(threshold: float) -> float:
        found = scores >= threshold
        return float(2 * (found & labels).sum() / (found.sum() + labels.sum()))

    assert f1(choose_threshold(labels, scores)) == pytest.approx(max(map(f1, scores)))


def test_features_of_a_boundary_are_those_of_the_shots_around_it() -> None:
    rows = np.array([[1.0], [2.0], [4.0], [8.0]], np.float32)
    assert compute_boundary_features(rows, "concat").tolist() == [[1, 1, 2, 4], [1, 2, 4, 8], [2, 4, 8, 8]]
    assert compute_boundary_features(rows, "differences").tolist() == [[1, 2], [2, 4.5], [4, 5]]


def test_frames_become_seconds_to_the_end_of_the_last() -> None:
    film = FilmScenes(np.array([[0, 23], [24, 59]]), np.array([True]))
    assert film.to_shots(24.0) == [TimedShot(0, 0.0, 1.0), TimedShot(1, 1.0, 2.5)]


def test_every_number_comes_with_its_protocol(result: Result, encoder: ClipEncoder, published: Path) -> None:
    protocol, lists = result.protocol, read_scene_lists(published)
    truth = lists.read([IDS["test"]])[IDS["test"]]
    assert (protocol["films"], protocol["share_of_films"], protocol["lists"]["test"]) == (3, 1.0, 1)
    assert protocol["boundaries"]["test"] == len(truth.boundary_B) == len(truth.frames_S2) - 1
    assert protocol["chance"]["classifier_both_average_precision"] == pytest.approx(truth.boundary_B.mean())
    assert protocol["shots_end_at_share_of_film"] == pytest.approx({"least": 1.0, "most": 1.0})
    assert protocol["chance"].keys() == result.metrics.keys()
    assert protocol["model_stamp"] == encoder.stamp
    assert result.hashes.keys() == {"meta/split318.json", "label318", "shot_movie318"}
    assert all(0 <= metric.mean <= 1 for metric in result.metrics.values())


def test_labels_are_read_as_published(published: Path) -> None:
    film = read_scene_lists(published).read([IDS["train"]])[IDS["train"]]
    expected = [number % 2 == 1 for number in range(len(film.frames_S2) - 1)]  # -1, perhaps, counts as an end
    assert film.boundary_B.tolist() == expected
    assert all(last + 1 == first for (_, last), (first, _) in pairwise(film.frames_S2.tolist()))


def test_the_last_shot_needs_no_label(data: Path, published: Path) -> None:
    path = data / "label318" / f"{IDS['test']}.txt"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    own, whole = (read_scene_lists(folder).read([IDS["test"]])[IDS["test"]] for folder in (data, published))
    assert own.boundary_B.tolist() == whole.boundary_B.tolist()


def test_the_same_call_gives_the_same_result(result: Result, encoder: ClipEncoder, published: Path) -> None:
    assert ScenesTask().measure(encoder, published).model_dump_json() == result.model_dump_json()


def test_films_may_lie_in_a_library(result: Result, encoder: ClipEncoder, published: Path, data: Path) -> None:
    shutil.rmtree(data / "films")
    ingest([published / "films"], data / "films")
    told: list[tuple[str, int]] = []
    stored = ScenesTask().measure(encoder, data, lambda name, count: told.append((name, count)))
    assert told == [(f"{imdb_id}.mp4", 3) for imdb_id in IDS.values()]
    assert stored.protocol["boundaries"] == result.protocol["boundaries"]


def test_missing_films_are_named_all(encoder: ClipEncoder, data: Path) -> None:
    for name in ("test", "val"):
        (data / "films" / f"{IDS[name]}.mp4").unlink()
    with pytest.raises(UsageError, match=r"no film tt0000001 \(2 of 3 films are missing: tt0000001, tt0000002\); put"):
        ScenesTask().measure(encoder, data)
    with pytest.raises(UsageError, match=r"the validation films have 0 ends of scenes in 0, and both kinds are needed"):
        ScenesTask().measure(encoder, data, allow_missing=True)


def test_a_share_of_the_films_is_measured_only_when_that_is_allowed(encoder: ClipEncoder, data: Path) -> None:
    split = {name: [imdb_id] for name, imdb_id in IDS.items()} | {"train": [IDS["train"], "tt0000004"]}
    (data / "meta" / "split318.json").write_text(json.dumps(split))
    for folder in ("label318", "shot_movie318"):
        shutil.copy(data / folder / f"{IDS['train']}.txt", data / folder / "tt0000004.txt")
    with pytest.raises(UsageError, match=r"no film tt0000004 \(1 of 4 films are missing: tt0000004\)"):
        ScenesTask().measure(encoder, data)
    protocol = ScenesTask().measure(encoder, data, allow_missing=True).protocol
    assert (protocol["share_of_films"], protocol["missing_films"]) == (0.75, ["tt0000004"])


LABELS, SHOTS = f"label318/{IDS['test']}.txt", f"shot_movie318/{IDS['test']}.txt"
ANEW = r"; take label318, shot_movie318 and meta of one version of the data$"
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no list of splits": (
        lambda data: (data / "meta" / "split318.json").unlink(),
        r"split318\.json cannot be read \(no such file or directory\)",
    ),
    "a list of splits that is cut": (
        lambda data: (data / "meta" / "split318.json").write_text('{"train": ["tt1"]'),
        r"split318\.json is damaged \(it needs lists train, val and test\)",
    ),
    "no films of a split": (
        lambda data: edit(data / "meta" / "split318.json", '["tt0000001"]', "[]"),
        r"split318\.json names no film of val",
    ),
    "a film of training is one of the test": (
        lambda data: edit(data / "meta" / "split318.json", '["tt0000002"]', '["tt0000002", "tt0000003"]'),
        r"split318\.json: tt0000003 is in train and in test",
    ),
    "all are others": (
        lambda data: edit(data / "meta" / "split318.json", '"all": [', '"all": ["tt0000000", '),
        r"split318\.json: tt0000000 is in all or in a split, and not in both",
    ),
    "a film has no labels": (lambda data: (data / LABELS).unlink(), r"tt0000002\.txt cannot be read"),
    "labels begin at one": (
        lambda data: edit(data / LABELS, "0000 0\n", ""),
        r"label318/tt0000002\.txt: line 1 is of shot 1, not of shot 0",
    ),
    "a label is left out": (
        lambda data: edit(data / LABELS, "0002 0\n", ""),
        r"label318/tt0000002\.txt: line 3 is of shot 3, not of shot 2",
    ),
    "labels of another number of shots": (
        lambda data: edit(data / SHOTS, (data / SHOTS).read_text(), "0 1 1 1 1\n2 3 3 3 3\n"),
        r"label318/tt0000002\.txt labels \d+ shots, and .*shot_movie318/tt0000002\.txt has 2",
    ),
    "a label of another kind": (
        lambda data: edit(data / LABELS, "0001 1", "0001 2"),
        r"tt0000002\.txt: line 2 has label 2, and labels are 0, 1 and -1",
    ),
    "a line that is no label": (
        lambda data: edit(data / LABELS, "0001 1", "0001"),
        r"label318/tt0000002\.txt: line 2 is '0001', and 2 whole numbers are needed",
    ),
    "shots out of order": (
        lambda data: edit(data / SHOTS, "0 ", "99999 "),
        r"shot_movie318/tt0000002\.txt: line 1 is a shot of frames 99999 to \d+, after one that ends at -1",
    ),
    "a single shot": (
        lambda data: (data / SHOTS).write_text("0 9 1 2 3\n"),
        r"shot_movie318/tt0000002\.txt has 1 shots, and a boundary needs two",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_lists_that_do_not_belong_together_are_refused(data: Path, damage: str) -> None:
    spoil, sentence = DAMAGES[damage]
    spoil(data)
    with pytest.raises(UsageError, match=sentence + r".*" + ANEW):
        read_scene_lists(data).read(IDS.values())


def test_a_film_that_ends_before_its_shots_is_another_release(encoder: ClipEncoder, data: Path) -> None:
    with (data / SHOTS).open("a") as file:
        file.write("9000 9023 9000 9000 9000\n")
    sentence = (
        r"shot_movie318/tt0000002\.txt: shot \d+ ends at 376\.000 s, and tt0000002\.mp4 ends at 14\.000 s; take the"
    )
    with pytest.raises(UsageError, match=sentence):
        ScenesTask().measure(encoder, data)


def test_a_film_that_stops_while_it_is_decoded_is_named(
    encoder: ClipEncoder, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = list_films(published / "films", encoder)[0]
    first = list(film.read_at([8]))
    monkeypatch.setattr(film, "read_at", lambda starts: iter(first))
    with pytest.raises(
        MediaError, match=r"^tt0000001\.mp4 can be decoded to 1\.5 s only, and its shots go on; replace"
    ):
        encode_shots(encoder, film, [TimedShot(0, 0.0, 2.0), TimedShot(1, 10.0, 12.0)])


def test_a_film_shorter_than_a_clip_is_named(encoder: ClipEncoder, tmp_path: Path) -> None:
    config = SynthConfig(seconds=1.1, shot_seconds_min=0.6, shot_seconds_max=0.7)
    render_films(tmp_path, 1, config, seed=3)
    film = list_films(tmp_path, encoder)[0]
    film.shape = ClipShape(8, 8, 64)
    with pytest.raises(
        UsageError, match=r"film-000\.mp4 is shorter than one clip \(1 s\); take a model of shorter clips"
    ):
        encode_shots(encoder, film, [TimedShot(0, 0.0, 1.0)])
