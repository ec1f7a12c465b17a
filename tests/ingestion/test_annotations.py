"""Black, silent and still spans are found where they were put, and only if they last long enough."""

from fractions import Fraction
from itertools import groupby
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkies.core import Span
from talkies.ingestion import IngestReport, build_config, ingest
from talkies.ingestion.annotations import AnnotationFinder, RunFinder
from talkies.ingestion.config import AnnotationConfig
from talkies.library import SHOT, Annotations, Profile

FPS, SIZE = 16, (64, 48)
PICTURES = [
    ("moving", 20), ("black", 8), ("moving", 10), ("black", 7), ("moving", 10), ("still", 32), ("moving", 10),
    ("still", 31), ("moving", 10), ("black", 40), ("moving", 6),
]  # fmt: skip
FRAMES = sum(frames for _, frames in PICTURES)
SILENT = [Span(0, 16), Span(100, 115), Span(130, 150), Span(FRAMES - 24, FRAMES)]
"""Frames without sound: sixteen, fifteen, twenty, and the last twenty-four."""


def picture_of(kind: str, random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A luma plane; `still` is always the same one."""
    if kind == "black":
        return np.full(SIZE[::-1], 16, np.uint8)
    generator = np.random.default_rng(99) if kind == "still" else random
    return generator.integers(60, 200, SIZE[::-1]).astype(np.uint8)


def write_marked_film(path: Path) -> None:
    """Write a lossless film of 16 fps of the parts in `PICTURES`, with a tone that is away in `SILENT`."""
    random, number = np.random.default_rng(5), 0
    tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(1000) / 16_000)).astype(np.int16)
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=FPS)
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for kind in (kind for kind, frames in PICTURES for _ in range(frames)):
            planes = np.concatenate(
                [picture_of(kind, random).reshape(-1), np.full(SIZE[0] * SIZE[1] // 2, 128, np.uint8)]
            )
            picture = av.VideoFrame.from_ndarray(planes.reshape(-1, SIZE[0]), format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(picture))
            quiet = any(span.start_frame <= number < span.end_frame for span in SILENT)
            sound = av.AudioFrame.from_ndarray((tone * (not quiet))[None], format="s16", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = 16_000, 1000 * number, Fraction(1, 16_000)
            container.mux(audio.encode(sound))
            number += 1
        container.mux(video.encode(None))


def spans_of(kind: str) -> list[Span]:
    """Where pictures of a kind are."""
    starts = np.cumsum([0, *(frames for _, frames in PICTURES)])
    return [Span(int(s), int(s) + n) for s, (k, n) in zip(starts, PICTURES, strict=False) if k == kind]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The film of marked parts."""
    path = tmp_path_factory.mktemp("marks") / "film.nut"  # whose times are exact
    write_marked_film(path)
    return path


@pytest.fixture(scope="module")
def report(film: Path, tmp_path_factory: pytest.TempPathFactory) -> IngestReport:
    """What its ingest came to."""
    return ingest([film], tmp_path_factory.mktemp("marked") / "lib", profile=Profile(short_side=48))


def marks(report: IngestReport) -> Annotations:
    return report.library.annotations_of(report.films[0].record.id)


def test_what_is_black_for_half_a_second_is_marked_and_what_is_for_a_frame_less_is_not(report: IngestReport) -> None:
    first, short, last = spans_of("black")
    assert (len(first), len(short)) == (8, 7)
    assert marks(report)["black"] == [first, last]


def test_what_stands_still_for_two_seconds_is_marked_black_or_not(report: IngestReport) -> None:
    first, short = spans_of("still")
    assert (len(first), len(short)) == (32, 31)
    assert marks(report)["still"] == [first, spans_of("black")[2]]


def test_what_is_silent_for_a_second_is_marked_from_the_first_frame_to_the_last(report: IngestReport) -> None:
    assert marks(report)["silent"] == [SILENT[0], SILENT[2], SILENT[3]]


def test_the_record_counts_the_marked_frames_and_an_undamaged_film_has_no_other_marks(report: IngestReport) -> None:
    measures, found = report.films[0].record.measures, marks(report)
    assert measures is not None
    for kind in ("black", "still", "silent"):
        assert getattr(measures, f"{kind}_frames") == sum(len(span) for span in found[kind]) > 0
    assert (measures.damaged_frames, found.keys()) == (0, {SHOT, "black", "still", "silent"})
    assert measures.peak_dbfs == pytest.approx(20 * np.log10(8000 / 32768), abs=0.1)
    assert report.films[0].reasons == ()  # only what lasts from beginning to end is a reason


def test_the_lengths_are_those_of_the_config(film: Path, tmp_path: Path) -> None:
    config = build_config(["mark.black_seconds=0.4375", "mark.still_seconds=1.9375", "mark.silent_seconds=0.9375"])
    found = marks(ingest([film], tmp_path / "lib", profile=Profile(short_side=48), config=config))
    assert found["black"] == spans_of("black")
    assert found["still"] == [*spans_of("still"), spans_of("black")[2]]
    assert found["silent"] == SILENT


@given(st.lists(st.booleans()), st.integers(0, 6))
def test_runs_are_the_longest_stretches_that_last_long_enough(holds: list[bool], least: int) -> None:
    runs = RunFinder(least)
    for value in holds:
        runs.push(value)
    expected, position = [], 0
    for value, group in groupby(holds):
        length = len(list(group))
        if value and length >= least:
            expected.append(Span(position, position + length))
        position += length
    assert runs.finish() == expected
    assert runs.frames == sum(len(span) for span in expected)


def finder(samples_per_frame: int = 10) -> AnnotationFinder:
    return AnnotationFinder(
        AnnotationConfig(black_seconds=0, still_seconds=0.125, silent_seconds=0), -60.0, FPS, samples_per_frame
    )


@given(st.lists(st.sampled_from([0, 32, -32, 33, -33, -32768]), max_size=60), st.lists(st.integers(0, 25), max_size=9))
def test_it_does_not_matter_in_what_pieces_the_sound_comes(samples: list[int], cuts: list[int]) -> None:
    sound = np.array(samples[: len(samples) // 10 * 10], np.int16)
    whole, pieces = finder(), finder()
    whole.push_audio(sound)
    for piece in np.split(sound, np.minimum(np.cumsum(cuts), len(sound)).astype(int)):
        pieces.push_audio(piece)
    assert (pieces.finish(), pieces.peak_dbfs) == (whole.finish(), whole.peak_dbfs)
    loud = np.abs(sound.astype(int)).reshape(-1, 10).max(axis=1, initial=0) > 32  # −60 dB of 32768 is 32.77
    assert whole.silent.frames == len(loud) - loud.sum()
    assert (whole.peak_dbfs is None) == (not sound.any())


def test_full_scale_is_zero_decibels() -> None:
    found = finder()
    found.push_audio(np.full(10, -32768, np.int16))
    assert found.peak_dbfs == 0.0


def luma(level: float, bright: int = 0) -> npt.NDArray[np.uint8]:
    """A picture of a hundred pixels at a level on the average, of which some are bright."""
    plane = np.full(100, int(level), np.uint8)
    plane[: round(100 * (level % 1))] += 1
    plane[:bright] = 200
    return plane.reshape(10, 10)


@pytest.mark.parametrize(("level", "bright", "black"), [(32, 0, True), (33, 0, False), (16, 2, True), (16, 3, False)])
def test_black_is_nearly_all_of_the_picture_nearly_black(level: int, bright: int, black: bool) -> None:
    found = finder()
    found.push_frame(luma(level, bright), repeated=False)
    assert (found.finish()["black"] == [Span(0, 1)]) is black


@pytest.mark.parametrize(("second", "still"), [(100.0, True), (100.59, True), (100.6, False), (99.4, False)])
def test_a_picture_stands_still_if_it_differs_by_no_more_than_a_codecs_noise(second: float, still: bool) -> None:
    found = finder()
    for level in (100.0, second):
        found.push_frame(luma(level), repeated=False)
    assert (found.finish()["still"] == [Span(0, 2)]) is still


def test_a_slow_fade_is_no_still_picture_however_little_one_differs_from_the_next() -> None:
    found = AnnotationFinder(AnnotationConfig(still_seconds=1.0), -60.0, FPS, 10)
    for number in range(200):
        found.push_frame(luma(50 + 0.1 * number), repeated=False)
    assert found.finish()["still"] == []


def test_a_picture_that_is_shown_again_is_not_looked_at_again() -> None:
    found = finder()
    found.push_frame(luma(16), repeated=False)
    for _ in range(3):
        found.push_frame(luma(255), repeated=True)
    marked = found.finish()
    assert marked["still"] == marked["black"] == [Span(0, 4)]
