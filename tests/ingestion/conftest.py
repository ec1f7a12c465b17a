"""Folders of films for ingest to judge."""

import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import settings

from talkies.ingestion import IngestReport, ingest

settings.register_profile("same-every-time", derandomize=True, deadline=None, max_examples=40, database=None)
settings.load_profile("same-every-time")

WriteFilm = Callable[..., Path]


def write_small_film(
    path: Path, seconds: float, sound: tuple[float, float] | None = (0.0, 60.0), seed: int = 0
) -> Path:
    """Write a grey film of 64×48 pixels at 10 fps whose tone sounds from `sound[0]` to `sound[1]` at most."""
    random = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=16_000, layout="mono") if sound else None
        for number in range(round(seconds * 10)):
            picture = np.full((48, 64, 3), 100, np.uint8) + random.integers(0, 9, (48, 64, 3)).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(video.encode(frame))
            if sound and audio and sound[0] <= number / 10 < sound[1]:
                container.mux(audio.encode(_tenth_of_tone(number)))
        container.mux(video.encode(None))
    return path


def _tenth_of_tone(number: int) -> av.AudioFrame:
    samples = (8000 * np.sin(2 * np.pi * 440 * np.arange(1600) / 16_000)).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = 16_000, 1600 * number, Fraction(1, 16_000)
    return frame


@pytest.fixture(scope="session")
def write_film() -> WriteFilm:
    """The function that writes a small grey film."""
    return write_small_film


@pytest.fixture(scope="session")
def mixed_folder(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as people have them: two films (one in a subfolder), files that are none, hidden files, papers."""
    folder = tmp_path_factory.mktemp("mixed")
    (folder / "deeper").mkdir()
    (folder / ".trash").mkdir()
    shutil.copy(films / "film-000.mp4", folder / "a film.mp4")
    shutil.copy(films / "film-001.mp4", folder / "deeper" / "another.MP4")
    shutil.copy(films / "film-002.mp4", folder / ".hidden.mp4")
    shutil.copy(films / "film-002.mp4", folder / ".trash" / "thrown away.mp4")
    shutil.copy(films / "truth.json", folder)
    (folder / "letter.mp4").write_text("Dear reader, this is no film.\n" * 40)
    (folder / "void.mp4").touch()
    write_small_film(folder / "mute.mkv", 2.0, sound=None)
    write_small_film(folder / "blink.mkv", 0.6)
    return folder


@pytest.fixture(scope="session")
def mixed_report(mixed_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> IngestReport:
    """What ingesting the mixed folder came to; read only."""
    return ingest([mixed_folder], tmp_path_factory.mktemp("mixed-library") / "lib")


@pytest.fixture
def contents() -> Callable[[Path], dict[str, bytes]]:
    """The function that returns every file under a folder with its bytes."""
    return lambda folder: {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
