"""The end of a source film, read at random: its last picture stands as long as in the library."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from talkies.core import Grid, Span
from talkies.media import FilmResampler, OriginalReader, ResampledFrame, probe

GRID = Grid(16, 16_000)


@pytest.mark.parametrize("suffix", ["mkv", "webm"])
def test_the_last_picture_of_a_source_stands_until_the_sound_ends(
    tmp_path: Path, reel: Any, coded: Any, suffix: str
) -> None:
    """Of a single picture these containers do not say how long it stands."""
    pictures = [coded.picture(number, 80, 64) for number in range(6)]
    codec, sound = ("libvpx", ("libopus", 48_000)) if suffix == "webm" else ("libx264", ("pcm_s16le", 16_000))
    film = reel(tmp_path / f"slides.{suffix}").pictures(pictures, range(0, 24, 4), 1, codec=codec)
    sound_1S = (3000 * np.sin(np.arange(24 * sound[1]) / 20)).astype(np.int16)[None]
    path = film.sound(sound_1S, codec=sound[0], rate_hz=sound[1]).write()

    info = probe(path)
    frames = [part for part in FilmResampler(path, info, GRID, 64) if isinstance(part, ResampledFrame)]
    assert len(frames) == pytest.approx(24 * 16, abs=1)
    last = len(frames) - 2
    assert info.video is not None
    with OriginalReader(path, info, info.video.times.start_seconds or 0.0, GRID, 64) as original:
        pictures_TPW, samples_S = original.read(range(last - 8, last, 4), Span(last - 8, last))
    assert [coded.number_in(picture_PW[:64]) for picture_PW in pictures_TPW] == [5, 5]
    assert len(samples_S) == 8 * 1000
