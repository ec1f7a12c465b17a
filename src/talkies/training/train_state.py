"""Everything that training changes: a system on its devices, with its optimiser and the average of its weights."""

from collections.abc import Mapping
from typing import cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricOptimizer

from talkies.core import Modality
from talkies.core.precision import Precision
from talkies.library import Profile
from talkies.models import TwoTower, build_model
from talkies.models.public import PublicTower
from talkies.objectives import ContrastiveObjective, Recurrences
from talkies.runs.needs import check_profile
from talkies.training.batch_norms import synchronise_batch_norms
from talkies.training.config import RunConfig
from talkies.training.devices import keep_freed_memory
from talkies.training.distillation import Distillation
from talkies.training.ema import ExponentialMovingAverage
from talkies.training.momentum import MomentumKeys
from talkies.training.optimiser import build_optimiser, measure_scales
from talkies.training.step import FORWARD_METHODS, Stepper
from talkies.training.system import ContrastiveSystem
from talkies.transforms import ClipTransform


def build_system(
    config: RunConfig,
    fps: int,
    rate_hz: int,
    towers: Mapping[Modality, PublicTower] | None = None,
    *,
    profile: Profile | None = None,
    recurrences: Recurrences | None = None,
) -> ContrastiveSystem:
    """Return the system on the CPU, with fresh weights that follow from the seed.

    Args:
        config: the run's config.
        fps: frames a second of the library's grid.
        rate_hz: samples a second of the library's sound.
        towers: public encoders that are opened already; others are opened at their addresses.
        profile: the library's profile, if it is to be checked that it gives what public encoders need.
        recurrences: what comes back in the films, where the objective names it.

    Raises:
        ConfigError: if an encoder does not accept the clips.
        LibraryError: if the library gives less than a public encoder needs.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        model: TwoTower = build_model(config.model, config.adaptation, towers)
    if profile:
        check_profile(model, profile, f"a model of {config.model.video} and {config.model.audio}")
    size = model.video_input.size if model.video_input else config.transforms.video.size
    model.video.check_input((config.clip.frames, size, size))

    return ContrastiveSystem(
        ClipTransform(
            config.transforms,
            rate_hz,
            model.video_input,
            model.audio_input,
            audio_seconds=config.clip.audio_seconds,
        ),
        model,
        ContrastiveObjective(config.objective, fps, recurrences, window_frames=config.clip.to_shape(fps).window_frames),
        distillation=Distillation(model, config.adaptation),
        precision=Precision(config.training.precision),
        channels_last=config.training.channels_last,
    )


class TrainState:
    """The system, its optimiser, the moving average of its weights and its keys, set up for the devices of a `Fabric`.

    A checkpoint holds their state; `stepper` computes the gradients of a step.
    """

    def __init__(self, fabric: Fabric, system: ContrastiveSystem, config: RunConfig) -> None:
        training = config.training
        if fabric.device.type == "cpu":
            keep_freed_memory()

        # Prepare the modules before Fabric wraps them.
        if training.sync_batch_norm and fabric.world_size > 1:
            synchronise_batch_norms(system, fabric.device.type, is_compiled=training.compile)
        for encoder in (system.model.video, system.model.audio):
            encoder.recompute = training.activation_checkpointing
            if training.compile:
                encoder.compile_blocks()

        wrapped = fabric.setup_module(system)
        for method in FORWARD_METHODS:
            wrapped.mark_forward_method(method)
        self.system = system

        scales = {f"model.{name}": scale for name, scale in measure_scales(system.model, config.adaptation).items()}

        # Build the optimiser after the wrapping, which replaces parameters where it shards them over ranks.
        self.optimiser = build_optimiser(system, config.optimiser, scales)
        self.wrapped_optimiser = cast("_FabricOptimizer", fabric.setup_optimizers(self.optimiser))
        self.average = ExponentialMovingAverage(system.model, training.ema_decay) if training.ema_decay else None
        has_queue = config.objective.queue_clips_per_film is not None
        self.keys = MomentumKeys(system.model, config.objective) if has_queue else None
        self.stepper = Stepper(
            fabric, wrapped, system, training.chunk_clips, fixed_views=config.adaptation.views, keys=self.keys
        )

    def update_average(self, steps_done: int) -> None:
        """Update the moving averages of the weights that there are, after `steps_done` steps."""
        if self.average is not None:
            self.average.update(steps_done)
        if self.keys is not None:
            self.keys.update(steps_done)
