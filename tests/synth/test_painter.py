"""`Painter`: palettes, determinism and motion of the pictures of a film."""

import colorsys

import numpy as np
import numpy.typing as npt
import pytest

from talkies.synth import CONCEPTS, FilmScript, SynthConfig, generate_script
from talkies.synth.painter import Painter


def generate_with(seed: int, **values: float) -> FilmScript:
    return generate_script(
        "a", seed, SynthConfig(**{"seconds": 40.0, "width": 96, "height": 64, "places": 8, **values})
    )


def find_one_concept(name: str, **values: float) -> FilmScript:
    """Return the first film all of whose shots show the concept of that name."""
    number = next(n for n, concept in enumerate(CONCEPTS) if concept.name == name)
    scripts = (generate_with(seed, concepts_per_film=1, **values) for seed in range(999))
    return next(script for script in scripts if script.shots[0].concept == number)


def measure_place_hues(script: FilmScript) -> npt.NDArray[np.float64]:
    """Return the hue of the median colour of each place that is shown, as a share of the circle."""
    painter, hues = Painter(script), {}
    for shot in script.shots:
        picture = painter.paint(shot.start_frame, shot)
        hues[shot.place] = colorsys.rgb_to_hsv(*np.median(picture.reshape(-1, 3), axis=0) / 255)[0]
    return np.array(list(hues.values()))


def compute_spread(hues: npt.NDArray[np.float64]) -> float:
    """Return the circular spread of hues: 0 if they are one, 1 if they lie all around."""
    return 1 - float(np.abs(np.exp(2j * np.pi * hues).mean()))


@pytest.mark.parametrize("seed", range(4))
def test_a_marked_film_keeps_one_palette_and_an_unmarked_one_has_many(seed: int) -> None:
    assert compute_spread(measure_place_hues(generate_with(seed, mark_strength=1.0))) < 0.05
    assert compute_spread(measure_place_hues(generate_with(seed, mark_strength=0.0))) > 0.15


def test_a_picture_is_a_function_of_script_and_frame() -> None:
    script = generate_with(1)
    first, second = Painter(script), Painter(script)
    shot = script.shots[3]
    backwards = [second.paint(frame, shot) for frame in range(shot.start_frame + 9, shot.start_frame - 1, -1)][::-1]
    forwards = [first.paint(frame, shot) for frame in range(shot.start_frame, shot.start_frame + 10)]
    assert np.array_equal(forwards, backwards)
    assert (forwards[0].shape, forwards[0].dtype) == ((64, 96, 3), np.uint8)


def test_another_seed_paints_another_film() -> None:
    one, other = (Painter(script).paint(0, script.shots[0]) for script in (generate_with(1), generate_with(2)))
    assert np.abs(one.astype(int) - other).mean() > 5


@pytest.mark.parametrize("name", [concept.name for concept in CONCEPTS])
def test_every_concept_is_seen_to_move(name: str) -> None:
    script = find_one_concept(name, mark_strength=0.0)
    painter, shot = Painter(script), script.shots[0]
    frames = [painter.paint(shot.start_frame + k, shot).astype(int) for k in range(32)]  # more than a slow period
    same_grain = [(k, k + apart) for apart in (8, 16) for k in range(32 - apart)]
    moved = max(np.abs(frames[a] - frames[b]).max(axis=2).mean() for a, b in same_grain)
    assert moved > 0.5


def test_a_bounce_is_lowest_when_it_thumps() -> None:
    script = find_one_concept("slow-bounce-thump", mark_strength=0.0)
    painter, shot = Painter(script), script.shots[0]
    still = np.median([painter.paint(f, shot) for f in range(shot.start_frame, shot.end_frame)], axis=0)
    begin, end = (round(shot.event_seconds[n] * 24) for n in (0, 1))
    heights = []
    for frame in range(begin - 2, end + 3):
        differs = np.abs(painter.paint(frame, shot).astype(int) - still).sum(axis=2) > 60
        heights.append(float(np.nonzero(differs)[0].mean()))
    lowest = sorted(np.argsort(heights)[-4:])  # rows count downwards
    assert all(min(abs(row - 2), abs(row - (end - begin + 2))) <= 2 for row in lowest)
