"""An accelerator without a chip: its tensors lie on the CPU, and it notes whatever would make a program wait for it.

It is a device of its own to PyTorch (`PrivateUse1`), so a module and its inputs are moved to it as to a GPU. Like a GPU

- it refuses to compute with tensors of the CPU (`MixedDevicesError`), except for scalars next to its own;
- it makes the program wait when a value is read back (`item`, `tolist`, `bool`, a copy to the CPU), when the shape of a
  result hangs on values (`nonzero`, indexing by a mask), and when something is copied to it from memory that is not
  page-locked.

Everything that waits while `watch` is open is noted, with the line of the program that did it.
"""

import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

NAME = "fakegpu"
HERE = Path(__file__).resolve()

aten = torch.ops.aten

# What a GPU must report before the program can go on, because the shape of the result hangs on it.
SHAPED_BY_VALUES = {
    aten.nonzero.default,
    aten.masked_select.default,
    aten._unique2.default,
    aten.unique_consecutive.default,
    aten.unique_dim.default,
    aten.bincount.default,
    aten.repeat_interleave.Tensor,
    aten.equal.default,
}
READS = {aten._local_scalar_dense.default, aten.is_nonzero.default, aten.item.default}
INDEXING = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default, aten._index_put_impl_.default}


class MixedDevicesError(RuntimeError):
    """Tensors of the CPU and of the accelerator in one operation."""


@dataclass(frozen=True)
class Wait:
    """Something that the program waited for: `read`, `shape` or `copy`, the operation, and the line that did it."""

    kind: str
    operation: str
    line: str

    def __str__(self) -> str:
        return f"{self.kind} by {self.operation} at {self.line}"


class _Module(_DummyBackendModule):
    """What PyTorch asks of a backend, `torch.fakegpu`."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]

    def is_bf16_supported(self, *_: object) -> bool:
        return True

    def _lazy_init(self) -> None:
        return None

    def synchronize(self, *_: object) -> None:
        return None

    def get_rng_state(self, *_: object) -> Tensor:
        return torch.zeros(16, dtype=torch.uint8)

    def set_rng_state(self, *_: object) -> None:
        return None


class AcceleratorTensor(torch.Tensor):
    """A tensor that says it is on the accelerator; its values are those of `inner`, on the CPU."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "AcceleratorTensor":
        made: AcceleratorTensor = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=DEVICE,
        )
        made.inner = inner
        return made

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return f"AcceleratorTensor({self.dtype}{list(self.shape)})"

    def tolist(self) -> Any:
        mode = _get_current_dispatch_mode()
        if isinstance(mode, FakeAccelerator):
            mode.note("read", "tolist")
        return self.inner.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {}, None)


_setup_privateuseone_for_python_backend(NAME, _Module())
DEVICE = torch.device(NAME, 0)


# Autocast: products and convolutions in half precision, everything else as it is.
_LIBRARY = torch.library.Library("aten", "IMPL")
_FALLBACK = torch.library.Library("_", "IMPL")
_FALLBACK.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
_AUTOCAST_KEYS = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)


def _in_half_precision(operation: Any) -> Any:
    def run(*args: Any, **kwargs: Any) -> Any:
        half = torch.get_autocast_dtype(NAME)

        def cast(value: Any) -> Any:
            is_float = isinstance(value, Tensor) and value.dtype == torch.float32
            return value.to(half) if is_float else value

        with torch._C._ExcludeDispatchKeyGuard(_AUTOCAST_KEYS):
            args, kwargs = tree_map(cast, (args, kwargs))
            return operation(*args, **kwargs)

    return run


# Without conv3d: on a CPU, where the values are, its gradients in half precision may be of memory that was never
# written (see `talkies.models.convolution`).
for _name in ("linear", "matmul", "mm", "addmm", "bmm", "baddbmm", "conv1d", "conv2d"):
    _operation = getattr(aten, _name).default
    _LIBRARY.impl(_name, _in_half_precision(_operation), "AutocastPrivateUse1")
_LIBRARY.impl(
    "scaled_dot_product_attention", _in_half_precision(aten.scaled_dot_product_attention.default), "AutocastPrivateUse1"
)


