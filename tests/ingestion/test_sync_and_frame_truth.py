"""Whatever a film is written as, its library shows the right picture and plays the right sound at every moment.

Films of a minute, or of five where the rates of NTSC could drift, go the whole way through ingest; by `make soak` of
three minutes and of ten. Every picture tells its own number, so each frame of a proxy must show the picture that was on
screen at its time; and at ten moments, spread over the film, it flashes and beeps. The moments are beginnings of
pictures that the library's grid can tell, so whatever comes between flash and beep is the road's own fault. Shorter or
longer, a film may drift as little: by a millisecond in three minutes, or in ten.
"""

import os
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from numbered_films import TICK, NumberedFilm, Recipe, beep_at, read_pictures, render

from talkies.core import Span
from talkies.ingestion import ingest
from talkies.library import FilmRecord, Profile
from talkies.media import AudioReader, VideoReader

pytestmark = pytest.mark.slow

RATE_HZ, SHORT_SIDE = 16_000, 64
APART_SECONDS, DRIFT_SECONDS = 0.005, 0.001
SEARCHED_SECONDS = Fraction(2, 5)  # a beep is looked for so far from its moment

F = Fraction
FILMS = {
    "mp4-24-cut-by-edit-lists": Recipe(
        ".mp4", (F(1, 24),), F(1, 24_000), "aac", pictures_from=F(-10, 24), sound_from=F(-1, 2)
    ),
    "mp4-23.976-aac-priming": Recipe(".mp4", (F(1001, 24_000),), F(1, 24_000), "aac", seconds=600),
    "mp4-varying-sound-late-by-edit-list": Recipe(
        ".mp4", tuple(F(n, 120) for n in (4, 8, 5, 4, 4, 8, 5, 5)), F(1, 120), "aac", sound_from=F(1, 2)
    ),
    "mkv-25-sound-late": Recipe(".mkv", (F(1, 25),), F(1, 1000), "libopus", sound_from=F(1, 4)),
    "mkv-30-sound-early": Recipe(".mkv", (F(1, 30),), F(1, 1000), "flac", pictures_from=F(1, 4)),
    "ts-29.97-from-744-s": Recipe(
        ".ts", (F(1001, 30_000),), F(1, 90_000), "ac3", pictures_from=F(744), sound_from=F(744), seconds=600
    ),
}
"""Stamps that the container rounds are the truth: nobody can know better from the file."""
SECONDS = {180: 180, 600: 600} if os.environ.get("TALKIES_SOAK") == "1" else {180: 60, 600: 300}
"""How much of a film of so many seconds is rendered."""


