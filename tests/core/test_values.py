"""Requests, clips, batches and embeddings are checked when made, and print their shapes."""

import re
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch

from talkies.core import Clip, ClipBatch, ClipRequest, Embeddings, Span, parse_film_id

FILM = parse_film_id("0123456789abcdef")
REQUEST = ClipRequest(FILM, Span(0, 32))
PICTURES = np.zeros((4, 6, 4), np.uint8)
SAMPLES = np.zeros(100, np.int16)


def batch_of(clips: int) -> ClipBatch:
    pictures, samples = torch.zeros(clips, 4, 6, 4, dtype=torch.uint8), torch.zeros(clips, 100, dtype=torch.int16)
    return ClipBatch((REQUEST,) * clips, pictures, samples, torch.zeros(clips, dtype=torch.int64))


def test_sixteen_hexadecimal_digits_are_a_film_id() -> None:
    assert parse_film_id("0123456789abcdef") == "0123456789abcdef"


@pytest.mark.parametrize("text", ["", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF", "0123456789abcdeg"])
def test_any_other_text_is_no_film_id(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"a film id is sixteen hexadecimal digits, got {text!r}")):
        parse_film_id(text)


def test_requests_sort_by_film_and_then_by_time() -> None:
    other = parse_film_id("f" * 16)
    early, late = ClipRequest(FILM, Span(0, 2)), ClipRequest(FILM, Span(5, 7))
    assert sorted([ClipRequest(other, Span(0, 2)), late, early]) == [early, late, ClipRequest(other, Span(0, 2))]


def test_a_request_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'window'"):
        REQUEST.window = Span(1, 2)  # type: ignore[misc]


def test_a_clip_is_shown_by_its_shapes() -> None:
    shown = repr(Clip(REQUEST, PICTURES, SAMPLES))
    assert shown == f"Clip(request={REQUEST!r}, video_TPW=uint8[4, 6, 4], audio_S=int16[100])"


@pytest.mark.parametrize(
    ("pictures", "shown"), [(PICTURES[0], "uint8[6, 4]"), (PICTURES.astype(np.float32), "float32[4, 6, 4]")]
)
def test_a_clip_with_other_pictures_than_bytes_over_time_is_refused(pictures: np.ndarray, shown: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"a clip's video is uint8 [T, P, W], got {shown}")):
        Clip(REQUEST, pictures, SAMPLES)


@pytest.mark.parametrize(
    ("samples", "shown"), [(SAMPLES[None], "int16[1, 100]"), (SAMPLES.astype(np.float32), "float32[100]")]
)
def test_a_clip_with_other_sound_than_sixteen_bit_mono_is_refused(samples: np.ndarray, shown: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"a clip's audio is int16 [S], got {shown}")):
        Clip(REQUEST, PICTURES, samples)


def test_a_batch_is_shown_by_its_shapes_and_counts_its_clips() -> None:
    batch = batch_of(3)
    parts = "requests=(3), video_BTPW=uint8[3, 4, 6, 4], audio_BS=int16[3, 100], film_B=int64[3]"
    assert repr(batch) == f"ClipBatch({parts})"
    assert len(batch) == 3


def test_a_batch_whose_parts_count_differently_is_refused() -> None:
    whole = batch_of(3)
    sentence = "the parts of a batch do not belong together: ClipBatch(requests=(2), video_BTPW=uint8[3, 4, 6, 4]"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        ClipBatch(whole.requests[:2], whole.video_BTPW, whole.audio_BS, whole.film_B)
    with pytest.raises(ValueError, match=re.escape("film_B=int64[2])")):
        ClipBatch(whole.requests, whole.video_BTPW, whole.audio_BS, whole.film_B[:2])


def test_a_batch_whose_pictures_lack_time_is_refused() -> None:
    whole = batch_of(3)
    with pytest.raises(ValueError, match=re.escape("video_BTPW=uint8[3, 6, 4]")):
        ClipBatch(whole.requests, whole.video_BTPW[:, 0], whole.audio_BS, whole.film_B)


def test_a_batch_goes_to_a_device_with_all_its_parts_and_its_requests() -> None:
    moved = batch_of(3).to("meta")
    assert {part.device.type for part in (moved.video_BTPW, moved.audio_BS, moved.film_B)} == {"meta"}
    assert moved.requests == (REQUEST,) * 3


def test_embeddings_are_shown_by_their_shapes_and_count_their_clips() -> None:
    whole = torch.zeros(5, dtype=torch.int64)
    embeddings = Embeddings(torch.zeros(5, 8), torch.zeros(5, 8), whole, whole)
    parts = "video_BD=float32[5, 8], audio_BD=float32[5, 8], film_B=int64[5], start_B=int64[5]"
    assert repr(embeddings) == f"Embeddings({parts})"
    assert len(embeddings) == 5


@pytest.mark.parametrize("audio_shape", [(4, 7), (4, 8), (5, 8, 1)])
def test_embeddings_of_two_shapes_are_refused(audio_shape: tuple[int, ...]) -> None:
    shown = f"audio_BD=float32[{', '.join(map(str, audio_shape))}]"
    sentence = (
        f"video and audio embeddings must both be [B, D] of the same clips, got Embeddings(video_BD=float32[5, 8], "
        f"{shown}"
    )
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Embeddings(torch.zeros(5, 8), torch.zeros(audio_shape), torch.zeros(5), torch.zeros(5))


@pytest.mark.parametrize("film_shape", [(4,), (5, 1)])
def test_embeddings_without_one_film_number_for_each_clip_are_refused(film_shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape("there must be one film number for each clip, got Embeddings(")):
        Embeddings(torch.zeros(5, 8), torch.zeros(5, 8), torch.zeros(film_shape), torch.zeros(5))
