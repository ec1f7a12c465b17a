"""An encoder as a folder that stands alone: what `talkies export` writes of a run.

DIR/
  config.json          what the model is, how clips are made ready for it, what it learnt from
  model.safetensors    both towers and their heads, under a checkpoint's names: encoders can begin from it
"""

from pathlib import Path
from typing import Any

from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from talkies.clips import ClipConfig
from talkies.config import Config, read_document
from talkies.core import RunError
from talkies.library import Profile
from talkies.models import ModelConfig, compute_weights_stamp
from talkies.runs.run_folder import RunFolder
from talkies.transforms import TransformConfig

SCHEMA_VERSION = 1
DESCRIPTION, WEIGHTS, PREFIX = "config.json", "model.safetensors", "model."
_WHAT = "the description of an exported model"


class ExportedModel(Config):
    """What `config.json` holds.

    `clip`, `profile` and `transforms` say what the encoders are shown, `model` how they are built, and `stamp` which
    weights they have. `recipe` is the rest of the run's config; `films` are the hashes of the films that it learnt
    from, `plan_digest` that of their spans, `init` the weights that it began with, `tools` what it was trained with.
    `formats` are those that the folder was exported in, and `license` is that of the weights.
    """

    schema_version: int = SCHEMA_VERSION
    stamp: str
    step: int
    clip: ClipConfig
    profile: Profile
    transforms: TransformConfig
    model: ModelConfig
    recipe: dict[str, Any] = Field(default_factory=dict)
    films: tuple[str, ...] = ()
    plan_digest: str = ""
    init: dict[str, str] = Field(default_factory=dict)
    tools: dict[str, str] = Field(default_factory=dict)
    exported_by: str = ""
    formats: tuple[str, ...] = ()
    license: str = "unknown"


def is_exported_model(folder: Path) -> bool:
    """Return whether a folder holds an exported model."""
    return (folder / DESCRIPTION).is_file() and not RunFolder(folder).exists()


def read_exported_model(folder: Path) -> ExportedModel:
    """Return the description of an exported model.

    Raises:
        RunError: if it is damaged, of something else, or of a newer version.
    """
    remedy = "; export the model again, to a new folder: talkies export --run RUN --to DIR"
    return read_document(folder / DESCRIPTION, ExportedModel, _WHAT, SCHEMA_VERSION, RunError, remedy=remedy)


def read_exported_weights(folder: Path, artefact: ExportedModel) -> dict[str, Tensor]:
    """Return the tensors of an exported model by name, without the prefix, on the CPU.

    Raises:
        RunError: if they cannot be read, or are not those that the description is of.
    """
    path, again = folder / WEIGHTS, "export the model again: talkies export --run RUN --to DIR"
    try:
        named = load_file(path)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} is missing or damaged; {again}") from error
    weights = {name.removeprefix(PREFIX): tensor for name, tensor in named.items()}
    found = compute_weights_stamp(weights)
    if found != artefact.stamp:
        raise RunError(
            f"{path} holds other weights (stamp {found}) than {folder / DESCRIPTION} tells of ({artefact.stamp}); "
            f"{again}"
        )
    return weights


def read_stamp(path: Path, step: int | None = None) -> str:
    """Return the stamp of a run's newest checkpoint, or of that of `step`, or of an exported model.

    Raises:
        RunError: if there is no such run, checkpoint or model.
    """
    if not is_exported_model(path):
        return RunFolder(path).get_checkpoint(step).read_state().stamp
    artefact = read_exported_model(path)
    check_step(path, artefact, step)
    return artefact.stamp


def check_step(folder: Path, artefact: ExportedModel, step: int | None) -> None:
    """Do nothing if an exported model is that of `step`, or no step was asked for.

    Raises:
        RunError: if it is of another one.
    """
    if step is not None and step != artefact.step:
        raise RunError(f"{folder} is a model exported at step {artefact.step}, and holds no other; got step {step}")
