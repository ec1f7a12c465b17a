"""What a run on the features of frozen towers takes: computing those that are missing, and steps of heads on them."""

import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from talkies.clips import TrainingClips
from talkies.runs import RunFolder
from talkies.training.config import RunConfig
from talkies.training.cost.stretch import measure_statistics, measure_writing, time_steps
from talkies.training.cost.values import Stretch
from talkies.training.features.cache import (
    FeatureCache,
    explain_no_cache,
    has_feature_cache,
    open_feature_cache,
)
from talkies.training.features.values import TrainingBatch
from talkies.training.profile_step import StepProfiler, Trial, watch_peak_memory

_FIRST_CLIPS = 2  # to open films and warm up
_SAMPLE_STEPS = 4  # that are taken again and again


def is_run_on_features(profiler: StepProfiler, config: RunConfig) -> bool:
    """Return whether the run would train on features that are computed once."""
    return config.adaptation.cache and explain_no_cache(profiler.state.system) is None


def measure_feature_run(
    profiler: StepProfiler, config: RunConfig, clips: TrainingClips, seconds: float
) -> tuple[Trial, Stretch, float]:
    """Measure a run on features, with a temporary store; the library's is only read.

    Args:
        profiler: has the throw-away model, on its device.
        config: the run's config.
        clips: the library's clips, and the plan of the batches.
        seconds: about how long to measure.

    Returns:
        A step on features, a stretch of such steps, and the seconds to compute the features that are missing.
    """
    system, device = profiler.state.system, profiler.fabric.device
    sample = config.training.model_copy(update={"steps": _SAMPLE_STEPS, "recalibration_batches": 0})
    with TemporaryDirectory(prefix="talkies-cost-") as name, watch_peak_memory(device) as peak:
        folder = Path(name)
        stores = None if has_feature_cache(system, config, clips) else folder / "features"
        missing = open_feature_cache(system, config, clips, stores).count_missing()

        # Compute the features of some clips, and write noise for the others of a few steps.
        few_steps = config.model_copy(update={"training": sample})
        cache = open_feature_cache(system, few_steps, clips, folder / "sample")
        clip_seconds = _time_clips(cache, profiler, seconds / 2) if missing else 0.0
        cache.fill_with_noise()

        batches, run = _repeat(cache, profiler), RunFolder(folder)
        first = next(batches)
        timed = time_steps(profiler, config, run, first, batches, seconds=seconds / 2)
        write_seconds = measure_writing(profiler, config, run)
        statistics_seconds = measure_statistics(profiler, config, lambda _step: first)
    stretch = Stretch(
        clips=len(first),
        steps=timed.steps,
        step_seconds=timed.step_seconds,
        start_seconds=timed.extra_seconds,
        checkpoint_seconds=statistics_seconds + write_seconds,
        write_seconds=write_seconds,
        peak_bytes=peak.bytes,
        worker_bytes=0,
    )
    return Trial(len(first), timed.step_seconds, peak.bytes), stretch, missing * clip_seconds


def _time_clips(cache: FeatureCache, profiler: StepProfiler, seconds: float) -> float:
    """Return the seconds in which the features of a clip are computed, from more and more clips."""
    started, clips, clip_seconds = time.perf_counter(), _FIRST_CLIPS, 0.0
    while True:
        part_started = time.perf_counter()
        done = cache.fill_part(profiler.fabric, clips)
        if not done:
            return clip_seconds
        now = time.perf_counter()
        clip_seconds, clips = (now - part_started) / done, 2 * clips
        if clip_seconds * clips > seconds - (now - started) and clips > 2 * _FIRST_CLIPS:
            return clip_seconds


def _repeat(cache: FeatureCache, profiler: StepProfiler) -> Iterator[TrainingBatch]:
    """Yield the batches of the sample again and again."""
    for number in count():
        yield cache.read_batch(number % _SAMPLE_STEPS).to(profiler.fabric.device)
