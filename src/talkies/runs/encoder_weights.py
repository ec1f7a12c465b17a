"""Weights in and out: an encoder begins from a file, and leaves as one.

Files hold tensors by name. Those of R(2+1)D-18 and ResNet-18 are torchvision's names, so that weights go both ways.

Shapes: `O` channels out, `C` channels in.
"""

import pickle
import re
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from talkies.config import check, read_yaml
from talkies.core import ConfigError, Modality, RunError, WorkError, describe_os_error, format_count, suggest_nearest
from talkies.models.registry import ModelConfig, build_model
from talkies.models.tower import Encoder
from talkies.runs.run_folder import Checkpoint, RunFolder
from talkies.runtime import replace_atomically

_TOWERS: tuple[Modality, Modality] = ("video", "audio")
_AVERAGED, _NEWEST = "ema.safetensors", "model.safetensors"
_NESTS = ("state_dict", "model_state_dict", "model")
_NAMED_AT_MOST = 6
_ZIP, _OLD_PICKLE = b"PK\x03\x04", b"\x80\x02"
# What the readers of files raise at damaged ones; PyTorch's checks little, and stumbles over the rest.
_DAMAGE = (
    *(OSError, EOFError, SafetensorError, struct.error, RuntimeError, AssertionError, MemoryError),
    *(ArithmeticError, AttributeError, ImportError, LookupError, TypeError, ValueError),
)
_ACCEPTED = "a .safetensors file, a PyTorch file of a state dict, a talkies run or one of its checkpoints"


@dataclass(frozen=True, slots=True)
class Init:
    """The files that encoders begin from; a tower without one begins fresh."""

    video: Path | None = None
    audio: Path | None = None


@dataclass(frozen=True, slots=True)
class LoadedWeights:
    """What an encoder took from a file: names of tensors that `matched`, that were `adapted` from three channels to
    one, and that were `left`, for the encoder has no such tensor. `str` says it in a sentence.
    """

    tower: Modality
    path: Path
    matched: tuple[str, ...]
    adapted: tuple[str, ...]
    left: tuple[str, ...]

    def __str__(self) -> str:
        sentence = f"{self.tower}: {format_count(len(self.matched), 'tensor')} of {self.path} matched"
        if self.adapted:
            sentence += f", {_some(self.adapted)} adapted (3 channels to 1)"
        return sentence + (f", left: {_some(self.left)}" if self.left else "")


@dataclass(frozen=True, slots=True)
class ExportedWeights:
    """The files of a run's two encoders, and the stamp of the model that they are of."""

    video: Path
    audio: Path
    stamp: str


def parse_init(text: str) -> Init:
    """Return what `video=PATH,audio=PATH` says, either of them or both.

    A path may hold commas and equals signs.

    Raises:
        ConfigError: if it says something else.
    """
    accepted = f"it is video=PATH, audio=PATH or video=PATH,audio=PATH, where PATH is {_ACCEPTED}"
    _, *parts = re.split(r"(?:^|,)\s*(video|audio)=", text)
    paths = dict(zip(parts[::2], (part.strip() for part in parts[1::2]), strict=True))
    if not re.match(r"\s*(video|audio)=", text):
        tower = text.partition("=")[0].strip()
        raise ConfigError(f"weights to begin from got '{text}'{suggest_nearest(tower, _TOWERS)}; {accepted}")
    for tower in _TOWERS:
        if parts[::2].count(tower) > 1:
            raise ConfigError(f"weights to begin from got '{text}', which names {tower} twice; {accepted}")
        if paths.get(tower) == "":
            raise ConfigError(f"weights to begin from got '{text}', without a path for {tower}; {accepted}")
    return Init(**{tower: Path(path) for tower, path in paths.items()})


