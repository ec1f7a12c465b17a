"""Is this the sound of this moment? Against brute force, planted towers, and sounds that were truly shifted."""

from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score

from talkies.clips import ClipSource, collate, list_windows
from talkies.core import ClipRequest, MediaError, Span, UsageError
from talkies.evaluation.film_tasks.films import list_films
from talkies.evaluation.film_tasks.sync import SyncTask, align_shifts, compute_sync_metrics, score_film, score_offset
from talkies.evaluation.results import Result
from talkies.library import Library
from talkies.runs import ClipEncoder
from talkies.synth import SynthConfig, render_films

Rows = npt.NDArray[np.float32]
SHIFTS = (1, 2, 4)
SECONDS = {1: 0.5, 2: 1.0, 4: 2.0}
SIGNS = arrays(np.float32, (11, 3), elements=st.sampled_from([-1.0, 0.5, 1.0]))


@pytest.fixture(scope="module")
def result(encoder: ClipEncoder, films: Path) -> Result:
    return SyncTask().measure(encoder, films)


def cosine(one: Rows, other: Rows) -> float:
    return round(float(np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other)), 6)


def reference(video: Rows, audio: Rows, shifts: tuple[int, ...]) -> tuple[dict[int, float], float, float]:
    """Two alternatives by shift, the area under the curve and the offsets' accuracy, counted pair by pair."""
    rows = range(len(video))
    points: dict[int, list[float]] = {shift: [] for shift in shifts}
    true, false, offsets = {}, [], []
    for row, shift, sign in product(rows, shifts, (1, -1)):
        if row + sign * shift in rows:
            own, other = cosine(video[row], audio[row]), cosine(video[row], audio[row + sign * shift])
            points[shift].append((own > other) + (own == other) / 2)
            true[row] = own
            false.append(other)
    for row in rows:
        places = [row + sign * shift for shift in shifts for sign in (1, -1)]
        if all(place in rows for place in places):
            others = [cosine(video[row], audio[place]) for place in places]
            own = cosine(video[row], audio[row])
            offsets.append(0.0 if max(others) > own else 1 / (1 + others.count(own)))
    wins = [(a > b) + (a == b) / 2 for a, b in product(true.values(), false)]
    return (
        {shift: float(np.mean(some)) for shift, some in points.items()},
        float(np.mean(wins)),
        float(np.mean(offsets)),
    )


@settings(max_examples=40, deadline=None)
@given(SIGNS, SIGNS)
def test_scores_are_those_of_counting_pair_by_pair(video: Rows, audio: Rows) -> None:
    two_alternative, auc, offset = reference(video, audio, SHIFTS)
    found = score_film(video, audio, SHIFTS)
    assert found.two_alternative == pytest.approx(two_alternative)
    assert found.auc == pytest.approx(auc)
    assert found.offset[3] == pytest.approx(offset)


@settings(max_examples=40, deadline=None)
@given(SIGNS, SIGNS)
def test_towers_that_mean_the_opposite_get_the_opposite(video: Rows, audio: Rows) -> None:
    found, opposite = score_film(video, audio, SHIFTS), score_film(video, -audio, SHIFTS)
    assert found.auc is not None
    assert opposite.auc == pytest.approx(1 - found.auc)
    assert opposite.two_alternative == pytest.approx({k: 1 - v for k, v in found.two_alternative.items()})


def test_the_area_is_that_of_scikit_learn_over_all_pairs() -> None:
    random = np.random.default_rng(0)
    video, audio = (random.normal(size=(40, 5)).astype(np.float32) for _ in range(2))
    others = np.concatenate([score_offset(video, audio, sign * shift) for shift in SHIFTS for sign in (1, -1)])
    scores = np.concatenate([score_offset(video, audio, 0), others[~np.isnan(others)]])
    labels = np.arange(len(scores)) < 40
    assert score_film(video, audio, SHIFTS).auc == pytest.approx(roc_auc_score(labels, scores))


def test_towers_that_agree_on_each_moment_are_perfect() -> None:
    rows = np.eye(20, dtype=np.float32)
    metrics, chance, more = compute_sync_metrics([score_film(rows, rows, SHIFTS)], SECONDS)
    assert {name: metric.mean for name, metric in metrics.items()} == dict.fromkeys(metrics, 1.0)
    assert metrics.keys() == chance.keys() >= {"two_alternative_accuracy_at_2_s", "roc_auc", "offset_accuracy"}
    assert more == {"offsets_seconds": [-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0], "shifts_left_out_seconds": []}


def test_a_model_that_gives_all_clips_one_embedding_is_at_chance_exactly() -> None:
    rows = np.full((33, 7), 0.3, np.float32)
    metrics, chance, _ = compute_sync_metrics([score_film(rows, rows, SHIFTS)], SECONDS)
    assert {name: metric.mean for name, metric in metrics.items()} == pytest.approx(chance, abs=1e-12)
    assert chance["offset_accuracy"] == 1 / 7


def test_liking_some_sounds_whatever_the_picture_gains_nothing() -> None:
    audio = np.random.default_rng(1).normal(size=(30, 4)).astype(np.float32)
    found = score_film(np.ones_like(audio), audio, SHIFTS)  # each two moments meet twice, once each way round
    assert found.two_alternative == dict.fromkeys(SHIFTS, 0.5)


