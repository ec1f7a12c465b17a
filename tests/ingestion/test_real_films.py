"""Real films are ingested at their own length, with their sound."""

from pathlib import Path

import numpy as np
import pytest

from talkies.core import Span
from talkies.ingestion import IngestReport, ingest
from talkies.library import Profile, Verdict
from talkies.media import AudioReader

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def report(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> IngestReport:
    """Thirty seconds of a film with six channels of sound, and a trailer."""
    films = [real_data / "films" / name for name in ("big_buck_bunny_30s_5.1.mp4", "sintel_trailer.mp4")]
    return ingest(films, tmp_path_factory.mktemp("real") / "lib", profile=Profile(short_side=64))


@pytest.mark.parametrize(
    ("number", "seconds", "size"), [(0, 30.0, (114, 64)), (1, 52.2, (150, 64))], ids=["bunny", "sintel"]
)
def test_a_real_film_is_accepted_at_its_own_length(
    report: IngestReport, number: int, seconds: float, size: tuple[int, int]
) -> None:
    record = report.films[number].record
    assert (record.verdict, record.reasons) == (Verdict.ACCEPTED, ())
    assert record.duration_seconds == pytest.approx(seconds, abs=0.1)
    assert record.frames == record.duration_seconds * 16
    assert (record.width, record.height) == size
    assert record.measures is not None
    assert (record.measures.damaged_video_packets, record.measures.damaged_audio_packets) == (0, 0)


@pytest.mark.parametrize("number", [0, 1])
def test_the_sound_of_a_real_film_is_there_from_end_to_end(report: IngestReport, number: int) -> None:
    record = report.films[number].record
    sound = AudioReader(report.library.audio_path(record.id))
    assert len(sound) == record.frames * 1000
    assert np.abs(sound.read(Span(0, record.frames), 1000).astype(int)).max() > 3000


def test_the_trailer_has_the_shots_of_a_trailer(report: IngestReport) -> None:
    shots = report.library.shots_of(report.films[1].record.id)
    assert 10 <= len(shots) <= 60
