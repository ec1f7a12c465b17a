"""The table of a training step in every configuration, and the largest batch."""

from dataclasses import dataclass
from functools import partial

import torch

from gpu.card import find_peak_tflops
from gpu.records import FAILURES, Record, describe_error
from gpu.settings import Settings
from gpu.training_steps import StepTimer, add_row, free_memory
from talkies.training import RunConfig, resolve


@dataclass(frozen=True, slots=True)
class Configuration:
    """A row of the table: settings of `training`; `chunks` encodes a quarter of the batch at a time."""

    name: str
    settings: tuple[str, ...]
    chunks: bool = False


_BF16 = "precision=bf16-mixed"
CONFIGURATIONS = (  # the most telling first, because time may end before the last; compiling takes longest
    Configuration("bf16, channels-last", (_BF16,)),
    Configuration("float32, contiguous", ("channels_last=false",)),
    Configuration("TF32, channels-last", ("precision=tf32",)),
    Configuration("bf16, contiguous", (_BF16, "channels_last=false")),
    Configuration("bf16, channels-last, chunks of a quarter", (_BF16,), chunks=True),
    Configuration("bf16, channels-last, activation checkpointing", (_BF16, "activation_checkpointing=true")),
    Configuration("bf16, channels-last, compiled", (_BF16, "compile=true")),
    Configuration("float32, channels-last", ()),
    Configuration("TF32, contiguous", ("precision=tf32", "channels_last=false")),
    Configuration("bf16, channels-last, compiled, chunks of a quarter", (_BF16, "compile=true"), chunks=True),
)
_PLAIN = ("precision=32-true", "compile=false", "chunk_clips=null", "channels_last=true")
_LEAST_SECONDS = 5.0  # for a configuration


def measure_steps(recipe: str, settings: Settings, record: Record) -> None:
    """Report a row for each configuration of a recipe, and the largest batch in bf16."""
    flops = count_flops(recipe, settings)
    record.note(
        f"{settings.sizes.step_clips} clips a step, the mean of {settings.sizes.rounds} steps after two; from a batch "
        "on the device to updated weights, with the transforms. Where it compiles, the first step has that in it. "
        f"{flops / 1e9:.2f} GFLOP a clip for both encoders, forward and backward: MFU counts these alone, against the "
        "card's dense peak at that precision."
    )
    for configuration in CONFIGURATIONS[::9] if settings.is_dry else CONFIGURATIONS:
        if record.seconds_left < _LEAST_SECONDS and not settings.is_dry:
            record.add(configuration=configuration.name, reason="no time was left for it")
            continue
        add_row(record, configuration.name, partial(_measure_configuration, recipe, configuration, settings, flops))
        if configuration is CONFIGURATIONS[0]:
            find_largest_batch(recipe, settings, record)


def count_flops(recipe: str, settings: Settings) -> float:
    """Return the floating-point operations of a clip, forward and backward."""
    timer = StepTimer(make_config(recipe, CONFIGURATIONS[1], settings), settings)
    return timer.count_clip_flops()


def make_config(recipe: str, configuration: Configuration, settings: Settings) -> RunConfig:
    """Return the recipe as a configuration has it, for a batch of the table's clips."""
    clips = settings.sizes.step_clips
    per_film = min(8, clips // 2)
    lines = [
        *settings.list_overrides(recipe),
        f"sampling.clips_per_film={per_film}",
        f"sampling.films_per_batch={clips // per_film}",
        *(f"training.{setting}" for setting in (*_PLAIN, *configuration.settings)),
        *([f"training.chunk_clips={max(2, clips // 4)}"] if configuration.chunks else []),
    ]
    return resolve(recipe, lines)


def _measure_configuration(
    recipe: str, configuration: Configuration, settings: Settings, flops: float
) -> dict[str, object]:
    sizes, config = settings.sizes, make_config(recipe, configuration, settings)
    with torch._dynamo.config.patch(disable=settings.is_dry):  # compiling takes minutes on a processor
        speed = StepTimer(config, settings).measure(sizes.step_clips, sizes.rounds)
    card = torch.cuda.get_device_name() if settings.device == "cuda" else ""
    peak = find_peak_tflops(card, config.training.precision)
    return {
        "clips_per_second": speed.clips_per_second,
        "step_seconds": sizes.step_clips / speed.clips_per_second,
        "mfu": flops * speed.clips_per_second / (peak * 1e12) if peak else None,
        "peak_gib": speed.peak_bytes / 2**30,
        "first_seconds": speed.first_seconds,
    }


def find_largest_batch(recipe: str, settings: Settings, record: Record) -> None:
    """Note the largest batch in bf16: doubled until memory or time ends, then halfway back, to a quarter."""
    try:
        timer = StepTimer(make_config(recipe, CONFIGURATIONS[0], settings), settings)
    except FAILURES as error:
        record.note(f"The largest batch was not searched for: {describe_error(error)}.")
        return

    sizes = settings.sizes
    largest, clips, refused = 0, sizes.step_clips, 0
    rate, peak_bytes, reason = 0.0, 0, "more were not tried"
    while 2 <= clips <= sizes.most_step_clips and record.seconds_left > _LEAST_SECONDS:
        try:
            speed = timer.measure(clips, 1)
        except FAILURES as error:  # cuDNN has errors of its own where memory is short
            refused, reason = clips, f"with {clips}: {describe_error(error)}"
        else:
            largest, rate, peak_bytes = clips, speed.clips_per_second, speed.peak_bytes
        free_memory()
        if refused and (refused - largest) * 4 <= refused:
            break
        clips = (largest + refused) // 2 if refused else clips * 2
    record.note(
        f"The largest batch in bf16, channels-last: {largest} clips at {rate:.0f} clips/s in "
        f"{peak_bytes / 2**30:.1f} GiB; {reason}"
    )


measure_r2plus1d18 = partial(measure_steps, "r2plus1d18")
measure_vit_s = partial(measure_steps, "vit-s")
