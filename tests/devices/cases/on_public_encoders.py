"""Steps with public encoders on a device: nothing is mixed in from the CPU, and the program waits for no value."""

from pathlib import Path

import pytest
import small_sound_checkpoints as sounds
import torch
from device_training import AUGMENTED, DeviceTraining, batch_of, config_of
from fake_accelerator import FakeAccelerator
from small_checkpoints import SAVERS

from talkies.core import ClipBatch

RATES = {"save_wav2vec2": 16_000, "save_ast": 16_000, "save_clap": 48_000}
pytestmark = pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values")
PAIRS = [
    ("clip", "save_wav2vec2", ("adaptation.video.train=lora", "adaptation.audio.train=head")),
    ("videomae", "save_ast", ("adaptation.video.train=last:1", *AUGMENTED)),
    ("dinov2", "save_clap", ("model.frame_pool=attention", "training.precision=bf16-mixed")),
]


def sounding(step: int, rate_hz: int) -> ClipBatch:
    """A batch with a second of sound at a public encoder's rate."""
    batch = batch_of(step)
    audio = torch.randint(-9000, 9000, (len(batch), rate_hz), dtype=torch.int16)
    return ClipBatch(batch.requests, batch.video_BTPW, audio, batch.film_B, batch.start_B, batch.starts)


@pytest.mark.parametrize(("pictures", "sound", "overrides"), PAIRS, ids=[f"{one}-{two}" for one, two, _ in PAIRS])
def test_no_public_encoder_waits_for_the_device(
    tmp_path: Path, pictures: str, sound: str, overrides: tuple[str, ...]
) -> None:
    video, rate_hz = SAVERS[pictures](tmp_path), RATES[sound]
    audio = tmp_path / "sound"
    audio.mkdir()
    getattr(sounds, sound)(audio)
    config = config_of(f"model.video=hf:{video}", f"model.audio=hf:{audio}", "clip.audio_seconds=1", *overrides)
    with FakeAccelerator() as accelerator:
        training = DeviceTraining(config, rate_hz)
        training.run(range(1), (sounding(step, rate_hz) for step in range(1)))
        with accelerator.watch() as waits:
            counts: list[int] = []
            batches = (sounding(step, rate_hz) for step in range(1, 3))
            training.run(range(1, 3), batches, lambda _step: counts.append(len(waits)))
    assert waits[: counts[-1]] == []
