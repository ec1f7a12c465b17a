"""A library of many small films, for the tests of clips."""

from pathlib import Path

import numpy as np
import pytest

from talkies.ingestion import ingest
from talkies.library import Library, Profile
from talkies.media import FilmWriter, X264Settings

MANY = 11


def write_little_film(path: Path, number: int, seconds: int = 4) -> None:
    """Write a film of one drifting colour and one tone, both the film's own."""
    tone = (9000 * np.sin(2 * np.pi * (200 + 50 * number) * np.arange(seconds * 16_000) / 16_000)).astype(np.int16)
    with FilmWriter(path, (48, 32), 16, 16_000, X264Settings(gop=16)) as writer:
        for frame in range(seconds * 16):
            writer.write_rgb(np.full((32, 48, 3), (20 * number, 3 * frame, 128), np.uint8))
            writer.write_audio(tone[frame * 1000 : (frame + 1) * 1000])


@pytest.fixture(scope="session")
def many_films(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """A library of eleven films of four seconds: more than a source keeps open; read only."""
    root = tmp_path_factory.mktemp("many")
    (root / "films").mkdir()
    for number in range(MANY):
        write_little_film(root / "films" / f"film-{number:02d}.mp4", number)
    return ingest([root / "films"], root / "lib", profile=Profile(short_side=32)).library
