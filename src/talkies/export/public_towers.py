"""Write a public encoder with what it learnt as a folder that transformers loads: config, preprocessing, weights."""

from contextlib import suppress
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from talkies.core import RunError, UsageError
from talkies.models import merge_adapters
from talkies.models.public import PublicTower, compute_tower_stamp
from talkies.models.public.checkpoint import silence
from talkies.runs import RunModel, load_run_model
from talkies.runs.exported_model import WEIGHTS

_CONFIG = "config.json"


def load_for_export(run: Path, step: int | None) -> RunModel:
    """Return the model of a run with what it learnt merged into the weights of its public encoders.

    Raises:
        RunError: if there is no such run or checkpoint, or weights that the folder needs are gone.
        UsageError: if a public encoder is not of transformers.
    """
    loaded = load_run_model(run, step)
    for modality, tower in loaded.towers.items():
        if tower.whole is None and not tower.parts:
            raise UsageError(
                f"{loaded.config.video if modality == 'video' else loaded.config.audio} is not of transformers, so its "
                "weights cannot be exported as such a folder; use the run itself"
            )
    if any(tower.is_described and _list_other_weights(tower) for tower in loaded.towers.values()):
        with suppress(RunError):  # then the folder is without what features do not depend on
            loaded = load_run_model(run, step, needs_base_weights=True)
    for encoder in (loaded.model.video, loaded.model.audio):
        merge_adapters(encoder)
    return loaded


def write_tower(tower: PublicTower, folder: Path) -> str:
    """Write an encoder, whose adapters were merged, to a new folder, and return the stamp of its weights."""
    folder.mkdir()
    if tower.whole is not None:
        # The network, and what was removed from it because features do not depend on it, unless that is random.
        others = {} if tower.is_described else _list_other_weights(tower)
        with silence():
            tower.whole.save_pretrained(folder, state_dict={**others, **tower.whole.state_dict()})
    else:
        weights = {
            prefix + name: tensor.contiguous()
            for prefix, part in tower.parts
            for name, tensor in part.state_dict().items()
        }
        save_file(weights, folder / WEIGHTS, {"format": "pt"})
    for name, text in tower.files.items():
        if name != _CONFIG or tower.whole is None:
            (folder / Path(name).name).write_text(text, encoding="utf-8")
    return compute_tower_stamp(tower)


def _list_other_weights(tower: PublicTower) -> dict[str, Tensor]:
    """Return the weights of the network of which an encoder is a part that neither it nor its projection has."""
    parts = (tower.encoder.network, tower.native_head)
    used = {tensor.data_ptr() for part in parts for tensor in part.state_dict().values()}
    return {name: tensor for name, tensor in tower.tensors.items() if tensor.data_ptr() not in used}
