"""A system set up to learn: on its devices, with its optimiser and, where wanted, the average of its weights."""

from typing import cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricOptimizer
from torch import nn

from talkies.models import TwoTower, build_model, fast_on_cpu, keep_freed_memory
from talkies.objectives import ContrastiveObjective
from talkies.training.config import RunConfig
from talkies.training.devices import device_of
from talkies.training.ema import MovingAverage
from talkies.training.optimiser import build_optimiser
from talkies.training.step import METHODS, Stepper
from talkies.training.system import ContrastiveSystem
from talkies.transforms import ClipTransform


def build_system(config: RunConfig, fps: int, rate_hz: int) -> ContrastiveSystem:
    """Return the system with fresh weights, which follow from the seed, on the CPU.

    `fps` and `rate_hz` are the library's: frames of its grid and samples of its sound a second.

    Raises:
        ConfigError: if the video encoder cannot take the clips, or its convolutions cannot be made fast.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        model: TwoTower = build_model(config.model)
    size = config.transforms.video.size
    model.video.check_input((config.clip.frames, size, size))
    if config.training.cpu_convolutions == "winograd" and device_of(config.training) == "cpu":
        fast_on_cpu(model)
        keep_freed_memory()
    return ContrastiveSystem(
        ClipTransform(config.transforms, rate_hz),
        model,
        ContrastiveObjective(config.objective, fps),
        half=config.training.precision == "bf16-mixed",
        channels_last=config.training.channels_last,
    )


class Learner:
    """What the loop steps with, and what a checkpoint holds."""

    def __init__(self, fabric: Fabric, system: ContrastiveSystem, config: RunConfig) -> None:
        training = config.training
        torch.set_float32_matmul_precision("high" if training.precision == "tf32" else "highest")
        torch.backends.cudnn.allow_tf32 = training.precision == "tf32"
        if training.sync_batch_norm and fabric.world_size > 1:
            system = nn.SyncBatchNorm.convert_sync_batchnorm(system)  # type: ignore[no-untyped-call]
        for encoder in (system.model.video, system.model.audio):
            encoder.recompute = training.activation_checkpointing
            if training.compile:
                encoder.compile_parts()
        wrapped = fabric.setup_module(system)
        for method in METHODS:
            wrapped.mark_forward_method(method)
        self.system = system
        # After the set-up: where parameters are spread over ranks, they are others then.
        self.optimiser = build_optimiser(system, config.optimiser)
        self.wrapped_optimiser = cast("_FabricOptimizer", fabric.setup_optimizers(self.optimiser))
        self.average = MovingAverage(system.model, training.ema_decay) if training.ema_decay else None
        self.stepper = Stepper(fabric, wrapped, system, training.chunk_clips)

    def learnt(self, done: int) -> None:
        """Let the average follow, after `done` steps."""
        if self.average is not None:
            self.average.update(done)
