"""What ingest decides of each file of a folder, and what it keeps of it."""

import wave
from pathlib import Path

import av
import pytest

from talkies.core import UsageError, hash_of_file
from talkies.ingest import Ingested, IngestReport, ingest
from talkies.library import FilmRecord, Profile, Verdict

EXPECTED = {
    "a film.mp4": ("accepted", []),
    "another.MP4": ("accepted", []),
    "blink.mkv": ("rejected", ["too_short"]),
    "letter.mp4": ("rejected", ["unreadable"]),
    "mute.mkv": ("rejected", ["no_audio"]),
    "void.mp4": ("rejected", ["empty"]),
}


def taken(source: Path, library: Path) -> FilmRecord:
    return ingest([source], library / "lib").films[0].record


def test_every_visible_film_gets_its_verdict_and_the_reasons_for_it(mixed_report: IngestReport) -> None:
    verdicts = {
        film.source.name: (str(film.record.verdict), [reason.code for reason in film.record.reasons])
        for film in mixed_report.films
    }
    assert verdicts == EXPECTED


def test_the_report_keeps_the_order_in_which_films_were_found(mixed_report: IngestReport) -> None:
    names = [film.source.name for film in mixed_report.films]
    assert names == ["a film.mp4", "blink.mkv", "another.MP4", "letter.mp4", "mute.mkv", "void.mp4"]
    assert not any(film.reused for film in mixed_report.films)


def test_reasons_are_sentences(mixed_report: IngestReport) -> None:
    texts = {film.source.name: film.record.reasons[0].text for film in mixed_report.films if film.record.reasons}
    assert texts["blink.mkv"] == "blink.mkv lasts 0.62 s; a film lasts at least 1 s"
    assert texts["mute.mkv"] == "mute.mkv has no audio track; talkies needs both"
    assert texts["void.mp4"] == "void.mp4 is empty (0 bytes)"
    assert texts["letter.mp4"].startswith("letter.mp4 is not media that FFmpeg can read (")


def test_a_film_is_known_by_its_bytes(mixed_report: IngestReport) -> None:
    for film in mixed_report.films:
        assert film.record.film_id == hash_of_file(film.source)
        assert film.record.source == str(film.source)
        assert film.record.source_bytes == film.source.stat().st_size


def test_the_record_of_an_accepted_film_says_what_lies_in_its_folder(mixed_report: IngestReport) -> None:
    library, record = mixed_report.library, mixed_report.films[0].record
    folder = library.film_folder(record.id)
    assert (record.duration_seconds, record.frames, record.width, record.height) == (12.0, 192, 192, 128)
    assert (record.video_codec, record.audio_codec, record.damaged_packets) == ("h264", "aac", 0)
    assert record.sound_start_seconds == pytest.approx(0.0, abs=0.05)
    assert record.sound_end_seconds == pytest.approx(12.0, abs=0.05)
    assert record.shots == len(library.shots_of(record.id)) >= 1
    assert sorted(file.name for file in folder.iterdir()) == ["audio.wav", "film.json", "proxy.mp4", "shots.parquet"]
    stored = sum(file.stat().st_size for file in folder.iterdir() if file.name != "film.json")
    assert record.stored_bytes == stored


def test_proxy_and_training_audio_are_on_the_grid(mixed_report: IngestReport) -> None:
    library, record = mixed_report.library, mixed_report.films[0].record
    with wave.open(str(library.audio_path(record.id))) as sound:
        assert (sound.getframerate(), sound.getnframes()) == (16_000, 192_000)
    with av.open(str(library.proxy_path(record.id))) as proxy:
        frames = list(proxy.decode(proxy.streams.video[0]))
    assert [frame.pts * frame.time_base * 16 for frame in frames] == list(range(192))
    assert [i for i, frame in enumerate(frames) if frame.key_frame] == list(range(0, 192, 16))


