"""Compare the profiles of a library: its size on disk, and how fast films are ingested, read and embedded.

    python benchmarks/profiles.py FILM... [--rounds 3] [--folder FOLDER]

In each round every profile does the same work, one after the other: it ingests the films with one worker, reads clips
as training does, and embeds the library with an untrained `tiny`. Figures are medians over rounds, ratios are taken
within a round, and times are processor times of all the work's processes, so that other work on the machine hardly
counts.
Writes `benchmarks/results/profiles_<hardware>_<date>.md` and `.json`, and the table in `docs/profiles.md`.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import torch

from machine import ROOT, hardware, today, write_results
from talkies.clips import ClipConfig, LoaderConfig, SamplingConfig, load_batches, open_training_clips
from talkies.library import PROFILES, Library
from talkies.retrieval.index import embed
from talkies.training import pretrain, resolve

PAGE = ROOT / "docs" / "profiles.md"
BEGIN, END = "<!-- profiles: written by benchmarks/profiles.py -->", "<!-- /profiles -->"
CLIPS, WARM_UP = 192, 16
BATCH = 8
RECIPE = ("training.steps=1", "training.trackers=[]", "sampling.films_per_batch=1", "sampling.clips_per_film=4")

Figures = dict[str, dict[str, Any]]


def main() -> None:
    """Measure, and write the results and the table of the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("films", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--work", nargs=2, metavar=("WORK", "LIBRARY"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        torch.set_num_threads(1)
        print(json.dumps(WORKS[options.work[0]](Path(options.work[1]))))
        return

    with tempfile.TemporaryDirectory() as temporary:
        folder: Path = options.folder or Path(temporary)
        rounds = [measure_round(options.films, folder, number) for number in range(options.rounds)]
        sizes = {name: measure_sizes(Library.open(folder / name)) for name in PROFILES}
        seconds = sum(film.duration_seconds for film in Library.open(folder / "small").usable_films())
    figures = summarise(rounds, sizes, seconds)
    names = ", ".join(f"`{film.name}`" for film in options.films)
    sections = [
        f"{names}: {seconds:.0f} s of film, {options.rounds} rounds; medians. Times are processor times; clips are of "
        f"16 pictures at 16 a second and 2 s of sound, read in one process; the model is an untrained `tiny`.",
        "",
        *format_table(figures),
        "",
        *format_rounds(rounds),
    ]
    path = write_results("profiles", "Profiles", sections)
    document = {"hardware": hardware(), "date": today(), "film_seconds": seconds, "profiles": figures, "rounds": rounds}
    path.with_suffix(".json").write_text(json.dumps({"schema_version": 1, **document}, indent=1) + "\n")
    write_page(format_table(figures), f"{hardware()}, {today()}")


def measure_round(films: list[Path], folder: Path, number: int) -> Figures:
    """Return the figures of one round, by profile; each round begins with another profile."""
    names = list(PROFILES)
    first = number % len(names)
    done: Figures = {}
    for name in names[first:] + names[:first]:
        library = folder / name
        shutil.rmtree(library, ignore_errors=True)
        sources = [str(film) for film in films]
        begun = time.perf_counter()
        processor = run(["-m", "talkies", "ingest", *sources, "--library", str(library), "--profile", name])[0]
        wall = time.perf_counter() - begun
        pretrain(library, resolve("tiny", RECIPE), library / "run")
        done[name] = {"ingest_seconds": processor, "ingest_wall_seconds": wall}
    for work in ("read", "embed"):
        for name in names[first:] + names[:first]:
            done[name] |= json.loads(run([__file__, "--work", work, str(folder / name)])[1].splitlines()[-1])
            print(number, name, done[name], flush=True)
    return done


def run(arguments: list[str]) -> tuple[float, str]:
    """Return the processor time of a Python process and its children, and what it printed."""
    before = os.times()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *arguments], env=environment, check=True, stdout=subprocess.PIPE, text=True)
    after = os.times()
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, done.stdout


