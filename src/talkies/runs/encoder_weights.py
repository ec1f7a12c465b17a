"""Read an encoder's initial weights from a file, and write a run's encoders as files.

Files hold tensors by name. For R(2+1)D-18 and ResNet-18 the names are torchvision's, so weights can be exchanged with
it in both directions.

Shapes: `O` output channels, `C` input channels.
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

from talkies.core import (
    MODALITIES,
    ConfigError,
    Modality,
    WorkError,
    describe_os_error,
    format_count,
    suggest_nearest,
)
from talkies.models import Encoder, merge_adapters, needs_base
from talkies.models.public import PublicEncoder
from talkies.runs.checkpoint import STEP_PREFIX, Checkpoint
from talkies.runs.exported_model import is_exported_model, open_exported_towers, read_exported_model
from talkies.runs.run_folder import RunFolder
from talkies.runs.run_model import load_run_model
from talkies.runs.saved_tensors import is_index, open_tensors
from talkies.runtime import replace_atomically

_STATE_DICT_KEYS = ("state_dict", "model_state_dict", "model")
_MOST_NAMES = 6
_ZIP, _OLD_PICKLE = b"PK\x03\x04", b"\x80\x02"
# What readers raise for damaged files: PyTorch checks little, and fails on the rest in many ways.
_DAMAGE = (
    *(OSError, EOFError, SafetensorError, struct.error, RuntimeError, AssertionError, MemoryError),
    *(ArithmeticError, AttributeError, ImportError, LookupError, TypeError, ValueError),
)
_ACCEPTED = "a .safetensors file, a PyTorch file of a state dict, a talkies run or one of its checkpoints"


@dataclass(frozen=True, slots=True)
class InitialWeights:
    """The files that encoders start from; an encoder without one starts from random weights."""

    video: Path | None = None
    audio: Path | None = None


@dataclass(frozen=True, slots=True)
class LoadedWeights:
    """The tensors that an encoder took from a file, by name; `str` says it in a sentence.

    Those that `matched`, those that were `adapted` from three channels to one, and those `unused` because the encoder
    has no such tensor.
    """

    modality: Modality
    path: Path
    matched: tuple[str, ...]
    adapted: tuple[str, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        sentence = f"{self.modality}: {format_count(len(self.matched), 'tensor')} of {self.path} matched"
        if self.adapted:
            sentence += f", {_list_names(self.adapted)} adapted (3 channels to 1)"
        return sentence + (f", unused: {_list_names(self.unused)}" if self.unused else "")


@dataclass(frozen=True, slots=True)
class ExportedWeights:
    """The files of a run's two encoders, and the stamp of their model."""

    video: Path
    audio: Path
    stamp: str


def parse_initial_weights(text: str) -> InitialWeights:
    """Return the files named by `video=PATH,audio=PATH`, one of them or both; a path may hold commas and equals signs.

    Raises:
        ConfigError: if the text has another form.
    """
    accepted = f"it is video=PATH, audio=PATH or video=PATH,audio=PATH, where PATH is {_ACCEPTED}"
    _, *parts = re.split(r"(?:^|,)\s*(video|audio)=", text)
    modalities = parts[::2]
    paths = dict(zip(modalities, (part.strip() for part in parts[1::2]), strict=True))
    if not re.match(r"\s*(video|audio)=", text):
        modality = text.partition("=")[0].strip()
        raise ConfigError(f"initial weights: got '{text}'{suggest_nearest(modality, MODALITIES)}; {accepted}")
    for modality in MODALITIES:
        if modalities.count(modality) > 1:
            raise ConfigError(f"initial weights: got '{text}', which names {modality} twice; {accepted}")
        if paths.get(modality) == "":
            raise ConfigError(f"initial weights: got '{text}', without a path for {modality}; {accepted}")
    return InitialWeights(**{modality: Path(path) for modality, path in paths.items()})