def load_encoder_weights(encoder: Encoder, path: Path) -> LoadedWeights:
    """Set the weights of `encoder` to those in `path`, and return what was taken.

    `path` is a safetensors file, a PyTorch file of a state dict (as it is, or under `state_dict`, `model_state_dict` or
    `model`, names with or without `module.`), or a talkies run (its newest checkpoint), a checkpoint or a file of one;
    of these the averaged weights are taken if there are any. A first kernel `[O, 3, …]` for colours is summed over them
    where the encoder has `[O, 1, …]`: on one channel it gives what it gave on three equal ones.

    Raises:
        ConfigError: if the file cannot be read without running code of its own, or holds no complete set of weights of
            the encoder; then the encoder is as it was.
        RunError: if the run has no checkpoint.
    """
    file = _file_at(path)
    offered = _of_tower(_tensors_in(file), encoder.modality)
    own = encoder.state_dict()
    _check_complete(encoder, own, offered, file)
    adapted = tuple(name for name, tensor in own.items() if name in offered and _sums_to(offered[name], tensor))
    _check_shapes(own, offered, adapted, file)
    taken = {name: tensor for name, tensor in offered.items() if name in own}
    summed = {name: taken[name].double().sum(1, keepdim=True) for name in adapted}
    encoder.load_state_dict(own | taken | summed)
    matched = tuple(name for name in own if name in taken and name not in adapted)
    return LoadedWeights(encoder.modality, file, matched, adapted, tuple(name for name in offered if name not in own))


def export_weights(run: Path, folder: Path, step: int | None = None) -> ExportedWeights:
    """Write the encoders of a run's newest checkpoint, or that of `step`: `video.safetensors`, `audio.safetensors`.

    Averaged weights are taken if the checkpoint has any. Each file is there whole or not at all; its metadata tell the
    encoder's name, its `out_dim`, the step, the checkpoint's stamp and the version of talkies.

    Raises:
        RunError: if there is no such run or checkpoint, or its weights are not of its config's model.
        WorkError: if a file cannot be written.
    """
    run_folder = RunFolder(run)
    checkpoint = run_folder.checkpoint(step)
    where = str(run_folder.config_path)
    config = check(ModelConfig, read_yaml(run_folder.config_path).get("model", {}), where)
    with torch.device("meta"):
        model = build_model(config)
    weights, stamp = checkpoint.encoder_weights(), checkpoint.state().stamp
    own = {name.removeprefix("model."): tensor for name, tensor in weights.items() if name.startswith("model.")}
    try:
        model.load_state_dict(own, assign=True)
    except RuntimeError as error:
        raise RunError(f"the weights in {checkpoint.folder} are not of the model in {where}") from error
    exported = ExportedWeights(folder / "video.safetensors", folder / "audio.safetensors", stamp)
    facts = {"talkies": version("talkies"), "stamp": stamp, "step": str(checkpoint.step)}
    _write(exported.video, model.video, facts | {"encoder": config.video})
    _write(exported.audio, model.audio, facts | {"encoder": config.audio})
    return exported


def _write(path: Path, encoder: Encoder, facts: dict[str, str]) -> None:
    metadata = {"format": "pt", "tower": encoder.modality, "out_dim": str(encoder.out_dim), **facts}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replace_atomically(path) as temporary:
            save_file(encoder.state_dict(), temporary, metadata)
    except (OSError, SafetensorError) as error:
        cause = describe_os_error(error) if isinstance(error, OSError) else str(error)
        raise WorkError(f"{path} cannot be written ({cause}); name a folder with room that you may write") from error


def _file_at(path: Path) -> Path:
    """Return the file that a path to begin from stands for."""
    try:
        if path.is_file():
            return path
        if RunFolder(path).exists():
            return _weights_of(RunFolder(path).checkpoint())
        if _weights_of(Checkpoint(path)).is_file():
            return _weights_of(Checkpoint(path))
        fault = "is a folder without weights" if path.exists() else "does not exist"
    except OSError as error:
        fault = f"cannot be read ({describe_os_error(error)})"
    raise ConfigError(f"{path} to begin from {fault}; name {_ACCEPTED}")