def test_of_a_rejected_file_only_the_record_is_kept(mixed_report: IngestReport) -> None:
    rejected = [film.record for film in mixed_report.films if not film.record.usable]
    assert len(rejected) == 4
    for record in rejected:
        assert [f.name for f in mixed_report.library.film_folder(record.id).iterdir()] == ["film.json"]
        assert (record.frames, record.duration_seconds, record.stored_bytes) == (0, 0.0, 0)


def test_another_profile_is_what_films_are_brought_to(tmp_path: Path, write_film) -> None:
    profile = Profile(fps=10, short_side=32, gop=5, audio_rate_hz=8_000)
    report = ingest([write_film(tmp_path / "film.mkv", 2.0)], tmp_path / "lib", profile=profile)
    record = report.films[0].record
    assert (record.frames, record.duration_seconds, record.width, record.height) == (20, 2.0, 42, 32)
    with wave.open(str(report.library.audio_path(record.id))) as sound:
        assert (sound.getframerate(), sound.getnframes()) == (8_000, 16_000)


def test_sound_that_begins_late_is_warned_of(tmp_path: Path, write_film) -> None:
    record = taken(write_film(tmp_path / "film.mkv", 4.0, sound=(1.5, 4.0)), tmp_path)
    assert record.verdict is Verdict.WARNED
    assert [(r.code, r.text) for r in record.reasons] == [("late_audio", "the sound begins 1.50 s after the picture")]
    assert record.sound_start_seconds == pytest.approx(1.5)


def test_sound_that_ends_early_is_warned_of(tmp_path: Path, write_film) -> None:
    record = taken(write_film(tmp_path / "film.mkv", 4.0, sound=(0.0, 2.0)), tmp_path)
    assert record.verdict is Verdict.WARNED
    assert [(r.code, r.text) for r in record.reasons] == [("short_audio", "the sound ends 2.00 s before the picture")]


def test_packets_that_cannot_be_decoded_are_warned_of(tmp_path: Path, films: Path) -> None:
    content = bytearray((films / "film-000.mp4").read_bytes())
    with av.open(str(films / "film-000.mp4")) as container:
        packets = [p for p in container.demux(container.streams.audio[0]) if p.size][200:210]
    for packet in packets:
        content[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    (tmp_path / "film.mp4").write_bytes(bytes(content))
    record = taken(tmp_path / "film.mp4", tmp_path)
    assert record.verdict is Verdict.WARNED
    assert record.frames == 192
    assert 1 <= record.damaged_packets <= 11
    text = f"{record.damaged_packets} of {record.packets} packets could not be decoded"
    assert [(r.code, r.text) for r in record.reasons] == [("damaged_packets", text)]


def test_on_film_is_called_after_each_with_the_number_in_all(tmp_path: Path, write_film) -> None:
    for name in "ab":
        write_film(tmp_path / f"{name}.mkv", 1.5, seed=ord(name))
    seen: list[tuple[Ingested, int]] = []
    report = ingest([tmp_path], tmp_path / "lib", on_film=lambda film, count: seen.append((film, count)))
    assert seen == [(film, 2) for film in report.films]


def test_a_report_with_a_usable_film_passes(mixed_report: IngestReport) -> None:
    mixed_report.check()
    assert any(film.record.usable for film in mixed_report.films)


def test_where_the_only_film_is_rejected_the_check_gives_its_reason(tmp_path: Path) -> None:
    (tmp_path / "void.mp4").touch()
    report = ingest([tmp_path / "void.mp4"], tmp_path / "lib")
    with pytest.raises(UsageError, match=r"^no film could be taken: void\.mp4 is empty \(0 bytes\)$"):
        report.check()


def test_where_every_film_is_rejected_the_check_counts_them(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    for name in "bc":
        (tmp_path / f"{name}.mp4").write_text(f"letter {name}")
    report = ingest([tmp_path], tmp_path / "lib")
    sentence = r"^no film could be taken: a\.mp4 is empty \(0 bytes\) \(and 2 more were rejected\)$"
    with pytest.raises(UsageError, match=sentence):
        report.check()
