"""Small public towers of every family, and one training state of each, on clips that are noise."""

from pathlib import Path
from typing import Any

import small_sound_checkpoints as sounds
import torch
from lightning_fabric import Fabric
from small_checkpoints import SAVERS
from torch import Tensor

from talkies.config import to_yaml
from talkies.core import ClipBatch, ClipRequest, FilmId, Modality, Span
from talkies.library import Profile
from talkies.models import EncoderAddress, find_bases
from talkies.models.public import open_tower
from talkies.runs import RunFolder, RunRecord
from talkies.training import RunConfig, resolve
from talkies.training.checkpoints import Checkpoints
from talkies.training.train_state import TrainState, build_system

SOUNDS: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec2": ("save_wav2vec2", {}),
    "wav2vec2-large": ("save_wav2vec2", {"feat_extract_norm": "layer", "do_stable_layer_norm": True}),
    "hubert": ("save_hubert", {}),
    "wavlm": ("save_wavlm", {}),
    "ast": ("save_ast", {}),
    "whisper": ("save_whisper", {}),
    "clap": ("save_clap", {}),
    "pe_audio": ("save_pe_av", {}),
}
FAMILIES: list[tuple[Modality, str]] = [
    *(("video", name) for name in (*SAVERS, "pe_video")),
    *(("audio", name) for name in SOUNDS),
]
FRAMES, SIDE, CLIPS = 4, 32, 4


def save_checkpoint(folder: Path, name: str) -> Path:
    """Save a small random checkpoint of a family, and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if name in SAVERS:
        return SAVERS[name](folder)
    saver, options = SOUNDS.get(name, ("save_pe_av", {}))
    getattr(sounds, saver)(folder, **options)
    return folder


class SmallTower:
    """One tower of a public encoder beside a tiny one of talkies, trained on noise."""

    def __init__(self, modality: Modality, folder: Path) -> None:
        self.modality, self.address = modality, f"hf:{folder}"
        self.tower = open_tower(EncoderAddress.parse(self.address), modality)
        input_ = self.tower.encoder.input
        rate = getattr(input_, "rate_hz", 16_000)
        self.profile = Profile(short_side=SIDE, audio_rate_hz=rate)
        self.seconds = max(1.0, float(getattr(input_, "least_samples", 0)) / rate)
        self.seconds = -(-int(self.seconds * 16) // 8) / 2

    def config(self, train: str, *overrides: str) -> RunConfig:
        least = (
            f"model.{self.modality}={self.address}",
            f"adaptation.{self.modality}.train={train}",
            f"model.embedding_dim={self.tower.native_dim if train == 'none' else 8}",
            "model.hidden_dim=12",
            f"clip.frames={FRAMES}",
            "clip.fps=4",
            f"clip.audio_seconds={self.seconds}",
            "transforms.video.size=16",
            "transforms.audio.mels=16",
            "optimiser.learning_rate=0.01",
            "optimiser.warmup_steps=0",
        )
        return resolve("tiny", [*least, *overrides])

    def start(self, config: RunConfig) -> TrainState:
        system = build_system(config, self.profile.fps, self.profile.audio_rate_hz)
        return TrainState(Fabric(accelerator="cpu"), system, config)

    def batch(self, step: int) -> ClipBatch:
        generator = torch.Generator().manual_seed(step)
        video = torch.randint(0, 256, (CLIPS, FRAMES, SIDE * 3 // 2, SIDE), dtype=torch.uint8, generator=generator)
        samples = int(self.seconds * self.profile.audio_rate_hz)
        audio = torch.randint(-9000, 9000, (CLIPS, samples), dtype=torch.int16, generator=generator)
        films = [0, 0, 1, 1]
        requests = tuple(
            ClipRequest(FilmId(f"{film:016x}"), Span(40 * number, 40 * number + 16))
            for number, film in enumerate(films)
        )
        return ClipBatch(requests, video, audio, torch.tensor(films))

    def train(self, state: TrainState, steps: range) -> dict[str, Tensor]:
        """Take steps, and return the numbers of the last."""
        numbers: dict[str, Tensor] = {}
        for step in steps:
            batch = self.batch(step)
            state.wrapped_optimiser.zero_grad()
            numbers = state.stepper.backward(batch, state.stepper.draw_augmentations(batch, 0, step), step)
            state.wrapped_optimiser.step()
            state.update_average(step + 1)
        return numbers

    def save(self, state: TrainState, config: RunConfig, root: Path, step: int) -> Checkpoints:
        """Write a checkpoint of a run, as `pretrain` does."""
        folder = RunFolder(root)
        if not folder.exists():
            record = RunRecord(
                library="lib",
                profile=self.profile.model_dump(),
                films=(),
                bases=find_bases(state.system.model),
                tools={},
            )
            folder.create(to_yaml(config), record)
        checkpoints = Checkpoints(folder, state.system, state.optimiser, state.average, config.training)
        checkpoints.save(step, {}, writes=True)
        return checkpoints


def weights_of(state: TrainState) -> dict[str, Tensor]:
    """A copy of the model's tensors."""
    return {name: tensor.clone() for name, tensor in state.system.model.state_dict().items()}


def list_changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}
