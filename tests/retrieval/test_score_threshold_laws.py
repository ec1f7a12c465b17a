"""Score thresholds: planted similarity exceeds them; noise and rows similar to everything do not."""

import numpy as np
import pytest

from talkies.retrieval.index import IndexRows
from talkies.retrieval.search import Hit, SearchQuery, SearchResult, Words
from talkies.retrieval.search.modality_pairs import combine_query_vectors, score_rows
from talkies.retrieval.search.score_threshold import NO_THRESHOLD, ScoreThresholds, estimate_chance_maximum

VIDEO = (("video", "video"),)
SIDES = [
    VIDEO,
    (("audio", "video"),),
    (("video", "video"), ("audio", "audio")),
    (("video", "video"), ("video", "audio")),
]
DIMS, FILMS, CLIPS = 64, 12, 60


def draw_library(seed: int = 0) -> IndexRows:
    """Clips of films: each film has a mark, each scene of ten clips a direction of its own; sounds go with pictures."""
    random = np.random.default_rng(seed)
    parts = []
    for number in range(FILMS):
        scenes = np.repeat(random.normal(size=(CLIPS // 10, DIMS)), 10, axis=0) + 0.5 * random.normal(size=DIMS)
        sides = [normalise(scenes + 0.5 * random.normal(size=scenes.shape)) for _ in range(2)]
        start = np.arange(CLIPS, dtype=np.float64)
        names = np.array([f"{number:016x}"] * CLIPS, np.object_)
        parts.append(IndexRows(names, start, start + 1, np.zeros(CLIPS, np.int32), np.zeros(CLIPS, bool), *sides))
    return IndexRows.concatenate(parts)


def normalise(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def find_above(rows: IndexRows, thresholds: ScoreThresholds, asked: dict, pairs: tuple) -> np.ndarray:
    """Which rows score at least the threshold of a query."""
    vectors = combine_query_vectors(asked, pairs)
    return score_rows(rows, vectors) >= thresholds.compute(vectors, pairs)


@pytest.mark.parametrize("pairs", SIDES)
def test_a_clip_finds_its_scene_and_little_else(pairs: tuple[tuple[str, str], ...]) -> None:
    rows, found, rest = draw_library(), [], []
    thresholds = ScoreThresholds(rows, len(rows), 1.0)
    for place in range(0, len(rows), 7):
        asked = {"video": rows.video_BD[place], "audio": rows.audio_BD[place]}
        above = find_above(rows, thresholds, asked, pairs)
        scene = np.arange(len(rows)) // 10 == place // 10
        found.append(above[scene].mean())
        rest.append(above[~scene].mean())
    assert np.mean(found) > 0.9
    assert np.mean(rest) * len(rows) < 3  # clips by chance


@pytest.mark.parametrize("pairs", SIDES)
def test_nonsense_finds_nothing_but_now_and_then_a_clip(pairs: tuple[tuple[str, str], ...]) -> None:
    rows, random = draw_library(), np.random.default_rng(1)
    thresholds, above = ScoreThresholds(rows, len(rows), 1.0), []
    for _ in range(100):
        asked = dict(zip(("video", "audio"), normalise(random.normal(size=(2, DIMS))), strict=True))
        above.append(find_above(rows, thresholds, asked, pairs))
    assert np.mean(np.sum(above, axis=1)) < 3
    assert np.mean(np.any(above, axis=1)) < 0.6


def test_what_is_a_little_like_everything_finds_nothing() -> None:
    rows = draw_library()
    everything = IndexRows(*(getattr(rows, name) for name in ("film_B", "start_B", "end_B", "shot_B", "of_shot_B")),
                           normalise(rows.video_BD + 1.0), rows.audio_BD)  # fmt: skip
    asked = {"video": normalise(np.ones(DIMS))}
    thresholds = ScoreThresholds(everything, len(rows), 1.0)
    score = score_rows(everything, combine_query_vectors(asked, VIDEO))
    assert (score > thresholds.compute_general(VIDEO)).mean() > 0.5  # it would return the whole library
    assert (score >= thresholds.compute(combine_query_vectors(asked, VIDEO), VIDEO)).mean() < 0.15


def test_the_threshold_of_a_library_of_one_film_is_estimated_from_distant_clips() -> None:
    rows = draw_library()[:CLIPS]
    assert ScoreThresholds(rows, len(rows), 1.0).compute({"video": rows.video_BD[0]}, VIDEO) > 0


def test_a_handful_of_clips_has_no_threshold() -> None:
    rows = draw_library()[:6]
    assert ScoreThresholds(rows, len(rows), 1.0).compute({"video": rows.video_BD[0]}, VIDEO) == NO_THRESHOLD


def test_a_larger_library_has_a_higher_threshold_which_the_same_clip_still_reaches() -> None:
    score = np.random.default_rng(2).normal(0, 0.2, 10_000).astype(np.float32)
    levels = [estimate_chance_maximum(score, rows) for rows in (100, 10_000, 1_000_000, 10**12)]
    assert levels == sorted(levels)
    assert levels[-1] < 0.8
    assert levels[1] == pytest.approx(0.2 * 3.72, abs=0.03)


def test_truly_similar_pairs_hardly_raise_the_threshold() -> None:
    random = np.random.default_rng(2)
    chance = random.normal(0, 0.2, 10_000).astype(np.float32)
    mixed = np.concatenate([chance, np.full(700, 0.9, np.float32)])
    assert estimate_chance_maximum(mixed, 1_000) == pytest.approx(estimate_chance_maximum(chance, 1_000), abs=0.06)


def test_the_same_sample_gives_the_same_threshold() -> None:
    rows = draw_library()
    asked = {"video": rows.video_BD[3], "audio": rows.audio_BD[3]}
    assert [
        ScoreThresholds(rows, len(rows), 1.0).compute(combine_query_vectors(asked, pairs), pairs) for pairs in SIDES
    ] == [ScoreThresholds(rows, len(rows), 1.0).compute(combine_query_vectors(asked, pairs), pairs) for pairs in SIDES]


@pytest.mark.parametrize(
    ("hits", "more", "use_threshold", "told"),
    [
        (1, False, True, True),
        (6, True, True, False),
        (6, False, True, False),
        (1, False, False, False),
        (0, False, True, False),
    ],
)
def test_hits_left_out_as_chance_are_told(hits: int, more: bool, use_threshold: bool, told: bool) -> None:
    query = SearchQuery(Words("rain"), count=6, use_threshold=use_threshold)
    hit = Hit("0" * 16, "film.mp4", 1.0, 3.0, 0.9, None)
    result = SearchResult(query, "a", "m", (), (hit,) * hits, more, 0.86, True, None, None, "rain", 0.0, 0.0)
    assert (result.left_out_note is not None) == told
    if told:
        assert "a score below 0.86 could be chance" in str(result.left_out_note)
