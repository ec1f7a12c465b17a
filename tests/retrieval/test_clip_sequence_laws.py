"""Matching a file's sequence of clips along films, compared with a plain loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from talkies.retrieval.index import IndexRows
from talkies.retrieval.search.clip_sequence import MAX_WINDOWS, ClipSequence, place_windows, score_sequence

BOTH = (("video", "video"), ("audio", "audio"))


def draw_unit_rows(random: np.random.Generator, *shape: int) -> np.ndarray:
    rows = random.normal(size=shape)
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def draw_films(random: np.random.Generator, lengths: list[int], stride: float) -> IndexRows:
    """Rows of films at a stride, and one clip of a shot in each."""
    parts = []
    for number, length in enumerate(lengths):
        start = np.array([*(stride * np.arange(length)), 0.3])
        of_shot = np.array([False] * length + [True])
        name = np.array([f"{number:016x}"] * (length + 1), np.object_)
        vectors = draw_unit_rows(random, 2, length + 1, 8)
        parts.append(IndexRows(name, start, start + 1, np.zeros(length + 1, np.int32), of_shot, *vectors))
    return IndexRows.concatenate(parts)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 999),
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=3),
    windows=st.integers(2, 9),
    parts=st.sampled_from([1, 2, 4]),
    stride=st.sampled_from([0.5, 1.0, 0.4, 0.2, 5 / 24, 1.2]),  # some of which no binary fraction is
)
def test_scores_are_those_of_a_plain_loop(
    seed: int, lengths: list[int], windows: int, parts: int, stride: float
) -> None:
    random = np.random.default_rng(seed)
    rows = draw_films(random, lengths, stride)
    sequence = ClipSequence(stride, np.arange(windows) * stride / parts, *draw_unit_rows(random, 2, windows, 8))
    found = score_sequence(rows, sequence, BOTH)
    place = {
        (film, round(start / stride)): number
        for number, (film, start, of_shot) in enumerate(zip(rows.film_B, rows.start_B, rows.of_shot_B, strict=True))
        if not of_shot
    }
    for number in range(len(rows)):
        best = -np.inf
        for phase in range(min(parts, windows)):
            own = list(range(phase, windows, parts))
            at = round(rows.start_B[number] / stride)
            there = [place.get((rows.film_B[number], at + step)) for step in range(len(own))]
            if None not in there and not rows.of_shot_B[number]:
                pairs = [
                    (sequence.video_WD[w] @ rows.video_BD[n] + sequence.audio_WD[w] @ rows.audio_BD[n]) / 2
                    for w, n in zip(own, there, strict=True)
                ]
                best = max(best, float(np.mean(pairs)))
        assert found[number] == pytest.approx(best, abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), at=st.integers(0, 30), windows=st.integers(2, 8))
def test_a_sequence_of_a_film_is_found_where_it_was_taken(seed: int, at: int, windows: int) -> None:
    random = np.random.default_rng(seed)
    rows = draw_films(random, [40, 40], 1.0)
    taken = slice(41 + at, 41 + at + windows)  # the second film
    sequence = ClipSequence(1.0, np.arange(windows, dtype=np.float64), rows.video_BD[taken], rows.audio_BD[taken])
    found = score_sequence(rows, sequence, BOTH)
    assert found.argmax() == 41 + at
    assert found.max() == pytest.approx(1, abs=1e-5)


def test_no_sequence_runs_over_the_end_of_a_film_or_starts_at_the_clip_of_a_shot() -> None:
    random = np.random.default_rng(0)
    rows = draw_films(random, [5, 5], 1.0)
    sequence = ClipSequence(1.0, np.arange(3.0), *draw_unit_rows(random, 2, 3, 8))
    found = score_sequence(rows, sequence, BOTH)
    assert np.isfinite(found).tolist() == ([True] * 3 + [False] * 3) * 2


@settings(max_examples=200, deadline=None)
@given(frames=st.integers(1, 10_000), window=st.integers(1, 64), stride=st.integers(1, 64))
def test_windows_lie_inside_the_file_are_few_and_in_step_with_the_stride(frames: int, window: int, stride: int) -> None:
    starts = place_windows(frames, window, stride)
    assert 1 <= len(starts) <= MAX_WINDOWS
    assert starts[0] == 0
    assert starts[-1] <= max(0, frames - window)
    apart = np.diff(starts)
    assert all(step % stride == 0 or stride % step == 0 for step in apart.tolist())
