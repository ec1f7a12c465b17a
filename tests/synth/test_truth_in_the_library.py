"""The truth of films of recordings, rendered and composed, holds in the library: classes, times of shots, accents."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from composed_files import RATE, write_materials
from scipy.io import wavfile
from scipy.signal import correlate

from talkies.core import Grid
from talkies.ingestion import ingest
from talkies.library import Library, Profile
from talkies.media import decode_file
from talkies.synth import (
    CONCEPTS,
    ComposedConfig,
    Materials,
    RenderReport,
    SynthConfig,
    generate_composed_script,
    render_composed_film,
    render_composed_films,
    render_films,
)

FPS, SYNC_SAMPLES, REACH = 16, 80, 800  # 5 ms, and how far a shift is searched
VALUES: dict[str, Any] = {"seconds": 12.0, "fps": FPS, "width": 64, "height": 48, "audio_rate_hz": RATE}


def render_recorded(folder: Path, materials: Materials) -> RenderReport:
    recordings = [[str(path) for path in paths] for paths in materials.sounds]
    return render_films(folder, 1, SynthConfig(**VALUES, mark_strength=0.0), 3, recordings=recordings)


def render_composed(folder: Path, materials: Materials) -> RenderReport:
    return render_composed_films(folder, 1, ComposedConfig(**VALUES), materials, 3)


KINDS: dict[str, Callable[[Path, Materials], RenderReport]] = {"rendered": render_recorded, "composed": render_composed}


@pytest.fixture(scope="module")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Materials:
    """Sixteen classes of noise, and two backgrounds."""
    return write_materials(tmp_path_factory.mktemp("materials"), classes=16)


def store(folder: Path, root: Path) -> Library:
    return ingest([folder], root / "lib", profile=Profile(short_side=48, fps=FPS, audio_rate_hz=RATE)).library


def find_shift(heard_S: npt.NDArray[np.float64], start: int, expected_S: npt.NDArray[np.float64]) -> tuple[int, float]:
    """Return by how many samples a sound is later than at `start`, and how alike the two are there, at most 1."""
    around = np.pad(heard_S, REACH)[start : start + len(expected_S) + 2 * REACH]
    likeness = correlate(around, expected_S, "valid")
    shift = int(likeness.argmax()) - REACH
    part = around[shift + REACH : shift + REACH + len(expected_S)]
    return shift, float(likeness.max() / np.linalg.norm(part) / np.linalg.norm(expected_S))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_shot_sounds_like_its_recording_and_begins_within_5_ms(
    kind: str, materials: Materials, tmp_path: Path
) -> None:
    KINDS[kind](tmp_path / "films", materials)
    library = store(tmp_path / "films", tmp_path)
    (film,) = library.usable_films()
    rate, heard_S = wavfile.read(library.audio_path(film.id))
    assert rate == RATE

    truth = json.loads((tmp_path / "films" / "truth.json").read_text())
    (rendered,) = truth["films"]
    assert len(rendered["shots"]) >= 3
    for shot, script in zip(rendered["shots"], rendered["script"]["shots"], strict=True):
        start, end = (round(shot[key] * RATE) for key in ("start_seconds", "end_seconds"))
        likest = []
        for concept, paths in enumerate(materials.sounds):
            for path in paths:
                sound_S = wavfile.read(path)[1].astype(float)
                first = int(script["recording_at"] * len(sound_S))
                expected_S = np.take(sound_S, np.arange(first, first + end - start), mode="wrap")
                likest.append((find_shift(heard_S.astype(float), start, expected_S)[::-1], concept, str(path)))
        (likeness, shift), concept, path = max(likest)
        assert (concept, path) == (shot["concept"], script["recording"])
        assert likeness > 0.6
        assert abs(shift) <= SYNC_SAMPLES


def test_the_accents_of_a_composed_motion_are_seen_at_their_times(materials: Materials, tmp_path: Path) -> None:
    config = ComposedConfig(**VALUES, concepts_per_film=1, mark_strength=0.0, places=1, characters=1)
    scripts = (generate_composed_script("film", seed, config, materials) for seed in range(99))
    script = next(s for s in scripts if CONCEPTS[s.shots[0].concept].name == "slow-pulse-growl")
    (tmp_path / "films").mkdir()
    render_composed_film(tmp_path / "films" / "film.mp4", script)
    library = store(tmp_path / "films", tmp_path)
    (film,) = library.usable_films()
    pictures = decode_file(library.proxy_path(film.id), "video", Grid(FPS, RATE), 48).video_NPW
    assert pictures is not None
    luma = pictures[:, :48].reshape(len(pictures), -1).astype(float)
    change = np.abs(np.diff(luma, axis=0)).mean(axis=1)  # the character grows at once, and shrinks slowly
    measured = 0
    for shot in script.shots:
        for event in shot.event_seconds:
            first, last = int((event - 0.3) * FPS), int((event + 0.3) * FPS)
            if first < shot.start_frame or last >= shot.end_frame:
                continue
            jump = first + 1 + int(change[first:last].argmax())
            assert 0 <= jump / FPS - event < 1 / FPS
            measured += 1
    assert measured >= 8
