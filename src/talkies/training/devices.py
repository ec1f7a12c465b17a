"""Where a run trains: what this machine has, checked before any work, and Fabric set up for it."""

import ctypes
import os
import shutil

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.strategies.model_parallel import ModelParallelStrategy
from lightning_fabric.strategies.strategy import Strategy
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard

from talkies.core import ConfigError
from talkies.training.config import RunConfig, TrainingConfig
from talkies.training.system import ContrastiveSystem

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h
_TORCHRUN = "TORCHELASTIC_RUN_ID"  # is set where `torchrun` has begun this process


def count_processes(training: TrainingConfig) -> tuple[int, int]:
    """Return how many processes train on a machine, and on how many machines: what `torchrun` says, or the config."""
    if _TORCHRUN not in os.environ:
        return training.devices, 1
    beside, all_ = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
    return beside, all_ // beside


def select_device(training: TrainingConfig) -> str:
    """Return `cuda` or `cpu`."""
    return ("cuda" if torch.cuda.is_available() else "cpu") if training.device == "auto" else training.device


def check_devices(config: RunConfig) -> None:
    """Do nothing if this machine can train as the config says.

    Raises:
        ConfigError: with one sentence, if it cannot.
    """
    training = config.training
    beside, machines = count_processes(training)
    if training.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "training.device is cuda and this machine has no CUDA device; set training.device=cpu or auto"
        )
    if training.device != "cpu" and beside > 1 and torch.cuda.device_count() < beside:
        raise ConfigError(
            f"training.devices is {beside}, this machine has {torch.cuda.device_count()} CUDA devices; "
            f"lower it, or set training.device=cpu"
        )
    if config.sampling.batch_clips == beside * machines:
        raise ConfigError(
            f"each of the {beside * machines} processes would have one clip of a batch, and batch norms need two; "
            f"make the batch larger, or train on fewer devices"
        )
    if config.sampling.batch_clips % (beside * machines):
        raise ConfigError(
            f"the {config.sampling.batch_clips} clips of a batch (sampling.films_per_batch × clips_per_film) must "
            f"divide among the {beside * machines} processes; change either"
        )
    if training.compile and select_device(training) == "cpu" and not shutil.which("g++"):
        raise ConfigError(
            "training.compile needs the C++ compiler g++ on a CPU, and it is not installed; install it, or set "
            "training.compile=false"
        )
    _check_precision(training)
    if select_device(training) == "cpu":
        _check_cpu(training, beside * machines)


def _check_precision(training: TrainingConfig) -> None:
    device = select_device(training)
    if training.precision == "bf16-mixed":
        has = torch.cuda.is_bf16_supported(False) if device == "cuda" else torch.ops.mkldnn._is_mkldnn_bf16_supported()
        if not has:
            what = torch.cuda.get_device_name() if device == "cuda" else "this machine's processor"
            other = "tf32 or 32-true" if device == "cuda" else "32-true"
            raise ConfigError(f"training.precision is bf16-mixed and {what} has no bf16 arithmetic; set it to {other}")
    if training.precision == "tf32" and device == "cpu":
        raise ConfigError("training.precision is tf32, which CUDA devices have and a CPU has not; set it to 32-true")


def _check_cpu(training: TrainingConfig, processes: int) -> None:
    if training.strategy == "fsdp":
        raise ConfigError("training.strategy is fsdp, which is for CUDA devices; on a CPU set it to ddp")
    if training.sync_batch_norm and processes > 1:
        raise ConfigError("training.sync_batch_norm is for CUDA devices; on CPUs leave it out, or train in one process")


def keep_freed_memory() -> None:
    """Let this process keep the memory it frees, for its next step; without glibc nothing happens.

    By default glibc returns every large tensor to the system, and the next step pays for the same page faults again.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def make_fabric(training: TrainingConfig) -> Fabric:
    """Return Fabric for these devices, not yet launched."""
    beside, machines = count_processes(training)
    strategy: Strategy | str = "auto"
    if training.strategy == "fsdp":
        strategy = ModelParallelStrategy(spread, data_parallel_size=beside * machines, tensor_parallel_size=1)
    elif beside * machines > 1:
        strategy = DDPStrategy(gradient_as_bucket_view=True)
    # Named, for Fabric would else take a job of SLURM for its launcher, and train in one process without a word.
    place = TorchElasticEnvironment() if _TORCHRUN in os.environ else LightningEnvironment()
    return Fabric(
        accelerator=select_device(training), devices=beside, num_nodes=machines, strategy=strategy, plugins=[place]
    )


def spread(system: ContrastiveSystem, mesh: DeviceMesh) -> ContrastiveSystem:
    """Return the system with its parameters spread over the ranks of a mesh (FSDP), block by block."""
    mesh = mesh["data_parallel"]
    for parameter in system.parameters():  # it takes no others, such as the channels-last weights of convolutions
        parameter.data = parameter.data.contiguous()
    for encoder in (system.model.video, system.model.audio):
        for _, block in encoder.named_blocks():
            fully_shard(block, mesh=mesh)
    fully_shard(system, mesh=mesh)
    return system
