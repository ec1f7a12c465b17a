"""Files as the field makes them, ingested: how long they are, and every reason that is given."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from media_writers import CodedFilms, Reel

from talkies.ingestion import ingest
from talkies.library import FilmRecord

RATE_HZ = 16_000


def make_tone(seconds: float) -> npt.NDArray[np.int16]:
    return (3000 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.int16)[None]


def make_pictures(coded: Any, count: int, size: tuple[int, int] = (96, 80)) -> list[npt.NDArray[np.uint8]]:
    return [coded.picture(number, *size) for number in range(count)]


def write_slides(reel: Any, coded: Any, path: Path, step: int) -> None:
    """Write six pictures that stand for `step` seconds each, with B-frames."""
    ticks = [number * step * 25 for number in range(6)]
    film = reel(path).pictures(make_pictures(coded, 6), ticks, options={"bf": "2", "preset": "veryfast"})
    for packet in (max(film._packets, key=lambda one: one.pts), film._packets[-1]):
        packet.duration = round(step / packet.time_base)
    film.sound(make_tone(6 * step), codec="aac" if path.suffix == ".mp4" else "pcm_s16le").write()


def write_late_title(reel: Any, coded: Any, path: Path) -> None:
    """Write a title that stands for 25 s, and then two seconds of film with sound."""
    film = reel(path).pictures(make_pictures(coded, 51), [0, *range(625, 675)], options={"bf": "0"})
    film.sound(make_tone(2), 25.0).write()


def write_last_picture(reel: Any, coded: Any, path: Path) -> None:
    """Write two seconds of film whose last picture stands until the sound ends, at 12 s."""
    film = reel(path).pictures(make_pictures(coded, 50), options={"bf": "0"})
    film._packets[-1].duration = round(10.04 / film._packets[-1].time_base)
    film.sound(make_tone(12), codec="aac").write()


def write_with_more_sound(reel: Any, coded: Any, path: Path, begin: float = 0.0) -> None:
    """Write two seconds of pictures that start at `begin`, and six seconds of sound."""
    ticks = [round(begin * 25) + number for number in range(50)]
    film = reel(path).pictures(make_pictures(coded, 50), ticks, options={"bf": "0"})
    film.sound(make_tone(6), codec="aac" if path.suffix == ".mp4" else "pcm_s16le").write()


def write_cut_recording(reel: Any, coded: Any, path: Path) -> None:
    """Write a broadcast whose first key frame but one is 4 s in, without its first quarter."""
    options = {"g": "100", "bf": "2", "sc_threshold": "0", "preset": "veryfast"}
    film = reel(path, "mpegts").pictures(make_pictures(coded, 250), options=options)
    content = film.sound(make_tone(10), codec="mp2").write().read_bytes()
    packets = [content[at : at + 188] for at in range(0, len(content), 188)]
    with av.open(str(path)) as container:
        first = next(
            packet.pos for packet in container.demux(video=0)
            if packet.pts is not None and packet.pts * packet.time_base >= Fraction(12, 5) and packet.pos
        )  # fmt: skip
    path.write_bytes(b"".join(packets[:3]) + content[first // 188 * 188 :])


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FilmRecord]:
    folder, reel, coded = tmp_path_factory.mktemp("films"), Reel, CodedFilms()
    write_slides(reel, coded, folder / "slides_6.mp4", 6)
    write_slides(reel, coded, folder / "slides_25.mkv", 25)
    write_late_title(reel, coded, folder / "title.mkv")
    write_last_picture(reel, coded, folder / "last_picture.mp4")
    write_with_more_sound(reel, coded, folder / "more_sound.mp4")
    write_with_more_sound(reel, coded, folder / "more_sound.mkv")
    write_with_more_sound(reel, coded, folder / "sound_first.mkv", 3.0)
    write_cut_recording(reel, coded, folder / "cut.ts")
    still = [coded.picture(7, 96, 80)] * 100
    reel(folder / "still.mp4").pictures(still).sound(make_tone(4), codec="aac").write()
    report = ingest([folder], tmp_path_factory.mktemp("library") / "library")
    return {film.source.name: film.record for film in report.films}


@pytest.mark.parametrize(
    ("name", "seconds", "codes"),
    [
        ("slides_6.mp4", 36.0, []),
        ("slides_25.mkv", 150.0, []),
        ("title.mkv", 27.0, ["late_audio", "picture_gaps"]),
        ("last_picture.mp4", 12.0, []),
        ("more_sound.mp4", 2.0, ["sound_left_out"]),
        ("more_sound.mkv", 2.0, ["sound_left_out"]),
        ("sound_first.mkv", 2.0, ["sound_left_out"]),
        ("cut.ts", 6.0, ["undecodable_start"]),
        ("still.mp4", 4.0, ["still_video"]),
    ],
)
def test_a_file_of_the_field_is_as_long_as_it_is_shown_and_what_is_left_out_is_told(
    records: dict[str, FilmRecord], name: str, seconds: float, codes: list[str]
) -> None:
    record = records[name]
    assert [reason.code for reason in record.reasons] == codes
    assert record.duration_seconds == pytest.approx(seconds, abs=0.13)


def test_what_is_left_out_is_told_in_seconds(records: dict[str, FilmRecord]) -> None:
    told = {name: record.reasons[0].text for name, record in records.items() if record.reasons}
    assert told["more_sound.mkv"] == "the sound goes on for 4.00 s after the last picture; that part of it is left out"
    assert told["sound_first.mkv"].startswith("the sound starts 3.0")
    assert told["cut.ts"].startswith("its first 1.")


def test_slides_are_still_spans_that_change(records: dict[str, FilmRecord]) -> None:
    measures = records["slides_6.mp4"].measures
    assert measures is not None
    assert measures.still_frames == 36 * 16
    assert measures.changes == 5
