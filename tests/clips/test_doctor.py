"""`examine`: what it measures, recommends and warns of, and what it refuses."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from talkies.clips import ClipConfig, DoctorReport, Step, doctor, examine
from talkies.clips.original_comparison import ClipComparison
from talkies.clips.throughput import ClipReadingTime, WorkerThroughput
from talkies.core import ClipRequest, PlanError, Span, UsageError, WorkError
from talkies.library import Library

CLIP = ClipConfig(frames=8, fps=16, audio_seconds=1.0)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_MEASURED_SECONDS", 0.2)


@pytest.fixture(scope="module")
def found(library: Library) -> DoctorReport:
    """What is found of the rendered films with one worker and two."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doctor, "_MEASURED_SECONDS", 0.2)
        return examine(library.root, CLIP, most_workers=2)


def test_it_measures_every_number_of_workers_and_what_a_clip_takes(found: DoctorReport) -> None:
    assert [speed.workers for speed in found.throughputs] == [1, 2]
    assert all(speed.clips_per_second > 10 for speed in found.throughputs)
    assert found.reading_time.pictures_seconds > found.reading_time.sound_seconds > 0
    assert 0 < found.reading_time.busy_share <= 1
    assert found.originals_per_second is not None
    assert found.originals_per_second > 0


def test_it_finds_the_clips_of_a_sound_library_right(found: DoctorReport) -> None:
    assert len(found.comparisons) >= 10
    assert found.accuracy.startswith(f"Every frame of {len(found.comparisons)} clips has the requested time")
    found.check()


@pytest.mark.parametrize(
    ("most", "counts"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (8, [1, 2, 4, 8]), (12, [1, 2, 4, 8, 12])]
)
def test_workers_are_measured_in_powers_of_two_up_to_the_most(most: int, counts: list[int]) -> None:
    assert doctor._choose_worker_counts(most) == counts


def with_speeds(found: DoctorReport, *rates: float, step: Step | None = None, cores: int = 8) -> DoctorReport:
    speeds = tuple(WorkerThroughput(1 << number, rate) for number, rate in enumerate(rates))
    parts = ClipReadingTime(0.0001, 0.003, 0.0001, 0.98)
    return replace(found, throughputs=speeds, step=step, cores=cores, other_load=0.0, reading_time=parts)


def test_it_advises_the_fewest_workers_that_are_about_as_fast_as_any(found: DoctorReport) -> None:
    advised = with_speeds(found, 100, 190, 350, 360)
    assert (advised.recommended.workers, advised.torch_threads) == (4, 4)


def test_it_advises_no_more_workers_than_the_step_needs(found: DoctorReport) -> None:
    assert with_speeds(found, 100, 190, 350, step=Step(clips=64, seconds=0.5)).recommended.workers == 2
    assert with_speeds(found, 100, 190, 350, step=Step(clips=64, seconds=5.0)).recommended.workers == 1


def test_a_step_that_would_starve_is_warned_of_with_its_numbers(found: DoctorReport) -> None:
    starving = with_speeds(found, 100, 200, step=Step(clips=256, seconds=0.5))
    assert starving.starving_share == pytest.approx(1 - 200 / 512)
    sentence = (
        "a step of 256 clips in 0.5 s needs 512 clips/s and gets 200 at best: the device would wait 61% of the time"
    )
    assert starving.warnings[0] == sentence
    assert starving.bottleneck.startswith("decoding pictures: ")


def test_a_step_that_is_slower_than_the_clips_is_what_takes_longest(found: DoctorReport) -> None:
    slow = with_speeds(found, 100, 200, step=Step(clips=64, seconds=1.0))
    assert slow.starving_share == 0
    assert slow.bottleneck == "the training step: clips are ready before it needs them"
    assert not any("wait" in warning for warning in slow.warnings)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (ClipReadingTime(0.001, 0.003, 0.001, 0.98), "decoding pictures: 60% of the time that a clip takes"),
        (ClipReadingTime(0.007, 0.002, 0.001, 0.98), "opening films: 70% of the time that a clip takes"),
        (ClipReadingTime(0.001, 0.002, 0.005, 0.98), "reading sound: 62% of the time that a clip takes"),
        (ClipReadingTime(0.001, 0.003, 0.001, 0.25), "the disk: the processor waits for it 75% of the time"),
    ],
)
def test_what_takes_longest_is_named(parts: ClipReadingTime, words: str, found: DoctorReport) -> None:
    assert replace(found, reading_time=parts, step=None).bottleneck == words


def test_other_work_more_workers_than_cores_and_a_small_shared_memory_are_warned_of(
    found: DoctorReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 1000))
    warned = replace(with_speeds(found, 100, 200, 400, cores=2), other_load=1.5)
    assert [re.sub(r"[\d.]+", "#", warning) for warning in warned.warnings] == [
        "# workers on # cores take them from the training",
        "other work kept # cores busy when this started: the rates are too low",
        "/dev/shm has # MB free and # workers may fill # MB: give the container more (docker run --shm-size)",
    ]


def test_pictures_that_are_off_are_no_sound_examination(found: DoctorReport) -> None:
    request = ClipRequest(found.comparisons[0].request.film_id, Span(32, 64))
    off = replace(found, comparisons=(ClipComparison(request, 0, 0.01), ClipComparison(request, 1, 0.0)))
    with pytest.raises(
        WorkError, match=r"does not match its source at 2\.00 s: its pictures are 1 frames off, its sound 0 ms$"
    ):
        off.check()
    with pytest.raises(WorkError, match=r"its pictures are 0 frames off, its sound -100 ms$"):
        replace(found, comparisons=(ClipComparison(request, None, -0.1),)).check()


def test_films_that_are_not_whole_are_named_with_the_repair_and_left_aside(library: Library, tmp_path: Path) -> None:
    broken = Library.open(shutil.copytree(library.root, tmp_path / "lib"))
    film = broken.films()[1]
    path = broken.proxy_path(film.id)
    path.write_bytes(path.read_bytes()[:-1000])
    found = examine(broken.root, CLIP, most_workers=1)
    assert found.damaged == (film,)
    assert film.id not in {fidelity.request.film_id for fidelity in found.comparisons}
    repair = f"talkies ingest {film.source} --library {broken.root}"
    sentence = f"{film.name} is incomplete in {broken.root}; repair it with: {repair}"
    with pytest.raises(WorkError, match=f"^{re.escape(sentence)}$"):
        found.check()


def test_a_library_of_which_nothing_is_whole_is_refused(library: Library, tmp_path: Path) -> None:
    broken = Library.open(shutil.copytree(library.root, tmp_path / "lib"))
    for film in broken.films():
        broken.audio_path(film.id).unlink()
    with pytest.raises(WorkError, match=r"^no film of \S+ is complete; ingest their sources again: talkies ingest "):
        examine(broken.root, CLIP)


def test_films_too_short_for_two_clips_are_refused(library: Library) -> None:
    with pytest.raises(PlanError, match=r"^no two clips of 60 s can be drawn from \S+; ingest longer films$"):
        examine(library.root, ClipConfig(audio_seconds=60.0))


def test_no_worker_at_all_is_refused(library: Library) -> None:
    with pytest.raises(UsageError, match=r"^there must be at least one worker, got 0$"):
        examine(library.root, CLIP, most_workers=0)