@dataclass(frozen=True)
class Taken:
    """A rendered film and what became of it: the numbers in its proxy's pictures, which flash, and both its sounds."""

    film: NumberedFilm
    record: FilmRecord
    numbers_T: npt.NDArray[np.int64]
    flashes_T: npt.NDArray[np.bool_]
    sound_S: npt.NDArray[np.int16]
    proxy: Path

    def flash_seconds(self, moment: Fraction) -> float:
        """Return when the first bright picture around a moment begins."""
        near = round(moment / TICK) - 6
        lit_T = self.flashes_T[max(0, near) : near + 12]
        assert lit_T.any(), f"nothing flashes at {float(moment):.3f} s"
        return float((max(0, near) + int(lit_T.argmax())) * TICK)

    def apart_seconds(self, sound_S: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
        """Return how much later than its beep each flash is."""
        moments = self.film.moments
        return np.array([self.flash_seconds(moment) - beep_seconds(sound_S, moment) for moment in moments])


def beep_seconds(sound_S: npt.NDArray[np.int16], moment: Fraction) -> float:
    """Return when the beep around a moment begins: where the sound is most alike to it, and truly alike."""
    beep = beep_at(RATE_HZ)
    start = max(0, int((moment - SEARCHED_SECONDS) * RATE_HZ))
    heard = sound_S[start : int((moment + SEARCHED_SECONDS) * RATE_HZ)].astype(np.float64)
    products = np.correlate(heard, beep, "valid")
    place = int(products.argmax())
    most = np.linalg.norm(beep) * np.linalg.norm(heard[place : place + len(beep)])
    assert products[place] > 0.95 * most > 0, f"nothing beeps at {float(moment):.3f} s"
    return (start + place) / RATE_HZ


def read_proxy(path: Path, frames: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the number in every picture of a proxy, and whether it flashes."""
    read, minute = [], 960
    with VideoReader(path, fps=16) as reader:
        for start in range(0, frames, minute):
            pictures_TPW = reader.read(range(start, min(start + minute, frames)))
            read.append(read_pictures(pictures_TPW[:, :SHORT_SIDE]))
    numbers, flashes = zip(*read, strict=True)
    return np.concatenate(numbers), np.concatenate(flashes)


def played_sound(path: Path, seconds: int) -> npt.NDArray[np.int16]:
    """Return the proxy's own sound as a player gives it, each frame at its time, from zero on."""
    played_S = np.zeros((seconds + 1) * RATE_HZ, np.int16)
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            assert frame.pts is not None
            start = round(frame.pts * frame.time_base * RATE_HZ)
            samples = (frame.to_ndarray()[0] * 32_767).clip(-32_768, 32_767).astype(np.int16)
            played_S[start : start + len(samples)] = samples
    return played_S


@pytest.fixture(
    scope="module", params=[pytest.param(name, id=name, marks=pytest.mark.xdist_group(name)) for name in FILMS]
)
def name(request: pytest.FixtureRequest) -> str:
    """The name of a film; what needs it stays on one worker."""
    return str(request.param)


@pytest.fixture(scope="module")
def taken(name: str, tmp_path_factory: pytest.TempPathFactory) -> Taken:
    """The film rendered, ingested and read back."""
    root = tmp_path_factory.mktemp("numbered")
    film = render(replace(FILMS[name], seconds=SECONDS[FILMS[name].seconds]), root)
    report = ingest([film.path], root / "lib", profile=Profile(short_side=SHORT_SIDE))
    record, library = report.films[0].record, report.library
    assert record.usable, record.reasons
    proxy = library.proxy_path(record.id)
    numbers_T, flashes_T = read_proxy(proxy, record.frames)
    sound = AudioReader(library.audio_path(record.id))
    return Taken(film, record, numbers_T, flashes_T, sound.read(Span(0, record.frames), RATE_HZ // 16), proxy)


def facts_of(path: Path) -> dict[str, Any]:
    """Return what makes a film hard, as its packets tell."""
    pictures: list[Any] = []
    sounds: list[Any] = []
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.size:
                (pictures if packet.stream.type == "video" else sounds).append(packet)
    times = [float(packet.pts * packet.time_base) for packet in pictures]
    steps = np.diff(sorted(times))
    skipped = sounds[0].get_sidedata("skip_samples") if sounds[0].has_sidedata("skip_samples") else b""
    return {
        "pictures_from": round(min(times), 3),
        "sound_from": round(float(sounds[0].pts * sounds[0].time_base), 3),
        "reordered": times != sorted(times),
        "cut_pictures": sum(packet.is_discard for packet in pictures),
        "cut_samples": int.from_bytes(bytes(skipped)[:4], "little"),
        "steady": bool(steps.max() - steps.min() < 0.0011),
    }


PLAIN = {
    "pictures_from": 0.0,
    "sound_from": 0.0,
    "cut_pictures": 0,
    "cut_samples": 0,
    "reordered": True,
    "steady": True,
}
FACTS = {
    "mp4-24-cut-by-edit-lists": {
        "pictures_from": -0.417, "sound_from": -0.521, "cut_pictures": 10, "cut_samples": 24_000 + 1024
    },
    "mp4-23.976-aac-priming": {"sound_from": -0.021, "cut_samples": 1024},
    "mp4-varying-sound-late-by-edit-list": {"sound_from": 0.479, "steady": False},
    "mkv-25-sound-late": {"sound_from": 0.244, "cut_samples": 312},
    "mkv-30-sound-early": {"pictures_from": 0.25},
    "ts-29.97-from-744-s": {"pictures_from": 744.0, "sound_from": 743.995},
}  # fmt: skip


def test_the_film_is_as_hard_as_its_name_says(name: str, taken: Taken) -> None:
    assert facts_of(taken.film.path) == {**PLAIN, **FACTS[name]}


def test_the_film_is_taken_without_a_complaint(taken: Taken) -> None:
    assert taken.record.reasons == ()


def test_every_frame_shows_the_picture_that_was_on_screen_at_its_time(name: str, taken: Taken) -> None:
    expected_T, shown_T = taken.film.numbers_on_screen(), taken.numbers_T
    both = min(len(expected_T), len(shown_T))
    unlike = np.flatnonzero(expected_T[:both] != shown_T[:both])
    wrong = [(int(i), int(expected_T[i]), int(shown_T[i])) for i in unlike]
    assert not wrong, f"{len(wrong)} frames are wrong, the first (frame, picture expected, picture shown): {wrong[:5]}"
    assert len(shown_T) == len(expected_T) >= SECONDS[FILMS[name].seconds] / TICK


def test_flash_and_beep_are_at_most_five_milliseconds_apart_at_ten_places(taken: Taken) -> None:
    apart = taken.apart_seconds(taken.sound_S)
    assert len(apart) == 10
    assert abs(apart).max() <= APART_SECONDS, f"flash after beep, in ms: {(1000 * apart).round(2)}"


def test_flash_and_beep_do_not_drift_apart(name: str, taken: Taken) -> None:
    waits = [float(-moment % TICK) for moment in taken.film.moments]  # a flash shows at the next tick of the grid
    slip = taken.apart_seconds(taken.sound_S) - waits
    a_second = np.polyfit([float(moment) for moment in taken.film.moments], slip, 1)[0]
    assert abs(a_second * FILMS[name].seconds) < DRIFT_SECONDS


def test_what_people_play_is_in_sync_as_well(name: str, taken: Taken) -> None:
    """The proxy's own sound goes another way than the training audio: through AAC and an edit list once more."""
    apart = taken.apart_seconds(played_sound(taken.proxy, SECONDS[FILMS[name].seconds]))
    assert abs(apart).max() <= APART_SECONDS, f"flash after beep, in ms: {(1000 * apart).round(2)}"


def test_the_measure_itself_sees_sound_that_is_ten_milliseconds_late(taken: Taken) -> None:
    apart = taken.apart_seconds(taken.sound_S)
    late = taken.apart_seconds(np.roll(taken.sound_S, RATE_HZ // 100))
    assert late - apart == pytest.approx(np.full(10, -0.01))