class FakeAccelerator(TorchDispatchMode):
    """Within this mode there is an accelerator, `DEVICE`."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[Wait] | None = None
        self._pinned: dict[int, Tensor] = {}
        self._lifted: list[bool] = []

    def __enter__(self) -> "FakeAccelerator":
        self._lifted.append(torch._C._only_lift_cpu_tensors())
        torch._C._set_only_lift_cpu_tensors(True)  # `torch.tensor(…, device=…)` is then a copy like any other
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        torch._C._set_only_lift_cpu_tensors(self._lifted.pop())

    @contextmanager
    def watch(self) -> Iterator[list[Wait]]:
        """Note what the program waits for within the block."""
        self.waits = waits = []
        try:
            yield waits
        finally:
            self.waits = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {}, self)

    def note(self, kind: str, func: Any) -> None:
        if self.waits is not None:
            self.waits.append(Wait(kind, str(func), _find_line()))

    def pin(self, tensor: Tensor) -> Tensor:
        pinned = tensor.clone()
        self._pinned[pinned.untyped_storage().data_ptr()] = pinned
        return pinned

    def is_pinned(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage().data_ptr() in self._pinned


def on_device(value: Tensor) -> bool:
    return isinstance(value, AcceleratorTensor)


def values_of(tensor: Tensor) -> Tensor:
    """The values of a tensor, on the CPU; nothing is noted."""
    return tensor.inner if isinstance(tensor, AcceleratorTensor) else tensor


def _run(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], mode: FakeAccelerator | None) -> Any:
    flat, _ = tree_flatten((args, dict(kwargs)))
    tensors = [value for value in flat if isinstance(value, Tensor)]
    fakes = [value for value in tensors if isinstance(value, AcceleratorTensor)]
    target = kwargs.get("device")
    goes_to_device = target is not None and torch.device(target).type == NAME

    if mode is not None and not fakes:
        if func is aten.is_pinned.default:
            return mode.is_pinned(args[0])
        if func is aten._pin_memory.default:
            return mode.pin(args[0])
    if not fakes and not goes_to_device:
        return func(*args, **kwargs)

    if fakes:
        _check_devices(func, tensors)
    if mode is not None:
        _note_waits(func, args, kwargs, mode, goes_to_device=goes_to_device)

    plain_args, plain_kwargs = tree_map(values_of, (args, dict(kwargs)))
    for name in ("pin_memory", "non_blocking"):
        plain_kwargs.pop(name, None) if name == "pin_memory" else None
    leaves = bool(fakes) and target is not None and not goes_to_device
    if goes_to_device:
        plain_kwargs["device"] = torch.device("cpu")
    with torch._C._DisableTorchDispatch():
        result = func(*plain_args, **plain_kwargs)
    if func is aten._to_copy.default and goes_to_device != bool(fakes):
        result = result.clone() if any(result is values_of(each) for each in tensors) else result
    return result if leaves else _wrap(result, fakes)


def _wrap(result: Any, fakes: Sequence[AcceleratorTensor]) -> Any:
    """Put results on the accelerator; what an operation changed in place stays the same tensor."""
    known = {id(fake.inner): fake for fake in fakes}

    def wrap(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return known[id(value)] if id(value) in known else AcceleratorTensor(value)

    return tree_map(wrap, result)


def _check_devices(func: Any, tensors: Sequence[Tensor]) -> None:
    strangers = [value for value in tensors if not on_device(value)]
    if func in (aten.copy_.default, aten._to_copy.default) or not strangers:
        return
    if torch.Tag.pointwise in func.tags and all(value.ndim == 0 for value in strangers):
        return
    raise MixedDevicesError(f"{func} with a tensor {list(strangers[0].shape)} of the CPU, at {_find_line()}")


def _note_waits(
    func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], mode: FakeAccelerator, *, goes_to_device: bool
) -> None:
    if func in READS:
        mode.note("read", func)
    elif _is_shaped_by_values(func, args, kwargs):
        mode.note("shape", func)
    elif func is aten._to_copy.default:
        source, target = args[0], kwargs.get("device")
        if on_device(source) and target is not None and not goes_to_device:
            mode.note("read", func)
        elif not on_device(source) and goes_to_device:
            _note_copy(func, source, bool(kwargs.get("non_blocking")), mode)
    elif func is aten.copy_.default and on_device(args[0]) != on_device(args[1]):
        if on_device(args[1]):
            mode.note("read", func)
        else:
            _note_copy(func, args[1], bool(args[2] if len(args) > 2 else kwargs.get("non_blocking")), mode)


def _is_shaped_by_values(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    if func in INDEXING:
        return any(isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8) for index in args[1])
    is_told = func is aten.repeat_interleave.Tensor and kwargs.get("output_size") is not None
    return func in SHAPED_BY_VALUES and not is_told


def _note_copy(func: Any, source: Tensor, non_blocking: bool, mode: FakeAccelerator) -> None:
    if not (mode.is_pinned(source) and non_blocking):
        mode.note("copy", func)


def _find_line() -> str:
    """The innermost line of the program, as `file:line`."""
    frames = [frame for frame in traceback.extract_stack() if Path(frame.filename).resolve() != HERE]
    own = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}"
