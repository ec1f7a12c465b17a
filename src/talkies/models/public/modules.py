"""Encoders that are anybody's PyTorch modules: named as `python:MODULE:FUNCTION`, or brought by a plug-in package.

The function (of a plug-in: the object that its entry point names) takes nothing and returns an `nn.Module` with three
attributes: `modality` (`video` or `audio`), `input` (a `VideoInput`, or an audio input, of `talkies.core`) and
`out_dim` (E). Called with what `input` describes, the module returns features `[B, E]`; in evaluation mode they must
depend on the clip alone. With a method `named_blocks`, its blocks can be trained one by one (`last:N`).
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import cast

from torch import Tensor, nn

from talkies.core import MODALITIES, AudioInput, ConfigError, VideoInput, suggest_nearest
from talkies.models.address import ACCEPTED_ADDRESSES, EncoderAddress
from talkies.models.public.base import PublicEncoder, PublicTower

PLUGIN_GROUP = "talkies.encoders"
_CONTRACT = "it must return an nn.Module with modality, input and out_dim, as docs/encoders.md describes"


class ModuleEncoder(PublicEncoder):
    """An encoder that somebody wrote as a PyTorch module."""

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the blocks that the module names, or else its children, the first as the stem."""
        named = getattr(self.network, "named_blocks", None)
        if named is not None:
            return tuple(named())
        children = list(self.network.children())
        return tuple((f"layer{index}" if index else "stem", child) for index, child in enumerate(children))

    def extract(self, x: Tensor) -> Tensor:
        """Return features `[B, E]`.

        Raises:
            ConfigError: if the module returns something else.
        """
        features_BE = self.network(x)
        if not isinstance(features_BE, Tensor) or features_BE.shape != (len(x), self.out_dim):
            got = list(features_BE.shape) if isinstance(features_BE, Tensor) else type(features_BE).__name__
            raise ConfigError(
                f"{self.address} must return features [B, out_dim], here [{len(x)}, {self.out_dim}], and returned {got}"
            )
        return features_BE


def open_module(address: EncoderAddress) -> PublicTower:
    """Return the encoder that a `python:` address or the name of a plug-in stands for.

    Raises:
        ConfigError: if there is no such module, function or plug-in, or it does not return an encoder.
    """
    build = _find_function(address) if address.scheme == "python" else _find_plugin(address)
    try:
        module = build()
    except Exception as error:  # it is somebody else's code
        raise ConfigError(f"{address} could not be built ({type(error).__name__}: {error})") from error
    return wrap_module(module, address)


def wrap_module(module: object, address: EncoderAddress) -> PublicTower:
    """Return the tower of a module that fulfils the contract of this file.

    Raises:
        ConfigError: if it does not.
    """
    modality, input_ = getattr(module, "modality", None), getattr(module, "input", None)
    out_dim = getattr(module, "out_dim", None)
    if not isinstance(module, nn.Module):
        raise ConfigError(f"{address} returned {type(module).__name__}; {_CONTRACT}")
    if modality not in MODALITIES:
        raise ConfigError(f"{address} has the modality {modality!r}, and it is video or audio; {_CONTRACT}")
    if not isinstance(input_, VideoInput | AudioInput) or isinstance(input_, VideoInput) != (modality == "video"):
        raise ConfigError(f"{address} encodes {modality} and has the input {input_!r}; {_CONTRACT}")
    if not isinstance(out_dim, int) or out_dim < 1:
        raise ConfigError(f"{address} has the out_dim {out_dim!r}, and it is a positive number; {_CONTRACT}")
    encoder = ModuleEncoder(module, modality, input_, out_dim, str(address))
    return PublicTower(encoder, nn.Identity(), out_dim, space=f"{address} {modality}")


def list_plugins() -> list[str]:
    """Return the names of the encoders that installed plug-in packages bring, sorted."""
    return sorted({point.name for point in entry_points(group=PLUGIN_GROUP)})


def _find_plugin(address: EncoderAddress) -> Callable[[], object]:
    for point in entry_points(group=PLUGIN_GROUP, name=address.name):
        try:
            return cast("Callable[[], object]", point.load())
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"the plug-in '{address}' cannot be imported ({error}); install its package again"
            ) from error
    names = list_plugins()
    there = f"; plug-ins that are installed: {', '.join(names)}" if names else ""
    raise ConfigError(f"no encoder '{address}'{suggest_nearest(address.name, names)}; {ACCEPTED_ADDRESSES}{there}")


def _find_function(address: EncoderAddress) -> Callable[[], object]:
    module_name, _, function_name = address.name.partition(":")
    if not module_name or not function_name:
        raise ConfigError(f"'{address}' is not python:MODULE:FUNCTION")
    try:
        with _current_folder_importable():
            module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name not in (module_name, module_name.partition(".")[0]):
            raise ConfigError(f"{address} needs the package {error.name}, which is not installed") from error
        raise ConfigError(
            f"{address}: there is no module {module_name}; name one that is installed or in the current folder"
        ) from error
    except Exception as error:  # it is somebody else's code
        raise ConfigError(f"{address}: {module_name} cannot be imported ({type(error).__name__}: {error})") from error
    function = getattr(module, function_name, None)
    if not callable(function):
        known = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise ConfigError(
            f"{address}: {module_name} has no function {function_name}{suggest_nearest(function_name, known)}"
        )
    return cast("Callable[[], object]", function)


@contextmanager
def _current_folder_importable() -> Iterator[None]:
    """Within the block, modules in the current folder can be imported, as with `python -m`."""
    folder = str(Path.cwd())
    if folder in sys.path or "" in sys.path:
        yield
        return
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
