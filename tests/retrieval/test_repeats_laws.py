"""Repeats among synthetic rows: planted passages are found, and nothing else, in any order and block size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_rows import add_noise, annotate_films, build_rows, draw_rows, is_near, normalise_rows

from talkies.core import UsageError
from talkies.retrieval.recurrence import similarity
from talkies.retrieval.recurrence.repeats import RepeatQuery, Repeats, find_repeats_among

BY_SOUND = RepeatQuery(modalities=("audio",))
BY_PICTURE = RepeatQuery(modalities=("video",))


def find_repeats_in(films: dict[str, np.ndarray], query: RepeatQuery = BY_SOUND, **spans: object) -> Repeats:
    rows = build_rows(films, spans.get("shot"))  # type: ignore[arg-type]
    return find_repeats_among(rows, annotate_films(films, **spans), 1.0, query)  # type: ignore[arg-type]


def list_spans(found: Repeats) -> list[tuple[str, float, float]]:
    return sorted(
        (place.film_id, place.start_seconds, place.end_seconds)
        for side in found.by_modality.values()
        for family in side.families
        for place in family.spans
    )


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    length=st.integers(5, 25),
    one=st.integers(0, 70),
    other=st.integers(0, 70),
    same_film=st.booleans(),
)
def test_a_planted_passage_is_found_where_it_was_planted(
    seed: int, length: int, one: int, other: int, same_film: bool
) -> None:
    random = np.random.default_rng(seed)
    films = {"a": draw_rows(random, 220), "b": draw_rows(random, 110), "c": draw_rows(random, 40)}
    into, other = ("a", 110 + other) if same_film else ("b", other)
    films[into][other : other + length] = add_noise(random, films["a"][one : one + length])
    found = find_repeats_in(films)
    (family,) = found.by_modality["audio"].families
    first, second = family.spans
    assert is_near(first, "a", one, one + length)
    assert is_near(second, into, other, other + length)
    assert found.duplicates == ()
    assert family.score > 0.8


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), clips=st.lists(st.integers(1, 160), min_size=1, max_size=4))
def test_among_random_rows_nothing_comes_back(seed: int, clips: list[int]) -> None:
    random = np.random.default_rng(seed)
    films = {f"film-{number}": draw_rows(random, count) for number, count in enumerate(clips)}
    found = find_repeats_in(films)
    assert list_spans(found) == []
    assert found.duplicates == ()


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10_000), order=st.permutations(range(4)))
def test_the_order_of_rows_and_the_names_of_films_change_nothing(seed: int, order: list[int]) -> None:
    random = np.random.default_rng(seed)
    names = ["a", "b", "c", "d"]
    films = {name: draw_rows(random, 90) for name in names}
    films["c"][50:60] = add_noise(random, films["a"][20:30])
    films["d"][5:15] = add_noise(random, films["a"][20:30])
    before = list_spans(find_repeats_in(films))
    assert len(before) == 3
    rows = build_rows(films)
    mixed = find_repeats_among(rows[random.permutation(len(rows))], annotate_films(films), 1.0, BY_SOUND)
    assert list_spans(mixed) == before
    renamed = {names[order[number]]: films[name] for number, name in enumerate(names)}
    after = {(names[order[names.index(name)]], start) for name, start, _ in before}
    assert all(
        any(n == name and abs(s - at) <= 1.01 for n, s in after) for name, at, _ in list_spans(find_repeats_in(renamed))
    )
    assert len(list_spans(find_repeats_in(renamed))) == 3


def test_a_passage_that_returns_several_times_is_one_family() -> None:
    random = np.random.default_rng(1)
    films = {"a": draw_rows(random, 200), "b": draw_rows(random, 100)}
    theme = draw_rows(random, 9)
    for name, at in (("a", 10), ("a", 80), ("a", 150), ("b", 40)):
        films[name][at : at + 9] = add_noise(random, theme)
    found = find_repeats_in(films)
    (family,) = found.by_modality["audio"].families
    for place, (name, at) in zip(family.spans, (("a", 10), ("a", 80), ("a", 150), ("b", 40)), strict=True):
        assert is_near(place, name, at, at + 9)
    assert len(family.passages) == 6


def test_two_passages_are_two_families() -> None:
    random = np.random.default_rng(2)
    films = {"a": draw_rows(random, 200), "b": draw_rows(random, 100)}
    films["b"][10:18] = add_noise(random, films["a"][20:28])
    films["b"][60:80] = add_noise(random, films["a"][120:140])
    found = find_repeats_in(films)
    assert [round(family.seconds) for family in found.by_modality["audio"].families] == [20, 8]


@pytest.mark.parametrize("length", [12, 60, 200])
def test_a_sustained_sound_is_no_passage_that_comes_back(length: int) -> None:
    random = np.random.default_rng(3)
    films = {"a": draw_rows(random, 200), "b": draw_rows(random, 200)}
    films["a"][:length] = add_noise(random, np.repeat(draw_rows(random, 1), length, axis=0))
    assert list_spans(find_repeats_in(films)) == []


def test_silence_is_left_out_and_counted() -> None:
    random = np.random.default_rng(4)
    films = {"a": draw_rows(random, 120), "b": draw_rows(random, 120)}
    silence = draw_rows(random, 15)  # as if it were no mere drone
    films["a"][30:45], films["b"][70:85] = silence, silence
    assert len(list_spans(find_repeats_in(films))) == 2
    marks = {"a": [(30.0, 45.0)], "b": [(70.0, 85.0)]}
    found = find_repeats_in(films, silent=marks)
    assert list_spans(found) == []
    assert (found.by_modality["audio"].clips, found.by_modality["audio"].left_out) == (210, 30)
    assert len(list_spans(find_repeats_in(films, BY_PICTURE, silent=marks))) == 2
    assert list_spans(find_repeats_in(films, BY_PICTURE, black={"a": marks["a"]})) == []
    assert list_spans(find_repeats_in(films, BY_PICTURE, still={"b": marks["b"]})) == []


def test_a_passage_shorter_than_asked_for_is_none() -> None:
    random = np.random.default_rng(5)
    films = {"a": draw_rows(random, 120), "b": draw_rows(random, 120)}
    films["b"][20:28] = add_noise(random, films["a"][50:58])
    assert len(list_spans(find_repeats_in(films, RepeatQuery(("audio",), min_seconds=8.0)))) == 2
    assert list_spans(find_repeats_in(films, RepeatQuery(("audio",), min_seconds=9.0))) == []


def test_a_trimmed_copy_is_a_duplicate_at_its_offset_and_no_passage() -> None:
    random = np.random.default_rng(6)
    films = {"film": draw_rows(random, 150), "copy": draw_rows(random, 10), "other": draw_rows(random, 100)}
    films["copy"] = np.concatenate(
        [draw_rows(random, 5), add_noise(random, films["film"][37:130], 0.1), draw_rows(random, 2)]
    )
    found = find_repeats_among(build_rows(films), annotate_films(films), 1.0, RepeatQuery())
    (same,) = found.duplicates
    assert same.modalities == ("video", "audio")
    assert is_near(same.first, "copy", 5, 98)
    assert is_near(same.second, "film", 37, 130)
    assert same.offset_seconds == pytest.approx(32.0, abs=0.3)
    assert same.first_share == pytest.approx(0.93, abs=0.01)
    assert same.second_share == pytest.approx(0.62, abs=0.01)
    assert list_spans(found) == []


def test_clips_that_are_alike_by_chance_make_no_duplicate_of_two_long_films() -> None:
    # With long runs alone asked for, a single clip needs so little that a fiftieth of all are alike by chance.
    random = np.random.default_rng(12)
    films = {"a": draw_rows(random, 3000), "b": draw_rows(random, 3000)}
    films["b"][100:114] = add_noise(random, films["a"][2000:2014])
    found = find_repeats_in(films, RepeatQuery(("audio",), min_seconds=8.0))
    assert found.duplicates == ()
    assert len(list_spans(found)) == 2
    films["b"][1000:1090] = add_noise(random, films["a"][200:290], 0.1)  # but a long part makes one, of its own length
    (same,) = find_repeats_in(films, RepeatQuery(("audio",), min_seconds=8.0)).duplicates
    assert is_near(same.first, "a", 200, 290, 3.01)  # a clip beside its end may be alike by chance
    assert is_near(same.second, "b", 1000, 1090, 3.01)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(7)
    films = {"a": draw_rows(random, 150), "b": draw_rows(random, 100)}
    films["b"][31:45] = add_noise(random, films["a"][60:74])
    whole = find_repeats_in(films)
    monkeypatch.setattr(similarity, "BLOCK", 13)
    assert list_spans(find_repeats_in(films)) == list_spans(whole) != []


def test_of_a_clip_similar_to_everything_only_the_best_matches_are_kept() -> None:
    random = np.random.default_rng(8)
    rows = add_noise(random, np.repeat(draw_rows(random, 1), 500, axis=0))
    placed = similarity.PositionedRows(rows, np.arange(500))
    pairs = similarity.find_top_pairs(placed, placed, min_score=0.5, min_gap=3, max_partners=4)
    assert np.bincount(pairs.first_C).tolist() == [4] * 500
    score = rows @ rows.T
    score[np.abs(np.subtract.outer(np.arange(500), np.arange(500))) < 3] = -2
    best = np.sort(score, axis=1)[:, -4:]
    np.testing.assert_allclose(np.sort(pairs.score_C.reshape(500, 4), axis=1), best, atol=1e-5)


def test_whitening_takes_out_what_all_have_in_common_and_keeps_equals_equal() -> None:
    random = np.random.default_rng(9)
    rows = normalise_rows(3 * draw_rows(random, 1) + draw_rows(random, 1000) * np.linspace(0.05, 3, 48))
    white = similarity.Whitening.fit(rows)(rows)
    cosines = (white @ white.T)[np.triu_indices(1000, 1)]
    assert (rows @ rows.T).mean() > 0.3
    assert abs(cosines.mean()) < 0.01
    assert cosines.std() < 1.2 / np.sqrt(48)
    np.testing.assert_allclose(np.linalg.norm(white, axis=1), 1, rtol=1e-5)
    twice = similarity.Whitening.fit(rows)(np.stack([rows[5], rows[5]]))
    np.testing.assert_array_equal(twice[0], twice[1])


def test_ends_and_beginnings_of_shots_that_look_alike_are_match_cuts() -> None:
    random = np.random.default_rng(10)
    films = {"a": draw_rows(random, 60), "b": draw_rows(random, 40)}
    shots = {"a": [(float(at), at + 6.0) for at in range(0, 60, 6)], "b": [(0.0, 9.5), (9.5, 40.0)]}
    for shot in range(10):  # within a shot, one picture goes on
        films["a"][6 * shot : 6 * shot + 6] = add_noise(random, films["a"][np.full(6, 6 * shot)], 0.02)
    films["a"][17], films["a"][42] = (
        add_noise(random, films["a"][[17]], 0)[0],
        add_noise(random, films["a"][[17]], 0.14)[0],
    )
    films["a"][48] = add_noise(random, films["a"][[47]], 0.16)[0]
    films["b"][10] = add_noise(random, films["a"][[29]], 0.12)[0]
    found = find_repeats_in(films, BY_PICTURE, shot=shots)
    best = [
        (cut.end.film_id, cut.end.start_seconds, cut.beginning.film_id, cut.beginning.start_seconds)
        for cut in found.match_cuts
    ]
    assert set(best[:3]) == {("a", 17.0, "a", 42.0), ("a", 47.0, "a", 48.0), ("a", 29.0, "b", 10.0)}
    assert [cut.adjacent for cut in found.match_cuts[:3]] == [b[1:] == (47.0, "a", 48.0) for b in best[:3]]
    scores = [cut.score for cut in found.match_cuts]
    assert scores == sorted(scores, reverse=True)
    few = find_repeats_in(films, RepeatQuery(("video",), max_match_cuts=2), shot=shots)
    assert few.match_cuts == found.match_cuts[:2]
    assert find_repeats_in(films, RepeatQuery(("video",), max_match_cuts=0), shot=shots).match_cuts == ()


def test_one_picture_going_on_and_a_passage_come_back_are_no_match_cuts() -> None:
    random = np.random.default_rng(11)
    films = {"a": draw_rows(random, 80), "b": draw_rows(random, 80)}
    shots = {name: [(float(at), at + 8.0) for at in range(0, 80, 8)] for name in films}
    for name in films:
        for shot in range(10):
            films[name][8 * shot : 8 * shot + 8] = add_noise(random, films[name][np.full(8, 8 * shot)], 0.1)
    films["a"][56:64] = add_noise(random, films["a"][np.full(8, 15)], 0.02)  # the very same picture
    films["b"][20:44] = add_noise(random, films["a"][24:48], 0.1)
    found = find_repeats_in(films, BY_PICTURE, shot=shots)
    cuts = {
        (cut.end.film_id, cut.end.start_seconds, cut.beginning.film_id, cut.beginning.start_seconds)
        for cut in found.match_cuts
    }
    assert ("a", 15.0, "a", 56.0) not in cuts
    for end in found.match_cuts:
        assert (
            abs((end.beginning.start_seconds - end.end.start_seconds) + 4) > 2
            or end.end.film_id == end.beginning.film_id
        )


def test_a_title_sequence_that_two_films_share_is_no_match_cut_to_itself() -> None:
    random = np.random.default_rng(13)
    films = {"a": draw_rows(random, 400), "b": draw_rows(random, 400)}
    shots = {name: [(float(at), at + 8.0) for at in range(0, 400, 8)] for name in films}
    for name in films:
        for shot in range(50):
            films[name][8 * shot : 8 * shot + 8] = add_noise(random, films[name][np.full(8, 8 * shot)], 0.1)
    films["b"][:88] = add_noise(random, films["a"][:88], 0.05)
    found = find_repeats_in(films, BY_PICTURE, shot=shots)
    assert len(found.duplicates) == 1
    for cut in found.match_cuts:
        if cut.end.film_id != cut.beginning.film_id and cut.end.start_seconds < 88:
            assert abs(cut.end.start_seconds - cut.beginning.start_seconds) > 8


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"min_seconds": 0.2}, r"^--least must be 1 to 3600 seconds, got 0\.2$"),
        ({"min_seconds": float("nan")}, r"^--least must be 1 to 3600 seconds, got nan$"),
        ({"max_match_cuts": -1}, r"^--match-cuts must not be negative, got -1$"),
    ],
)
def test_impossible_values_are_refused(values: dict[str, float], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        RepeatQuery(**values)  # type: ignore[arg-type]