def test_each_film_counts_alike_and_short_ones_only_where_they_can() -> None:
    long, short = np.eye(20, dtype=np.float32), np.eye(2, dtype=np.float32)
    found = [score_film(long, long, SHIFTS), score_film(short, short[::-1], SHIFTS)]
    metrics, _, _ = compute_sync_metrics(found, SECONDS)
    assert (metrics["two_alternative_accuracy_at_0.5_s"].mean, metrics["two_alternative_accuracy_at_0.5_s"].n) == (
        0.5,
        2,
    )
    assert (metrics["two_alternative_accuracy_at_2_s"].mean, metrics["two_alternative_accuracy_at_2_s"].n) == (1.0, 1)
    assert metrics["offset_accuracy"].n == 1


def test_shifts_that_no_film_has_are_named() -> None:
    rows = np.eye(3, dtype=np.float32)
    metrics, chance, more = compute_sync_metrics([score_film(rows, rows, SHIFTS)], SECONDS)
    assert more == {"offsets_seconds": [-0.5, 0.0, 0.5], "shifts_left_out_seconds": [2.0]}
    assert chance["offset_accuracy"] == 1 / 3
    assert "two_alternative_accuracy_at_2_s" not in metrics


@pytest.mark.parametrize(
    ("shifts", "fps", "stride", "rows"),
    [
        ((0.5, 1.0, 2.0, 4.0, 8.0), 16, 8, [1, 2, 4, 8, 16]),
        ((2.0, 1.0), 16, 16, [1, 2]),
        ((0.5, 1.0, 2.0), 25, 12, [1, 2, 4]),  # half a second is no whole frame: 0.48 s, 0.96 s, 1.92 s
    ],
)
def test_shifts_are_whole_strides(shifts: tuple[float, ...], fps: int, stride: int, rows: list[int]) -> None:
    assert align_shifts(shifts, fps) == (stride, rows)


@pytest.mark.parametrize("shifts", [(), (0.0, 1.0), (-1.0,), (1.0, 1.1), (0.01,)])
def test_shifts_that_are_none_or_the_same_are_refused(shifts: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match=r"shifts are seconds above zero, at least a frame \(1/16 s\)"):
        align_shifts(shifts, 16)


def test_every_number_comes_with_its_protocol(result: Result, encoder: ClipEncoder) -> None:
    protocol = result.protocol
    assert (protocol["films"], protocol["clips"], protocol["stride_seconds"]) == (3, 3 * 23, 0.5)
    assert protocol["shifts_seconds"] == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert protocol["offsets_seconds"] == [-4.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 4.0]
    assert protocol["chance"].keys() == result.metrics.keys()
    assert protocol["chance"]["offset_accuracy"] == 1 / 9
    assert protocol["model_stamp"] == encoder.stamp
    assert all(0 <= metric.mean <= 1 and metric.n == 3 for metric in result.metrics.values())


def test_a_row_later_is_the_shifted_sound_itself(encoder: ClipEncoder, library: Library) -> None:
    film = library.usable_films()[0]
    source, stride = ClipSource(library, encoder.shape), 8
    requests = list_windows(film.id, film.frames, encoder.shape, stride)
    shifted = [ClipRequest(film.id, request.window, 2 * stride) for request in requests[:5]]
    rows_BD, truly_BD = (
        encoder.encode(collate(source.read_all(some))).embeddings.audio_BD for some in (requests[2:7], shifted)
    )
    source.close()
    torch.testing.assert_close(rows_BD, truly_BD)


def test_a_library_is_measured_like_its_films(encoder: ClipEncoder, library: Library, result: Result) -> None:
    told: list[tuple[str, int]] = []
    stored = SyncTask().measure(encoder, library.root, on_film=lambda name, count: told.append((name, count)))
    assert stored.metrics.keys() == result.metrics.keys()
    assert told == [("film-000.mp4", 3), ("film-001.mp4", 3), ("film-002.mp4", 3)]
    assert stored.metrics["roc_auc"].mean == pytest.approx(result.metrics["roc_auc"].mean, abs=0.1)


def test_the_last_clip_stands_for_those_behind_it(encoder: ClipEncoder, films: Path, library: Library) -> None:
    for data in (films, library.root):
        film = list_films(data, encoder)[0]
        requests = [request for batch in film.read_at([3, 40, 400]) for request in batch.requests]
        assert [request.window for request in requests] == [Span(3, 19), Span(40, 56), Span(176, 192)]


def test_films_shorter_than_a_shift_cannot_be_measured(encoder: ClipEncoder, tmp_path: Path) -> None:
    render_films(tmp_path, 1, SynthConfig(seconds=1.2, shot_seconds_min=1.0, shot_seconds_max=1.2), seed=1)
    with pytest.raises(UsageError, match=r"no film has two clips 0\.5 s apart; name longer films"):
        SyncTask().measure(encoder, tmp_path)


def test_a_damaged_film_is_named_before_any_is_read(encoder: ClipEncoder, films: Path, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes((films / "film-000.mp4").read_bytes())
    (tmp_path / "b.mp4").write_bytes(b"not a film" * 1000)
    told: list[str] = []
    with pytest.raises(MediaError, match=r"^b\.mp4 cannot be read \(.*\); replace it by a whole copy of the film"):
        SyncTask().measure(encoder, tmp_path, on_film=lambda name, _: told.append(name))
    assert told == []


def test_a_folder_without_films_is_refused(encoder: ClipEncoder, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no film; name a folder of films, or a library$"):
        SyncTask().measure(encoder, tmp_path)
