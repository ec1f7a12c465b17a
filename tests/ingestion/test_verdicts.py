"""The verdict of ingest on each file of a folder, and what the library keeps of it."""

import json
import re
import wave
from pathlib import Path

import av
import pytest

from talkies.core import UsageError
from talkies.ingestion import FailedFilm, IngestedFilm, IngestReport, Progress, ingest
from talkies.ingestion.config import Thresholds
from talkies.library import FilmRecord, Profile, Verdict
from talkies.media import MediaInfo
from talkies.runtime import hash_file

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
        film.source.name: (str(film.verdict), [reason.code for reason in film.reasons]) for film in mixed_report.films
    }
    assert verdicts == EXPECTED


def test_the_report_keeps_the_order_in_which_films_were_found(mixed_report: IngestReport) -> None:
    names = [film.source.name for film in mixed_report.films]
    assert names == ["a film.mp4", "blink.mkv", "another.MP4", "letter.mp4", "mute.mkv", "void.mp4"]
    assert not any(film.reused for film in mixed_report.films)
    assert (mixed_report.failures, mixed_report.skipped_files) == ((), 1)  # truth.json


def test_reasons_are_sentences(mixed_report: IngestReport) -> None:
    texts = {film.source.name: film.record.reasons[0].text for film in mixed_report.films if film.record.reasons}
    assert texts["blink.mkv"] == "its picture lasts 0.60 s; a film lasts at least 1 s"
    assert texts["mute.mkv"] == "it has no audio track; talkies needs picture and sound"
    assert texts["void.mp4"] == "void.mp4 is empty (0 bytes)"
    assert texts["letter.mp4"].startswith("letter.mp4 is not media that FFmpeg can read (")


def test_a_film_is_known_by_its_bytes(mixed_report: IngestReport) -> None:
    for film in mixed_report.films:
        path = Path(film.source.location)
        assert film.record.film_id == hash_file(path)
        assert film.record.source == str(path)
        assert film.record.source_bytes == film.source.size == path.stat().st_size


def test_the_record_of_an_accepted_film_says_what_lies_in_its_folder(mixed_report: IngestReport) -> None:
    library, record = mixed_report.library, mixed_report.films[0].record
    folder = library.film_folder(record.id)
    assert (record.duration_seconds, record.frames, record.width, record.height) == (12.0, 192, 192, 128)
    assert record.measures is not None
    assert (record.measures.damaged_video_packets, record.measures.damaged_audio_packets) == (0, 0)
    assert record.measures.sound_start_seconds == pytest.approx(0.0, abs=0.05)
    assert record.measures.sound_end_seconds == pytest.approx(12.0, abs=0.05)
    assert record.shots == len(library.shots_of(record.id)) >= 1
    files = sorted(file.name for file in folder.iterdir())
    assert files == ["audio.wav", "film.json", "proxy.mp4", "shots.parquet", "strip.jpg"]
    stored = sum(file.stat().st_size for file in folder.iterdir() if file.name != "film.json")
    assert record.stored_bytes == stored


def test_the_record_keeps_what_the_packets_told(mixed_report: IngestReport) -> None:
    record = mixed_report.films[0].record
    info = MediaInfo.model_validate_json(json.dumps(record.probe))
    assert info.video is not None
    assert info.audio is not None
    assert (info.video.codec, info.audio.codec, info.video.fps) == ("h264", "aac", pytest.approx(24.0))
    assert (info.video.width, info.video.height, info.video.times.packets) == (192, 128, 288)
    assert record.settings["judge"] == Thresholds().model_dump(mode="json")


def test_proxy_and_training_audio_are_on_the_grid(mixed_report: IngestReport) -> None:
    library, record = mixed_report.library, mixed_report.films[0].record
    with wave.open(str(library.audio_path(record.id))) as sound:
        assert (sound.getframerate(), sound.getnframes()) == (16_000, 192_000)
    with av.open(str(library.proxy_path(record.id))) as proxy:
        frames = list(proxy.decode(proxy.streams.video[0]))
    assert [frame.pts * frame.time_base * 16 for frame in frames] == list(range(192))
    assert [i for i, frame in enumerate(frames) if frame.key_frame] == list(range(0, 192, 16))


