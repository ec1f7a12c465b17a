"""Bars burnt into pictures are found to 2 % of the height where there are any, and none where there are none."""

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
import pytest
from barred_pictures import BLACK, HEIGHT, SCALE, WIDTH, Bars, Look, Picture, draw_film, draw_scene, frame_scene
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from talkies.core import BarSpan
from talkies.media import BarFinder, find_bars_of_picture

FPS = 4  # every frame is a sample
ALLOWED = 0.02 * HEIGHT
shares = st.floats(0.03, 0.3)
LARGE = (HEIGHT * SCALE, WIDTH * SCALE)


def find(pictures: Iterable[Picture], cuts: Iterable[int] = (), fps: int = FPS) -> tuple[BarSpan, ...]:
    finder = BarFinder(fps)
    for picture in pictures:
        finder.push(picture)
    return finder.finish(list(cuts))


def assert_found(spans: tuple[BarSpan, ...], bars: Bars, frames: int) -> None:
    """Assert that a film has these bars from start to end."""
    assert [(span.start_frame, span.end_frame) for span in spans] == [(0, frames)]
    found = np.array([spans[0].top, spans[0].bottom, spans[0].left, spans[0].right])
    wanted = np.array([bars.top * HEIGHT, bars.bottom * HEIGHT, bars.left * WIDTH, bars.right * WIDTH])
    assert np.abs(found - wanted).max() <= ALLOWED
    assert (found >= wanted - 0.75).all()  # no row of a bar is left but one that is mostly picture


@given(shares, st.floats(0.4, 1.0), st.integers(BLACK, 30), st.sampled_from([0.0, 4.0]))
@settings(max_examples=8)
def test_a_letterbox_of_any_height_is_found(share: float, light: float, level: int, grain: float) -> None:
    bars, look = Bars(top=share, bottom=share), Look(light=light, level=level, grain=grain)
    assert_found(find(draw_film(16, bars, look)), bars, 16)


@given(st.floats(0.03, 0.38))
@settings(max_examples=8)
def test_a_pillarbox_of_any_width_is_found(share: float) -> None:
    bars = Bars(left=share, right=share)
    assert_found(find(draw_film(16, bars)), bars, 16)


@given(shares, st.floats(0.03, 0.25))
@settings(max_examples=8)
def test_a_windowbox_is_found(across: float, beside: float) -> None:
    bars = Bars(across, across, beside, beside)
    assert_found(find(draw_film(16, bars)), bars, 16)


@given(shares, shares)
@settings(max_examples=8)
def test_a_picture_that_is_not_in_the_middle_is_found(top: float, bottom: float) -> None:
    assert_found(find(draw_film(16, Bars(top, bottom))), Bars(top, bottom), 16)


@pytest.mark.parametrize(
    "look",
    [
        Look(subtitles=1),
        Look(subtitles=2),
        Look(subtitles=2, light=0.4),
        Look(logo=True),
        Look(grain=8),
        Look(level=40),
    ],
    ids=str,
)
def test_what_is_written_or_noisy_in_the_bars_does_not_move_them(look: Look) -> None:
    bars = Bars(top=0.13, bottom=0.13)
    assert_found(find(draw_film(64, bars, look)), bars, 64)


def test_dark_scenes_black_pictures_and_titles_keep_the_bars_of_the_film() -> None:
    bars = Bars(top=0.13, bottom=0.13)
    black = [frame_scene(np.zeros(LARGE), Bars(), Look(), number) for number in range(12)]
    titles = [frame_scene(np.zeros(LARGE), Bars(), Look(subtitles=4), number) for number in range(12)]
    dark = list(draw_film(16, bars, Look(light=0.03), start=500))
    film = [*black, *draw_film(40, bars), *black, *dark, *titles, *draw_film(16, bars, start=100), *black]
    assert_found(find(film), bars, len(film))


def test_bars_that_change_between_reels_are_found_by_stretch() -> None:
    film = [
        *draw_film(48, Bars(top=0.13, bottom=0.13)),
        *draw_film(40, Bars(), start=48),
        *draw_film(32, Bars(top=0.06, bottom=0.06), start=88),
        *draw_film(40, Bars(left=0.12, right=0.12), start=120),
    ]
    first, third, last = find(film)
    assert (first.start_frame, first.end_frame) == (0, 48)
    assert (third.start_frame, third.end_frame) == (88, 120)
    assert (last.start_frame, last.end_frame) == (120, 160)
    assert abs(first.top - 0.13 * HEIGHT) <= ALLOWED
    assert abs(third.top - 0.06 * HEIGHT) <= ALLOWED
    assert abs(last.left - 0.12 * WIDTH) <= ALLOWED


def test_a_change_is_at_the_cut_near_it_and_reaches_over_all_frames_it_may_be_at_otherwise() -> None:
    pictures = [*draw_film(16, Bars()), *draw_film(16, Bars(top=0.13, bottom=0.13), start=24)]
    frames = [picture for picture in pictures for _ in range(4)]
    del frames[61:64]  # the bars begin at frame 61
    assert find(frames, cuts=[20, 61], fps=16)[0].start_frame == 61
    assert find(frames, fps=16)[0].start_frame <= 61


