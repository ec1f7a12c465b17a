"""How fast features of clips are extracted, beside what the encoder alone does on windows that lie in memory.

    python benchmarks/features.py [--rounds 3] [--clips 10] [--crops 1]

Both in turns within a round: on clips of a library (two real films again and again, both encoders), on the real action
clips (320 px) and on ESC-10's sounds, each several times over; the figure is the median of the rounds' ratios. The
encoder has one thread, and the other core reads; then it has both. The files are in the system's cache, and nothing is
kept between rounds. Processes read; for a library the time runs from their first batch, and how long they take to begin
is told apart; for labelled clips all is counted.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch

from machine import write_results
from talkies.clips import list_windows, read_batches
from talkies.evaluation.datasets import READERS, DataSet
from talkies.evaluation.transfer import Protocol
from talkies.evaluation.transfer.clip_spec import ClipSpec
from talkies.evaluation.transfer.extract import extract_features
from talkies.evaluation.transfer.features import TowerFeatures
from talkies.evaluation.transfer.reading import ViewSampling, cut_windows, read_clip
from talkies.ingest import ingest
from talkies.library import Library
from talkies.models import ModelConfig, build_model
from talkies.runs import ClipEncoder
from talkies.training import resolve
from talkies.transforms import ClipTransform

DATA = Path(__file__).parents[2] / "shared" / "data"
FILMS = ("sintel_trailer.mp4", "tears_of_steel_excerpt.webm")
CLIPS = 3000
SETS: dict[str, Callable[[], DataSet]] = {
    "the 23 action clips": lambda: times(READERS["video-folder"](DATA / "actions", group=r"^(subject\d+)_"), 12),
    "ESC-10's 400 sounds": lambda: times(READERS["esc10"](DATA / "esc10"), 2),
}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clips", type=int, default=10)
    parser.add_argument("--crops", type=int, default=1)
    wanted = parser.parse_args()
    rows, cores = [], torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        library = ingest([DATA / "films" / name for name in FILMS], Path(folder) / "library", workers=2).library
        measures = {"clips of a library": partial(of_library, library)}
        measures |= {words: partial(measured, read(), wanted) for words, read in SETS.items()}
        for threads in (1, cores):
            torch.set_num_threads(threads)
            rows += [row(words, threads, measure, wanted.rounds) for words, measure in measures.items()]
    head = "| clips | threads | encoder alone, windows/s | from files, windows/s | share |\n|---|---|---|---|---|"
    what = f"`tiny`; of labelled clips {wanted.clips} windows × {wanted.crops} crops each."
    write_results("features", "Features of clips, extracted from files", [what, "", "\n".join([head, *rows])])


def row(words: str, threads: int, measure: Callable[[], tuple[float, float]], turns: int) -> str:
    """Return one line of the table."""
    rounds = [measure() for _ in range(turns + 1)][1:]  # the first warms up
    ratios = [from_files / alone for alone, from_files in rounds]
    alone, from_files = (median(part) for part in zip(*rounds, strict=True))
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    return f"| {words} | {threads} | {alone:.0f} | {from_files:.0f} | **{median(ratios):.2f}** ({spread}) |"


def of_library(library: Library) -> tuple[float, float]:
    """Return clips a second of a library's films, pictures and sound: the encoders alone, and read as well."""
    config = resolve("tiny", [])
    model = build_model(ModelConfig.model_validate(config.model.model_dump()))
    transform = ClipTransform(config.transforms, library.profile.audio_rate_hz)
    encoder = ClipEncoder(
        model, transform, clip=config.clip, profile=library.profile, stamp="", run=library.root, step=0
    )
    films, step = library.usable_films(), encoder.shape.window_frames
    windows = [list_windows(film.id, film.frames, encoder.shape, step) for film in films]
    requests = [request for some in windows for request in some]
    batches = list(read_batches(library, encoder.shape, requests))
    begun, done = time.perf_counter(), 0
    while done < CLIPS:
        for batch in batches:
            encoder.encode(batch)
            done += len(batch)
    alone = done / (time.perf_counter() - begun)
    several = requests * (CLIPS // len(requests) + 2)
    coming, begun = read_batches(library, encoder.shape, several, workers=1), time.perf_counter()
    first = next(coming)
    print(f"the process that reads begins in {time.perf_counter() - begun:.1f} s", flush=True)
    begun = time.perf_counter()
    done = sum(len(encoder.encode(batch).video_BE) for batch in coming)
    from_files = done / (time.perf_counter() - begun)
    assert len(first)
    return alone, from_files


def times(data: DataSet, count: int) -> DataSet:
    """Return a data set that lists each of its examples so many times, and has no splits."""
    return replace(data, examples=data.examples * count, splits=(), absent=frozenset())


def measured(data: DataSet, wanted: argparse.Namespace) -> tuple[float, float]:
    """Return windows a second: the encoder alone, and from files."""
    features, (tower,) = tiny(), towers_of(data)
    protocol = Protocol(clips=wanted.clips, crops=wanted.crops)
    view = ViewSampling(features.clip_spec, wanted.clips, wanted.crops)
    some = range(min(16, len(data.examples)))
    shown = np.concatenate([cut_windows(read_clip(data, n, (tower,), features.clip_spec), view).of(tower) for n in some])
    batches = torch.split(torch.from_numpy(shown.reshape(-1, *shown.shape[2:])), 64)
    windows = len(data.examples) * wanted.clips * wanted.crops
    encode = features.video if tower == "video" else features.audio
    begun, done = time.perf_counter(), 0
    while done < windows:
        for batch in batches:
            encode(batch)
            done += len(batch)
    alone = done / (time.perf_counter() - begun)
    begun = time.perf_counter()
    extract_features(data, features, protocol, None)
    return alone, windows / (time.perf_counter() - begun)


def tiny() -> TowerFeatures:
    """Return the encoders of the recipe `tiny`, as they are before training."""
    config = resolve("tiny", [])
    model = build_model(ModelConfig.model_validate(config.model.model_dump()))
    clip = config.clip
    clip_spec = ClipSpec(clip.frames, clip.fps, 128, config.transforms.video.size, clip.audio_seconds, 16_000)
    return TowerFeatures("tiny", clip_spec, config.transforms, model.video, model.audio)


if __name__ == "__main__":
    main()
