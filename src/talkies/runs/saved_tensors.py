"""Named tensors on disk: in one safetensors file, or in shards with an index, in Hugging Face's format.

model.safetensors                      all tensors

model-00001-of-00002.safetensors       or a shard for each process that trained, with some of them,
model.safetensors.index.json           and the shard of each tensor
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from talkies.core import RunError

_INDEX = ".index.json"


class SavedTensors(Mapping[str, Tensor]):
    """Tensors by name, each read onto the CPU when it is asked for.

    A file that is missing or damaged is a `RunError`.
    """

    def __init__(self, path: Path, file_of: Mapping[str, str], prefix: str = "") -> None:
        """Store where the tensors are.

        Args:
            path: the file of all tensors, or the index of the shards.
            file_of: the name of the file next to `path` that holds each tensor.
            prefix: what precedes all names in the files.
        """
        self._path, self._file_of, self._prefix = path, file_of, prefix

    def __getitem__(self, name: str) -> Tensor:
        key = self._prefix + name
        with _explain_damage(self._path), safe_open(self._path.with_name(self._file_of[key]), "pt") as file:
            tensor: Tensor = file.get_tensor(key)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return (name.removeprefix(self._prefix) for name in self._file_of)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._prefix + name in self._file_of

    def __len__(self) -> int:
        return len(self._file_of)

    def get_shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor, without reading it."""
        key = self._prefix + name
        with _explain_damage(self._path), safe_open(self._path.with_name(self._file_of[key]), "pt") as file:
            return tuple(file.get_slice(key).get_shape())

    def select_prefix(self, prefix: str) -> "SavedTensors":
        """Return the tensors whose names begin with `prefix`, under their names without it."""
        kept = {name: file for name, file in self._file_of.items() if name.startswith(self._prefix + prefix)}
        return SavedTensors(self._path, kept, self._prefix + prefix)


def find_tensors(folder: Path, name: str) -> Path:
    """Return the file in a folder that holds all tensors of this name, or the index of their shards if there is one."""
    index = folder / f"{name}{_INDEX}"
    return index if index.is_file() else folder / name


def is_index(path: Path) -> bool:
    """Return whether a file is an index of shards, by its name."""
    return path.name.endswith(_INDEX)


def open_tensors(path: Path) -> SavedTensors:
    """Return the tensors in a file, or those of an index of shards.

    Raises:
        RunError: if it is missing or damaged, or lacks a shard.
    """
    with _explain_damage(path):
        if not is_index(path):
            return SavedTensors(path, dict.fromkeys(_list_names(path), path.name))
        file_of = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        held = {file: _list_names(path.with_name(file)) for file in {Path(file).name for file in file_of.values()}}
        if any(name not in held[file] for name, file in file_of.items()):
            raise ValueError("a shard lacks a tensor")
    return SavedTensors(path, file_of)


def get_shard_path(path: Path, shard: int, shards: int) -> Path:
    """Return the file of one of several shards (from 0) of the tensors at `path`."""
    return path.with_name(f"{path.stem}-{shard + 1:05d}-of-{shards:05d}{path.suffix}")


def save_shard(tensors: Mapping[str, Tensor], path: Path, shard: int, shards: int) -> None:
    """Write one of several shards of the tensors at `path`; its tensors are on the CPU and contiguous.

    Raises:
        OSError, SafetensorError: if it cannot be written.
    """
    save_file(dict(tensors), get_shard_path(path, shard, shards))


def write_index(path: Path, shards: int) -> None:
    """Write the index of all shards of the tensors at `path`, which must all be there.

    Raises:
        OSError, SafetensorError: if a shard cannot be read, or the index not written.
    """
    files = [get_shard_path(path, shard, shards) for shard in range(shards)]
    file_of = {name: file.name for file in files for name in _list_names(file)}
    document = {"metadata": {"total_size": sum(file.stat().st_size for file in files)}, "weight_map": file_of}
    path.with_name(f"{path.name}{_INDEX}").write_text(json.dumps(document, indent=1), encoding="utf-8")


def _list_names(file: Path) -> frozenset[str]:
    with safe_open(file, "pt") as tensors:
        return frozenset(tensors.keys())


@contextmanager
def _explain_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{path} is missing or damaged; remove {path.parent} to use the one before") from error
