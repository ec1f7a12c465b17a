"""Convolutions in fewer multiplications, on CPUs: Winograd's F(4,3).

The source is Lavin & Gray, *Fast Algorithms for Convolutional Neural Networks*, CVPR 2016. A 1×3×3 kernel takes 36
products for 16 outputs where a direct one takes 144; a 3×1×1 kernel takes 6 for 4, not 12. Between the transforms
(`winograd.cpp`) stand products of matrices; the gradients go the same way, by the transforms' adjoints. With a stride,
or where tiles are few, the taps are laid side by side and one product of matrices does the rest.

Shapes: `B` clips, `T H W` frames, `C` channels in, `K` channels out. Pictures lie `[N, H, W, C]` in memory, which is
`channels_last_3d`; over time `H` stands for the frames and `W` for the places in them. Tiles are `[V, P, C]`:
`V` values of each of `P` tiles.
"""

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from talkies.core import ConfigError

_BYTES_A_THREAD = 6 * 2**20  # of tiles worked on at once, so that they never leave the last cache
_FEWEST_TILES = 24  # fewer do not pay for the kernel's own transform
_LINES = {"input": 0, "output": 1, "kernel": 2, "taps by 1": 3, "taps by 2": 4}  # as in `winograd.cpp`
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h

_Where = tuple[slice, slice, slice]


def fast_on_cpu(module: nn.Module) -> None:
    """Make the convolutions of a module fast on a CPU, in place; parameters and the state dict's keys stay as they are.

    Those are the 1×3×3 and 3×1×1 ones without bias that keep a picture's size or halve it, in float32 and float64.
    Fastest on input in `channels_last_3d`, which the kernels are put in too. Elsewhere they remain what they were.

    Raises:
        ConfigError: no `g++` is here to compile the transforms with (a few seconds, once), or it fails.
    """
    _library()
    for part in module.modules():
        if type(part) is nn.Conv3d and _suits(part):
            part.__class__ = WinogradConv3d
            part.weight.data = part.weight.data.contiguous(memory_format=torch.channels_last_3d)


