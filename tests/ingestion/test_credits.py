"""Titles and credits are text on a dark background near the ends of a film; night scenes are not."""

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

from talkies.core import Span
from talkies.ingestion.credits import CreditsFinder, is_text

FPS = 8
Luma = npt.NDArray[np.uint8]


def card(number: int, ground: int = 16) -> Luma:
    """A card of credits: twelve lines of text."""
    picture = Image.new("L", (228, 128), ground)
    drawn = ImageDraw.Draw(picture)
    for line in range(10):
        drawn.text((20, 4 + 12 * line), f"Gaffer {number + line}   Jane von Doe-Smith {number * line}", fill=220)
    return np.asarray(picture)


def night(number: int) -> Luma:
    """A dark scene: soft shapes, some of them bright."""
    rows, columns = np.mgrid[:128, :228]
    lamp = 180 * np.exp(-((rows - 40) ** 2 + (columns - 60 - number % 50) ** 2) / 300)
    return (18 + lamp + 6 * np.sin(columns / 9)).clip(0, 255).astype(np.uint8)


def day(number: int) -> Luma:
    return np.random.default_rng(number).integers(60, 220, (128, 228)).astype(np.uint8)


def credits_of(pictures: list[Luma | None], least_seconds: float = 3.0) -> list[Span]:
    finder = CreditsFinder(least_seconds, FPS)
    for picture in pictures:
        finder.push(picture)
    return finder.finish()


def many(make: object, seconds: float) -> list[Luma | None]:
    return [make(number) for number in range(round(seconds * FPS))]  # type: ignore[operator]


BLACK = np.full((128, 228), 16, np.uint8)


def test_text_on_black_is_text_and_nights_days_and_black_are_not() -> None:
    assert [is_text(picture) for picture in (card(3), card(3, 30))] == [True, True]
    assert not any(is_text(picture) for picture in (night(0), day(0), BLACK, 255 - card(3)))


def test_credits_at_the_end_are_found_to_the_frame() -> None:
    assert credits_of([*many(day, 30), *many(card, 5), *many(day, 1)]) == [Span(30 * FPS, 35 * FPS)]


def test_titles_at_the_beginning_are_found_too() -> None:
    assert credits_of([*many(card, 4), *many(day, 60)]) == [Span(0, 4 * FPS)]


def test_text_in_the_middle_of_a_film_is_no_credits() -> None:
    assert credits_of([*many(day, 30), *many(card, 5), *many(day, 30)]) == []


def test_a_card_that_is_shown_on_counts_for_as_long_as_it_is_shown() -> None:
    assert credits_of([*many(day, 30), card(1), *[None] * (4 * FPS)]) == [Span(30 * FPS, 34 * FPS + 1)]


def test_cards_that_fade_are_one_run_and_those_far_apart_are_not() -> None:
    fading = [*many(card, 2), *[BLACK] * FPS, *many(card, 2)]
    assert credits_of([*many(day, 40), *fading]) == [Span(40 * FPS, 45 * FPS)]
    apart = [*many(card, 2), *[BLACK] * (3 * FPS), *many(card, 2)]
    assert credits_of([*many(day, 40), *apart]) == []


def test_a_short_title_is_no_credits() -> None:
    assert credits_of([*many(day, 30), *many(card, 2)]) == []


def test_a_film_without_pictures_has_none() -> None:
    assert credits_of([]) == []


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "skipped_seconds", "expected"),
    [
        ("big_buck_bunny.mp4", 500, [(535, 555)]),  # its roll, as one sees it there; what comes after it are scenes
        ("tears_of_steel_excerpt.webm", 0, []),
        ("sintel_trailer.mp4", 0, []),  # its cards are short
    ],
)
def test_those_of_real_films_are_found_and_no_scene_is_taken_for_them(
    real_data: Path, name: str, skipped_seconds: int, expected: list[tuple[int, int]]
) -> None:
    finder, number = CreditsFinder(8.0, 4), 0
    for number in range(skipped_seconds * 4):
        finder.push(day(0) if number == 0 else None)
    with av.open(str(real_data / "films" / name)) as film:
        film.seek(skipped_seconds * av.time_base, backward=True)
        for frame in film.decode(video=0):
            if frame.time is not None and frame.time >= number / 4:
                finder.push(frame.reformat(228, 128, format="gray", interpolation="AREA").to_ndarray())
                number += 1
    found = [(span.start_frame / 4, span.end_frame / 4) for span in finder.finish()]
    assert len(found) == len(expected)
    for (start, end), (first, last) in zip(found, expected, strict=True):
        assert abs(start - first) <= 3  # seconds: cards fade
        assert abs(end - last) <= 3
