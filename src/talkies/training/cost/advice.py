"""What to change if a run takes too much."""

from collections.abc import Iterator
from dataclasses import replace

from talkies.training.config import RunConfig
from talkies.training.cost.values import Cost
from talkies.training.devices import select_device
from talkies.training.profile_step import LinearFit

USABLE_MEMORY = 0.9
"""The share of the available memory that a run may take; the rest is for temporary use."""
MIN_CLIPS = 2
"""The smallest batch that has a negative."""
_WAITING_SHARE = 0.05  # of the time: waiting more is worth a suggestion
_LONG_HOURS = 48


def add_advice(cost: Cost, memory_fit: LinearFit, config: RunConfig) -> Cost:
    """Return the cost with sentences about what to change."""
    advice = [*_advise_on_memory(cost, memory_fit, config), *_advise_on_time(cost, config)]
    if cost.disk_bytes > cost.available_disk_bytes:
        advice.append("the disk is too full for the run: lower training.keep, or free some space")
    return replace(cost, advice=tuple(advice))


def _advise_on_memory(cost: Cost, memory_fit: LinearFit, config: RunConfig) -> Iterator[str]:
    usable_bytes = cost.available_memory_bytes * USABLE_MEMORY
    if cost.memory_bytes <= usable_bytes:
        return

    # Find the largest power of two of clips that fits.
    most = int((usable_bytes - memory_fit.base) / memory_fit.slope) if memory_fit.slope else 0
    clips = 1 << (max(most, 1).bit_length() - 1)
    current = config.training.chunk_clips
    can_chunk = clips >= MIN_CLIPS and (current is None or clips < current) and clips < cost.clips

    if can_chunk:
        yield (
            f"not enough memory: --set training.chunk_clips={clips} encodes this many clips at a time, and keeps all "
            f"clips of the batch as negatives"
        )
    elif not config.training.activation_checkpointing:
        yield (
            "not enough memory: --set training.activation_checkpointing=true keeps fewer activations and recomputes "
            "the others"
        )
    else:
        yield (
            "not enough memory: make clip.frames, transforms.video.size or the batch smaller, or train on more devices"
        )
    if not config.training.activation_checkpointing and clips < cost.clips:
        yield "or --set training.activation_checkpointing=true, which needs less memory and a third more computation"


def _advise_on_time(cost: Cost, config: RunConfig) -> Iterator[str]:
    is_gpu = select_device(config.training) == "cuda"
    if cost.waiting_share > _WAITING_SHARE and not cost.shared_cores:
        yield (
            f"training waits for clips {cost.waiting_share:.0%} of the time: use more cores and loader.workers, or "
            f"several machines (see: talkies doctor)"
        )
    if is_gpu and config.training.precision != "bf16-mixed":
        yield "--set training.precision=bf16-mixed is faster on most GPUs and needs less memory"
    if is_gpu and not config.training.compile:
        yield "--set training.compile=true is faster in a long run"
    if not is_gpu and cost.hours > _LONG_HOURS:
        yield "this run is slow on a CPU: train on a GPU, use --recipe tiny, or lower training.steps"