def test_of_a_rejected_file_only_the_record_and_what_could_be_seen_is_kept(mixed_report: IngestReport) -> None:
    rejected = {film.source.name: film.record for film in mixed_report.films if not film.record.usable}
    kept = {
        name: sorted(f.name for f in mixed_report.library.film_folder(r.id).iterdir()) for name, r in rejected.items()
    }
    seen = ["film.json", "strip.jpg"]
    assert kept == {"blink.mkv": seen, "mute.mkv": seen, "letter.mp4": ["film.json"], "void.mp4": ["film.json"]}
    for record in rejected.values():
        folder = mixed_report.library.film_folder(record.id)
        assert (record.frames, record.duration_seconds, record.shots, record.width) == (0, 0.0, 0, 0)
        assert record.stored_bytes == sum(f.stat().st_size for f in folder.iterdir() if f.name != "film.json")


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
    assert [(r.code, r.text) for r in record.reasons] == [("late_audio", "the sound starts 1.50 s after the picture")]
    assert record.measures is not None
    assert record.measures.sound_start_seconds == pytest.approx(1.5)


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
    measures = record.measures
    assert measures is not None
    assert 1 <= measures.damaged_audio_packets <= 11
    assert 0 < measures.damaged_frames < 16
    text = f"{measures.damaged_audio_packets} of {measures.audio_packets} audio packets could not be decoded as stored"
    assert [(r.code, r.text) for r in record.reasons] == [("damaged_packets", text)]


def test_on_progress_is_told_how_far_the_work_is_and_what_became_of_each_film(tmp_path: Path, write_film) -> None:
    sizes = [write_film(tmp_path / f"{name}.mkv", 1.5, seed=ord(name)).stat().st_size for name in "ab"]
    (tmp_path / "c.mkv").touch()
    seen: list[tuple[int, int, int, int, float]] = []
    outcomes: list[IngestedFilm | FailedFilm] = []

    def note(progress: Progress, outcome: IngestedFilm | FailedFilm | None) -> None:
        if outcome is not None:
            outcomes.append(outcome)
            told = progress.films, progress.films_done, progress.bytes, progress.bytes_done, progress.film_seconds
            seen.append(told)

    report = ingest([tmp_path], tmp_path / "lib", on_progress=note)
    assert tuple(outcomes) == report.films
    both = sum(sizes)
    assert seen == [(3, 1, both, sizes[0], 1.5), (3, 2, both, both, 3.0), (3, 3, both, both, 3.0)]


def test_the_summary_counts_verdicts_and_says_where_the_audit_is(mixed_report: IngestReport) -> None:
    lines = mixed_report.summary.splitlines()
    assert lines[:2] == ["6 films: 2 accepted, 4 rejected", "1 other file skipped"]
    assert re.fullmatch(r"0:24 of film ingested in \d+:\d\d, \d+\.\d × real time", lines[3])
    assert lines[2] == "profile: small (128 px, 16 fps, 16 kHz)"
    assert lines[4:] == [f"the report on every film: {mixed_report.library.root / 'ingest.html'}"]


def test_a_report_with_a_usable_film_passes(mixed_report: IngestReport) -> None:
    mixed_report.check()
    assert any(film.record.usable for film in mixed_report.films)


def test_where_the_only_film_is_rejected_the_check_gives_its_reason(tmp_path: Path) -> None:
    (tmp_path / "void.mp4").touch()
    report = ingest([tmp_path / "void.mp4"], tmp_path / "lib")
    with pytest.raises(UsageError, match=r"^no film could be ingested: void\.mp4 is empty \(0 bytes\)$"):
        report.check()


def test_where_every_film_is_rejected_the_check_counts_them(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    for name in "bc":
        (tmp_path / f"{name}.mp4").write_text(f"letter {name}")
    report = ingest([tmp_path], tmp_path / "lib")
    message = r"^no film could be ingested: a\.mp4 is empty \(0 bytes\) \(and 2 more were rejected\)$"
    with pytest.raises(UsageError, match=message):
        report.check()
