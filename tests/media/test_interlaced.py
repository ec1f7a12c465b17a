"""Interlaced films: whole pictures without combing, each at its own time."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.filter import Graph
from av.video.reformatter import ColorRange

from talkies.core import Grid
from talkies.media import FilmResampler, ResampledFrame, probe
from talkies.media.frames import Deinterlacer

WIDTH, HEIGHT, BAR, STEP = 160, 96, 24, 4  # the bar moves by a step from field to field
FIRST_LINES = {"tff": 0, "bff": 1}
QUALITY = {"mpeg2video": {"qscale": "2", "bf": "2"}, "libx264": {"crf": "4"}}


def draw_bar(column: int) -> npt.NDArray[np.uint8]:
    picture = np.full((HEIGHT, WIDTH), 40, np.uint8)
    picture[:, column : column + BAR] = 220
    return picture


def weave_fields(count: int, order: str) -> list[av.VideoFrame]:
    """Return frames of two fields each, between which the bar has moved on."""
    frames = []
    for number in range(count):
        luma, first = draw_bar(20 + STEP * (2 * number + 1)), FIRST_LINES[order]
        luma[first::2] = draw_bar(20 + STEP * 2 * number)[first::2]
        frames.append(av.VideoFrame.from_ndarray(luma, format="gray").reformat(format="yuv420p"))
    return mark_interlaced(frames, order)


def mark_interlaced(frames: list[av.VideoFrame], order: str) -> list[av.VideoFrame]:
    """Return the frames marked as interlaced in one order of fields, or as progressive."""
    graph, out = Graph(), []
    source = graph.add_buffer(width=WIDTH, height=HEIGHT, format="yuv420p", time_base=Fraction(1, 25))
    graph.link_nodes(source, graph.add("setfield", f"mode={order}"), graph.add("buffersink"))
    graph.configure()
    for number, frame in enumerate(frames):
        frame.pts, frame.time_base = number, Fraction(1, 25)
        graph.push(frame)
        out.append(graph.pull())
    return out  # type: ignore[return-value]


def measure_combing(luma_HW: npt.NDArray[np.uint8]) -> float:
    """Return how much the lines between differ from those above and below."""
    luma = luma_HW.astype(float)
    return float(np.abs(luma[:-2:2] + luma[2::2] - 2 * luma[1:-1:2]).mean())


def locate_bar(luma_HW: npt.NDArray[np.uint8]) -> int:
    bright = np.flatnonzero(luma_HW.astype(float).mean(axis=0) > 130)
    assert len(bright) == pytest.approx(BAR, abs=1)
    return int(bright[0])


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize("codec", ["mpeg2video", "libx264"])
def test_an_interlaced_film_comes_out_whole_and_in_time(tmp_path: Path, reel: Any, codec: str, order: str) -> None:
    options = {"flags": "+ildct+ilme", **QUALITY[codec]}
    if codec == "libx264":
        options["x264-params"] = f"{order}=1"
    film = reel(tmp_path / "film.ts").pictures(weave_fields(14, order), codec=codec, options=options)
    path = film.sound(np.zeros((1, 48_000), np.int16), codec="mp2", rate_hz=48_000).write()
    with av.open(str(path)) as container:
        raw: list[Any] = list(container.decode(video=0))
    assert min(measure_combing(frame.to_ndarray()[:HEIGHT]) for frame in raw) > 10  # or there is nothing to see here

    info = probe(path)
    assert info.video is not None
    assert info.video.interlaced
    pictures = [
        part for part in FilmResampler(path, info, Grid(25, 16_000), HEIGHT) if isinstance(part, ResampledFrame)
    ]
    assert len(pictures) == 14
    for number, picture in enumerate(pictures):
        luma = picture.to_yuv()[:HEIGHT]
        assert measure_combing(luma) < 1.5
        assert locate_bar(luma) == pytest.approx(20 + STEP * 2 * number, abs=2)  # the first field's moment


def test_each_picture_keeps_its_time_its_colours_and_its_turn(tmp_path: Path, reel: Any) -> None:
    options = {"flags": "+ildct+ilme", "qscale": "2"}
    colours = {"colorspace": 1, "color_range": ColorRange.MPEG, "color_trc": 1}
    film = reel(tmp_path / "film.mov").pictures(
        weave_fields(6, "tff"), range(10, 16), codec="mpeg2video", options=options, rotation=90, **colours
    )
    deinterlacer, out, fed = Deinterlacer(), [], []
    with av.open(str(film.write())) as container:
        for frame in container.decode(video=0):
            assert frame.interlaced_frame
            fed.append(frame.pts * frame.time_base)  # type: ignore[operator]
            out += deinterlacer.push(frame)
    out += deinterlacer.flush()
    assert [frame.pts * frame.time_base for frame in out] == fed  # type: ignore[operator]
    assert fed == [Fraction(number, 25) for number in range(10, 16)]
    assert {(f.interlaced_frame, int(f.colorspace), int(f.color_range), f.rotation) for f in out} == {(False, 1, 1, 90)}


def test_progressive_pictures_pass_as_they_are() -> None:
    deinterlacer = Deinterlacer()
    for frame in mark_interlaced(weave_fields(5, "tff"), "prog"):
        assert list(deinterlacer.push(frame)) == [frame]
    assert list(deinterlacer.flush()) == []


def test_progressive_pictures_between_interlaced_ones_stay_sharp() -> None:
    lines = np.full((HEIGHT, WIDTH), 40, np.uint8)
    lines[::2] = 220  # what deinterlacing would blur
    sharp = av.VideoFrame.from_ndarray(lines, format="gray").reformat(format="yuv420p")
    frames = [*weave_fields(3, "tff"), *mark_interlaced([sharp], "prog"), *weave_fields(3, "bff")]
    deinterlacer, out = Deinterlacer(), []
    for number, frame in enumerate(frames):
        frame.pts = number
        out += deinterlacer.push(frame)
    out += deinterlacer.flush()
    assert [frame.pts * frame.time_base * 25 for frame in out] == list(range(7))
    assert measure_combing(out[3].to_ndarray()[:HEIGHT]) > 100
    assert max(measure_combing(frame.to_ndarray()[:HEIGHT]) for frame in (*out[1:3], *out[4:])) < 2


def test_a_change_of_size_on_the_way_loses_no_picture() -> None:
    smaller = [frame.reformat(80, 48) for frame in weave_fields(3, "tff")]
    deinterlacer, sizes = Deinterlacer(), []
    for number, frame in enumerate([*weave_fields(3, "tff"), *smaller]):
        frame.pts, frame.time_base = number, Fraction(1, 25)
        sizes += [one.width for one in deinterlacer.push(frame)]
    sizes += [one.width for one in deinterlacer.flush()]
    assert sizes == [160, 160, 160, 80, 80, 80]


def test_one_interlaced_picture_alone_comes_out() -> None:
    deinterlacer = Deinterlacer()
    ready = list(deinterlacer.push(weave_fields(1, "tff")[0]))
    assert len([*ready, *deinterlacer.flush()]) == 1
