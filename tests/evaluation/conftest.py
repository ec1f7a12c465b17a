"""The encoder of a little run, lists and films that may be damaged, and films encoded by hand."""

import shutil
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import pytest
import torch
from torch import Tensor

from talkies.core import ClipRequest, Embeddings, FilmId, Span
from talkies.evaluation.film_tasks.encode_films import EncodedFilm
from talkies.runs import ClipEncoder, Encoded, load_encoder


@pytest.fixture(scope="session")
def encoder(run: Path) -> ClipEncoder:
    """The encoder of the run; read only."""
    return load_encoder(run)


@pytest.fixture
def data(published: Path, tmp_path: Path) -> Path:
    """A copy of the lists and films that a module calls `published`; it may be damaged."""
    return Path(shutil.copytree(published, tmp_path / "data-of-mine"))


@pytest.fixture(scope="session")
def encoded_film() -> Callable[[str, Tensor, Tensor], EncodedFilm]:
    """A function from a name and both towers' rows to a film with one clip of a second for each row, at 16 a second."""

    def film(name: str, video_NE: Tensor, audio_NE: Tensor) -> EncodedFilm:
        spans = [Span(16 * number, 16 * (number + 1)) for number in range(len(video_NE))]
        requests = tuple(ClipRequest(FilmId(f"{crc32(name.encode()):016x}"), span) for span in spans)
        film_N, start_N = torch.zeros(len(video_NE), dtype=torch.int64), 16 * torch.arange(len(video_NE))
        embeddings = Embeddings(video_NE, audio_NE, film_N, start_N)
        return EncodedFilm(name, requests, Encoded(embeddings, video_NE, audio_NE))

    return film