def test_a_single_picture_has_bars_only_where_they_are_alike_at_both_ends() -> None:
    bars = find_bars_of_picture(frame_scene(draw_scene(0), Bars(0.13, 0.13), Look()))
    assert abs(bars.top - 0.13 * HEIGHT) <= ALLOWED
    assert abs(bars.bottom - 0.13 * HEIGHT) <= ALLOWED
    assert not find_bars_of_picture(frame_scene(draw_scene(0), Bars(0.2, 0.0), Look()))
    assert not find_bars_of_picture(frame_scene(draw_scene(0), Bars(), Look()))


# Films without bars


def _shade(number: int, light: npt.NDArray[np.float64]) -> Picture:
    return frame_scene(draw_scene(number) * light, Bars(), Look(), number)


_Y, _X = np.mgrid[: LARGE[0], : LARGE[1]]
_RADIUS = np.hypot((_X - LARGE[1] / 2) / (LARGE[1] / 2), (_Y - LARGE[0] / 2) / (LARGE[0] / 2))


def _night_sky(number: int) -> Picture:
    """A black sky with stars above a lit ground, straight across: one still camera."""
    picture = draw_scene(number % 24).copy()
    picture[: LARGE[0] // 3] = 0
    stars = np.random.default_rng(1).integers(0, [LARGE[0] // 3 - 3, LARGE[1]], (60, 2))
    for y, x in stars:
        picture[y : y + 2, x : x + 2] = 1
    return frame_scene(picture, Bars(), Look(), number)


def _planet(number: int) -> Picture:
    picture = np.where(np.hypot(_X - LARGE[1] / 2 - number, _Y - LARGE[0] / 2) < 85, draw_scene(number), 0)
    return frame_scene(picture, Bars(), Look(), number)


def _screen_in_the_dark(number: int) -> Picture:
    box = Bars(0.2, 0.2, 0.2, 0.2) if 30 <= number < 46 else Bars()
    return frame_scene(draw_scene(number), box, Look(), number)


UNBARRED: dict[str, Callable[[int], Picture]] = {
    "bright": lambda number: _shade(number, np.ones(LARGE)),
    "dark": lambda number: _shade(number, np.full(LARGE, 0.06)),
    "very dark": lambda number: _shade(number, np.full(LARGE, 0.02)),
    "night sky": _night_sky,
    "space": _planet,
    "vignette": lambda number: _shade(number, np.clip(1 - (_RADIUS / 1.1) ** 4, 0, 1)),
    "dark above and below": lambda number: _shade(number, np.clip(np.minimum(_Y, LARGE[0] - _Y) / 60, 0, 1)),
    "spotlight": lambda number: _shade(number, np.exp(-(((_X - LARGE[1] / 2) / 90) ** 4))),
    "black between": lambda number: _shade(number, np.full(LARGE, float(number // 16 % 2))),
    "fading": lambda number: _shade(number, np.full(LARGE, abs(np.sin(number / 20)))),
    "screen in the dark": _screen_in_the_dark,
    "titles": lambda number: frame_scene(np.zeros(LARGE), Bars(), Look(subtitles=5), number),
    "black": lambda number: frame_scene(np.zeros(LARGE), Bars(), Look(), number),
}


@pytest.mark.parametrize("name", UNBARRED)
def test_a_film_without_bars_has_none(name: str) -> None:
    assert find(UNBARRED[name](number) for number in range(72)) == ()


def test_a_film_without_frames_has_no_bars() -> None:
    assert find([]) == ()


@pytest.mark.parametrize("times", [2, 3, 4])
@given(share=shares)
@settings(max_examples=4)
def test_bars_of_enlarged_pictures_are_found_as_those_of_small_ones(times: int, share: float) -> None:
    """A library may be larger than its films: edges are then as soft as they are enlarged."""
    bars = Bars(top=share, bottom=share, left=0.1, right=0.1)
    small = list(draw_film(16, bars))
    enlarged = [
        np.asarray(Image.fromarray(p).resize((WIDTH * times + 1, HEIGHT * times), Image.Resampling.BICUBIC))
        for p in small
    ]
    (span,) = find(enlarged)
    assert (span.start_frame, span.end_frame) == (0, 16)
    found = np.array([span.top, span.bottom, span.left, span.right]) / times
    wanted = np.array([bars.top * HEIGHT, bars.bottom * HEIGHT, bars.left * WIDTH, bars.right * WIDTH])
    assert np.abs(found - wanted).max() <= ALLOWED
    assert (found >= wanted - 0.75).all()
    assert find(small) != ()


def test_bars_of_a_single_large_picture_are_in_its_own_pixels() -> None:
    picture = frame_scene(draw_scene(0), Bars(0.13, 0.13), Look())
    small = find_bars_of_picture(picture)
    large = find_bars_of_picture(picture.repeat(3, axis=0).repeat(3, axis=1))
    assert (large.top, large.bottom) == (3 * small.top, 3 * small.bottom)
