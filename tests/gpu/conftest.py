"""The device of these tests, and small runs on it.

Without CUDA they skip. With TALKIES_GPU_TESTS_ON=cpu each runs in a small form on the processor, so that none breaks
unseen: the dry run of `make gpu` does that.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from talkies.core import ClipBatch, ClipRequest, FilmId, Span
from talkies.library import Library, Profile
from talkies.models.tower import Encoder
from talkies.training import RunConfig, pretrain, resolve

ASKED = os.environ.get("TALKIES_GPU_TESTS_ON", "")
SMALL = (
    "sampling.films_per_batch=2",
    "sampling.clips_per_film=4",
    "loader.workers=0",
    "training.trackers=[]",
    "training.recalibration_batches=1",
    "optimiser.warmup_steps=2",
)
SMALLER = ("transforms.video.size=32", "clip.frames=4", "clip.audio_seconds=0.5", "transforms.audio.mels=32")


@pytest.fixture(scope="session")
def device() -> str:
    """The device: `cuda`, or `cpu` where that was asked for."""
    if torch.cuda.is_available():
        return "cuda"
    if ASKED != "cpu":
        pytest.skip("no CUDA device; with TALKIES_GPU_TESTS_ON=cpu these tests run in a small form on the processor")
    return "cpu"


@pytest.fixture(autouse=True)
def _needs_the_device(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip without the device; on a processor nothing is compiled, which takes a minute there."""
    if device == "cpu":
        monkeypatch.setattr(Encoder, "compile_blocks", lambda _encoder: None)


@pytest.fixture(scope="session")
def small(device: str) -> Callable[..., RunConfig]:
    """A function from overrides to the config of a small run of `tiny` on the device."""
    sizes = SMALL if device == "cuda" else (*SMALL, *SMALLER)
    return lambda *overrides: resolve("tiny", [*sizes, f"training.device={device}", *overrides])


@pytest.fixture(scope="session")
def library(device: str, tmp_path_factory: pytest.TempPathFactory) -> Library:
    """A library of three rendered films, small ones on a processor; read only."""
    from talkies.ingestion import ingest
    from talkies.synth import SynthConfig, render_films

    folder = tmp_path_factory.mktemp("gpu-films")
    small = {} if device == "cuda" else {"seconds": 5.0, "fps": 8, "width": 48, "height": 48}
    render_films(folder / "films", 3, SynthConfig(**{"seconds": 12.0, **small}), seed=7)
    profile = Profile() if device == "cuda" else Profile(fps=8, short_side=48, gop=8)
    return ingest([folder / "films"], folder / "library", profile=profile).library


@pytest.fixture(scope="session")
def short_run(library: Library, small: Callable[..., RunConfig], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps in float32 on the device; read only."""
    return pretrain(library.root, small("training.steps=2"), tmp_path_factory.mktemp("runs") / "short").run


@pytest.fixture(scope="session")
def make_batch() -> Callable[..., ClipBatch]:
    """A function from numbers of films, clips of each and frames to clips of noise on the processor."""

    def make(films: int = 2, per_film: int = 2, frames: int = 8, side: int = 128) -> ClipBatch:
        clips, generator = films * per_film, torch.Generator().manual_seed(0)
        requests = [ClipRequest(FilmId(f"{n // per_film:016x}"), Span(32 * n, 32 * n + 32)) for n in range(clips)]
        return ClipBatch(
            tuple(requests),
            torch.randint(0, 256, (clips, frames, side * 3 // 2, side), dtype=torch.uint8, generator=generator),
            torch.randint(-9000, 9000, (clips, 32_000), dtype=torch.int16, generator=generator),
            torch.arange(clips) // per_film,
        )

    return make
