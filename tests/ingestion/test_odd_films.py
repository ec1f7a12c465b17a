"""Odd films: they get a verdict and do not stop the others."""

import shutil
from pathlib import Path

import numpy as np

from talkies.ingestion import ingest
from talkies.library import Verdict
from talkies.media import FilmWriter, X264Settings


def write_shape(path: Path, size: tuple[int, int]) -> None:
    width, height = size
    with FilmWriter(path, size, 16, 16_000, X264Settings(gop=16)) as writer:
        for frame in range(32):
            writer.write_rgb(np.full((height, width, 3), 4 * frame, np.uint8))
            writer.write_audio(np.full(1000, frame, np.int16))


def test_a_picture_of_an_absurd_shape_is_rejected_and_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    write_shape(tmp_path / "films" / "a-line.mp4", (640, 16))
    write_shape(tmp_path / "films" / "b.mp4", (64, 48))
    records = [film.record for film in ingest([tmp_path / "films"], tmp_path / "lib").films]
    assert [record.verdict for record in records] == [Verdict.REJECTED, Verdict.ACCEPTED]
    assert [reason.code for reason in records[0].reasons] == ["bad_shape"]
    assert "640 × 16 pixels is too wide or too tall for a film" in records[0].reasons[0].text


def test_a_film_shorter_than_its_container_claims_is_taken_with_a_warning(real_data: Path, tmp_path: Path) -> None:
    whole = (real_data / "films" / "tears_of_steel_excerpt.webm").read_bytes()
    (tmp_path / "half.webm").write_bytes(whole[: len(whole) // 2])
    record = ingest([tmp_path / "half.webm"], tmp_path / "lib").films[0].record
    assert record.verdict is Verdict.WARNED
    told = {reason.code: reason.text for reason in record.reasons}
    assert told["truncated"].startswith("the container claims 70.54 s, ")


def test_a_name_that_is_not_utf8_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    write_shape(folder / "plain.mp4", (64, 48))
    shutil.move(folder / "plain.mp4", bytes(folder) + b"/caf\xe9.mp4")
    record = ingest([folder], tmp_path / "lib").films[0].record
    assert record.usable
    assert record.name == r"caf\xe9.mp4"
