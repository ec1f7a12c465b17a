"""A model as a self-contained folder, as `talkies export` writes it from a run.

DIR/
  config.json          what the model is, how clips are prepared for it, what it was trained on
  model.safetensors    both towers and their heads, under a checkpoint's names: encoders can start from it
  video/, audio/       a public encoder with what it learnt, in the format of transformers; model.safetensors then holds
                       only its head
"""

from pathlib import Path
from typing import Any

from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from talkies.clips import ClipConfig
from talkies.config import Config, read_document
from talkies.core import ConfigError, Modality, RunError
from talkies.library import Profile
from talkies.models import ModelConfig, compute_weights_stamp
from talkies.models.public import PublicBase, PublicTower, build_described_tower, compute_tower_stamp
from talkies.runs.run_folder import RunFolder
from talkies.transforms import TransformConfig

SCHEMA_VERSION = 1
DESCRIPTION, WEIGHTS, PREFIX = "config.json", "model.safetensors", "model."
_EXPORT_AGAIN = "talkies export --run RUN --to DIR"


class ExportedModel(Config):
    """What `config.json` holds.

    `clip`, `profile` and `transforms` describe the encoders' input, `model` how they are built; `stamp` identifies
    their weights. `recipe` is the rest of the run's config. `films` are the hashes of the training films, `plan_digest`
    identifies their spans, `init` holds the initial weights, `tools` the versions of the training tools. `formats` are
    those that the folder was exported in, and `license` is that of the weights.

    `bases` holds what each public encoder came from, and `towers` the stamps of their weights as they were exported.
    `texts` are the text encoders that each modality's embeddings can be compared with, and `moved` says of others why
    they cannot any more. `weights_stamp` identifies the tensors of `model.safetensors` where they are not all.
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
    bases: dict[Modality, PublicBase] = Field(default_factory=dict)
    towers: dict[Modality, str] = Field(default_factory=dict)
    texts: dict[Modality, "ExportedTexts"] = Field(default_factory=dict)
    moved: dict[Modality, str] = Field(default_factory=dict)
    weights_stamp: str = ""

    def has_native_head(self, modality: Modality) -> bool:
        """Return whether a tower has the head that its public encoder came with."""
        section = self.recipe.get("adaptation", {}).get(modality, {})
        return modality in self.bases and section.get("train") == "none"


class ExportedTexts(Config):
    """A text encoder: its address, and the modality of its own model whose space it shares."""

    address: str
    modality: Modality


def is_exported_model(folder: Path) -> bool:
    """Return whether a folder holds an exported model."""
    return (folder / DESCRIPTION).is_file() and not RunFolder(folder).exists()


def read_exported_model(folder: Path) -> ExportedModel:
    """Return the description of an exported model.

    Raises:
        RunError: if it is damaged, is not such a description, or has a newer version.
    """
    return read_document(
        folder / DESCRIPTION,
        ExportedModel,
        "the description of an exported model",
        SCHEMA_VERSION,
        RunError,
        remedy=f"; export the model again, to a new folder: {_EXPORT_AGAIN}",
    )


def read_exported_weights(folder: Path, exported: ExportedModel) -> dict[str, Tensor]:
    """Return the tensors of an exported model by name, without the prefix, on the CPU.

    Raises:
        RunError: if they cannot be read, or are not the weights that the description names.
    """
    path, remedy = folder / WEIGHTS, f"export the model again: {_EXPORT_AGAIN}"
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} is missing or damaged; {remedy}") from error
    weights = {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items()}
    stamp = compute_weights_stamp(weights)
    described = exported.weights_stamp or exported.stamp
    if stamp != described:
        raise RunError(
            f"{path} holds other weights (stamp {stamp}) than {folder / DESCRIPTION} describes ({described}); {remedy}"
        )
    return weights


def open_exported_towers(folder: Path, exported: ExportedModel) -> dict[Modality, PublicTower]:
    """Return the public encoders of an exported model, with what they learnt.

    Raises:
        RunError: if their weights cannot be read, or are not those that the description names.
    """
    towers: dict[Modality, PublicTower] = {}
    for modality, described in exported.towers.items():
        try:
            tower = build_described_tower(exported.bases[modality], modality, folder / modality)
        except ConfigError as error:
            raise RunError(f"{folder / modality}: {error}; export the model again: {_EXPORT_AGAIN}") from error
        stamp = compute_tower_stamp(tower)
        if stamp != described:
            raise RunError(
                f"{folder / modality} holds other weights (stamp {stamp}) than {folder / DESCRIPTION} describes "
                f"({described}); export the model again: {_EXPORT_AGAIN}"
            )
        towers[modality] = tower
    return towers


def read_stamp(path: Path, step: int | None = None) -> str:
    """Return the stamp of the weights of a run's checkpoint, or of an exported model.

    Args:
        path: The folder of a run or of an exported model.
        step: The checkpoint's step; None takes the newest.

    Raises:
        RunError: if there is no such run, checkpoint or model.
    """
    if not is_exported_model(path):
        return RunFolder(path).get_checkpoint(step).read_state().stamp
    exported = read_exported_model(path)
    check_step(path, exported, step)
    return exported.stamp


def check_step(folder: Path, exported: ExportedModel, step: int | None) -> None:
    """Check that an exported model is that of `step`, if a step is given.

    Raises:
        RunError: if it is of another one.
    """
    if step is not None and step != exported.step:
        raise RunError(f"{folder} is a model exported at step {exported.step}, and holds no other; got step {step}")