def _weights_of(checkpoint: Checkpoint) -> Path:
    averaged = checkpoint.folder / _AVERAGED
    return averaged if averaged.is_file() else checkpoint.folder / _NEWEST


def _tensors_in(file: Path) -> dict[str, Tensor]:
    """Return the tensors in a file by name, on the CPU, without running what the file says."""
    try:
        with file.open("rb") as opened:
            start = opened.read(9)
        if start.startswith((_ZIP, _OLD_PICKLE)):
            return _tensors_among(_unpickled(file))
        return load_file(file)
    except _DAMAGE as error:
        raise ConfigError(f"{file} to begin from cannot be read, or is damaged; name {_ACCEPTED}") from error


def _unpickled(file: Path) -> Any:
    """Return what a PyTorch file holds.

    Raises:
        ConfigError: if it holds more than plain values.
        RuntimeError and others: as PyTorch does, if it is damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on formats that are then refused
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"an object of {found[1]}" if found else "more than tensors, or is damaged"
        raise ConfigError(
            f"{file} to begin from holds {what}, and reading it could run code of its maker; where you trust it, save "
            f"its tensors alone: torch.save(model.state_dict(), …)"
        ) from error


def _tensors_among(document: object) -> dict[str, Tensor]:
    """Return the state dict in a document, found at its root or one step down."""
    if not isinstance(document, Mapping):
        return {}
    for inner in (*(document.get(nest) for nest in _NESTS), document):
        if isinstance(inner, Mapping):
            tensors = {str(name): value for name, value in inner.items() if isinstance(value, Tensor)}
            if tensors:
                return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    return {}


def _of_tower(tensors: dict[str, Tensor], tower: Modality) -> dict[str, Tensor]:
    """Return the tensors of one encoder: of a talkies model those of its tower, of another file all."""
    if not any(name.startswith(tuple(f"model.{name}." for name in _TOWERS)) for name in tensors):
        return tensors
    prefix = f"model.{tower}."
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _check_complete(encoder: Encoder, own: Mapping[str, Tensor], offered: Mapping[str, Tensor], file: Path) -> None:
    what = f"the {encoder.modality} encoder ({type(encoder).__name__})"
    if not own.keys() & offered.keys():
        held, wanted = _some(tuple(offered)) or "none", _some(tuple(own))
        raise ConfigError(f"{file} has no tensor of {what}: it holds {held}, and wanted are {wanted}; name {_ACCEPTED}")
    lacking = tuple(name for name in own if name not in offered and not name.endswith(".num_batches_tracked"))
    if lacking:
        raise ConfigError(
            f"{file} lacks {format_count(len(lacking), 'tensor')} of {what}: {_some(lacking)}; name weights of that encoder"
        )


def _check_shapes(
    own: Mapping[str, Tensor], offered: Mapping[str, Tensor], adapted: tuple[str, ...], file: Path
) -> None:
    for name, wanted in own.items():
        got = offered.get(name, wanted)
        if name not in adapted and _kind(got) != _kind(wanted):
            raise ConfigError(
                f"{name} in {file} is {_kind(got)}, and the encoder's is {_kind(wanted)}; name weights of that encoder"
            )


def _kind(tensor: Tensor) -> str:
    """Return the shape of a tensor, and its type where the numbers are not real."""
    number = "" if tensor.is_floating_point() else f"{tensor.dtype} ".removeprefix("torch.")
    return f"{number}{list(tensor.shape)}"


def _sums_to(got: Tensor, wanted: Tensor) -> bool:
    """Return whether `got` is a kernel `[O, 3, …]` where `[O, 1, …]` is wanted."""
    kernels = got.ndim == wanted.ndim > 2 and got.is_floating_point()
    return kernels and got.shape[1] == 3 and got[:, :1].shape == wanted.shape


def _some(names: tuple[str, ...]) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - _NAMED_AT_MOST
    shown = ", ".join(names[:_NAMED_AT_MOST])
    return f"{shown} and {more} more" if more > 0 else shown
