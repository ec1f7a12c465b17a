"""AVI stores only the order of decoding: pictures are still shown in order, each at its time."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from talkies.core import Grid
from talkies.media import FilmResampler, ResampledFrame, probe

PICTURES, GRID = 75, Grid(25, 16_000)


def write_avi(path: Path, codec: str, bframes: int) -> None:
    """Write three seconds of 25 fps whose pictures grow brighter, with a tone from beginning to end."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        if codec == "libx264":
            video.options = {"crf": "5", "x264-params": f"bframes={bframes}:b-adapt=0:scenecut=0:keyint=25"}
        audio = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for number in range(PICTURES):
            planes = np.full((72, 64), 20 + 2 * number, np.uint8)
            planes[48:] = 128
            picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(video.encode(picture))
            sound = av.AudioFrame.from_ndarray(np.full((1, 640), 1000, np.int16), format="s16", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = 16_000, 640 * number, Fraction(1, 16_000)
            container.mux(audio.encode(sound))
        container.mux(video.encode(None))


def read_numbers(resampler: FilmResampler) -> list[int]:
    """What picture is shown at each tick of the grid."""
    pictures = (part for part in resampler if isinstance(part, ResampledFrame))
    return [round((float(picture.to_yuv()[:48].mean()) - 20) / 2) for picture in pictures]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("codec", "bframes"), [("libx264", 0), ("libx264", 1), ("libx264", 3), ("ffv1", 0)])
def test_pictures_are_shown_in_order_each_at_its_time_and_with_its_sound(
    tmp_path: Path, codec: str, bframes: int, threads: int
) -> None:
    write_avi(tmp_path / "film.avi", codec, bframes)
    info = probe(tmp_path / "film.avi")
    resampler = FilmResampler(tmp_path / "film.avi", info, GRID, 48, threads)
    assert read_numbers(resampler) == list(range(PICTURES))
    assert resampler.report.audio_start_seconds == 0.0
    assert resampler.report.audio_end_seconds == pytest.approx(3.0, abs=0.05)


def test_a_picture_that_is_lost_takes_no_other_from_its_place(tmp_path: Path) -> None:
    path = tmp_path / "film.avi"
    write_avi(path, "libx264", 3)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    victim = packets[30]
    content[victim.pos + 8 : victim.pos + 8 + victim.size] = bytes(victim.size)
    path.write_bytes(content)
    resampler = FilmResampler(path, probe(path), GRID, 48)
    shown = read_numbers(resampler)
    assert resampler.report.damaged_video_packets >= 1
    assert shown[:25] == list(range(25))
    assert shown[50:] == list(range(50, PICTURES))
