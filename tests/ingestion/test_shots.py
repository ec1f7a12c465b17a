"""Shots: half-open spans that cover the film, cut where the film is cut.

The criterion on rendered films: a cut is *plain* if the last picture before it and the first after it differ by more
than 40 of 255 on average. Cuts between places that look alike need not be found; but nothing else may be called a cut.
"""

import json
from fractions import Fraction
from math import ceil
from pathlib import Path

import av
import numpy as np
import pytest
from composed_files import write_materials

from talkies.core import Grid, Span
from talkies.ingestion import ingest
from talkies.ingestion.shots import ShotFinder
from talkies.library import Library, Profile
from talkies.media import FilmResampler, ResampledFrame, probe
from talkies.synth import ComposedConfig, SynthConfig, render_composed_films, render_films

PLAIN_CHANGE = 40.0


def shots_of(colours: list[tuple[int, int, int]], fps: int = 16) -> list[Span]:
    finder = ShotFinder(fps)
    for colour in colours:
        finder.push(np.full((36, 64, 3), colour, np.uint8))
    return finder.finish()


def test_a_cut_begins_a_shot_at_its_very_frame() -> None:
    colours = [(20, 30, 200)] * 21 + [(200, 60, 20)] * 30 + [(60, 220, 60)] * 13
    assert shots_of(colours) == [Span(0, 21), Span(21, 51), Span(51, 64)]


def test_a_film_without_a_cut_is_one_shot() -> None:
    assert shots_of([(20, 30, 200)] * 40) == [Span(0, 40)]
    assert shots_of([(20, 30, 200)]) == [Span(0, 1)]


def test_a_slow_change_is_no_cut() -> None:
    assert shots_of([(3 * i, 255 - 3 * i, 100) for i in range(80)]) == [Span(0, 80)]


@pytest.mark.parametrize("fps", [10, 20, 30])
def test_a_short_shot_is_kept_and_no_shot_is_shorter_than_an_eighth_of_a_second(fps: int) -> None:
    lengths_seconds, palette = (2.5, 0.4, 2.5, 0.5, 0.5, 2.5), ((20, 30, 200), (200, 60, 20), (60, 220, 60))
    colours = [palette[i % 3] for i, seconds in enumerate(lengths_seconds) for _ in range(round(seconds * fps))]
    shots = shots_of(colours, fps)
    assert [len(shot) for shot in shots] == [round(seconds * fps) for seconds in lengths_seconds]
    flicker = shots_of([palette[i % 3] for i in range(4 * fps)], fps)
    assert min(len(shot) for shot in flicker) >= fps // 8


@pytest.mark.parametrize("name", ["film-000.mp4", "film-001.mp4", "film-002.mp4"])
def test_shots_cover_the_film_without_holes(library: Library, name: str) -> None:
    film = library.find(name)
    shots = library.shots_of(film.id)
    assert [shots[0].start_frame, *(shot.end_frame for shot in shots)] == [
        *(shot.start_frame for shot in shots),
        film.frames,
    ]
    assert shots[0].start_frame == 0


@pytest.fixture(scope="module", params=["rendered", "composed", "composed over its background"])
def cut_film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Library]:
    """The folder of a film of many places and short shots, and a library of it."""
    root = tmp_path_factory.mktemp("cuts")
    values = {"width": 64, "height": 48, "places": 16, "mark_strength": 0.0, "seconds": 32.0}
    lengths = {"shot_seconds_min": 1.0, "shot_seconds_max": 2.5}
    if request.param == "rendered":
        render_films(root / "films", 1, SynthConfig(**values, **lengths))
    else:
        values |= {"mark_strength": float("over" in request.param), "seconds": 48.0}
        render_composed_films(root / "films", 1, ComposedConfig(**values, **lengths), write_materials(root), seed=2)
    return root / "films", ingest([root / "films"], root / "lib", profile=Profile(short_side=48)).library


def change_at(pictures: list[av.VideoFrame], frame: int) -> float:
    before, after = (pictures[number].to_ndarray(format="rgb24").astype(float) for number in (frame - 1, frame))
    return float(np.abs(after - before).mean())


def true_cuts(folder: Path, name: str) -> tuple[list[int], list[int]]:
    """Return all cuts of a film in frames of the library's grid, and the plain ones among them."""
    truth = json.loads((folder / "truth.json").read_text())
    shots = next(film for film in truth["films"] if film["file"] == name)["script"]["shots"]
    with av.open(str(folder / name)) as container:
        pictures = list(container.decode(container.streams.video[0]))
    starts = [shot["start_frame"] for shot in shots[1:]]
    on_grid = {start: ceil(Fraction(start * 16, 24)) for start in starts}
    return list(on_grid.values()), [on_grid[s] for s in starts if change_at(pictures, s) > PLAIN_CHANGE]


def test_plain_cuts_are_found_and_nothing_else_is_called_a_cut(cut_film: tuple[Path, Library]) -> None:
    folder, library = cut_film
    (film,) = library.films()
    cuts, plain = true_cuts(folder, film.name)
    starts = [shot.start_frame for shot in library.shots_of(film.id)][1:]
    assert len(plain) >= 10
    assert sum(any(abs(cut - start) <= 1 for start in starts) for cut in plain) >= 0.8 * len(plain)
    assert all(any(abs(cut - start) <= 1 for cut in cuts) for start in starts)


@pytest.mark.real_data
def test_text_in_a_bar_hides_no_cut(real_data: Path) -> None:
    path = real_data / "films" / "big_buck_bunny.mp4"
    info = probe(path)
    plain, subtitled = ShotFinder(16), ShotFinder(16)
    text_HWC = np.random.default_rng(3).integers(0, 4, (6, 30, 1), np.uint8).repeat(2, 0).repeat(4, 1) // 2 * 255
    for part in FilmResampler(path, info, Grid(16, 16_000), 128, video_only=True):
        assert isinstance(part, ResampledFrame)
        if part.index < 60 * 16:
            continue
        if part.index == 82 * 16:
            break
        picture_HWC = np.pad(part.to_bgr(), ((24, 24), (0, 0), (0, 0)))
        plain.push(picture_HWC)
        picture_HWC[-18:-6, 50:170] = text_HWC
        subtitled.push(picture_HWC)
    shots = plain.finish()
    assert len(shots) >= 5
    assert subtitled.finish() == shots
