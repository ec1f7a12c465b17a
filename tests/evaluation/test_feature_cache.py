"""The cache of features: what is known is not decoded again, and what they depend on has a key of its own."""

import errno
import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from little_clips import (
    AUDIO,
    CLIP_SPEC,
    assert_same,
    data_of,
    films,
    noise_pictures,
    statistics_features,
    tiny_features,
    write_clips,
    write_film,
)

from talkies.clips.clip_files import ViewSampling
from talkies.core import WorkError
from talkies.evaluation.transfer.extract import (
    compute_cache_key,
    extract_features,
)
from talkies.evaluation.transfer.features import Features, TowerFeatures
from talkies.evaluation.transfer.protocol import Protocol
from talkies.transforms import TransformConfig, VideoTransformConfig

PROTOCOL = Protocol(clips=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of little films and sounds; read only."""
    return write_clips(tmp_path_factory.mktemp("clips"))


def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*anything: object) -> None:
        raise AssertionError("a clip was decoded again")

    monkeypatch.setattr("talkies.clips.clip_files.read_clip", refuse)


def test_a_second_extraction_decodes_nothing_and_gives_the_same(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = extract_features(films(folder), tiny_features(), PROTOCOL, tmp_path)
    (key,) = tmp_path.iterdir()
    no_decoding(monkeypatch)
    told: list[str] = []
    again = extract_features(
        films(folder), tiny_features(), PROTOCOL, tmp_path, lambda name, total: told.append(f"{name} {total}")
    )
    assert_same(first, again)
    assert again.keys == first.keys
    assert told == [f"film-{number}.avi 5" for number in range(5)]
    assert list(tmp_path.iterdir()) == [key]


def test_a_file_of_the_same_bytes_is_known_by_another_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = extract_features(films(folder, 3), tiny_features(), PROTOCOL, tmp_path / "store")
    (tmp_path / "elsewhere.avi").write_bytes((folder / "film-2.avi").read_bytes())
    no_decoding(monkeypatch)
    found = extract_features(
        data_of(tmp_path, "both", [("elsewhere.avi", 0)], 0), tiny_features(), PROTOCOL, tmp_path / "store"
    )
    assert torch.equal(found.features[0]["video"], first.features[2]["video"])


def test_a_clip_that_was_changed_is_decoded_again(folder: Path, tmp_path: Path) -> None:
    data = data_of(tmp_path, "audio", [("sound.wav", 0)], 0)
    (tmp_path / "sound.wav").write_bytes((folder / "sound-0.wav").read_bytes())
    first = extract_features(data, tiny_features(), PROTOCOL, tmp_path / "store")
    (tmp_path / "sound.wav").write_bytes((folder / "sound-2.wav").read_bytes())
    second = extract_features(data, tiny_features(), PROTOCOL, tmp_path / "store")
    assert not torch.equal(first.features[0]["audio"], second.features[0]["audio"])
    assert_same(second, extract_features(data, tiny_features(), PROTOCOL, None), atol=1e-5)


def of_another_transform() -> TowerFeatures:
    given = tiny_features()
    audio = AUDIO.model_copy(update={"scale": "db"})
    transforms = TransformConfig(video=VideoTransformConfig(size=32), audio=audio)
    return TowerFeatures("tiny", CLIP_SPEC, transforms, given.video_encoder, given.audio_encoder)


OTHERS: dict[str, tuple[Callable[[], Features], Protocol]] = {
    "weights": (lambda: tiny_features(1), PROTOCOL),
    "kind": (statistics_features, PROTOCOL),
    "transforms": (of_another_transform, PROTOCOL),
    "windows": (tiny_features, Protocol(clips=4)),
    "crops": (tiny_features, Protocol(clips=3, crops=3)),
    "frames": (lambda: tiny_features(clip_spec=replace(CLIP_SPEC, frames=6)), PROTOCOL),
    "seconds of sound": (lambda: tiny_features(clip_spec=replace(CLIP_SPEC, audio_seconds=0.75)), PROTOCOL),
}


@pytest.mark.parametrize("other", OTHERS)
def test_what_features_depend_on_has_another_key(other: str, folder: Path, tmp_path: Path) -> None:
    make, protocol = OTHERS[other]
    data = films(folder, 2)
    extract_features(data, tiny_features(), PROTOCOL, tmp_path)
    found = extract_features(data, make(), protocol, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert_same(found, extract_features(data, make(), protocol, None), atol=1e-5)


def test_what_features_do_not_depend_on_has_the_same_key(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = extract_features(films(folder, 2), tiny_features(), PROTOCOL, tmp_path)
    no_decoding(monkeypatch)
    other = Protocol(method="knn", clips=3, c_grid=(1.0,), seeds=(1, 2), baselines=False, inner_folds=5)
    assert_same(first, extract_features(films(folder, 2), tiny_features(), other, tmp_path))


def test_the_cache_key_is_that_of_earlier_releases() -> None:
    features, sampling = statistics_features(), ViewSampling(CLIP_SPEC, 3, 1)
    look = "Look(frames=4, fps=8, short_side=32, size=32, audio_seconds=0.5, audio_rate_hz=8000)"
    tools = [version("av"), version("torch")]
    text = f"{features.stamp} View(look={look}, clips=3, crops=1) ['audio', 'video'] {tools} 1"
    key = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    assert compute_cache_key(features, sampling, ("video", "audio")) == key


@pytest.mark.parametrize("damage", ["text", "empty", "cut short", "gone"])
def test_a_damaged_cache_file_is_computed_again(damage: str, folder: Path, tmp_path: Path) -> None:
    first = extract_features(films(folder, 3), tiny_features(), PROTOCOL, tmp_path)
    (path,) = tmp_path.glob("*/*.safetensors")
    whole = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes({"text": b"Dear store", "empty": b"", "cut short": whole[: len(whole) // 2]}[damage])
    assert_same(first, extract_features(films(folder, 3), tiny_features(), PROTOCOL, tmp_path), atol=1e-5)
    assert path.stat().st_size == len(whole)


def test_many_clips_go_to_many_files(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("talkies.evaluation.transfer.feature_cache._CLIPS_PER_FILE", 2)
    monkeypatch.setattr("talkies.evaluation.transfer.extract._BATCH_WINDOWS", 1)
    first = extract_features(films(folder), tiny_features(), PROTOCOL, tmp_path)
    assert len(list(tmp_path.glob("*/*.safetensors"))) == 5
    next(iter(tmp_path.glob("*/*.safetensors"))).unlink()
    assert_same(first, extract_features(films(folder), tiny_features(), PROTOCOL, tmp_path), atol=1e-5)
    no_decoding(monkeypatch)
    assert_same(first, extract_features(films(folder), tiny_features(), PROTOCOL, tmp_path), atol=1e-5)


def test_a_cache_that_is_not_a_folder_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    with pytest.raises(
        WorkError, match=r"features cannot be written to \S+/store/\w+ \(.*\); free some space and run it again"
    ):
        extract_features(films(folder, 2), statistics_features(), PROTOCOL, tmp_path / "store")


def test_a_full_disk_is_named_and_leaves_nothing_half(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(tensors: Any, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr("talkies.evaluation.transfer.feature_cache.save_file", full)
    with pytest.raises(WorkError, match=r"features cannot be written to .* \(no space left on device\); free some"):
        extract_features(films(folder, 2), statistics_features(), PROTOCOL, tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_cannot_be_read_is_reported_and_never_cached(folder: Path, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    (clips / "good.wav").write_bytes((folder / "sound-0.wav").read_bytes())
    (clips / "letter.wav").write_bytes(b"Dear sound" * 100)
    write_film(clips / "mute.avi", noise_pictures(0, 4))
    data = data_of(clips, "audio", [("letter.wav", 0), ("good.wav", 1), ("mute.avi", 1)], 1)
    for _ in range(2):
        found = extract_features(data, statistics_features(), PROTOCOL, tmp_path / "store")
        assert list(found.features) == [1]
        assert found.unusable[0].startswith("letter.wav is not media that FFmpeg can read")
        assert found.unusable[2] == "mute.avi has no audio track"
        assert sorted(found.keys) == [0, 1, 2]
