"""Shots of every kind of film: in colour and in grey, through flashes, strobes, grain, motion and rest.

The pictures are made here and given to the finder as an ingest does, 16 a second.
"""

from collections.abc import Callable, Iterable

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from talkies.ingestion.shots import ShotFinder

FPS = 16
Picture = np.ndarray


def scene(seed: int) -> Picture:
    """Return a place of 9 × 16 coloured fields, float `[72, 128, 3]`."""
    fields = np.random.default_rng(seed).integers(40, 200, (9, 16, 3)).astype(float)
    return np.kron(fields, np.ones((8, 8, 1)))


A, B = scene(1), scene(2)


def in_grey(picture: Picture) -> Picture:
    return np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2)


def find(pictures: Iterable[Picture], noise: float = 4.0, seed: int = 0) -> list[int]:
    """Return the first frames of all shots but the first of a film with noise."""
    rng, finder = np.random.default_rng(seed), ShotFinder(FPS)
    for picture in pictures:
        grain = rng.normal(0, noise, picture.shape) if noise else 0.0
        finder.push(np.clip(picture + grain, 0, 255).astype(np.uint8))
    return [shot.start_frame for shot in finder.finish()][1:]


def near(found: list[int], wanted: list[int], slack: int = 1) -> bool:
    return len(found) == len(wanted) and all(abs(a - b) <= slack for a, b in zip(found, wanted, strict=True))


LOOKS: dict[str, Callable[[Picture], Picture]] = {
    "colour": lambda picture: picture,
    "grey": in_grey,
    "night": lambda picture: 0.12 * picture,
    "letterbox": lambda picture: np.concatenate([np.zeros((12, 128, 3)), picture[12:-12], np.zeros((12, 128, 3))]),
}


@pytest.mark.parametrize("look", LOOKS)
def test_a_cut_is_found_in_every_look(look: str) -> None:
    before, after = LOOKS[look](A), LOOKS[look](B)
    assert find([*[before] * 40, *[after] * 40], noise=2) == [40]


@settings(max_examples=12, deadline=None)
@given(at=st.integers(20, 60), length=st.integers(1, 6), light=st.integers(40, 220), grey=st.booleans())
@example(at=20, length=1, light=-255, grey=False)
def test_a_flash_of_any_length_and_strength_makes_no_shot(at: int, length: int, light: int, grey: bool) -> None:
    picture = in_grey(A) if grey else A
    assert find(picture + (light if at <= i < at + length else 0) for i in range(90)) == []


@settings(max_examples=10, deadline=None)
@given(on=st.integers(1, 3), off=st.integers(1, 6), light=st.sampled_from([-255, 60, 150, 255]))
def test_a_strobe_makes_no_shot(on: int, off: int, light: int) -> None:
    assert find(A + (light if 16 <= i < 90 and i % (on + off) < on else 0) for i in range(112)) == []


@settings(max_examples=10, deadline=None)
@given(before=st.integers(0, 3), after=st.integers(0, 3), light=st.sampled_from([60, 120, 200]))
def test_a_cut_under_a_flash_is_one_cut(before: int, after: int, light: int) -> None:
    lit = range(40 - before, 40 + after)
    found = find((A if i < 40 else B) + (light if i in lit else 0) for i in range(80))
    assert near(found, [40], slack=2)


@settings(max_examples=10, deadline=None)
@given(length=st.integers(3, 8), grey=st.booleans())
def test_a_short_shot_between_two_others_is_kept(length: int, grey: bool) -> None:
    pictures = [scene(3)] * 30 + [A] * length + [B] * 30
    assert find(map(in_grey, pictures) if grey else pictures) == [30, 30 + length]


@settings(max_examples=12, deadline=None)
@given(length=st.integers(8, 32), grey=st.booleans(), other=st.integers(2, 6))
def test_a_dissolve_is_one_boundary_within_it(length: int, grey: bool, other: int) -> None:
    shares = np.clip((np.arange(60 + length) - 30) / length, 0, 1)
    pictures = [(1 - share) * A + share * scene(other) for share in shares]
    found = find(map(in_grey, pictures) if grey else pictures)
    assert near(found, [30 + length // 2], slack=length // 2)


@settings(max_examples=10, deadline=None)
@given(out=st.integers(5, 20), black=st.integers(0, 30), back=st.integers(5, 20), grey=st.booleans())
def test_a_fade_out_and_in_is_one_boundary(out: int, black: int, back: int, grey: bool) -> None:
    fading = (
        [A * (1 - i / out) for i in range(1, out + 1)] + [0 * A] * black + [B * i / back for i in range(1, back + 1)]
    )
    pictures = [*[A] * 30, *fading, *[B] * 30]
    found = find(map(in_grey, pictures) if grey else pictures, noise=1)
    assert len(found) == 1
    assert 30 <= found[0] <= 30 + len(fading)


def test_a_film_that_begins_and_ends_in_black_is_one_shot() -> None:
    rising = [A * i / 16 for i in range(16)]
    assert find([*[0 * A] * 20, *rising, *[A] * 40, *rising[::-1], *[0 * A] * 20], noise=1) == []


@pytest.mark.parametrize("noise", [10.0, 30.0, 50.0])
def test_grain_makes_no_shot_and_hides_none(noise: float) -> None:
    assert find([A] * 100, noise) == []
    assert find([*[A] * 50, *[B] * 50], noise) == [50]


def test_a_screen_of_noise_is_one_shot() -> None:
    rng = np.random.default_rng(3)
    assert find((rng.integers(0, 255, (72, 128, 3)).astype(float) for _ in range(100)), noise=0) == []


@settings(max_examples=8, deadline=None)
@given(speed=st.integers(1, 12), hold=st.integers(1, 4))
def test_a_pan_makes_no_shot_at_any_number_of_pictures_per_second(speed: int, hold: int) -> None:
    # Known limit: over blocks as wide as eight steps, this one is a weighted sum every half second, as a dissolve is.
    assume((speed, hold) != (1, 2))
    world = np.concatenate([scene(seed) for seed in range(4, 12)], axis=1)
    places = [speed * (i // hold) * hold % (world.shape[1] - 128) for i in range(80)]
    places = [
        place for place, following in zip(places, [*places[1:], places[-1] + 1], strict=True) if following >= place
    ]
    assert find((world[:, place : place + 128] for place in places), noise=0) == []


@settings(max_examples=8, deadline=None)
@given(hold=st.integers(8, 120), noise=st.sampled_from([0.0, 2.0]))
def test_every_picture_of_a_slide_show_is_a_shot(hold: int, noise: float) -> None:
    slides = [scene(seed) for seed in range(20, 25)]
    assert find((slide for slide in slides for _ in range(hold)), noise) == [hold * i for i in range(1, 5)]


def test_a_title_that_appears_and_a_light_that_stays_on_make_no_shot() -> None:
    title = A.copy()
    title[50:60, 20:108] = 240
    assert find([*[A] * 40, *[title] * 40, *[A] * 40]) == []
    assert find([*[0.5 * A] * 40, *[A] * 40]) == []


def test_text_cards_are_shots() -> None:
    cards = []
    for seed in range(3):
        letters = np.random.default_rng(seed).random((9, 32)) < 0.5
        card = np.zeros((72, 128, 3))
        card[18:54] = np.kron(letters, np.ones((4, 4)))[..., None] * 230
        cards.append(card)
    assert find([*[A] * 40, *[cards[0]] * 40, *[cards[1]] * 40, *[cards[2]] * 40, *[B] * 40]) == [40, 80, 120, 160]
