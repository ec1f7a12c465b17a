"""Match cuts in Netflix' layout: planted embeddings, a miniature of the lists over rendered films, and each damage."""

import csv
import json
import shutil
from collections.abc import Callable
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miniatures import edit
from sklearn.metrics import average_precision_score

from talkies.clips import collate, read_file_clips
from talkies.core import FilmId, MediaError, Span, UsageError
from talkies.evaluation.film_tasks.films import list_films
from talkies.evaluation.film_tasks.fitting import average_precision
from talkies.evaluation.film_tasks.matchcut import MatchCutTask, compute_matchcut_metrics, score_zero_shot
from talkies.evaluation.film_tasks.matchcut_data import KINDS, SPLITS, ShotPair, read_matchcut_lists
from talkies.evaluation.film_tasks.shots import EncodedShots, TimedShot, choose_clip_starts, encode_shots
from talkies.evaluation.results import Result
from talkies.ingestion import ingest
from talkies.runs import ClipEncoder

pytestmark = pytest.mark.slow

IDS = ("tt0000003", "tt0000001", "tt0000002")  # for training, validation and test
Document = list[dict[str, Any]]


def write_lists(folder: Path, films: Path) -> None:
    """A miniature of the published lists: every pair of a film's shots, and which of them match by their numbers."""
    (folder / "data").mkdir()
    truth = json.loads((films / "truth.json").read_text())
    times = [[(shot["start_seconds"], shot["end_seconds"]) for shot in film["shots"]] for film in truth["films"]]
    for split, imdb_id in zip(SPLITS, IDS, strict=True):
        (folder / "data" / f"{split}.txt").write_text(f"{imdb_id}\n")
    with (folder / "data" / "shot-time-ranges.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["imdb_id", "shot_idx", "start", "end"])
        writer.writerows((i, 10 * n, *shot) for i, own in zip(IDS, times, strict=True) for n, shot in enumerate(own))
    pairs = [
        {"imdb_id": imdb_id}
        | {f"clip{k}_{name}": value for k, n in ((1, a), (2, b)) for name, value in shot_fields(n, own[n]).items()}
        for imdb_id, own in zip(IDS, times, strict=True)
        for a, b in combinations(range(len(own)), 2)
    ]
    for task, odd in zip(KINDS, (0, 1), strict=True):
        labelled = [
            pair | {"majority_label": bool((pair["clip1_index"] + pair["clip2_index"]) // 10 % 2 == odd)}
            for pair in pairs
        ]
        (folder / "data" / f"dataset-{task}.json").write_text(json.dumps(labelled))
    (folder / "data" / "dataset-random-negatives.json").write_text(json.dumps(pairs[:1] + pairs[-1:]))


def shot_fields(number: int, times: tuple[float, float]) -> dict[str, float]:
    return {"index": 10 * number, "start": times[0], "end": times[1]}


@pytest.fixture(scope="module")
def published(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lists and their films; read only."""
    folder = tmp_path_factory.mktemp("matchcut")
    write_lists(folder, films)
    (folder / "films").mkdir()
    for number, imdb_id in enumerate(IDS):
        shutil.copy(films / f"film-{number:03d}.mp4", folder / "films" / f"{imdb_id} (1957).mp4")
    return folder


@pytest.fixture(scope="module")
def result(encoder: ClipEncoder, published: Path) -> Result:
    return MatchCutTask().measure(encoder, published)


def rows_of(rows: npt.NDArray[Any]) -> EncodedShots:
    rows = rows.astype(np.float32)
    return EncodedShots(rows, rows, rows, rows)


def planted(
    kind: Callable[[int], int], dim: int
) -> tuple[dict[str, tuple[dict[int, int], EncodedShots]], dict[str, list[ShotPair]]]:
    """A film for each split whose shots are of `kind`; two match if they are of one kind."""
    encoded, pairs = {}, {}
    for split in SPLITS:
        rows = np.eye(dim)[[kind(number) for number in range(12)]]
        encoded[split] = {number: number for number in range(12)}, rows_of(rows)
        pairs[split] = [ShotPair(split, a, b, kind(a) == kind(b)) for a, b in combinations(range(12), 2)]
    return encoded, pairs


def test_a_perfect_model_finds_every_match() -> None:
    encoded, pairs = planted(lambda number: number % 4, 4)
    metrics, chance, chosen = compute_matchcut_metrics(encoded, {"frame": pairs}, [])
    assert {
        name: metrics[f"frame_{name}_average_precision"].mean for name in ("zero_shot_video", "zero_shot_both")
    } == {
        "zero_shot_video": 1.0,
        "zero_shot_both": 1.0,
    }
    assert metrics["frame_classifier_video_average_precision"].mean == 1.0
    assert chosen["frame_classifier_video_average_precision"]["features"] == "abs_diff"
    assert chance["frame_zero_shot_video_average_precision"] == pytest.approx(12 / 66)
    assert metrics.keys() == chance.keys()


@pytest.mark.filterwarnings("ignore:invalid value encountered in matmul")  # of a BLAS that reads past a short row
def test_a_model_that_gives_all_shots_one_embedding_is_at_chance_exactly() -> None:
    encoded, pairs = planted(lambda number: number % 3, 3)
    same = {name: (numbers, rows_of(np.full((12, 5), 0.7))) for name, (numbers, _) in encoded.items()}
    drawn = [ShotPair("test", 0, 1, False)]
    metrics, chance, _ = compute_matchcut_metrics(same, {"frame": pairs, "motion": pairs}, drawn)
    assert {name: metric.mean for name, metric in metrics.items()} == pytest.approx(chance, abs=1e-12)
    assert chance["motion_zero_shot_audio_average_precision_with_random_negatives"] == 18 / 67


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=1, max_size=20))
def test_average_precision_is_precision_times_step_in_recall(examples: list[tuple[bool, int]]) -> None:
    labels, scores = np.array([label for label, _ in examples]), np.array([float(score) for _, score in examples])
    if not labels.any():
        return
    expected, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        taken = labels[scores >= threshold]
        expected += taken.mean() * (taken.sum() / labels.sum() - before)
        before = taken.sum() / labels.sum()
    assert average_precision(labels, scores) == pytest.approx(expected)
    assert average_precision(labels, scores) == pytest.approx(average_precision_score(labels, scores))


def test_the_cosine_of_a_pair_is_that_of_its_two_shots() -> None:
    rows = EncodedShots(
        *(np.array(some, np.float32) for some in ([[1, 0], [3, 4]], [[0, 2], [0, 1]], [[0], [0]], [[0], [0]]))
    )
    pairs = [ShotPair("a", 7, 9, True), ShotPair("a", 9, 9, False)]
    encoded = {"a": ({7: 0, 9: 1}, rows)}
    assert score_zero_shot(encoded, pairs, "video").tolist() == [0.6, 1.0]
    assert score_zero_shot(encoded, pairs, "both").tolist() == [0.8, 1.0]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 500), st.integers(1, 300), st.integers(1, 40), st.integers(1, 5))
def test_clips_lie_inside_their_shot_apart_and_in_its_middle(start: int, frames: int, window: int, most: int) -> None:
    shot = Span(start, start + frames)
    starts = choose_clip_starts(shot, window, most)
    assert len(starts) == min(most, max(1, frames // window))
    if frames >= window:
        assert all(shot.covers(Span(first, first + window)) for first in starts)
        assert all(second - first >= window for first, second in pairwise(starts))
        assert abs((starts[0] - start) - (shot.end_frame - window - starts[-1])) <= 1
    else:
        assert Span(starts[0], starts[0] + window).covers(shot)
        assert starts[0] in {0, (2 * start + frames - window) // 2}


def test_the_frames_of_a_shot_lie_wholly_inside_it() -> None:
    assert TimedShot(0, 1.0, 2.0).to_frames(16) == Span(16, 32)
    assert TimedShot(0, 0.99, 2.03).to_frames(16) == Span(16, 32)
    assert TimedShot(0, 1.01, 1.06).to_frames(16) == Span(16, 17)  # shorter than a frame: the one in its middle
    with pytest.raises(ValueError, match=r"a shot is 0 <= start < end, got \[2\.0, 1\.0\)"):
        TimedShot(0, 2.0, 1.0)


def test_a_shot_is_the_mean_of_its_clips(encoder: ClipEncoder, films: Path) -> None:
    path, film = films / "film-000.mp4", list_films(films, encoder)[0]
    rows = encode_shots(encoder, film, [TimedShot(5, 2.0, 4.0), TimedShot(6, 11.75, 12.0), TimedShot(7, 0.0, 0.1)])
    film_id = FilmId("0" * 16)
    clips = list(read_file_clips(path, film_id, encoder.profile, encoder.shape, 1))
    encoded = encoder.encode(collate([clips[start] for start in (32, 48, 176, 0)]))
    video_BE, audio_BD = encoded.video_BE.numpy(), encoded.embeddings.audio_BD.numpy()
    np.testing.assert_allclose(rows.video_SE, [video_BE[:2].mean(0), video_BE[2], video_BE[3]], rtol=1e-4, atol=1e-5)
    mean = audio_BD[:2].mean(0)
    np.testing.assert_allclose(rows.audio_SD[0], mean / np.linalg.norm(mean), rtol=1e-4, atol=1e-5)


def test_every_number_comes_with_its_protocol(result: Result, encoder: ClipEncoder, published: Path) -> None:
    protocol, lists = result.protocol, read_matchcut_lists(published)
    test = [pair for pair in lists.pairs["frame"] if pair.imdb_id == IDS[2]]
    assert (protocol["films"], protocol["share_of_films"], protocol["missing_films"]) == (3, 1.0, [])
    assert protocol["pairs"]["frame"]["test"] == len(test)
    share = sum(pair.matches for pair in test) / len(test)
    assert protocol["chance"]["frame_classifier_both_average_precision"] == pytest.approx(share)
    assert protocol["chance"].keys() == result.metrics.keys()
    assert protocol["model_stamp"] == encoder.stamp
    assert all(0 <= metric.mean <= 1 for metric in result.metrics.values())
    assert len(result.hashes) == 7


def test_the_same_call_gives_the_same_result(result: Result, encoder: ClipEncoder, published: Path) -> None:
    assert MatchCutTask().measure(encoder, published).model_dump_json() == result.model_dump_json()


def test_films_may_lie_in_a_library(result: Result, encoder: ClipEncoder, published: Path, data: Path) -> None:
    shutil.rmtree(data / "films")
    ingest([published / "films"], data / "films")
    told: list[tuple[str, int]] = []
    stored = MatchCutTask().measure(encoder, data, lambda name, count: told.append((name, count)))
    assert told == [(f"{imdb_id} (1957).mp4", 3) for imdb_id in IDS]
    assert stored.metrics.keys() == result.metrics.keys()
    assert stored.protocol["shots"] == result.protocol["shots"]


def test_missing_films_are_named_all(encoder: ClipEncoder, data: Path) -> None:
    for imdb_id in IDS[:2]:
        (data / "films" / f"{imdb_id} (1957).mp4").unlink()
    sentence = r"has no film tt0000001 \(2 of 3 films are missing: tt0000001, tt0000003\); put the files into .*films"
    with pytest.raises(UsageError, match=sentence):
        MatchCutTask().measure(encoder, data)
    with pytest.raises(UsageError, match=r"the train films have 0 frame match cuts in 0, and both kinds are needed"):
        MatchCutTask().measure(encoder, data, allow_missing=True)


def test_a_share_of_the_films_is_measured_only_when_that_is_allowed(encoder: ClipEncoder, data: Path) -> None:
    (data / "data" / "train.txt").write_text(f"{IDS[0]}\ntt0000004\n")
    rows = (data / "data" / "shot-time-ranges.csv").read_text()
    (data / "data" / "shot-time-ranges.csv").write_text(f"{rows}tt0000004,0,0.0,1.0\n")
    with pytest.raises(UsageError, match=r"no film tt0000004 \(1 of 4 films are missing: tt0000004\)"):
        MatchCutTask().measure(encoder, data)
    protocol = MatchCutTask().measure(encoder, data, allow_missing=True).protocol
    assert (protocol["share_of_films"], protocol["missing_films"]) == (0.75, ["tt0000004"])


def edited(path: Path, change: Callable[[Document], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


ANEW = r"; copy the whole folder data of one version of github\.com/Netflix/matchcut$"
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a list is missing": (
        lambda lists: (lists / "dataset-motion.json").unlink(),
        r"dataset-motion\.json cannot be read \(no such file or directory\)",
    ),
    "a list is cut": (
        lambda lists: (lists / "dataset-frame.json").write_text('[{"imdb_id":'),
        r"dataset-frame\.json is damaged or of another version \(at its beginning: Invalid JSON",
    ),
    "a label is missing": (
        lambda lists: edited(lists / "dataset-frame.json", lambda pairs: pairs[1].pop("majority_label")),
        r"dataset-frame\.json is damaged or of another version \(at 1\.majority_label: Field required",
    ),
    "a shot is not in the time ranges": (
        lambda lists: edited(lists / "dataset-frame.json", lambda pairs: pairs[0].update(clip2_index=99)),
        r"dataset-frame\.json: pair 0 is of shot 99 of tt0000003, which is not in shot-time-ranges\.csv",
    ),
    "times are of another version": (
        lambda lists: edited(lists / "dataset-motion.json", lambda pairs: pairs[0].update(clip1_start=0.5)),
        r"dataset-motion\.json: pair 0 has shot 0 of tt0000003 at 0\.500 s, and shot-time-ranges\.csv at 0\.000 s",
    ),
    "a pair is the same shot twice": (
        lambda lists: edited(
            lists / "dataset-random-negatives.json",
            lambda pairs: pairs[0].update({f"clip2_{k}": pairs[0][f"clip1_{k}"] for k in ("index", "start", "end")}),
        ),
        r"dataset-random-negatives\.json: pair 0 of tt0000003 is the same shot twice",
    ),
    "a film is in no split": (
        lambda lists: (lists / "test.txt").write_text("tt0000001\n"),
        r"test\.txt: tt0000001 is also in validation\.txt",
    ),
    "a film of training is one of the test": (
        lambda lists: (lists / "test.txt").write_text("tt0000002\ntt0000003\n"),
        r"test\.txt: tt0000003 is also in train\.txt",
    ),
    "a pair is of a film in no split": (
        lambda lists: (lists / "train.txt").write_text("tt0000001\n") and (lists / "validation.txt").write_text("tt9"),
        r"validation\.txt names tt9, and shot-time-ranges\.csv has no shot of it",
    ),
    "a split is empty": (lambda lists: (lists / "test.txt").write_text("\n"), r"test\.txt names no film"),
    "a shot ends before it begins": (
        lambda lists: edit(lists / "shot-time-ranges.csv", "tt0000003,0,0.0,", "tt0000003,0,99.0,"),
        r"shot-time-ranges\.csv: line 2 is no shot \(imdb_id, shot_idx, start, end\)",
    ),
    "a shot stands twice": (
        lambda lists: edit(lists / "shot-time-ranges.csv", "tt0000003,10,", "tt0000003,0,"),
        r"shot-time-ranges\.csv: line 3 repeats shot 0 of tt0000003",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_lists_that_do_not_belong_together_are_refused(data: Path, damage: str) -> None:
    spoil, sentence = DAMAGES[damage]
    spoil(data / "data")
    with pytest.raises(UsageError, match=sentence + r".*" + ANEW):
        read_matchcut_lists(data)


def test_a_pair_of_a_film_in_no_split_is_refused(data: Path) -> None:
    (data / "data" / "test.txt").write_text("tt0000005\n")
    edit(data / "data" / "shot-time-ranges.csv", "tt0000003,0,", "tt0000005,0,0.0,1.0\ntt0000003,0,")
    with pytest.raises(UsageError, match=r"dataset-frame\.json: pair \d+ is of tt0000002, which is in no split"):
        read_matchcut_lists(data)


def test_a_film_that_ends_before_its_shots_is_another_release(encoder: ClipEncoder, data: Path) -> None:
    ranges = data / "data" / "shot-time-ranges.csv"
    ranges.write_text(ranges.read_text() + "tt0000002,77,13.0,14.5\n")
    sentence = (
        r"ranges\.csv: shot 77 ends at 14\.500 s, and tt0000002 \(1957\)\.mp4 ends at 12\.000 s; take the release"
    )
    with pytest.raises(UsageError, match=sentence):
        MatchCutTask().measure(encoder, data)


def test_a_film_without_sound_is_named(encoder: ClipEncoder, data: Path) -> None:
    path = data / "films" / "tt0000001 (1957).mp4"
    mute = data / "mute.mp4"
    with av.open(path) as source, av.open(mute, "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    mute.replace(path)
    with pytest.raises(MediaError, match=r"^tt0000001 \(1957\)\.mp4 has no sound; replace it by a whole copy") as error:
        MatchCutTask().measure(encoder, data)
    assert error.value.code == "no_audio"


def test_a_corrupt_film_is_named(encoder: ClipEncoder, data: Path) -> None:
    path = data / "films" / "tt0000002 (1957).mp4"
    whole = path.read_bytes()
    path.write_bytes(whole[:20_000])
    with pytest.raises(
        MediaError, match=r"^tt0000002 \(1957\)\.mp4 can be read to 0\.33 s only and is longer; replace it"
    ):
        MatchCutTask().measure(encoder, data)
    path.write_bytes(whole[20_000:])
    with pytest.raises(MediaError, match=r"^tt0000002 \(1957\)\.mp4 cannot be read .*; replace it by a whole copy"):
        MatchCutTask().measure(encoder, data)


def test_a_film_that_the_library_rejected_is_named_with_the_reason(encoder: ClipEncoder, data: Path) -> None:
    (data / "films" / "tt0000002 (1957).mp4").write_bytes(b"no film" * 5000)
    (data / "films").rename(data / "sources")
    ingest([data / "sources"], data / "films")
    with pytest.raises(MediaError, match=r"^tt0000002 \(1957\)\.mp4 is not used by the library \(.+\); replace it"):
        MatchCutTask().measure(encoder, data)


def test_two_films_of_one_id_are_refused(encoder: ClipEncoder, data: Path) -> None:
    shutil.copy(data / "films" / "tt0000001 (1957).mp4", data / "films" / "tt0000001-again.mp4")
    with pytest.raises(
        UsageError, match=r"tt0000001 \(1957\)\.mp4 and tt0000001-again\.mp4 are both tt0000001; take one"
    ):
        MatchCutTask().measure(encoder, data)


def test_a_folder_without_films_is_told_where_they_go(encoder: ClipEncoder, data: Path) -> None:
    shutil.rmtree(data / "films")
    with pytest.raises(UsageError, match=r"has no folder films; put the films there under names that start with"):
        MatchCutTask().measure(encoder, data)
