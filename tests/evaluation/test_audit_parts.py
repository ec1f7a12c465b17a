"""The audit's parts: folds of time, ranks, the control, means, intervals, shortcut cues."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from talkies.analysis.descriptors.film_probe import BLOCKS, compute_gap_frames, split_block
from talkies.analysis.descriptors.shortcut_cues import compute_loudness, compute_palette
from talkies.evaluation.audit.explanation import explain_learnt_films
from talkies.evaluation.audit.retrieval import measure_film_retrieval, normalise_rows, subtract_mean
from talkies.evaluation.audit.tables import format_percent_estimate
from talkies.evaluation.audit.values import Estimate
from talkies.evaluation.film_tasks.retrieval import RECALLS, rank_positives

LAWS = settings(derandomize=True, deadline=None, max_examples=40, database=None)
SIZES = st.lists(st.integers(2, 9), min_size=2, max_size=4)


def towers(sizes: list[int], seed: int, levels: int = 0) -> tuple[list[Tensor], list[Tensor]]:
    """Embeddings of films of such sizes; with `levels`, whole numbers, so that many scores are alike."""
    generator = torch.Generator().manual_seed(seed)

    def rows() -> Tensor:
        if levels:
            return torch.randint(-levels, levels + 1, (sum(sizes), 4), generator=generator).float()
        return functional.normalize(torch.randn(sum(sizes), 4, generator=generator))

    return list(rows().split(sizes)), list(rows().split(sizes))


@LAWS
@given(SIZES, st.integers(0, 1000), st.sampled_from([0, 1]))
def test_retrieval_is_that_of_a_count(sizes: list[int], seed: int, levels: int) -> None:
    queries, galleries = towers(sizes, seed, levels)
    gallery_ND, film_N = torch.cat(galleries), np.repeat(np.arange(len(sizes)), sizes)
    for film, found in enumerate(measure_film_retrieval(queries, galleries)):
        places = np.flatnonzero(film_N == film)
        across, shuffled, clip, right = [], [], [], []
        for own, query_D in zip(places, queries[film], strict=True):
            scores = (query_D @ gallery_ND.T).tolist()
            rank = [sum(s > t for s in scores) + (scores.count(t) - 1) / 2 for t in scores]
            best = [place for place, score in enumerate(scores) if score == max(scores)]
            across.append(rank[own])
            shuffled += [rank[other] for other in places if other != own]
            clip.append((own in best) / len(best))
            right.append(sum(film_N[place] == film for place in best) / len(best))
        within = rank_positives(queries[film], galleries[film]).numpy()
        for part, ranks in (("across_K", across), ("shuffled_K", shuffled), ("within_K", within)):
            expected = [float(np.mean(np.array(ranks) < k)) for k in RECALLS]
            assert getattr(found, part).tolist() == pytest.approx(expected), part
        assert (found.right_clip, found.right_film) == pytest.approx((np.mean(clip), np.mean(right)), abs=1e-6)


@LAWS
@given(SIZES, st.integers(0, 1000), st.sampled_from([0, 1]))
def test_shares_are_shares_and_a_right_clip_is_of_the_right_film(sizes: list[int], seed: int, levels: int) -> None:
    for found in measure_film_retrieval(*towers(sizes, seed, levels)):
        for shares in (found.across_K, found.within_K, found.shuffled_K):
            assert (shares >= 0).all()
            assert (shares <= 1).all()
        assert 0 <= found.right_clip <= found.right_film <= 1 + 1e-6
        assert (found.within_K >= found.across_K).all()


def test_the_control_is_the_mean_over_shuffled_sounds() -> None:
    queries, galleries = towers([6, 7], 3)
    random, drawn = np.random.default_rng(0), []
    for _ in range(4000):
        order = random.permutation(6)
        while (order == np.arange(6)).any():
            order = random.permutation(6)
        places = torch.from_numpy(order)
        gallery_ND = torch.cat([galleries[0][places], galleries[1]])
        ranks = rank_positives(torch.cat(queries), gallery_ND)[:6].numpy()
        drawn.append([np.mean(ranks < k) for k in RECALLS])
    assert measure_film_retrieval(queries, galleries)[0].shuffled_K.tolist() == pytest.approx(
        np.mean(drawn, axis=0), abs=0.02
    )


@LAWS
@given(st.integers(2, 12), st.integers(0, 1000))
def test_a_mean_is_removed_once_and_for_all(clips: int, seed: int) -> None:
    rows_nD = torch.randn(clips, 5, generator=torch.Generator().manual_seed(seed))
    once = subtract_mean(rows_nD)
    torch.testing.assert_close(subtract_mean(once), once, rtol=0, atol=1e-5)
    torch.testing.assert_close(subtract_mean(rows_nD + 3), once, rtol=0, atol=1e-5)
    torch.testing.assert_close(normalise_rows(once).norm(dim=1), torch.ones(clips))


def test_a_row_of_nothing_stays_nothing() -> None:
    assert normalise_rows(subtract_mean(torch.ones(3, 4))).abs().sum() == 0


@LAWS
@given(st.integers(8, 120), st.integers(1, 64), st.integers(1, 60), st.sampled_from([8, 16, 25]))
def test_every_clip_is_tested_once_and_never_near_what_was_fitted(
    clips: int, window: int, further: int, fps: int
) -> None:
    start_N = np.arange(clips) * (window + further - 1)
    gap = compute_gap_frames(start_N, window, fps)
    tested = np.zeros(clips, int)
    for block in range(BLOCKS):
        test_N, fit_N = split_block(start_N, block, window, fps)
        tested += test_N
        assert fit_N.any()
        distance = np.abs(start_N[fit_N][:, None] - start_N[test_N][None]) - window
        assert distance.min() >= gap >= window
    assert (tested == 1).all()


def test_the_gap_by_hand() -> None:
    seconds = 16 * np.arange(12)
    assert compute_gap_frames(seconds, 16, 16) == 16  # a third of three seconds, and a clip
    assert compute_gap_frames(16 * np.arange(60), 16, 16) == 5 * 16
    assert compute_gap_frames(16 * np.arange(1200), 16, 16) == 10 * 16


def test_an_interval_is_students_over_films_and_never_narrower_than_wilsons() -> None:
    apart = Estimate.over_films([0.2, 0.4, 0.6], 10_000)
    half = 4.302653 * 0.2 / 3**0.5
    assert (apart.low, apart.high) == pytest.approx((max(0, 0.4 - half), 0.4 + half), abs=1e-5)
    alike = Estimate.over_films([1.0, 1.0, 1.0], 36)
    assert (alike.mean, alike.high) == (1, 1)
    assert alike.low == pytest.approx(36 / (36 + 3.841459), abs=1e-5)  # n / (n + z²)


@LAWS
@given(st.lists(st.floats(0, 1), min_size=2, max_size=9), st.integers(8, 500))
def test_an_interval_holds_its_mean_and_stays_a_share(shares: list[float], clips: int) -> None:
    found = Estimate.over_films(shares, clips)
    assert 0 <= found.low <= found.mean + 1e-12
    assert found.mean - 1e-12 <= found.high <= 1


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.12, 0.41, "20.0 % [12–41]"),
        (0.0, 0.004, "20.0 % [0.0–0.4]"),
        (0.196, 0.204, "20.0 % [19.6–20.4]"),
        (-0.001, 0.02, "20.0 % [0–2]"),
    ],
)
def test_an_interval_is_printed_in_whole_per_cents_unless_its_ends_would_be_one(
    low: float, high: float, text: str
) -> None:
    assert format_percent_estimate(Estimate(mean=0.2, low=low, high=high)) == text


def test_the_palette_of_a_plain_picture() -> None:
    video_BTPW = torch.zeros(2, 3, 12, 8, dtype=torch.uint8)  # 8 × 8, with chroma below
    video_BTPW[1, :, :8] = 100
    video_BTPW[1, :, 8:10] = 40
    video_BTPW[1, :, 10:] = 255
    palette = compute_palette(video_BTPW).reshape(2, 3, 10)
    assert palette[1, :, 0].tolist() == [100, 40, 255]
    assert palette[:, :, 1].abs().max() == 0
    assert palette[:, :, 2:].argmax(2).tolist() == [[0, 0, 0], [3, 1, 7]]
    assert palette[:, :, 2:].sum(2).tolist() == [[1, 1, 1], [1, 1, 1]]


def test_the_loudness_of_a_square_wave() -> None:
    loud_S = torch.full((1600,), 16384, dtype=torch.int16)
    loud_S[::2] *= -1
    level, sd = compute_loudness(torch.stack([loud_S, torch.zeros(1600, dtype=torch.int16)]), 160).T
    assert level.tolist() == pytest.approx([-6.02, -100], abs=0.01)
    assert sd.tolist() == pytest.approx([0, 0], abs=1e-4)


def test_a_run_that_learnt_from_the_audited_films_is_told_to_know_them_by_heart() -> None:
    told = explain_learnt_films(["a", "b", "c"], ("a", "c", "d"))
    assert told is not None
    assert told.startswith("The run has learnt from 2 of these 3 films and may know their moments by heart")
    assert explain_learnt_films(["a", "b"], ("d",)) is None