def load_encoder_weights(encoder: Encoder, path: Path) -> LoadedWeights:
    """Set an encoder's weights to those in a file, and return which tensors were used.

    A first kernel `[O, 3, …]` for colours is summed over them where the encoder has `[O, 1, …]`: its output for one
    channel is then that for three equal channels.

    Args:
        encoder: The encoder; it stays unchanged if this fails.
        path: A safetensors file; a PyTorch file of a state dict (at its root, or under `state_dict`,
            `model_state_dict` or `model`; names with or without `module.`); or a talkies run (its newest checkpoint),
            a checkpoint or a file of one. Of a checkpoint the averaged weights are taken, if there are any.

    Raises:
        ConfigError: if the file cannot be read without running code of its own, or lacks weights of the encoder.
        RunError: if the run has no checkpoint.
    """
    _check_keeps_weights(encoder)
    file = _find_file(path)
    offered = _read_adapted_encoder(path, encoder.modality)
    if offered is None:
        offered = _select_encoder(_read_tensors(file), encoder.modality)
    own = encoder.state_dict()
    _check_complete(encoder, own, offered, file)
    shared = [name for name in own if name in offered]
    adapted = tuple(name for name in shared if _is_colour_kernel(offered[name], own[name]))
    _check_shapes(own, offered, adapted, file)

    used = {name: offered[name] for name in shared}
    summed = {name: used[name].double().sum(1, keepdim=True) for name in adapted}
    encoder.load_state_dict(own | used | summed)
    matched = tuple(name for name in shared if name not in adapted)
    unused = tuple(name for name in offered if name not in own)
    return LoadedWeights(encoder.modality, file, matched, adapted, unused)


def export_weights(run: Path, folder: Path, step: int | None = None) -> ExportedWeights:
    """Write a run's encoders to `video.safetensors` and `audio.safetensors`, each atomically.

    Averaged weights are taken if the checkpoint has any. The metadata of a file hold the encoder's name, its `out_dim`,
    the step, the checkpoint's stamp and the version of talkies.

    Args:
        run: The run's folder.
        folder: Where the files are written.
        step: The checkpoint's step; None takes the newest.

    Raises:
        RunError: if there is no such run or checkpoint, or its weights are not of its config's model.
        WorkError: if a file cannot be written.
    """
    loaded = load_run_model(run, step)
    model, config, stamp = loaded.model, loaded.config, loaded.checkpoint.read_state().stamp
    exported = ExportedWeights(folder / "video.safetensors", folder / "audio.safetensors", stamp)
    facts = {"talkies": version("talkies"), "stamp": stamp, "step": str(loaded.checkpoint.step)}
    for path, encoder, name in (
        (exported.video, model.video, config.video),
        (exported.audio, model.audio, config.audio),
    ):
        merge_adapters(encoder)
        write_encoder(path, encoder, facts | {"encoder": name})
    return exported


def _check_keeps_weights(encoder: Encoder) -> None:
    """Check that a run keeps the weights that an encoder is given.

    Raises:
        ConfigError: if it keeps only what it learns beside those of a public encoder.
    """
    if isinstance(encoder, PublicEncoder) and needs_base(encoder):
        modality = encoder.modality
        raise ConfigError(
            f"initial weights would replace those of {encoder.address}, and a run keeps only what it learns beside "
            f"them unless adaptation.{modality}.train is all; export the run that has the weights (talkies export "
            f"--run RUN --to DIR), and start from the folder that holds them: model.{modality}=hf:DIR/{modality}"
        )


def _read_adapted_encoder(path: Path, modality: Modality) -> dict[str, Tensor] | None:
    """Return the weights of a public encoder with what a run learnt beside them; None if the path is no such run."""
    if is_exported_model(path) and modality in (exported := read_exported_model(path)).towers:
        return dict(open_exported_towers(path, exported)[modality].encoder.state_dict())

    run, step = path, None
    if path.name.startswith(STEP_PREFIX) and path.parent.name == "checkpoints":
        run, step = path.parent.parent, Checkpoint(path).step
    if not RunFolder(run).exists() or modality not in RunFolder(run).read_record().bases:
        return None
    model = load_run_model(run, step).model
    encoder = model.video if modality == "video" else model.audio
    merge_adapters(encoder)
    return dict(encoder.state_dict())


def write_encoder(path: Path, encoder: Encoder, facts: dict[str, str]) -> None:
    """Write the weights of an encoder to a file, atomically.

    Raises:
        WorkError: if it cannot be written.
    """
    metadata = {"format": "pt", "tower": encoder.modality, "out_dim": str(encoder.out_dim), **facts}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replace_atomically(path) as temporary:
            tensors = {name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}
            save_file(tensors, temporary, metadata)
    except (OSError, SafetensorError) as error:
        cause = describe_os_error(error) if isinstance(error, OSError) else str(error)
        raise WorkError(
            f"{path} cannot be written ({cause}); name a folder that you may write to, on a disk with free space"
        ) from error


