"""How exactly transforms compute: products in full float32, spectra in float64 on CPUs and in float32 elsewhere.

A resize, a colour matrix and a resampling are matrix products. TF32 keeps 10 bits of a factor's fraction: pictures
would be up to a sixth of one of their 256 levels off, and resampled sound would have noise 74 dB under it (133 in
float32).
"""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from talkies.core.precision import use_exact_products

_Module = TypeVar("_Module", bound=nn.Module)
_Rest = ParamSpec("_Rest")
_Prepare = Callable[Concatenate[_Module, Tensor, _Rest], Tensor]


def compute_exactly(prepare: _Prepare[_Module, _Rest]) -> _Prepare[_Module, _Rest]:
    """Return a transform's method that computes in full float32, whatever the precision of the networks around it.

    On the device of the clips, its first argument, there is no autocast, and on CUDA devices no TF32.
    """

    @wraps(prepare)
    def prepare_exactly(module: _Module, clips: Tensor, /, *rest: _Rest.args, **named: _Rest.kwargs) -> Tensor:
        device_type = clips.device.type
        with torch.autocast(device_type, enabled=False), use_exact_products(device_type):
            return prepare(module, clips, *rest, **named)

    return prepare_exactly


def choose_spectrum_dtype(device: torch.device) -> torch.dtype:
    """Return the type of numbers in which a device computes spectra.

    float64 on CPUs. GPUs for games compute in float64 at 1/32 to 1/64 of their speed in float32, so others take
    float32, which hides what lies 130 dB under the loudest frequency of a frame: docs/training.md gives the errors.
    """
    return torch.float64 if device.type == "cpu" else torch.float32