def keep_freed_memory() -> None:
    """Let this process keep the memory it frees, for its next step; does nothing where the C library is not glibc.

    By default glibc gives every large tensor back to the system, and the next step meets as many page faults again.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


class WinogradConv3d(nn.Conv3d):
    """A 1×3×3 or 3×1×1 convolution by the fast algorithm; see `fast_on_cpu`."""

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # what PyTorch's compiler knows nothing of
    def forward(self, x: Tensor) -> Tensor:
        """Return `[B, K, T', H', W']` of `[B, C, T, H, W]`, in `channels_last_3d`."""
        fit = x.device.type == "cpu" and x.dtype == self.weight.dtype and x.dtype in {torch.float32, torch.float64}
        if not fit or x.numel() == 0:
            return super().forward(x)
        axes, stride = sum(side == 3 for side in self.kernel_size), max(self.stride)
        b, _, t, h, w = x.shape
        tiles = b * t * _ceil(h, 4) * _ceil(w, 4) if axes == 2 else b * _ceil(t, 4) * h * w
        if stride == 1 and tiles >= _FEWEST_TILES and (axes == 2 or t > 2):
            return cast("Tensor", _Winograd.apply(x, self.weight, axes))  # type: ignore[no-untyped-call]
        return cast("Tensor", _SideBySide.apply(x, self.weight, axes, stride))  # type: ignore[no-untyped-call]


class _Winograd(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, axes: int) -> Tensor:
        pictures = _pictures(x, axes)
        y = pictures.new_empty(*pictures.shape[:3], len(weight))
        u_VKC = _kernel_tiles(weight, axes)
        for where, x_VPC, y_VPK in _pieces(pictures, len(weight), axes):
            _transform("input", axes, pictures[where], x_VPC)
            torch.bmm(x_VPC, u_VKC.transpose(1, 2), out=y_VPK)
            _transform("output", axes, y[where], y_VPK, back=True)
        ctx.save_for_backward(pictures, weight)
        ctx.axes, ctx.size = axes, x.shape[2:]
        return _clips(y, x.shape[2:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor, None]:
        (pictures, weight), axes = ctx.saved_tensors, ctx.axes
        dy_pictures = _pictures(dy, axes)
        dx = torch.empty_like(pictures) if ctx.needs_input_grad[0] else None
        u_VKC = _kernel_tiles(weight, axes)
        du_VKC = torch.empty_like(u_VKC)
        for number, (where, x_VPC, y_VPK) in enumerate(_pieces(pictures, len(weight), axes)):
            _transform("output", axes, dy_pictures[where], y_VPK)
            _transform("input", axes, pictures[where], x_VPC)
            torch.baddbmm(du_VKC, y_VPK.transpose(1, 2), x_VPC, beta=min(number, 1), out=du_VKC)
            if dx is not None:
                torch.bmm(y_VPK, u_VKC, out=x_VPC)
                _transform("input", axes, dx[where], x_VPC, back=True)
        dw = torch.empty_like(_kernel_pictures(weight, axes))
        _transform("kernel", axes, dw, du_VKC, back=True)
        return None if dx is None else _clips(dx, ctx.size), _clips(dw, weight.shape[2:]), None


class _SideBySide(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, axes: int, stride: int) -> Tensor:
        pictures, (k, c) = _pictures(x, axes), weight.shape[:2]
        t, h, w = (
            _ceil(side, stride if kernel == 3 else 1)
            for side, kernel in zip(x.shape[2:], weight.shape[2:], strict=True)
        )
        y = pictures.new_empty((len(x) * t, h, w, k) if axes == 2 else (len(x), t, h * w, k))
        kernel = _kernel_pictures(weight, axes).view(k, -1)
        for frames, taps in _frames(pictures, y, 3**axes):
            _transform(f"taps by {stride}", axes, pictures[frames], taps.view(len(taps), -1, c).transpose(0, 1))
            torch.mm(taps, kernel.t(), out=y[frames].view(-1, k))
        ctx.save_for_backward(pictures, weight)
        ctx.axes, ctx.stride, ctx.size = axes, stride, x.shape[2:]
        return _clips(y, (t, h, w))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        (pictures, weight), axes, line = ctx.saved_tensors, ctx.axes, f"taps by {ctx.stride}"
        dy_pictures, (k, c) = _pictures(dy, axes), weight.shape[:2]
        dx = torch.empty_like(pictures) if ctx.needs_input_grad[0] else None
        kernel = _kernel_pictures(weight, axes)
        dw = torch.zeros_like(kernel)
        for frames, taps in _frames(pictures, dy_pictures, 3**axes):
            taps_VPC, dy_PK = taps.view(len(taps), -1, c).transpose(0, 1), dy_pictures[frames].view(-1, k)
            _transform(line, axes, pictures[frames], taps_VPC)
            dw.view(k, -1).addmm_(dy_PK.t(), taps)
            if dx is not None:
                torch.mm(dy_PK, kernel.view(k, -1), out=taps)
                _transform(line, axes, dx[frames], taps_VPC, back=True)
        return None if dx is None else _clips(dx, ctx.size), _clips(dw, weight.shape[2:]), None, None


def _suits(conv: nn.Conv3d) -> bool:
    plain = conv.bias is None and conv.groups == 1 and conv.padding_mode == "zeros" and conv.dilation == (1, 1, 1)
    kernel, same = conv.kernel_size, conv.padding == tuple(side // 2 for side in conv.kernel_size)
    strides = {(1, 1, 1), tuple(2 if side == 3 else 1 for side in kernel)}
    return plain and same and kernel in {(1, 3, 3), (3, 1, 1)} and conv.stride in strides


def _ceil(length: int, step: int) -> int:
    return -(-length // step)


def _pictures(x: Tensor, axes: int) -> Tensor:
    """Return clips `[B, C, T, H, W]` as pictures: a frame each, or a clip each with its places in a row."""
    b, c, t, h, w = x.shape
    return x.permute(0, 2, 3, 4, 1).contiguous().view((b * t, h, w, c) if axes == 2 else (b, t, h * w, c))


def _clips(pictures: Tensor, size: tuple[int, ...]) -> Tensor:
    return pictures.view(-1, *size, pictures.shape[3]).permute(0, 4, 1, 2, 3)


def _kernel_pictures(weight: Tensor, axes: int) -> Tensor:
    k, c = weight.shape[:2]
    return weight.detach().permute(0, 2, 3, 4, 1).contiguous().view(k, 3, 3 if axes == 2 else 1, c)


def _kernel_tiles(weight: Tensor, axes: int) -> Tensor:
    u_VKC = weight.new_empty(6**axes, *weight.shape[:2])
    _transform("kernel", axes, _kernel_pictures(weight, axes), u_VKC)
    return u_VKC


def _pieces(pictures: Tensor, k: int, axes: int) -> Iterator[tuple[_Where, Tensor, Tensor]]:
    """Yield, piece by piece, where it lies in the pictures and room for its tiles `[V, P, C]` and `[V, P, K]`.

    Over space a piece is some frames; over time also some columns of one clip.
    """
    n, h, w, c = pictures.shape
    threads, values, rows, step = torch.get_num_threads(), 6**axes, _ceil(h, 4), 4 if axes == 2 else 1
    columns = _BYTES_A_THREAD * threads // (values * rows * (c + k) * pictures.element_size())  # that fit
    frames = min(n, max(threads if axes == 2 else 1, columns // _ceil(w, step)))
    width = w if axes == 2 else min(w, max(1, columns))
    room = pictures.new_empty(values * frames * rows * _ceil(width, step) * (c + k))
    for first in range(0, n, frames):
        for left in range(0, w, width):
            where = slice(first, first + frames), slice(None), slice(left, left + width)
            p = min(n - first, frames) * rows * _ceil(min(w - left, width), step)
            x_VPC = room[: values * p * c].view(values, p, c)
            yield where, x_VPC, room[values * p * c :][: values * p * k].view(values, p, k)


def _frames(pictures: Tensor, y: Tensor, taps: int) -> Iterator[tuple[slice, Tensor]]:
    """Yield, piece by piece, some frames and room for the taps of their outputs `[P, V·C]`."""
    n, places, width = len(pictures), y.shape[1] * y.shape[2], taps * pictures.shape[3]
    threads = torch.get_num_threads()
    frames = min(n, max(threads, _BYTES_A_THREAD * threads // (places * width * pictures.element_size())))
    room = pictures.new_empty(frames * places, width)
    for first in range(0, n, frames):
        yield slice(first, first + frames), room[: min(n - first, frames) * places]


def _transform(line: str, axes: int, pictures: Tensor, tiles: Tensor, *, back: bool = False) -> None:
    """Fill tiles `[V, P, C]` from pictures `[N, H, W, C]`; `back`, the pictures from the tiles by the adjoint."""
    shape = (*pictures.shape, *pictures.stride()[:2], *tiles.stride()[:2])
    run = getattr(_library(), "transform_f32" if pictures.dtype == torch.float32 else "transform_f64")
    memory = (ctypes.c_void_p(tensor.data_ptr()) for tensor in (pictures, tiles))
    run(_LINES[line], axes, not back, *memory, (ctypes.c_long * len(shape))(*shape))


@functools.cache
def _library() -> ctypes.CDLL:
    """Return the transforms, compiled on a machine's first use and kept in the user's cache."""
    source = Path(__file__).with_suffix(".cpp")
    flags = ["-O3", "-fopenmp", "-shared", "-fPIC", "-Wno-psabi"]
    if torch.backends.cpu.get_cpu_capability() in {"AVX2", "AVX512"}:
        flags.append("-march=x86-64-v3")
    key = hashlib.blake2b(source.read_bytes() + " ".join(flags).encode(), digest_size=8).hexdigest()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "talkies"
    library = cache / f"winograd-{key}.so"
    if not library.exists():
        compiler = shutil.which("g++")
        if compiler is None:
            raise ConfigError(
                "Winograd convolutions are compiled by g++, which is not here; install it, or set "
                "training.cpu_convolutions=direct"
            )
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            made = Path(folder) / library.name
            told = subprocess.run(
                [compiler, *flags, "-o", str(made), str(source)], capture_output=True
            )  # our own words
            if told.returncode:
                raise ConfigError(
                    f"g++ cannot compile {source} ({told.stderr.decode(errors='replace').strip().splitlines()[:1]}); "
                    f"mend it, or set training.cpu_convolutions=direct"
                )
            made.replace(library)  # whole, whoever else compiles it
    return ctypes.CDLL(str(library))
