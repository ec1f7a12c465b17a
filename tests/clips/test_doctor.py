"""The doctor: what it measures, what it concludes from it, what it refuses."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from talkies.clips import ClipConfig, Examination, Step, doctor, examine
from talkies.clips.fidelity import Fidelity
from talkies.clips.speed import PartsOfClip, WorkersSpeed
from talkies.core import ClipRequest, PlanError, Span, UsageError, WorkError
from talkies.library import Library

CLIP = ClipConfig(frames=8, fps=16, audio_seconds=1.0)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_SECONDS", 0.2)


@pytest.fixture(scope="module")
def found(library: Library) -> Examination:
    """What is found of the rendered films with one worker and two."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doctor, "_SECONDS", 0.2)
        return examine(library.root, CLIP, most_workers=2)


def test_it_measures_every_number_of_workers_and_what_a_clip_takes(found: Examination) -> None:
    assert [speed.workers for speed in found.speeds] == [1, 2]
    assert all(speed.clips_per_second > 10 for speed in found.speeds)
    assert found.parts.pictures_seconds > found.parts.sound_seconds > 0
    assert 0 < found.parts.busy_share <= 1
    assert found.original is not None
    assert found.original > 0


def test_it_finds_the_clips_of_a_sound_library_right(found: Examination) -> None:
    assert len(found.fidelity) >= 10
    assert found.right.startswith(f"Every frame of {len(found.fidelity)} clips was of the time it was asked for")
    found.check()


@pytest.mark.parametrize(
    ("most", "counts"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (8, [1, 2, 4, 8]), (12, [1, 2, 4, 8, 12])]
)
def test_workers_are_measured_in_powers_of_two_up_to_the_most(most: int, counts: list[int]) -> None:
    assert doctor._counts(most) == counts


def with_speeds(found: Examination, *rates: float, step: Step | None = None, cores: int = 8) -> Examination:
    speeds = tuple(WorkersSpeed(1 << number, rate) for number, rate in enumerate(rates))
    parts = PartsOfClip(0.0001, 0.003, 0.0001, 0.98)
    return replace(found, speeds=speeds, step=step, cores=cores, other_load=0.0, parts=parts)


def test_it_advises_the_fewest_workers_that_are_about_as_fast_as_any(found: Examination) -> None:
    advised = with_speeds(found, 100, 190, 350, 360)
    assert (advised.advised.workers, advised.torch_threads) == (4, 4)


def test_it_advises_no_more_workers_than_the_step_needs(found: Examination) -> None:
    assert with_speeds(found, 100, 190, 350, step=Step(clips=64, seconds=0.5)).advised.workers == 2
    assert with_speeds(found, 100, 190, 350, step=Step(clips=64, seconds=5.0)).advised.workers == 1


def test_a_step_that_would_starve_is_warned_of_with_its_numbers(found: Examination) -> None:
    starving = with_speeds(found, 100, 200, step=Step(clips=256, seconds=0.5))
    assert starving.starving_share == pytest.approx(1 - 200 / 512)
    sentence = (
        "a step of 256 clips in 0.5 s needs 512 clips/s and gets 200 at best: the device would wait 61% of the time"
    )
    assert starving.warnings[0] == sentence
    assert starving.bottleneck.startswith("decoding pictures: ")


def test_a_step_that_is_slower_than_the_clips_is_what_takes_longest(found: Examination) -> None:
    slow = with_speeds(found, 100, 200, step=Step(clips=64, seconds=1.0))
    assert slow.starving_share == 0
    assert slow.bottleneck == "the training step: clips are there before it wants them"
    assert not any("wait" in warning for warning in slow.warnings)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (PartsOfClip(0.001, 0.003, 0.001, 0.98), "decoding pictures: 60% of the time that a clip takes"),
        (PartsOfClip(0.007, 0.002, 0.001, 0.98), "opening films: 70% of the time that a clip takes"),
        (PartsOfClip(0.001, 0.002, 0.005, 0.98), "reading sound: 62% of the time that a clip takes"),
        (PartsOfClip(0.001, 0.003, 0.001, 0.25), "the disk: the processor waits for it 75% of the time"),
    ],
)
def test_what_takes_longest_is_named(parts: PartsOfClip, words: str, found: Examination) -> None:
    assert replace(found, parts=parts, step=None).bottleneck == words


def test_other_work_more_workers_than_cores_and_a_small_shared_memory_are_warned_of(
    found: Examination, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 1000))
    warned = replace(with_speeds(found, 100, 200, 400, cores=2), other_load=1.5)
    assert [re.sub(r"[\d.]+", "#", warning) for warning in warned.warnings] == [
        "# workers on # cores take them from the training",
        "other work kept # cores busy when this began: the figures are low",
        "/dev/shm has # MB free and # workers may fill # MB: give the container more (docker run --shm-size)",
    ]


def test_pictures_that_are_off_are_no_sound_examination(found: Examination) -> None:
    request = ClipRequest(found.fidelity[0].request.film_id, Span(32, 64))
    off = replace(found, fidelity=(Fidelity(request, 0, 0.01), Fidelity(request, 1, 0.0)))
    with pytest.raises(
        WorkError, match=r"is not what its source shows at 2\.00 s: its pictures are 1 frames off, its sound 0 ms$"
    ):
        off.check()
    with pytest.raises(WorkError, match=r"its pictures are 0 frames off, its sound -100 ms$"):
        replace(found, fidelity=(Fidelity(request, None, -0.1),)).check()


def test_films_that_are_not_whole_are_named_with_the_repair_and_left_aside(library: Library, tmp_path: Path) -> None:
    broken = Library.open(shutil.copytree(library.root, tmp_path / "lib"))
    film = broken.films()[1]
    path = broken.proxy_path(film.id)
    path.write_bytes(path.read_bytes()[:-1000])
    found = examine(broken.root, CLIP, most_workers=1)
    assert found.broken == (film,)
    assert film.id not in {fidelity.request.film_id for fidelity in found.fidelity}
    repair = f"talkies ingest {film.source} --library {broken.root}"
    sentence = f"{film.name} is not whole in {broken.root}; repair it with: {repair}"
    with pytest.raises(WorkError, match=f"^{re.escape(sentence)}$"):
        found.check()


def test_a_library_of_which_nothing_is_whole_is_refused(library: Library, tmp_path: Path) -> None:
    broken = Library.open(shutil.copytree(library.root, tmp_path / "lib"))
    for film in broken.films():
        broken.audio_path(film.id).unlink()
    with pytest.raises(WorkError, match=r"^no film of \S+ is whole; ingest their sources again: talkies ingest "):
        examine(broken.root, CLIP)


def test_films_too_short_for_two_clips_are_refused(library: Library) -> None:
    with pytest.raises(PlanError, match=r"^no two clips of 60 s can be drawn from \S+; ingest longer films$"):
        examine(library.root, ClipConfig(audio_seconds=60.0))


def test_no_worker_at_all_is_refused(library: Library) -> None:
    with pytest.raises(UsageError, match=r"^there must be at least one worker, got 0$"):
        examine(library.root, CLIP, most_workers=0)
