"""The loader at this machine's cores: how fast it reads, and how long a step of `r2plus1d18` waits for it."""

import contextlib
import json
import shutil
import statistics
import time

from gpu.deadline import TimeIsUpError, stop_after
from gpu.films import count_films
from gpu.records import FAILURES, Record, describe_error
from gpu.settings import Settings
from talkies.clips import LoaderConfig, load_batches, open_training_clips
from talkies.runtime import count_cores
from talkies.training import Progress, RunConfig, pretrain, resolve

_STEPS = 1_000_000  # more than are ever read
_WARM_UP_BATCHES = 2


def measure_loading(settings: Settings, record: Record) -> None:
    """Report clips a second of the loader alone, and the share of a step's time that is spent waiting."""
    config = make_config(settings)
    decoders = ["cpu"]
    if "decoder" in LoaderConfig.model_fields:
        decoders += ["cuda"] if settings.device == "cuda" else []
    else:
        record.note("This version has no loader.decoder, so films are decoded on the processor.")
    seconds = record.seconds_left / (2 * len(decoders))
    for decoder in decoders:
        loader = config.loader
        if "decoder" in LoaderConfig.model_fields:
            loader = LoaderConfig.model_validate({**loader.model_dump(), "decoder": decoder})
        row: dict[str, object] = {"configuration": f"decoded on the {decoder}"}
        try:
            row["workers"] = loader.count_workers(count_cores())
            row["loader_clips_per_second"] = _measure_reading(config, loader, settings, 0.5 * seconds)
            row |= _measure_waiting(config.model_copy(update={"loader": loader}), settings, decoder, 1.2 * seconds)
        except FAILURES as error:
            row["reason"] = describe_error(error)
        record.add(**row)
    record.note(
        f"Batches of {config.sampling.films_per_batch} films × {config.sampling.clips_per_film} clips from "
        f"{count_films(settings)} films of {settings.sizes.synth.seconds:g} s on {settings.cores} cores; waiting "
        "is the share of a step's time in which the device had nothing to do, over the second half of the steps."
    )


def make_config(settings: Settings) -> RunConfig:
    """Return `r2plus1d18` for the films that there are."""
    sizes, films = settings.sizes, count_films(settings)
    per_batch = max(1, min(films, sizes.step_clips // sizes.pair_clips_per_film))
    lines = [
        *settings.list_overrides("r2plus1d18"),
        f"sampling.films_per_batch={per_batch}",
        f"sampling.clips_per_film={sizes.pair_clips_per_film}",
        "sampling.least_gap_seconds=0",
        "training.compile=false",
        "training.chunk_clips=null",
        "training.recalibration_batches=0",
        "training.checkpoint_every=1000000",
        f"training.steps={4 if settings.is_dry else 100_000}",
    ]
    return resolve("r2plus1d18", lines)


def _measure_reading(config: RunConfig, loader: LoaderConfig, settings: Settings, seconds: float) -> float:
    """Return clips a second of the loader alone, measured after its workers have started."""
    clips = open_training_clips(settings.library, config.clip, config.sampling, seed=0)
    number, read, started = 0, 0, time.perf_counter()
    begun = started
    for batch in load_batches(clips.source, clips.plan, range(_STEPS), loader):
        number += 1
        if number == _WARM_UP_BATCHES:
            begun, read = time.perf_counter(), 0
            continue
        read += len(batch)
        if number > _WARM_UP_BATCHES and (settings.is_dry or time.perf_counter() - started > seconds):
            break
    return read / (time.perf_counter() - begun)


def _measure_waiting(config: RunConfig, settings: Settings, name: str, seconds: float) -> dict[str, object]:
    """Return the speed of training and its share of waiting, from a run that ends after some seconds."""
    run = settings.work / f"loading-{name}"
    shutil.rmtree(run, ignore_errors=True)
    with contextlib.suppress(TimeIsUpError):
        pretrain(settings.library, config, run, progress=Progress(on_step=stop_after(seconds)))
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    shutil.rmtree(run, ignore_errors=True)
    late = lines[len(lines) // 2 :]
    if not late:
        return {"reason": f"no step was done in {seconds:.0f} s"}
    return {
        "steps": len(lines),
        "training_clips_per_second": statistics.median(line["clips_per_second"] for line in late),
        "waiting_share": statistics.mean(line["data_wait_share"] for line in late),
    }
