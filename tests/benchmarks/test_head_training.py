"""The protocol of benchmarks/adaptation.py: no clip is learnt and held out, and what can be found is found."""

from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from head_training import arms
from head_training.arms import ARMS, Heads, train_heads
from head_training.features import SHAPE, STRIDE_FRAMES, FilmFeatures
from head_training.held_out import FOLDS, MARGIN_FRAMES, compute_chance, rank_clips, split_film
from head_training.intervals import resample
from public_towers.aisfx import compute_mel_bands, split_blocks
from talkies.core import Span


def make_film(name: str, frames: int, eligible: tuple[Span, ...] = (), seed: int = 0) -> FilmFeatures:
    """A film whose pictures and sounds both show one moment's number, besides what its film adds to all clips."""
    random = np.random.default_rng(seed)
    start_N = np.arange(0, frames - SHAPE.window_frames + 1, STRIDE_FRAMES)
    moment_NE = random.normal(size=(len(start_N), 8))
    film_E = 3 * random.normal(size=8)
    mixes = (np.random.default_rng(9).normal(size=(8, 24)), np.random.default_rng(10).normal(size=(8, 20)))
    video, audio = ((moment_NE + film_E) @ mix for mix in mixes)
    return FilmFeatures(name, start_N, np.float32(video), np.float32(audio), eligible or (Span(0, frames),))


@given(frames=st.integers(400, 12_000), fold=st.integers(0, FOLDS - 1), gap=st.integers(50, 300))
def test_no_frame_is_learnt_and_held_out(frames: int, fold: int, gap: int) -> None:
    film = make_film("film", frames, (Span(0, gap), Span(gap + 20, frames)))
    split = split_film(film, fold)
    for rows in (split.test_Q, split.choose_Q):
        for start in film.start_N[rows].tolist():
            clip = Span(start, start + SHAPE.window_frames)
            assert any(span.start_frame <= start and clip.end_frame <= span.end_frame for span in film.eligible)
            for span in split.learnt:
                assert clip.end_frame + STRIDE_FRAMES <= span.start_frame or clip.start_frame >= span.end_frame
    assert not set(split.test_Q.tolist()) & set(split.choose_Q.tolist())


def test_each_clip_of_a_long_film_is_held_out_once() -> None:
    film = make_film("long", 9_000)
    rows = np.concatenate([split_film(film, fold).test_Q for fold in range(FOLDS)])
    assert len(np.unique(rows)) == len(rows)
    assert SHAPE.window_frames < MARGIN_FRAMES


@pytest.mark.parametrize("arm", [ARMS[0], ARMS[2], ARMS[4]], ids=["within films", "one film", "mixed"])
def test_heads_find_what_pictures_and_sounds_share_in_held_out_minutes(
    arm: arms.Arm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arms, "STEPS", 60)
    monkeypatch.setattr(arms, "MEASURED_STEPS", (60,))
    films = {name: make_film(name, 3_000, seed=seed) for seed, name in enumerate("abc")}
    splits = {name: split_film(film, 0) for name, film in films.items()}
    found: dict[int, float] = {}

    def measure(step: int, heads: Heads) -> None:
        film, row_Q = films["a"], splits["a"].test_Q
        video, audio = (torch.from_numpy(part[row_Q]) for part in (film.video_NE, film.audio_NE))
        ranks = rank_clips(heads.embed_video(video), heads.embed_audio(audio))
        found[step] = float(ranks.both("recall_at_1").mean())

    train_heads(arm, films, splits, 0, measure)
    assert found[60] > 5 * compute_chance(len(splits["a"].test_Q), "recall_at_1")


def test_a_film_too_short_for_its_clips_is_left_out_where_a_batch_is_of_one_film() -> None:
    films = {"a short one": make_film("a short one", 300), "b": make_film("b", 3_000), "c": make_film("c", 3_000)}
    splits = {name: split_film(film, 0) for name, film in films.items()}
    batches = list(islice(arms.draw_batches(ARMS[2], sorted(films), splits, 0), 20))
    assert {int(film) for film_B, _ in batches for film in film_B} == {1, 2}
    for film_B, start_B in batches:
        assert len(film_B) == arms.BATCH_CLIPS
        assert len(set(film_B.tolist())) == 1
        spans = splits[sorted(films)[film_B[0]]].learnt
        for start in start_B.tolist():
            assert any(s.start_frame <= start and start + SHAPE.window_frames <= s.end_frame for s in spans)


def test_an_interval_is_wider_where_neighbours_are_alike() -> None:
    random = np.random.default_rng(0)
    alike_AQ = np.repeat(random.random((3, 20)), 6, axis=1)
    single = resample(alike_AQ, range(120))
    blocks = resample(alike_AQ, [place // 6 for place in range(120)])
    assert single.mean == blocks.mean == pytest.approx(alike_AQ.mean())
    assert blocks.high - blocks.low > 1.5 * (single.high - single.low)


def test_the_mel_bands_are_triangles_that_sum_to_one() -> None:
    bands_FW = compute_mel_bands()
    assert bands_FW.shape == (96, 1025)
    assert bands_FW.sum(1) == pytest.approx(np.ones(96), abs=1e-5)
    assert (np.diff(bands_FW.argmax(1)) >= 0).all()


@pytest.mark.parametrize(("frames", "blocks"), [(60, 1), (100, 1), (149, 1), (150, 2), (216, 3)])
def test_blocks_are_those_of_the_package(frames: int, blocks: int) -> None:
    spectrogram = torch.arange(frames, dtype=torch.float32)[None, :, None].expand(2, frames, 96)
    split = split_blocks(spectrogram)
    assert split.shape == (2, blocks, 100, 96)
    assert split[0, :, 0, 0].tolist() == [50.0 * block for block in range(blocks)]
    assert split[0, 0, min(frames, 100) - 1, 0] == min(frames, 100) - 1
