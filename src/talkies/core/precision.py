"""How networks compute: in float32, in TF32, or in mixed precision with bfloat16. Training and encoding share it.

PyTorch keeps in one place for the whole process whether CUDA devices round the numbers of a product to TF32 (10 bits of
fraction instead of 23) and whether cuDNN times its convolutions. By default matrix products are exact and convolutions
are rounded. `use_cuda_settings` is the only function of talkies that changes this, and it restores what it found.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from threading import Lock
from typing import Any, Literal, TypeVar

import torch

PrecisionName = Literal["32-true", "tf32", "bf16-mixed"]
_Setting = TypeVar("_Setting")

_DEVICES = ("cuda",)  # those that the settings are for


def has_bf16_arithmetic(device_type: str) -> bool:
    """Return whether this machine's `cuda` device or `cpu` computes with bfloat16 itself."""
    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported(False))
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def choose_device() -> torch.device:
    """Return the device that encodes: the GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True, slots=True)
class Precision:
    """The precision in which networks compute, by its name in `training.precision`.

    `32-true` is float32, also in the convolutions of CUDA devices; `tf32` rounds the factors of products to TF32 there;
    `bf16-mixed` computes products in bfloat16 with float32 weights.
    """

    name: PrecisionName = "32-true"

    def for_encoding(self, device_type: str) -> "Precision":
        """Return the precision in which a model that was trained in this one encodes.

        That is the same on CUDA devices, or float32 where they have no bfloat16 arithmetic. Other devices encode in
        float32, so that a model gives the same embeddings on every CPU.
        """
        if device_type != "cuda" or (self.name == "bf16-mixed" and not has_bf16_arithmetic(device_type)):
            return FLOAT32
        return self

    def autocast(self, device_type: str) -> torch.autocast:
        """Return a block within which networks compute in bfloat16 if the precision is mixed, and otherwise do not."""
        return torch.autocast(device_type, torch.bfloat16, enabled=self.name == "bf16-mixed")

    @contextmanager
    def use_settings(self, device_type: str, *, times_convolutions: bool = False) -> Iterator[None]:
        """Within the block, CUDA devices compute in TF32 if that is the precision, and otherwise exactly.

        Args:
            device_type: the kind of device; nothing happens on others than `cuda`.
            times_convolutions: whether cuDNN times its convolutions for each new shape and takes the fastest: for
                training, where a few shapes come again and again.
        """
        if device_type not in _DEVICES:
            yield
            return
        with use_cuda_settings(tf32=self.name == "tf32", times_convolutions=times_convolutions):
            yield

    @contextmanager
    def encode_on(self, device_type: str) -> Iterator[None]:
        """Within the block, networks encode in this precision: without a graph, and with the settings of CUDA."""
        with torch.inference_mode(), self.use_settings(device_type), self.autocast(device_type):
            yield


FLOAT32 = Precision()


@dataclass(frozen=True, slots=True, eq=False)
class _Wish:
    """What a block asks for; None leaves it as it is."""

    tf32: bool
    times_convolutions: bool | None


@dataclass(frozen=True, slots=True)
class _Settings:
    """The settings of PyTorch, which has an older and a newer interface to them.

    `matmul` and `convolution` are None where the newer one made a setting that the older one cannot express; `kinds`
    are the newer one's for each kind of operation, none in PyTorch before 2.9.
    """

    matmul: str | None
    convolution: bool | None
    benchmark: bool
    kinds: tuple[str, ...]


_LOCK = Lock()
_WISHES: list[_Wish] = []  # of all threads
_FOUND: list[_Settings] = []  # before the first wish


def use_exact_products(device_type: str) -> AbstractContextManager[None]:
    """Return a block within which a device computes in full float32, whatever the precision of the networks around."""
    return use_cuda_settings(tf32=False) if device_type in _DEVICES else nullcontext()


@contextmanager
def use_cuda_settings(*, tf32: bool, times_convolutions: bool | None = None) -> Iterator[None]:
    """Within the block, let CUDA devices round to TF32 or not, and cuDNN time its convolutions or not.

    The settings are those of the process. Where blocks overlap, of one thread or of several, the most exact one decides
    for all, so no block ever computes less exactly than it asked for. After the last one, they are as before the first.

    `torch.compile` guards on the TF32 of matrix products: what is compiled within a block must be called within one of
    the same kind, or it is compiled again. The settings do not reach into a compiled graph.

    Args:
        tf32: whether matrix products and convolutions of float32 numbers are rounded to TF32.
        times_convolutions: whether cuDNN times its convolutions (`torch.backends.cudnn.benchmark`); None: as before.
    """
    wish = _Wish(tf32, times_convolutions)
    with _LOCK:
        if not _WISHES:
            _FOUND.append(_read_settings())
        _WISHES.append(wish)
        _follow_wishes()
    try:
        yield
    finally:
        with _LOCK:
            _WISHES.remove(wish)
            if _WISHES:
                _follow_wishes()
            else:
                _restore_settings(_FOUND.pop())


def _follow_wishes() -> None:
    """Set what all blocks allow."""
    tf32 = all(wish.tf32 for wish in _WISHES)
    benchmarks = [wish.times_convolutions for wish in _WISHES if wish.times_convolutions is not None]
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = all(benchmarks) if benchmarks else _FOUND[0].benchmark
    for kind in _list_kinds():  # the older interface alone leaves convolutions to `torch.backends.fp32_precision`
        kind.fp32_precision = "tf32" if tf32 else "ieee"


def _read_settings() -> _Settings:
    return _Settings(
        _read_older(torch.get_float32_matmul_precision),
        _read_older(lambda: bool(torch.backends.cudnn.allow_tf32)),
        torch.backends.cudnn.benchmark,
        tuple(kind.fp32_precision for kind in _list_kinds()),
    )


def _restore_settings(found: _Settings) -> None:
    if found.matmul is not None:
        torch.set_float32_matmul_precision(found.matmul)
    if found.convolution is not None:
        torch.backends.cudnn.allow_tf32 = found.convolution
    torch.backends.cudnn.benchmark = found.benchmark
    for kind, precision in zip(_list_kinds(), found.kinds, strict=True):
        kind.fp32_precision = precision


def _read_older(read: Callable[[], _Setting]) -> _Setting | None:
    """Return a setting by the older interface; None where it cannot express what the newer one set."""
    try:
        return read()
    except RuntimeError:
        return None


def _list_kinds() -> list[Any]:
    """Return the kinds of operations that have a setting of their own: matrix products, convolutions, recurrences."""
    backends: Any = torch.backends
    if not hasattr(backends.cudnn, "conv"):  # PyTorch before 2.9
        return []
    return [backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn, backends.mkldnn.matmul]
