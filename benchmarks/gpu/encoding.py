"""Embedding films, and adapting public encoders of ViT-B's size: heads on cached features, and LoRA."""

import shutil
import time
from contextlib import closing
from functools import partial
from pathlib import Path

from gpu.films import count_films
from gpu.records import Record
from gpu.settings import Settings
from gpu.towers import save_towers
from gpu.training_steps import StepTimer, add_row
from talkies.clips import choose_workers, read_batches
from talkies.core import ClipRequest
from talkies.library import Library
from talkies.retrieval.index.clip_positions import compute_clip_positions
from talkies.runs import ClipEncoder, load_encoder
from talkies.training import Progress, pretrain, resolve

_ENCODED_BATCHES = 4  # in memory, for the encoder alone


def measure_embedding(settings: Settings, record: Record) -> None:
    """Report hours of film a minute: films read and encoded as `talkies embed` does, and the encoder alone."""
    run = _make_fresh_run(settings)
    library, encoder = Library.open(settings.library), load_encoder(run)
    requests = _list_requests(library, encoder)
    stride_seconds = sum(film.duration_seconds for film in library.usable_films()) / len(requests)

    # The first batch warms up, and the last that fits into the time ends the measurement.
    limit, clips, started, kept = 0.6 * record.seconds_left, 0, time.perf_counter(), []
    begun = started
    workers = choose_workers(len(requests), encoder.device.type)
    with closing(read_batches(library, encoder.shape, requests, workers=workers)) as batches:
        for number, batch in enumerate(batches):
            encoder.encode(batch)
            kept += [batch] if len(kept) < _ENCODED_BATCHES else []
            if number == 0:
                begun = time.perf_counter()
                continue
            clips += len(batch)
            if time.perf_counter() - started > limit:
                break
    record.add(configuration="films, read and encoded", **_describe_speed(clips, begun, stride_seconds))

    clips, begun = 0, time.perf_counter()
    while clips == 0 or (time.perf_counter() - begun < 3 and not settings.is_dry):
        for batch in kept:
            encoder.encode(batch)
            clips += len(batch)
    record.add(configuration="the encoders alone, clips in memory", **_describe_speed(clips, begun, stride_seconds))
    record.note(
        f"`r2plus1d18` as it came, a clip for every {stride_seconds:.2f} s of {count_films(settings)} films, "
        "with as many readers as `talkies embed` has. The table of embeddings is not written."
    )


def _make_fresh_run(settings: Settings) -> Path:
    """Return a run of one step, which is made unless it is there."""
    run = settings.work / "fresh-run"
    shutil.rmtree(run, ignore_errors=True)
    lines = [
        *settings.list_overrides("r2plus1d18"),
        "sampling.films_per_batch=2",
        "sampling.clips_per_film=4",
        "sampling.least_gap_seconds=0",
        "training.steps=1",
        "training.compile=false",
        "training.chunk_clips=null",
        "training.recalibration_batches=0",
        "loader.workers=0",
    ]
    return pretrain(settings.library, resolve("r2plus1d18", lines), run).run


def _list_requests(library: Library, encoder: ClipEncoder) -> list[ClipRequest]:
    fps = library.profile.fps
    return [
        request
        for film in library.usable_films()
        for request in compute_clip_positions(
            film.id, film.frames, library.shots_of(film.id), encoder.shape, fps
        ).requests
    ]


def _describe_speed(clips: int, begun: float, stride_seconds: float) -> dict[str, object]:
    seconds = time.perf_counter() - begun
    rate = clips / max(seconds, 1e-9)
    return {"clips_per_second": rate, "film_hours_per_minute": rate * stride_seconds / 60, "seconds": seconds}


