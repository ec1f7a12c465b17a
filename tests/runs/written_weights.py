"""Runs and weight files for the tests of runs."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from talkies.models import (
    AUDIO_ENCODERS,
    VIDEO_ENCODERS,
    Encoder,
    ModelConfig,
    TwoTower,
    build_model,
    compute_model_stamp,
)
from talkies.runs import CheckpointState, RunFolder, RunRecord

CONFIG = ModelConfig(video="tiny", audio="tiny", embedding_dim=24, hidden_dim=32)
Tensors = dict[str, Tensor]


def fresh(tower: str = "video", name: str = "tiny") -> Encoder:
    return (VIDEO_ENCODERS if tower == "video" else AUDIO_ENCODERS)[name]()


def trained(encoder: nn.Module) -> Tensors:
    """The tensors of an encoder as it could be after training: none is what a fresh one has."""
    return {
        name: torch.tensor(7) if tensor.ndim == 0 else torch.rand_like(tensor) + 0.5
        for name, tensor in encoder.state_dict().items()
    }


def copied(encoder: nn.Module) -> Tensors:
    return {name: tensor.clone() for name, tensor in encoder.state_dict().items()}


def assert_holds(encoder: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    torch.testing.assert_close(dict(encoder.state_dict()), dict(tensors), rtol=0, atol=0)


def in_model(video: Mapping[str, Tensor], audio: Mapping[str, Tensor]) -> Tensors:
    both = {f"model.video.{name}": tensor for name, tensor in video.items()}
    both |= {f"model.audio.{name}": tensor for name, tensor in audio.items()}
    return both | {"model.video_head.0.weight": torch.ones(3), "objective.log_temperature": torch.ones(())}


def run_of(root: Path, config: ModelConfig = CONFIG) -> tuple[RunFolder, TwoTower]:
    """A run with checkpoints of steps 0 and 10, and the model of the last."""
    run, model = RunFolder(root), build_model(config)
    run.create(f"model: {json.dumps(config.model_dump())}\n", RunRecord(library="l", profile={}, films=(), tools={}))
    for step in (0, 10):
        model.load_state_dict(trained(model))
        tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
        run.save(
            CheckpointState(step=step, stamp=compute_model_stamp(model)), tensors | {"objective.t": torch.ones(1)}, {}
        )
    return run, model