def _find_file(path: Path) -> Path:
    """Return the file of initial weights that a path stands for."""
    try:
        if path.is_file():
            return path
        if RunFolder(path).exists():
            return RunFolder(path).get_checkpoint().find_encoder_file()
        if (file := Checkpoint(path).find_encoder_file()).is_file():
            return file
        problem = "is a folder without weights" if path.exists() else "does not exist"
    except OSError as error:
        problem = f"cannot be read ({describe_os_error(error)})"
    raise ConfigError(f"{path} {problem}; as initial weights name {_ACCEPTED}")


def _read_tensors(file: Path) -> dict[str, Tensor]:
    """Return the tensors in a file by name, on the CPU, without running code of the file."""
    if is_index(file):
        return dict(open_tensors(file))
    try:
        with file.open("rb") as opened:
            start = opened.read(9)
        if start.startswith((_ZIP, _OLD_PICKLE)):
            return _find_state_dict(_unpickle(file))
        return load_file(file)
    except _DAMAGE as error:
        raise ConfigError(f"{file} cannot be read, or is damaged; as initial weights name {_ACCEPTED}") from error


def _unpickle(file: Path) -> Any:
    """Return what a PyTorch file holds.

    Raises:
        ConfigError: if it holds more than plain values.
        RuntimeError and others: as PyTorch does, if it is damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about formats that are then refused
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"an object of {found[1]}" if found else "more than tensors, or is damaged"
        raise ConfigError(
            f"{file} holds {what}, and reading it could run code of its author; if you trust it, save only its "
            f"tensors: torch.save(model.state_dict(), …)"
        ) from error


def _find_state_dict(document: object) -> dict[str, Tensor]:
    """Return the state dict in a document, at its root or one level down; empty if there is none."""
    if not isinstance(document, Mapping):
        return {}
    for inner in (*(document.get(key) for key in _STATE_DICT_KEYS), document):
        if isinstance(inner, Mapping):
            tensors = {str(name): value for name, value in inner.items() if isinstance(value, Tensor)}
            if tensors:
                return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    return {}


def _select_encoder(tensors: dict[str, Tensor], modality: Modality) -> dict[str, Tensor]:
    """Return the tensors of one encoder: of a talkies model those of its tower, of another file all."""
    if not any(name.startswith(tuple(f"model.{name}." for name in MODALITIES)) for name in tensors):
        return tensors
    prefix = f"model.{modality}."
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _check_complete(encoder: Encoder, own: Mapping[str, Tensor], offered: Mapping[str, Tensor], file: Path) -> None:
    """Check that a file offers all weights of an encoder."""
    what = f"the {encoder.modality} encoder ({type(encoder).__name__})"
    if not own.keys() & offered.keys():
        held, needed = _list_names(tuple(offered)) or "none", _list_names(tuple(own))
        raise ConfigError(f"{file} has no tensor of {what}: it holds {held}, and needed are {needed}; name {_ACCEPTED}")
    missing = tuple(name for name in own if name not in offered and not name.endswith(".num_batches_tracked"))
    if missing:
        raise ConfigError(
            f"{file} lacks {format_count(len(missing), 'tensor')} of {what}: {_list_names(missing)}; "
            "name weights of that encoder"
        )


def _check_shapes(
    own: Mapping[str, Tensor], offered: Mapping[str, Tensor], adapted: tuple[str, ...], file: Path
) -> None:
    """Check that the offered tensors have the shapes and types of the encoder's."""
    for name, tensor in own.items():
        offer = offered.get(name, tensor)
        if name not in adapted and _describe_tensor(offer) != _describe_tensor(tensor):
            raise ConfigError(
                f"{name} in {file} is {_describe_tensor(offer)}, and the encoder's is {_describe_tensor(tensor)}; "
                "name weights of that encoder"
            )


def _describe_tensor(tensor: Tensor) -> str:
    """Return the shape of a tensor, and its type unless it is a floating-point type."""
    dtype = "" if tensor.is_floating_point() else f"{tensor.dtype} ".removeprefix("torch.")
    return f"{dtype}{list(tensor.shape)}"


def _is_colour_kernel(offered: Tensor, own: Tensor) -> bool:
    """Return whether `offered` is a kernel `[O, 3, …]` where the encoder has `[O, 1, …]`."""
    are_kernels = offered.ndim == own.ndim > 2 and offered.is_floating_point()
    return are_kernels and offered.shape[1] == 3 and offered[:, :1].shape == own.shape


def _list_names(names: tuple[str, ...]) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - _MOST_NAMES
    first = ", ".join(names[:_MOST_NAMES])
    return f"{first} and {more} more" if more > 0 else first