def read_clips(root: Path) -> dict[str, float]:
    """Return how many clips a second of processor time this process reads from a library."""
    clips = open_training_clips(root, ClipConfig(), SamplingConfig.within_film(1, BATCH), seed=0)
    batches = load_batches(clips.source, clips.plan, range((WARM_UP + CLIPS) // BATCH), LoaderConfig(workers=0))
    for _ in range(WARM_UP // BATCH):
        next(batches)
    begun = time.process_time()
    count = sum(len(batch) for batch in batches)
    return {"clips_per_second": count / (time.process_time() - begun)}


def embed_library(root: Path) -> dict[str, float]:
    """Return how many seconds of film are embedded in a second of processor time."""
    shutil.rmtree(root / "index", ignore_errors=True)
    begun = time.process_time()
    report = embed(root, root / "run")
    return {"embed_times_real_time": report.film_seconds / (time.process_time() - begun)}


WORKS: dict[str, Callable[[Path], dict[str, float]]] = {"read": read_clips, "embed": embed_library}


def measure_sizes(library: Library) -> dict[str, float]:
    """Return the megabytes of an hour of film: pictures and sound of the proxies, and the training audio."""
    counts = {"pictures": 0, "proxy_sound": 0, "training_sound": 0, "all": 0}
    films = library.usable_films()
    for film in films:
        with av.open(str(library.proxy_path(film.id))) as proxy:
            for packet in proxy.demux():
                counts["pictures" if packet.stream.type == "video" else "proxy_sound"] += packet.size
        counts["training_sound"] += library.audio_path(film.id).stat().st_size
        counts["all"] += film.stored_bytes
    hours = sum(film.duration_seconds for film in films) / 3600
    return {f"{name}_mb_per_hour": size / 1e6 / hours for name, size in counts.items()}


def summarise(rounds: list[Figures], sizes: dict[str, dict[str, float]], seconds: float) -> Figures:
    """Return each profile's sizes, medians and ratios to `small`."""
    figures: Figures = {}
    for name, profile in PROFILES.items():
        of_rounds = [done[name] for done in rounds]
        ingest_ratios = [done[name]["ingest_seconds"] / done["small"]["ingest_seconds"] for done in rounds]
        read_ratios = [done[name]["clips_per_second"] / done["small"]["clips_per_second"] for done in rounds]
        figures[name] = {
            "facts": profile.describe().partition("(")[2].rstrip(")"),
            **sizes[name],
            "ingest_times_real_time": seconds / statistics.median(r["ingest_wall_seconds"] for r in of_rounds),
            "ingest_beside_small": statistics.median(ingest_ratios),
            "clips_per_second": statistics.median(r["clips_per_second"] for r in of_rounds),
            "clips_beside_small": statistics.median(read_ratios),
            "embed_times_real_time": statistics.median(r["embed_times_real_time"] for r in of_rounds),
        }
    return figures


def format_table(figures: Figures) -> list[str]:
    """Return the table of all profiles."""
    lines = [
        "| profile | | MB an hour: pictures | sound in the proxy | training sound | all | ingest, × real time | "
        "its processor time, × `small` | clips/s | × `small` | embed, × real time |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, own in figures.items():
        sizes = [own[f"{part}_mb_per_hour"] for part in ("pictures", "proxy_sound", "training_sound", "all")]
        lines.append(
            f"| `{name}` | {own['facts']} | {' | '.join(f'{size:.0f}' for size in sizes)} | "
            f"{own['ingest_times_real_time']:.1f} | {own['ingest_beside_small']:.2f} | "
            f"{own['clips_per_second']:.0f} | {own['clips_beside_small']:.2f} | {own['embed_times_real_time']:.0f} |"
        )
    return lines


def format_rounds(rounds: list[Figures]) -> list[str]:
    """Return the figures of each round."""
    lines = [
        "| round | profile | ingest, wall s | processor s | clips/s | embed, × real time |",
        "|---|---|---|---|---|---|",
    ]
    for number, done in enumerate(rounds, start=1):
        for name in PROFILES:
            own = done[name]
            lines.append(
                f"| {number} | `{name}` | {own['ingest_wall_seconds']:.1f} | {own['ingest_seconds']:.1f} | "
                f"{own['clips_per_second']:.1f} | {own['embed_times_real_time']:.0f} |"
            )
    return lines


def write_page(table: list[str], where: str) -> None:
    """Write the table into the page."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    text = "\n".join([*table, "", f"({where}.)"])
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
