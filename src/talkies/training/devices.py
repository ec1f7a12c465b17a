"""The devices of a run: whether this machine can train as the config says, and Fabric set up for it."""

import ctypes
import os
import shutil
from inspect import signature
from typing import Any

import psutil
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.strategies.model_parallel import ModelParallelStrategy
from lightning_fabric.strategies.strategy import Strategy
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from talkies.core import ConfigError, format_count
from talkies.core.precision import has_bf16_arithmetic
from talkies.training.config import RunConfig, TrainingConfig
from talkies.training.momentum import compute_queue_bytes
from talkies.training.system import ContrastiveSystem

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h
_GIB = 1 << 30
RAY_WORKER = "TALKIES_RAY_WORKER"  # set in processes that Ray started
_LAUNCHERS = ("TORCHELASTIC_RUN_ID", RAY_WORKER)  # the first is set in processes that `torchrun` started


class _StartedHere(LightningEnvironment):
    """The processes of this machine when talkies starts them itself, before Fabric is launched."""

    @property
    def creates_processes_externally(self) -> bool:
        return True


def were_ranks_started() -> bool:
    """Return whether the processes that train were started already: by `torchrun`, by Ray, or by the first of them."""
    return "LOCAL_RANK" in os.environ


def count_processes(training: TrainingConfig) -> tuple[int, int]:
    """Return how many processes train on each machine, and the number of machines, from the launcher or the config.

    Raises:
        ConfigError: if the launcher put more processes on this machine than on another.
    """
    if not _has_launcher():
        return training.devices, 1
    local_processes, all_processes = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
    if all_processes % local_processes:
        raise ConfigError(
            f"{local_processes} of the {all_processes} processes are on this machine, and each machine must have as "
            f"many; change their number"
        )
    return local_processes, all_processes // local_processes


def _has_launcher() -> bool:
    """Return whether another program started the processes, and says how many there are."""
    return any(name in os.environ for name in _LAUNCHERS)


def select_device(training: TrainingConfig) -> str:
    """Return the kind of device that trains, `cuda` or `cpu`."""
    return ("cuda" if torch.cuda.is_available() else "cpu") if training.device == "auto" else training.device


def measure_available_memory(training: TrainingConfig) -> int:
    """Return the bytes of memory of the device, or what is free on this machine, counting this process as free."""
    if select_device(training) == "cuda":
        return torch.cuda.get_device_properties(0).total_memory
    return psutil.virtual_memory().available + psutil.Process().memory_info().rss


def check_devices(config: RunConfig) -> None:
    """Check that this machine can train as the config says.

    Raises:
        ConfigError: if it cannot.
    """
    training = config.training
    local_processes, machines = count_processes(training)
    processes = local_processes * machines
    _check_cuda(training, local_processes)
    _check_batch(config, processes)
    if training.compile and select_device(training) == "cpu" and not shutil.which("g++"):
        raise ConfigError(
            "training.compile needs the C++ compiler g++ on a CPU, and it is not installed; install it, or set "
            "training.compile=false"
        )
    _check_precision(training)


def check_queue(config: RunConfig, films: int) -> None:
    """Check that the queues of keys of this many films fit into memory when they are full.

    Raises:
        ConfigError: if they do not.
    """
    clips, training = config.objective.queue_clips_per_film, config.training
    if clips is None:
        return
    processes = 1 if select_device(training) == "cuda" else count_processes(training)[0]
    needed, available = compute_queue_bytes(config, films) * processes, measure_available_memory(training)
    if needed > available:
        raise ConfigError(
            f"objective.queue_clips_per_film={clips} keeps {needed / _GIB:,.1f} GiB of keys for "
            f"{format_count(films, 'film')}, and this machine has {available / _GIB:,.1f} GiB for them; lower it, or "
            f"model.embedding_dim"
        )


def _check_cuda(training: TrainingConfig, local_processes: int) -> None:
    if training.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "training.device is cuda and this machine has no CUDA device; set training.device=cpu or auto"
        )
    if training.device != "cpu" and local_processes > 1 and torch.cuda.device_count() < local_processes:
        raise ConfigError(
            f"training.devices is {local_processes}, this machine has {torch.cuda.device_count()} CUDA devices; "
            f"lower it, or set training.device=cpu"
        )


def _check_batch(config: RunConfig, processes: int) -> None:
    clips = config.sampling.batch_clips
    if clips == processes:
        raise ConfigError(
            f"each of the {processes} processes would have one clip of a batch, and batch norms need two; make the "
            f"batch larger, or train on fewer devices"
        )
    if clips % processes:
        raise ConfigError(
            f"the {clips} clips of a batch (sampling.films_per_batch × clips_per_film) must divide among the "
            f"{processes} processes; change either"
        )


def _check_precision(training: TrainingConfig) -> None:
    device = select_device(training)
    if training.precision == "bf16-mixed":
        name, other = "this machine's processor", "32-true"
        if device == "cuda":
            name, other = torch.cuda.get_device_name(), "tf32 or 32-true"
        if not has_bf16_arithmetic(device):
            raise ConfigError(f"training.precision is bf16-mixed and {name} has no bf16 arithmetic; set it to {other}")
    if training.precision == "tf32" and device == "cpu":
        raise ConfigError("training.precision is tf32, and tf32 needs a CUDA device; set it to 32-true")


def keep_freed_memory() -> None:
    """Let this process keep the memory it frees, for its next step; without glibc nothing happens.

    By default glibc returns every large tensor to the system, and the next step pays for the same page faults again.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def make_fabric(training: TrainingConfig, *, has_unused_weights: bool = False) -> Fabric:
    """Return Fabric for these devices, not launched yet.

    Args:
        training: the devices of the run.
        has_unused_weights: whether some trained weights may not take part in a step, as the mask tokens of public
            encoders do not; ranks then look for them at each step.
    """
    local_processes, machines = count_processes(training)
    processes = local_processes * machines
    strategy: Strategy | str = "auto"
    if training.strategy == "fsdp":
        strategy = ModelParallelStrategy(shard, data_parallel_size=processes, tensor_parallel_size=1)
    elif processes > 1:
        strategy = DDPStrategy(
            gradient_as_bucket_view=True, find_unused_parameters=has_unused_weights, **_keep_own_buffers()
        )

    # Named explicitly: otherwise Fabric uses a SLURM job as its launcher, and silently trains in one process.
    environment = TorchElasticEnvironment() if _has_launcher() else _StartedHere()
    return Fabric(
        accelerator=select_device(training),
        devices=local_processes,
        num_nodes=machines,
        strategy=strategy,
        plugins=[environment],
    )


def _keep_own_buffers() -> dict[str, Any]:
    """Return the option of DDP with which no rank hands its batch norms' statistics to the others at every forward."""
    options = signature(DistributedDataParallel).parameters
    return {"forward_sync_buffers" if "forward_sync_buffers" in options else "broadcast_buffers": False}


def shard(system: ContrastiveSystem, mesh: DeviceMesh) -> ContrastiveSystem:
    """Return the system with its parameters sharded over the ranks of a mesh (FSDP), block by block."""
    mesh = mesh["data_parallel"]
    for parameter in system.parameters():  # FSDP needs contiguous weights, not channels-last
        parameter.data = parameter.data.contiguous()
    for encoder in (system.model.video, system.model.audio):
        for _, block in encoder.named_blocks():
            fully_shard(block, mesh=mesh)
    fully_shard(system, mesh=mesh)
    return system