def measure_adaptation(settings: Settings, record: Record) -> None:
    """Report the speed of new heads on frozen encoders of ViT-B's size, and of LoRA in both."""
    addresses = save_towers(settings)
    for name, measure in (("heads", _measure_heads), ("LoRA in both towers", _measure_lora)):
        add_row(record, name, partial(measure, addresses, settings))
    record.note(
        f"CLIP's image encoder and AST, {settings.sizes.tower_layers} blocks of {settings.sizes.tower_width} "
        "dimensions, random weights; 8 frames and 2 s of sound a clip. Heads: the clips' features are computed once, "
        "with reading, and then only the heads are trained, in milliseconds a step."
    )


def _list_adaptation(addresses: tuple[str, str], settings: Settings) -> list[str]:
    seconds, frames = (0.5, 2) if settings.is_dry else (2.0, 8)
    return [
        *settings.list_overrides("adapt-heads"),
        f"model.video={addresses[0]}",
        f"model.audio={addresses[1]}",
        "clip.auto=false",
        f"clip.frames={frames}",
        f"clip.fps={8 if settings.is_dry else 4}",
        f"clip.audio_seconds={seconds}",
        "training.recalibration_batches=0",
    ]


def list_heads(addresses: tuple[str, str], settings: Settings) -> list[str]:
    """Return the lines that make `adapt-heads` train heads on the features of the films that there are."""
    return [
        *_list_adaptation(addresses, settings),
        f"training.steps={2 if settings.is_dry else 60}",
        f"sampling.films_per_batch={max(1, min(count_films(settings), 8))}",
        f"sampling.clips_per_film={2 if settings.is_dry else 8}",
        "adaptation.views=0",
        *(["loader.workers=0"] if settings.is_dry else []),
    ]


def list_lora(addresses: tuple[str, str], settings: Settings) -> list[str]:
    """Return the lines that make `adapt-heads` train adapters in both towers."""
    clips = settings.sizes.tower_clips
    return [
        *_list_adaptation(addresses, settings),
        "adaptation.video.train=lora",
        "adaptation.audio.train=lora",
        "adaptation.views=null",
        "adaptation.cache=false",
        f"training.precision={'bf16-mixed' if settings.device == 'cuda' else '32-true'}",
        f"sampling.films_per_batch={clips // 2}",
        "sampling.clips_per_film=2",
    ]


def _measure_heads(addresses: tuple[str, str], settings: Settings) -> dict[str, object]:
    """Train heads on the films that there are: features for the first part of the time, then steps."""
    sizes, run = settings.sizes, settings.work / "heads"
    for folder in (run, settings.library / "features"):
        shutil.rmtree(folder, ignore_errors=True)
    times, counts, steps_at = [time.perf_counter()], [0], list[float]()

    def on_features(done: int, _all: int) -> None:
        times.append(time.perf_counter())
        counts.append(done)

    def on_step(_step: int) -> None:
        steps_at.append(time.perf_counter())

    film_ids = [film.film_id for film in Library.open(settings.library).usable_films()[: sizes.film_step]]
    progress = Progress(on_features=on_features, on_step=on_step)
    config = resolve("adapt-heads", list_heads(addresses, settings))
    pretrain(settings.library, config, run, progress=progress, film_ids=film_ids)
    shutil.rmtree(run, ignore_errors=True)
    spent = times[-1] - times[min(1, len(times) - 1)]
    computed = counts[-1] - counts[min(1, len(counts) - 1)]
    return {
        "clips_per_second": computed / spent if computed and spent else None,
        "head_milliseconds": 1000 * (steps_at[-1] - steps_at[0]) / max(1, len(steps_at) - 1),
    }


def _measure_lora(addresses: tuple[str, str], settings: Settings) -> dict[str, object]:
    clips, config = settings.sizes.tower_clips, resolve("adapt-heads", list_lora(addresses, settings))
    speed = StepTimer(config, settings).measure(clips, settings.sizes.rounds)
    return {
        "clips_per_second": speed.clips_per_second,
        "peak_gib": speed.peak_bytes / 2**30,
        "step_milliseconds": 1000 * clips / speed.clips_per_second,
    }
