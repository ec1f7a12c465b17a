"""Real films, damaged in every way: each gets a verdict, and those accepted are complete; a small `make soak`."""

from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from mutations import KINDS, Harmed, MutationReport, faults_of, harmed_films, ingest_harmed, make_originals, remux
from talkies.ingestion import ingest
from talkies.media import probe

pytestmark = pytest.mark.slow

WriteFilm = Callable[..., Path]


@pytest.fixture(scope="module")
def originals(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Short films of eight containers, made of real ones."""
    return make_originals(real_data, tmp_path_factory.mktemp("harm") / "originals")


def test_the_originals_are_films_of_eight_containers(originals: list[Path]) -> None:
    suffixes = {".3gp", ".avi", ".flv", ".mkv", ".mov", ".mp4", ".ts", ".webm"}
    assert {path.suffix for path in originals} == suffixes
    infos = [probe(path) for path in originals]
    assert all(info.video and info.video.decodes and info.audio and info.audio.decodes for info in infos)
    codecs = {(info.video.codec, info.audio.codec) for info in infos if info.video and info.audio}
    assert len(codecs) >= 8


def test_every_harmed_file_gets_a_verdict_and_what_is_taken_is_whole(originals: list[Path], tmp_path: Path) -> None:
    report = MutationReport()
    films = harmed_films(originals, len(originals) * len(KINDS))[::4]
    ingest_harmed(films, 0, tmp_path / "films", tmp_path / "lib", report)
    assert report.faults == []
    assert report.suspect == []
    assert report.files == len(films) > 35
    verdicts = Counter(verdict for _, _, verdict in report.verdicts.elements())
    assert min(verdicts[v] for v in ("accepted with warnings", "rejected")) >= 5
    assert faults_of(tmp_path / "lib") == []


@pytest.mark.parametrize("kind", KINDS)
def test_harm_is_done_and_is_the_same_for_the_same_seed(kind: str, tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(bytes(range(256)) * 100)
    harmed = Harmed(7, tmp_path / "film.mp4", kind)
    assert harmed.bytes(1) == harmed.bytes(1) != harmed.bytes(2)
    assert harmed.bytes(1) != (tmp_path / "film.mp4").read_bytes()


def test_a_film_that_is_taken_and_not_whole_is_seen(write_film: WriteFilm, tmp_path: Path) -> None:
    library = ingest([write_film(tmp_path / "a.mkv", 2.0)], tmp_path / "lib").library
    film = library.films()[0]
    assert faults_of(library.root) == []
    sound = library.audio_path(film.id)
    sound.write_bytes(sound.read_bytes()[:-2])
    assert [fault.partition(":")[0] for fault in faults_of(library.root)] == ["a.mkv"]


def test_one_wild_time_of_presentation_does_not_make_a_film_of_hours(real_data: Path, tmp_path: Path) -> None:
    remux(real_data / "actions" / "fall" / "subject3_01.mp4", tmp_path / "sane.ts")
    whole = ingest([tmp_path / "sane.ts"], tmp_path / "lib").films[0].record
    with av.open(str(tmp_path / "sane.ts")) as film, av.open(str(tmp_path / "wild.ts"), "w") as container:
        written = {s.index: container.add_stream_from_template(s) for s in (*film.streams.video, *film.streams.audio)}
        packets = [packet for packet in film.demux() if packet.dts is not None]
        [packet for packet in packets if packet.stream.type == "video"][30].pts += 36_000 * 90_000
        for packet in packets:
            packet.stream = written[packet.stream_index]
            container.mux(packet)
    record = ingest([tmp_path / "wild.ts"], tmp_path / "lib").films[0].record
    assert record.usable
    assert abs(Fraction(record.frames) - whole.frames) <= 2
