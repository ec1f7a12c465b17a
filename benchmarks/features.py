"""Measure how fast features of clips are extracted from files, compared with the encoder on windows in memory.

    python benchmarks/features.py [--rounds 3] [--clips 10] [--crops 1] [--threads 1 2] [--only actions sounds]

Each round measures both, one after the other: on clips of a library (two real films repeated, both encoders), on the
real action clips (320 px) and on ESC-10's sounds, each repeated; the figure is the median of the rounds' ratios. The
encoder has one thread, so that the other core reads; then it has both. The files are in the system's cache, and no
features are cached between rounds. Processes read the clips: for a library, time is counted from their first batch, and
their start is printed separately; for labelled clips everything is counted. Four minutes on two cores:
`--rounds 2 --threads 1 --only actions sounds`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

if __name__ != "__mp_main__":  # the processes that read import this script too, and need nothing of it
    import numpy as np
    import torch

    from machine import write_results
    from talkies.clips import list_windows, read_batches
    from talkies.clips.clip_files import ViewSampling, cut_windows, read_clip
    from talkies.clips.clip_spec import ClipSpec
    from talkies.evaluation.datasets import READERS, DataSet
    from talkies.evaluation.transfer import Protocol
    from talkies.evaluation.transfer.extract import extract_features
    from talkies.evaluation.transfer.features import TowerFeatures
    from talkies.ingestion import ingest
    from talkies.library import Library
    from talkies.models import ModelConfig, build_model
    from talkies.runs import ClipEncoder
    from talkies.training import resolve
    from talkies.transforms import ClipTransform

DATA = Path(__file__).parents[2] / "shared" / "data"
FILMS = ("sintel_trailer.mp4", "tears_of_steel_excerpt.webm")
CLIPS = 3000
BATCH_WINDOWS = 64
CLIPS_IN_MEMORY = 16
DATA_SETS: dict[str, tuple[str, Callable[[], DataSet]]] = {
    "actions": (
        "the 23 action clips",
        lambda: repeat_examples(READERS["video-folder"](DATA / "actions", group=r"^(subject\d+)_"), 12),
    ),
    "sounds": ("ESC-10's 400 sounds", lambda: repeat_examples(READERS["esc10"](DATA / "esc10"), 2)),
}
PARTS = ("library", *DATA_SETS)
HEAD = "| clips | threads | encoder alone, windows/s | from files, windows/s | share |\n|---|---|---|---|---|"

Rates = tuple[float, float]
"""Windows a second: by the encoder alone, and from files."""


def main() -> None:
    """Measure all rounds and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clips", type=int, default=10)
    parser.add_argument("--crops", type=int, default=1)
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, torch.get_num_threads()}))
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        measures: dict[str, Callable[[], Rates]] = {}
        if "library" in options.only:
            library = ingest([DATA / "films" / name for name in FILMS], Path(folder) / "library", workers=2).library
            measures["clips of a library"] = partial(measure_library, library)
        for part, (words, read) in DATA_SETS.items():
            if part in options.only:
                measures[words] = partial(measure_data_set, read(), options.clips, options.crops)
        for threads in options.threads:
            torch.set_num_threads(threads)
            rows += [measure_row(words, threads, measure, options.rounds) for words, measure in measures.items()]

    what = f"`tiny`; of labelled clips {options.clips} windows × {options.crops} crops each."
    write_results("features", "Features of clips, extracted from files", [what, "", "\n".join([HEAD, *rows])])


def measure_row(words: str, threads: int, measure: Callable[[], Rates], rounds: int) -> str:
    """Return one line of the table."""
    rates = [measure() for _ in range(rounds + 1)][1:]  # the first round warms up
    ratios = [from_files / encoder for encoder, from_files in rates]
    encoder, from_files = (median(column) for column in zip(*rates, strict=True))
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    return f"| {words} | {threads} | {encoder:.0f} | {from_files:.0f} | **{median(ratios):.2f}** ({spread}) |"


def measure_library(library: Library) -> Rates:
    """Return clips a second of a library's films, video and audio: the encoders alone, and with reading."""
    config = resolve("tiny", [])
    model = build_model(ModelConfig.model_validate(config.model.model_dump()))
    transform = ClipTransform(config.transforms, library.profile.audio_rate_hz)
    encoder = ClipEncoder(
        model, transform, clip=config.clip, profile=library.profile, stamp="", run=library.root, step=0
    )
    step = encoder.shape.window_frames
    requests = [
        request
        for film in library.usable_films()
        for request in list_windows(film.id, film.frames, encoder.shape, step)
    ]

    batches = list(read_batches(library, encoder.shape, requests))
    encoder_rate = measure_encoder(
        [partial(encoder.encode, batch) for batch in batches], list(map(len, batches)), CLIPS
    )

    repeated = requests * (CLIPS // len(requests) + 2)
    incoming, start = read_batches(library, encoder.shape, repeated, workers=1), time.perf_counter()
    first = next(incoming)
    assert len(first)
    print(f"the reading process starts in {time.perf_counter() - start:.1f} s", flush=True)
    start = time.perf_counter()
    clips = sum(len(encoder.encode(batch).video_BE) for batch in incoming)
    return encoder_rate, clips / (time.perf_counter() - start)


def measure_data_set(data: DataSet, clips: int, crops: int) -> Rates:
    """Return windows a second of labelled clips of one modality: the encoder alone, and from files."""
    features, (modality,) = build_features(), data.modalities
    sampling = ViewSampling(features.clip_spec, clips, crops)
    inputs = []
    for number in range(min(CLIPS_IN_MEMORY, len(data.examples))):
        media = read_clip(data.get_clip(number), (modality,), features.clip_spec)
        inputs.append(cut_windows(media, sampling).get_input(modality))
    joined = np.concatenate(inputs)
    batches = torch.split(torch.from_numpy(joined.reshape(-1, *joined.shape[2:])), BATCH_WINDOWS)

    windows = len(data.examples) * clips * crops
    encode = features.encode_video if modality == "video" else features.encode_audio
    encodings = [partial(encode, batch) for batch in batches]
    encoder_rate = measure_encoder(encodings, list(map(len, batches)), windows)

    start = time.perf_counter()
    extract_features(data, features, Protocol(clips=clips, crops=crops), None)
    return encoder_rate, windows / (time.perf_counter() - start)


def measure_encoder(encodings: Sequence[Callable[[], object]], sizes: Sequence[int], count: int) -> float:
    """Return windows a second when encoding batches in memory, repeated until `count` windows are done."""
    start, done = time.perf_counter(), 0
    while done < count:
        for encode, size in zip(encodings, sizes, strict=True):
            encode()
            done += size
    return done / (time.perf_counter() - start)


def repeat_examples(data: DataSet, count: int) -> DataSet:
    """Return a data set that lists each of its examples `count` times, and has no splits."""
    return replace(data, examples=data.examples * count, splits=(), absent=frozenset())


def build_features() -> TowerFeatures:
    """Return the untrained encoders of the recipe `tiny`."""
    config = resolve("tiny", [])
    model = build_model(ModelConfig.model_validate(config.model.model_dump()))
    clip = config.clip
    clip_spec = ClipSpec(clip.frames, clip.fps, 128, config.transforms.video.size, clip.audio_seconds, 16_000)
    return TowerFeatures("tiny", clip_spec, config.transforms, model.video, model.audio)


if __name__ == "__main__":
    main()
