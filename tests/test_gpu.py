"""Tests that need a CUDA device; `make test-gpu` runs them."""

from pathlib import Path

import pytest
import torch

from talkies.core import ClipBatch, ClipRequest, FilmId, Span
from talkies.library import Library
from talkies.training import pretrain, resolve
from talkies.transforms import ClipTransform

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

SMALL = ["sampling.films_per_batch=2", "sampling.clips_per_film=4", "training.steps=4", "loader.workers=0"]


def batch(clips: int = 4) -> ClipBatch:
    generator = torch.Generator().manual_seed(0)
    return ClipBatch(
        requests=tuple(ClipRequest(FilmId("0" * 16), Span(i, i + 1)) for i in range(clips)),
        video_BTPW=torch.randint(0, 256, (clips, 8, 192, 128), dtype=torch.uint8, generator=generator),
        audio_BS=torch.randint(-9000, 9000, (clips, 16_000), dtype=torch.int16, generator=generator),
        film_B=torch.zeros(clips, dtype=torch.int64),
    )


def test_the_transforms_give_the_same_on_the_device_as_on_the_processor() -> None:
    transform = ClipTransform(resolve("tiny").transforms, 16_000)
    here = transform(batch(), torch.Generator().manual_seed(1))
    there = transform.cuda()(batch().to("cuda"), torch.Generator().manual_seed(1))
    torch.testing.assert_close(there.video_BCTHW.cpu(), here.video_BCTHW, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(there.audio_B1FL.cpu(), here.audio_B1FL, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_run_on_the_device_loses_loss(library: Library, tmp_path: Path, precision: str) -> None:
    config = resolve("tiny", [*SMALL, "training.steps=30", "training.device=cuda", f"training.precision={precision}"])
    report = pretrain(library.root, config, tmp_path / "run")
    assert report.last["loss"] < 1.0  # chance: log(4) = 1.39


def test_the_full_size_model_takes_a_step_on_the_device(library: Library, tmp_path: Path) -> None:
    config = resolve("r2plus1d18", [*SMALL, "sampling.clips_per_film=2", "training.device=cuda"])
    report = pretrain(library.root, config, tmp_path / "run")
    assert report.steps == 4
    assert report.last["loss"] > 0
