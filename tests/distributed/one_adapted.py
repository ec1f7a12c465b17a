"""One rank of a group that adapts public encoders: the weights after two steps, and what the ranks sent each other."""

import os
from pathlib import Path

import torch
from ranks import meet
from trained_towers import SmallTower, weights_of

from talkies.training.config import TrainingConfig
from talkies.training.devices import make_fabric
from talkies.training.train_state import TrainState, build_system

MODES = ("head", "lora", "last:1", "all")
OVERRIDES = ("adaptation.video.distillation_weight=0.5", "training.ema_decay=0.5")


def main(number: int, size: int, folder: Path) -> None:
    meet(number, size, folder)
    tower = SmallTower("video", Path(os.environ["TALKIES_TEST_CHECKPOINT"]))
    results: dict[str, object] = {}
    for train in MODES:
        config = tower.config(train, *OVERRIDES[train == "head" :], "training.sync_batch_norm=false")
        fabric = make_fabric(TrainingConfig(steps=1, device="cpu", devices=size), has_unused_weights=train != "head")
        fabric.launch()
        system = build_system(config, tower.profile.fps, tower.profile.audio_rate_hz)
        before = weights_of_model(system)
        state = TrainState(fabric, system, config)
        share = slice(number * 4 // size, (number + 1) * 4 // size)
        for step in range(2):
            batch = tower.batch(step)[share]
            state.wrapped_optimiser.zero_grad()
            state.stepper.backward(batch, state.stepper.draw_augmentations(batch, 0, step), step)
            state.wrapped_optimiser.step()
            state.update_average(step + 1)
        trained = {f"model.{name}" for name, p in system.model.named_parameters() if p.requires_grad}
        results[train] = {
            "before": before,
            "after": weights_of(state),
            "trained": sorted(trained),
            "averaged": sorted(state.average.state_dict()) if state.average else [],
            "in_optimiser": sum(len(group["params"]) for group in state.optimiser.param_groups),
        }
    torch.save(results, folder / f"{number}_of_{size}.pt")


def weights_of_model(system: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name.removeprefix("model."): t.clone() for name, t in system.state_dict().items() if name[:6] == "model."}
