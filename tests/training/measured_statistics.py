"""The statistics of batch norms, computed directly from all that each norm receives."""

from types import SimpleNamespace

import torch
from torch import Tensor

from talkies.clips import open_training_clips
from talkies.library import Library
from talkies.training import RunConfig
from talkies.training.batch_norms import list_batch_norms
from talkies.training.step import Stepper, split_into_strided_chunks
from talkies.training.train_state import build_system

Weights = dict[str, Tensor]


def running_of(weights: Weights) -> Weights:
    return {name: tensor for name, tensor in weights.items() if "running" in name}


def measured_directly(library: Library, config: RunConfig, weights: Weights, step: int) -> Weights:
    """The mean and the variance of all that each norm receives from the batches of the next three steps."""
    system = build_system(config, library.profile.fps, library.profile.audio_rate_hz).train()
    system.load_state_dict(weights, strict=False)
    plan_and_source = open_training_clips(library.root, config.clip, config.sampling, config.training.seed)
    stepper = Stepper(SimpleNamespace(global_rank=0, world_size=1), None, system, None)  # type: ignore[arg-type]

    received: dict[str, list[Tensor]] = {}
    for name, norm in system.named_modules():
        if norm in list_batch_norms(system):
            norm.register_forward_pre_hook(
                lambda _, inputs, name=name: received.setdefault(name, []).append(inputs[0].transpose(0, 1).flatten(1))
            )
    for number in range(step, step + 3):
        batch = plan_and_source.source.read_batch(plan_and_source.plan.draw_batch(number))
        augmentations = stepper.draw_augmentations(batch, config.training.seed, number)[:1]
        with torch.no_grad():
            for chunk in split_into_strided_chunks(len(batch), config.training.chunk_clips or len(batch)):
                system.encode(batch[chunk], [augmentation[chunk] for augmentation in augmentations])
    return {
        f"{name}.running_{kind}": (torch.mean if kind == "mean" else torch.var)(
            torch.cat(inputs, 1).double(), 1
        ).float()
        for name, inputs in received.items()
        for kind in ("mean", "var")
    }
