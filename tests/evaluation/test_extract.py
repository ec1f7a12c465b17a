"""The features of a clip: of its own windows only, encoded once, and cached.

Shapes: `V` windows, `R` crops, `T` frames, `P` rows of planar YUV 4:2:0, `Z` side, `S` samples, `E` features.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from little_clips import (
    AUDIO,
    CLIP_SPEC,
    FPS,
    RATE_HZ,
    assert_same,
    data_of,
    films,
    noise_pictures,
    noise_sound,
    statistics_features,
    tiny_features,
    write_clips,
    write_film,
    write_sound,
)

from talkies.clips.clip_files import ClipFile, read_clip
from talkies.clips.clip_spec import ClipSpec, crop_square_at
from talkies.core import UsageError
from talkies.evaluation.datasets import DataSet
from talkies.evaluation.transfer.extract import (
    extract_all_features,
    extract_features,
)
from talkies.evaluation.transfer.features import Features, TowerFeatures
from talkies.evaluation.transfer.protocol import Protocol

pytestmark = pytest.mark.slow

FEATURES: dict[str, Callable[[], Features]] = {"tiny": tiny_features, "statistics": statistics_features}
PROTOCOL = Protocol(clips=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of little films and sounds; read only."""
    return write_clips(tmp_path_factory.mktemp("clips"))


