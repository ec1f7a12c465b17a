"""Write a public encoder with what it learnt as a folder that transformers loads: config, preprocessing, weights."""

from pathlib import Path
from typing import Any

from torch import nn

from talkies.core import UsageError
from talkies.models import merge_adapters
from talkies.models.public import PublicTower, compute_tower_stamp
from talkies.runs import RunModel, load_run_model

_CONFIG = "config.json"


def load_for_export(run: Path, step: int | None) -> RunModel:
    """Return the model of a run with what it learnt merged into the weights of its public encoders.

    Raises:
        RunError: if there is no such run or checkpoint, or weights that the folder needs are gone.
        UsageError: if a public encoder is not of transformers.
    """
    loaded = load_run_model(run, step)
    for modality, tower in loaded.towers.items():
        if tower.whole is None:
            raise UsageError(
                f"{loaded.config.video if modality == 'video' else loaded.config.audio} is not of transformers, so its "
                "weights cannot be exported as such a folder; use the run itself"
            )
    if any(tower.is_described and _has_other_weights(tower) for tower in loaded.towers.values()):
        loaded = load_run_model(run, step, needs_base_weights=True)
    for encoder in (loaded.model.video, loaded.model.audio):
        merge_adapters(encoder)
    return loaded


def write_tower(tower: PublicTower, folder: Path) -> str:
    """Write an encoder, whose adapters were merged, to a new folder, and return the stamp of its weights."""
    folder.mkdir()
    whole: Any = tower.whole
    whole.save_pretrained(folder)
    for name, text in tower.files.items():
        if name != _CONFIG:
            (folder / Path(name).name).write_text(text, encoding="utf-8")
    return compute_tower_stamp(tower)


def _has_other_weights(tower: PublicTower) -> bool:
    """Return whether the network of which an encoder is a part has weights that neither it nor its projection has."""
    used = {id(tensor) for part in (tower.encoder.network, tower.native_head) for tensor in _list_tensors(part)}
    return any(id(tensor) not in used for tensor in _list_tensors(tower.whole))


def _list_tensors(module: nn.Module) -> list[Any]:
    return [*module.parameters(), *module.buffers()]
