"""The chosen language or track is taken; if the film lacks it, the message lists the tracks that exist."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from talkies.core import Span, UsageError
from talkies.ingestion import IngestReport, build_config, ingest
from talkies.library import Profile, Verdict
from talkies.media import AudioReader

pytestmark = pytest.mark.slow

HERTZ = {"eng": 440, "fra": 880, None: 1760}
"""The tone of each track, in the order of the tracks; the French one is the default, the last does not say."""


def tone(hertz: int, number: int) -> av.AudioFrame:
    """The tenth of a second of a tone that belongs to picture `number`."""
    moments = (np.arange(1600) + 1600 * number) / 16_000
    samples = (8000 * np.sin(2 * np.pi * hertz * moments)).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = 16_000, 1600 * number, Fraction(1, 16_000)
    return frame


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of two seconds with the tracks of `HERTZ`."""
    path = tmp_path_factory.mktemp("languages") / "film.mkv"
    random = np.random.default_rng(3)
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sounds = {}
        for language, hertz in HERTZ.items():
            sounds[hertz] = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
            sounds[hertz].disposition = Disposition.default if language == "fra" else Disposition(0)
            if language:
                sounds[hertz].metadata["language"] = language
        for number in range(20):
            picture = av.VideoFrame.from_ndarray(random.integers(0, 255, (48, 64, 3)).astype(np.uint8), format="rgb24")
            picture = picture.reformat(format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, 10)
            container.mux(video.encode(picture))
            for hertz, sound in sounds.items():
                container.mux(sound.encode(tone(hertz, number)))
        container.mux(video.encode(None))
    return path


def hertz_of(report: IngestReport) -> int:
    """The frequency of a film's training audio, which is a tone."""
    record = report.films[0].record
    reader = AudioReader(report.library.audio_path(record.id))
    spectrum = np.abs(np.fft.rfft(reader.read(Span(0, record.frames), 1000).astype(float)[:16_000]))
    return int(spectrum.argmax())


def taken(film: Path, root: Path, language: str | None = None, track: int | None = None) -> IngestReport:
    return ingest([film], root, profile=Profile(short_side=48), config=build_config((), language, track))


def test_without_a_wish_the_default_of_the_film_is_taken(film: Path, tmp_path: Path) -> None:
    report = taken(film, tmp_path / "lib")
    assert hertz_of(report) == HERTZ["fra"]
    probe = report.films[0].record.probe
    assert probe is not None
    assert [track["language"] for track in probe["audio_tracks"]] == ["eng", "fra", None]  # type: ignore[index,union-attr]


@pytest.mark.parametrize(
    ("language", "hertz"),
    [("eng", 440), ("en", 440), ("EN-GB", 440), ("fra", 880), ("fre", 880), ("fr", 880)],
)
def test_a_language_is_found_by_each_of_its_codes(film: Path, tmp_path: Path, language: str, hertz: int) -> None:
    assert hertz_of(taken(film, tmp_path / "lib", language)) == hertz


@pytest.mark.parametrize(("track", "hertz"), [(1, 440), (2, 880), (3, 1760)])
def test_a_track_is_found_by_its_number_from_one(film: Path, tmp_path: Path, track: int, hertz: int) -> None:
    assert hertz_of(taken(film, tmp_path / "lib", track=track)) == hertz


@pytest.mark.parametrize(("language", "track"), [("deu", None), (None, 4), ("fr-el", 9)])
def test_a_wish_that_the_film_cannot_fulfil_is_refused_with_the_tracks_that_there_are(
    film: Path, tmp_path: Path, language: str | None, track: int | None
) -> None:
    report = taken(film, tmp_path / "lib", language, track)
    (reason,) = report.films[0].reasons
    assert (report.films[0].verdict, reason.code) == (Verdict.REJECTED, "no_audio")
    message = "it does not have the audio track that was chosen; its tracks are 1 (eng), 2 (fra), 3 (unknown language)"
    assert reason.text == message
    with pytest.raises(UsageError, match=r"^no film could be ingested: film\.mkv: it does not have the audio track th"):
        report.check()


def test_with_another_wish_the_film_is_taken_anew(film: Path, tmp_path: Path) -> None:
    assert hertz_of(taken(film, tmp_path / "lib", "eng")) == 440
    again = taken(film, tmp_path / "lib", "fra")
    assert (again.films[0].reused, hertz_of(again)) == (False, 880)
    assert taken(film, tmp_path / "lib", "fra").films[0].reused