def by_hand(data: DataSet, number: int, features: Features, clips: int) -> dict[str, torch.Tensor]:
    """One window at a time; the windows of pictures and sound are of the same length, and laid out here."""
    media = read_clip(data.get_clip(number), ("video", "audio"), features.clip_spec)
    assert media.video_NPW is not None
    assert media.audio_S is not None
    frames, samples = features.clip_spec.frames, features.clip_spec.samples
    space = max(0, len(media.video_NPW) - frames)
    rows: dict[str, list[torch.Tensor]] = {"video": [], "audio": []}
    for start in np.round(np.linspace(0, space, clips)).astype(int):
        pictures = [media.video_NPW[(start + t) % len(media.video_NPW)] for t in range(frames)]
        sound = [media.audio_S[(start * (RATE_HZ // FPS) + s) % len(media.audio_S)] for s in range(samples)]
        rows["video"].append(features.encode_video(torch.from_numpy(np.stack(pictures))[None]))
        rows["audio"].append(features.encode_audio(torch.from_numpy(np.array(sound, np.int16))[None]))
    return {modality: torch.cat(parts) for modality, parts in rows.items()}


@pytest.mark.parametrize("kind", FEATURES)
@pytest.mark.parametrize("at_once", [1, 4, 7, 64])
def test_the_features_of_a_clip_are_those_of_its_windows_one_at_a_time(
    kind: str, at_once: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("talkies.evaluation.transfer.extract._BATCH_WINDOWS", at_once)
    data, features = films(folder), FEATURES[kind]()
    found = extract_features(data, features, PROTOCOL, None)
    assert sorted(found.features) == [0, 1, 2, 3, 4]
    for number, rows in found.features.items():
        wanted = by_hand(data, number, features, PROTOCOL.clips)
        assert set(rows) == {"video", "audio"}
        for modality, row_VE in rows.items():
            torch.testing.assert_close(row_VE, wanted[modality], atol=1e-5, rtol=0)
            assert row_VE.std() > 0


@pytest.mark.parametrize("kind", FEATURES)
def test_the_features_of_a_clip_do_not_depend_on_those_beside_it(kind: str, folder: Path) -> None:
    features = FEATURES[kind]()
    together = extract_features(films(folder), features, PROTOCOL, None)
    for number in range(5):
        alone = extract_features(data_of(folder, "both", [(f"film-{number}.avi", 0)], 0), features, PROTOCOL, None)
        for modality in ("video", "audio"):
            torch.testing.assert_close(
                alone.features[0][modality], together.features[number][modality], atol=1e-5, rtol=0
            )


@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(4)))
def test_the_order_of_examples_does_not_matter(order: list[int], folder: Path) -> None:
    data = films(folder, 4)
    in_order = extract_features(data, statistics_features(), PROTOCOL, None)
    other = extract_features(
        replace(data, examples=tuple(data.examples[number] for number in order)), statistics_features(), PROTOCOL, None
    )
    for place, number in enumerate(order):
        assert other.keys[place] == in_order.keys[number]
        for modality in ("video", "audio"):
            torch.testing.assert_close(
                other.features[place][modality], in_order.features[number][modality], atol=1e-5, rtol=0
            )


def test_processes_read_what_threads_read(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(folder, tmp_path / "clips")
    (tmp_path / "clips" / "film-1.avi").write_bytes(b"no film")
    data = films(tmp_path / "clips")
    by_threads = extract_features(data, tiny_features(), PROTOCOL, None)
    monkeypatch.setattr("talkies.clips.clip_files._MIN_CLIPS_FOR_PROCESSES", 1)  # so many clips are worth a process
    monkeypatch.setattr("talkies.clips.clip_files._CLIPS_BEFORE_PROCESSES", 1)
    monkeypatch.setattr("talkies.clips.clip_files._MAX_READERS", 1)
    by_processes = extract_features(data, tiny_features(), PROTOCOL, None)
    assert "film-1.avi" in by_processes.unusable[1]
    assert_same(by_processes, by_threads)


def test_crops_of_a_window_are_averaged(folder: Path) -> None:
    data, features = data_of(folder, "video", [("wide.avi", 0)], 0), tiny_features()
    media = read_clip(data.get_clip(0), ("video",), CLIP_SPEC)
    assert media.video_NPW is not None
    crops = [torch.from_numpy(crop_square_at(media.video_NPW[4:8], place))[None] for place in (0.0, 0.5, 1.0)]
    each = [features.encode_video(crop) for crop in crops]
    assert (each[0] - each[2]).abs().max() > 0.01, "the crops show different things"
    found = extract_features(data, features, Protocol(clips=1, crops=3), None).features[0]["video"]
    torch.testing.assert_close(found, torch.stack(each).mean(0), atol=1e-5, rtol=0)
    middle = extract_features(data, features, Protocol(clips=1), None).features[0]["video"]
    torch.testing.assert_close(middle, each[1], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("frames", "audio_seconds", "clips"), [(4, 0.5, 10), (4, 1.0, 8), (8, 0.5, 8)])
@pytest.mark.parametrize("second", [1, 2, 3, 4, 5])
def test_pictures_and_sound_of_a_window_are_of_the_same_moment(
    second: int, frames: int, audio_seconds: float, clips: int, tmp_path: Path
) -> None:
    pictures = np.full((6 * FPS, 32, 32, 3), 40, np.uint8)
    pictures[second * FPS :] = 200
    sound = noise_sound(0, 6 * RATE_HZ, level=100)
    sound[second * RATE_HZ :] *= 60
    write_film(tmp_path / "step.avi", pictures, sound)
    clip_spec = ClipSpec(frames, FPS, 32, 32, audio_seconds, RATE_HZ)
    found = extract_features(
        data_of(tmp_path, "both", [("step.avi", 0)], 0), statistics_features(clip_spec), Protocol(clips=clips), None
    )
    bright_V = found.features[0]["video"][:, 0]
    loud_V = found.features[0]["audio"][:, : AUDIO.mels].mean(1)
    window = max(frames / FPS, audio_seconds)
    middle_V = np.round(np.linspace(0, (6 - window) * FPS, clips)) / FPS + window / 2
    for level_V in (bright_V, loud_V):
        after_V = (level_V > (level_V[0] + level_V[-1]) / 2).numpy()
        np.testing.assert_array_equal(after_V, middle_V > second)


def test_a_short_sound_is_repeated(tmp_path: Path) -> None:
    short = noise_sound(3, RATE_HZ // 5)
    write_sound(tmp_path / "short.wav", short)
    features = tiny_features()
    found = extract_features(data_of(tmp_path, "audio", [("short.wav", 0)], 0), features, PROTOCOL, None)
    window_S = np.tile(short, 3)[: CLIP_SPEC.samples]
    wanted = features.encode_audio(torch.from_numpy(window_S)[None]).expand(PROTOCOL.clips, -1)
    torch.testing.assert_close(found.features[0]["audio"], wanted, atol=1e-5, rtol=0)


def test_short_video_is_repeated(tmp_path: Path) -> None:
    write_film(tmp_path / "short.avi", noise_pictures(3, 3))
    data, features = data_of(tmp_path, "video", [("short.avi", 0)], 0), tiny_features()
    media = read_clip(data.get_clip(0), ("video",), CLIP_SPEC)
    assert media.video_NPW is not None
    assert len(media.video_NPW) == 3
    wanted = features.encode_video(torch.from_numpy(media.video_NPW[[0, 1, 2, 0]])[None]).expand(PROTOCOL.clips, -1)
    found = extract_features(data, features, PROTOCOL, None)
    torch.testing.assert_close(found.features[0]["video"], wanted, atol=1e-5, rtol=0)


def test_only_the_span_of_a_clip_is_used(tmp_path: Path) -> None:
    sound, pictures = noise_sound(4, 4 * RATE_HZ), noise_pictures(4, 4 * FPS)
    for name, part in {"whole": slice(0, 4), "first": slice(0, 1), "later": slice(1, 3)}.items():
        samples = sound[part.start * RATE_HZ : part.stop * RATE_HZ]
        write_sound(tmp_path / f"{name}.wav", samples)
        write_film(tmp_path / f"{name}.avi", pictures[part.start * FPS : part.stop * FPS], samples)
    for modality, suffix in (("audio", "wav"), ("both", "avi")):
        whole = data_of(tmp_path, modality, [(f"whole.{suffix}", 0), (f"whole.{suffix}", 1)], 0)  # type: ignore[arg-type]
        first, later = whole.examples
        spans = replace(
            whole,
            examples=(replace(first, span_seconds=(0.0, 1.0)), replace(later, span_seconds=(1.0, 3.0))),
        )
        cut = data_of(tmp_path, modality, [(f"first.{suffix}", 0), (f"later.{suffix}", 1)], 0)  # type: ignore[arg-type]
        features = tiny_features()
        found = extract_features(spans, features, PROTOCOL, tmp_path / f"store-{suffix}")
        assert_same(found, extract_features(cut, features, PROTOCOL, None), atol=1e-5)
        assert found.keys[0] != found.keys[1]
        assert_same(found, extract_features(spans, features, PROTOCOL, tmp_path / f"store-{suffix}"))


def test_arms_with_the_same_input_decode_each_clip_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from talkies.clips import clip_files as module

    decoded: list[str] = []
    real = module.read_clip

    def counted(clip: ClipFile, *more: Any) -> Any:
        decoded.append(clip.path.name)
        return real(clip, *more)

    arms: list[Features] = [
        tiny_features(),
        tiny_features(1),
        statistics_features(),
        statistics_features(replace(CLIP_SPEC, frames=6, audio_seconds=0.75)),
    ]
    alone = [extract_features(films(folder), arm, PROTOCOL, None) for arm in arms]
    monkeypatch.setattr(module, "read_clip", counted)
    extract_features(films(folder, 2), arms[1], PROTOCOL, tmp_path)  # one of them knows some of the clips
    decoded.clear()
    together = extract_all_features(films(folder), arms, PROTOCOL, tmp_path)
    assert sorted(decoded) == sorted(2 * [f"film-{number}.avi" for number in range(5)]), "once for each clip_spec"
    for found, wanted in zip(together, alone, strict=True):
        assert_same(found, wanted, atol=1e-5)
    decoded.clear()
    for found, wanted in zip(extract_all_features(films(folder), arms, PROTOCOL, tmp_path), together, strict=True):
        assert_same(found, wanted)
    assert decoded == []


def test_absent_clips_are_skipped(folder: Path) -> None:
    found = extract_features(replace(films(folder), absent=frozenset({1, 3})), statistics_features(), PROTOCOL, None)
    assert sorted(found.features) == sorted(found.keys) == [0, 2, 4]


def test_a_data_set_without_an_encoder_is_refused(folder: Path) -> None:
    given = tiny_features()
    pictures_alone = TowerFeatures("mine", CLIP_SPEC, given.transforms, video=given.video_encoder)
    with pytest.raises(UsageError, match="mine has no audio encoder; name a model, or give encoders, that have one"):
        extract_features(films(folder), pictures_alone, PROTOCOL, None)
