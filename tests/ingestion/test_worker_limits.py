"""A film that takes too much time or memory is rejected, and the other films are ingested."""

import re
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from talkies.ingestion import IngestConfig, ingest
from talkies.library import Verdict

pytestmark = pytest.mark.kills

WriteFilm = Callable[..., Path]


def write_slides(path: Path, size: tuple[int, int], slides: int, seconds_each: Fraction) -> Path:
    """Write a film of pictures that stand for so many seconds each, with sound under the first second."""
    random = np.random.default_rng(1)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "x264-params": "ref=4"})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        audio = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = random.integers(-9000, 9000, (1, 8000)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(sound, format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(audio.encode(frame))
        for number in range(slides):
            grey = np.full((size[1] * 3 // 2, size[0]), 60 + 40 * (number % 4), np.uint8)
            picture = av.VideoFrame.from_ndarray(grey, format="yuv420p")
            picture.pts, picture.time_base = round(1000 * number * seconds_each), Fraction(1, 1000)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
    return path


def limited(**limits: float) -> IngestConfig:
    return IngestConfig.model_validate({"worker": limits})


def test_a_film_that_takes_too_long_is_stopped_and_the_next_is_taken(tmp_path: Path, write_film: WriteFilm) -> None:
    films = [write_slides(tmp_path / "a.mkv", (64, 48), 4000, Fraction(9)), write_film(tmp_path / "b.mkv", 1.5)]
    report = ingest(films, tmp_path / "lib", config=limited(film_seconds=8))
    slow, quick = report.films
    assert (slow.record.verdict, quick.record.verdict) == (Verdict.REJECTED, Verdict.ACCEPTED)
    assert [(reason.code, reason.text) for reason in slow.record.reasons] == [
        ("timed_out", "decoding took more than 8 s and was stopped")
    ]
    assert sorted(path.name for path in report.library.film_folder(slow.record.id).iterdir()) == ["film.json"]
    assert report.failures == ()


def test_a_process_that_judges_a_film_does_not_load_pytorch() -> None:
    """It would take 180 MB and a second for each of the processes."""
    script = "import sys, talkies.ingestion.judge, talkies.ingestion.convert; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_film_that_takes_too_much_memory_is_stopped_and_taken_when_there_is_enough(
    tmp_path: Path, write_film: WriteFilm
) -> None:
    films = [write_slides(tmp_path / "a.mkv", (5120, 2880), 6, Fraction(1, 4)), write_film(tmp_path / "b.mkv", 1.5)]
    report = ingest(films, tmp_path / "lib", config=limited(memory_mb=256))
    huge, small = report.films
    assert (huge.record.verdict, small.record.verdict) == (Verdict.REJECTED, Verdict.ACCEPTED)
    assert huge.record.reasons[0].code == "out_of_memory"
    assert re.fullmatch(r"decoding took \d+ MB of memory; the limit is 256 MB", huge.record.reasons[0].text)
    again = ingest(films, tmp_path / "lib")
    assert [(film.record.usable, film.reused) for film in again.films] == [(True, False), (True, True)]
    assert again.films[0].peak_memory_bytes > 256_000_000 > report.films[1].peak_memory_bytes > 50_000_000
