"""The machine and its card: names, memory, versions, and the card's peak arithmetic."""

import os
import platform
import shutil
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

import torch

from gpu.records import Record
from gpu.settings import Settings
from machine import hardware
from talkies.training.devices import has_bf16_arithmetic

# Dense TFLOP/s from the makers' data sheets: SXM cards where a card has several forms, accumulation in float32.
_HOPPER = {"32-true": 67.0, "tf32": 494.0, "bf16-mixed": 989.0}
PEAK_TFLOPS: Mapping[str, Mapping[str, float]] = {
    "H100 PCIe": {"32-true": 51.0, "tf32": 378.0, "bf16-mixed": 756.0},
    "H100": _HOPPER,
    "H200": _HOPPER,
    "A100": {"32-true": 19.5, "tf32": 156.0, "bf16-mixed": 312.0},
    "L40S": {"32-true": 91.6, "tf32": 183.0, "bf16-mixed": 362.0},
    "RTX 4090": {"32-true": 82.6, "tf32": 82.6, "bf16-mixed": 165.2},
    "RTX 3090": {"32-true": 35.6, "tf32": 35.6, "bf16-mixed": 71.0},
}
NO_PEAK = "The peak of this card is not in benchmarks/gpu/card.py, so MFU is left out."


def find_peak_tflops(card: str, precision: str) -> float | None:
    """Return the card's peak in TFLOP/s at a precision of `training.precision`, or None for an unknown card.

    A longer name comes before a shorter one that it contains.
    """
    names = sorted((name for name in PEAK_TFLOPS if name in card), key=len, reverse=True)
    return PEAK_TFLOPS[names[0]][precision] if names else None


def describe_machine(settings: Settings, record: Record) -> None:
    """Report what this machine is, as one row; it also shows that the device computes at all."""
    product = torch.ones(64, 64, device=settings.device) @ torch.ones(64, 64, device=settings.device)
    assert float(product.sum()) == 64.0**3
    is_gpu = settings.device == "cuda"
    properties = torch.cuda.get_device_properties(0) if is_gpu else None
    record.add(
        card=torch.cuda.get_device_name() if is_gpu else hardware(),
        memory_gib=round(properties.total_memory / 2**30, 1) if properties else None,
        processor=hardware(),
        bf16=has_bf16_arithmetic(settings.device),
        python=platform.python_version(),
        torch=torch.__version__,
        cuda=torch.version.cuda if is_gpu else None,
        cudnn=torch.backends.cudnn.version() if is_gpu else None,
        triton=_find_version("triton"),
        av=_find_version("av"),
        lightning_fabric=_find_version("lightning-fabric"),
    )
    if not (os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")):
        record.note(
            f"There is no C compiler (gcc, clang) on this machine, and torch.compile needs one to start its kernels: "
            f"compiled rows say so ({sys.executable})."
        )
    if is_gpu and find_peak_tflops(torch.cuda.get_device_name(), "bf16-mixed") is None:
        record.note(NO_PEAK)


def _find_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
