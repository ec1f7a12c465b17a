"""Heads trained from cached features against running the towers: rate, equal losses, and peak memory.

    python benchmarks/cached_training.py [--rounds 3] [--steps 12] [--parts rate memory]

The towers are a ViT of CLIP's kind and wav2vec 2.0 with random weights, saved in the format of transformers in a
temporary folder: 22 million parameters each for the rate, and those of the base sizes (86 and 94 million) for the
memory. The films are rendered, in a library of 256 pixels. Each round trains the same steps both ways, one after the
other. Memory is the proportional set size of `talkies pretrain` and all processes that it starts, sampled 20 times a
second. Writes `benchmarks/results/cached_training_<hardware>_<date>.md`.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch
import transformers

from machine import write_results
from talkies.ingestion import ingest
from talkies.library import Library, Profile
from talkies.synth import SynthConfig, render_films
from talkies.training import Progress, pretrain, resolve
from talkies.training.metrics import read_metrics

FILMS, SECONDS = 3, 40.0
WIDTHS = {"small": 384, "base": 768}
SMALL = ("training.trackers=[]", "sampling.films_per_batch=2", "sampling.clips_per_film=4")
WARM_UP_STEPS = 2
MB = 1e6


def save_towers(folder: Path, size: str) -> tuple[str, str, dict[str, int]]:
    """Save random towers, and return their addresses and how many parameters they have."""
    width = WIDTHS[size]
    layers = {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": 12,
        "num_attention_heads": width // 64,
    }
    torch.manual_seed(0)
    text = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1}
    vision = {**layers, "image_size": 224, "patch_size": 16}
    picture = transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=vision))
    sound = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**layers))
    picture.save_pretrained(folder / "clip")
    sound.save_pretrained(folder / "w2v")
    transformers.CLIPImageProcessorPil().save_pretrained(folder / "clip")
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder / "w2v")
    counts = {
        name: sum(map(torch.numel, net.parameters()))
        for name, net in (("video", picture.vision_model), ("audio", sound))
    }
    return f"hf:{folder / 'clip'}", f"hf:{folder / 'w2v'}", counts


def measure_rate(library: Library, towers: tuple[str, str], folder: Path, rounds: int, steps: int) -> list[str]:
    """Return the section about the rate and the losses."""
    rows, ratios, worst = [], [], 0.0
    for seed in range(rounds):
        named = (f"model.video={towers[0]}", f"model.audio={towers[1]}", f"training.seed={seed}")
        settings = (*SMALL, *named, f"training.steps={steps}")
        clips, begun, ended = 0, time.perf_counter(), 0.0

        def on_features(done: int, _all: int) -> None:
            nonlocal clips, ended
            clips, ended = done, time.perf_counter()

        cached = pretrain(
            library.root,
            resolve("adapt-heads", settings),
            folder / f"cached-{seed}",
            progress=Progress(on_features=on_features),
        )
        running = pretrain(
            library.root, resolve("adapt-heads", [*settings, "adaptation.cache=false"]), folder / f"running-{seed}"
        )
        lines, others = (read_metrics(report.run / "metrics.jsonl") for report in (cached, running))
        rates = [
            statistics.median(line["clips_per_second"] for line in each[WARM_UP_STEPS:]) for each in (lines, others)
        ]
        difference = max(abs(line["loss"] - other["loss"]) for line, other in zip(lines, others, strict=True))
        worst, ratio = max(worst, difference), rates[0] / rates[1]
        ratios.append(ratio)
        taken = f"{clips} clips, {ended - begun:.0f} s" if clips else "all there"
        rows.append(f"| {seed} | {rates[0]:,.0f} | {rates[1]:.2f} | {ratio:,.0f} | {difference:.1e} | {taken} |")
    return [
        f"Rate, in clips learned from a second (median over steps, batches of 8 clips), and the largest difference of "
        f"the loss at any of {steps} steps:",
        "",
        "| round | from the cache | running the towers | ratio | loss differs by | features computed before |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        f"Median ratio **{statistics.median(ratios):,.0f}** (lowest {min(ratios):,.0f}); the losses differ by "
        f"**{worst:.1e}** at most.",
        "",
    ]


def measure_memory(library: Library, towers: tuple[str, str], folder: Path, extra: tuple[str, ...] = ()) -> float:
    """Return the peak memory of `talkies pretrain` with all its processes, in MB."""
    command = [sys.executable, "-m", "talkies", "pretrain", "--library", str(library.root), "--recipe", "adapt-heads"]
    command += ["--run", str(folder)]
    steps = ("training.steps=2", "training.recalibration_batches=0")  # a few clips need as much as many
    for setting in (*SMALL, f"model.video={towers[0]}", f"model.audio={towers[1]}", *steps, *extra):
        command += ["--set", setting]
    peak, environment = 0, {**os.environ, "OMP_NUM_THREADS": "2"}
    with subprocess.Popen(command, env=environment) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, measure_tree(watched))
            time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"talkies pretrain ended with {process.returncode}")
    return peak / MB


def measure_tree(process: psutil.Process) -> int:
    """Return the proportional set size of a process and its descendants, in bytes."""
    total = 0
    try:
        for each in (process, *process.children(recursive=True)):
            total += each.memory_full_info().pss
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        pass
    return total


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--parts", nargs="+", default=["rate", "memory"])
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    sections = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        films = SynthConfig(seconds=SECONDS, width=320, height=256)
        render_films(folder / "films", FILMS, films, seed=1)
        library = ingest([folder / "films"], folder / "library", profile=Profile(short_side=256)).library
        if "rate" in options.parts:
            (folder / "small").mkdir()
            *towers, counts = save_towers(folder / "small", "small")
            size = ", ".join(f"{name} {count / 1e6:.0f} million parameters" for name, count in counts.items())
            sections += [f"Towers: {size}, random weights.", ""]
            sections += measure_rate(library, (towers[0], towers[1]), folder, options.rounds, options.steps)
        if "memory" in options.parts:
            (folder / "base").mkdir()
            *towers, counts = save_towers(folder / "base", "base")
            size = " and ".join(f"{count / 1e6:.0f}" for count in counts.values())
            peak = measure_memory(library, (towers[0], towers[1]), folder / "run")
            sections += [
                f"Peak memory of `talkies pretrain --recipe adapt-heads` with towers of {size} million parameters, all "
                f"processes: **{peak:,.0f} MB**.",
                "",
            ]
        write_results("cached_training", "Training from cached features", sections, options.results)


if __name__ == "__main__":
    main()
