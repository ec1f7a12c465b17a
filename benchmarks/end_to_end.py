"""Run the demo once and record how long each part took and what was learnt.

    python benchmarks/end_to_end.py [--films FOLDER] [--readme]

Writes `benchmarks/results/end_to_end_<hardware>_<date>.md`; with `--readme` also the numbers in README.md. `--films`
is a folder of real films to time the ingest with.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import ROOT, hardware, today, write_results
from talkies.clips import ClipConfig, LoaderConfig, SamplingConfig, load_batches, open_training_clips
from talkies.library import Library
from talkies.training.metrics import read_metrics

RUNS = 3
LOADER_STEPS = 24


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=Path, default=None)
    parser.add_argument("--readme", action="store_true")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / "demo"
        document, seconds = timed_demo(workspace)
        _, again_seconds = timed_demo(workspace)
        lines = read_metrics(workspace / "run" / "metrics.jsonl")
        rates = [line["clips_per_second"] for line in lines[1:]]
        waits = [line["data_wait_share"] for line in lines[1:]]
        sections = [
            f"- `talkies demo`: {seconds:.0f} s; a second run: {again_seconds:.0f} s",
            f"- training `tiny`: {statistics.median(rates):.0f} clips/s, "
            f"{100 * statistics.median(waits):.0f} % of the time waiting for data (median of {len(rates)} log lines)",
            *loader_lines(workspace / "library"),
            *(ingest_lines(wanted.films, Path(folder) / "real") if wanted.films else []),
        ]
    table = quality_table(document)
    write_results("end_to_end", "The demo from end to end", [*sections, "", table])
    if wanted.readme:
        write_readme(table, seconds)


def timed_demo(workspace: Path) -> tuple[dict, float]:
    """Return the demonstration's document and its wall time as a whole process."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "talkies", "demo", "--workspace", str(workspace), "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout), time.perf_counter() - begun


def quality_table(document: dict) -> str:
    """Return the summary table, before and after training, as Markdown."""
    rows = ["| on films never seen | untrained | trained | chance |", "|---|---|---|---|"]
    rows += [
        f"| {row['measure']} | {row['untrained']} | {row['trained']} | {row['chance']} |" for row in document["summary"]
    ]
    return "\n".join(rows)


def loader_lines(folder: Path) -> list[str]:
    """Return clips/s of the loader by workers, for clips of 16 frames and 2 s of sound: median of several runs."""
    library = Library.open(folder)
    opened = open_training_clips(library.root, ClipConfig(), SamplingConfig.within_film(4, 8), seed=0)
    lines = []
    for workers in (0, 1, 2):
        rates = []
        for run in range(RUNS):
            steps = range(run * LOADER_STEPS, (run + 1) * LOADER_STEPS)
            batches = load_batches(opened.source, opened.plan, steps, LoaderConfig(workers=workers))
            next(batches)  # the workers are up
            begun = time.perf_counter()
            clips = sum(len(batch) for batch in batches)
            rates.append(clips / (time.perf_counter() - begun))
        lines.append(
            f"- loader, 16 frames of 128 px and 2 s of sound, {workers} workers: {statistics.median(rates):.0f} clips/s"
        )
    return lines


def ingest_lines(films: Path, library: Path) -> list[str]:
    """Return how many times faster than real time real films are ingested by two workers."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "talkies", "ingest", str(films), "--library", str(library), "--workers", "2"]
    done = subprocess.run([*command, "--json"], check=True, stdout=subprocess.PIPE)
    elapsed = time.perf_counter() - begun
    of_film = sum(film["duration_seconds"] for film in json.loads(done.stdout)["films"])
    rate = of_film / elapsed
    return [f"- ingest of real films, 2 workers: {of_film:.0f} s of film in {elapsed:.0f} s, {rate:.0f} × real time"]


def write_readme(table: str, seconds: float) -> None:
    """Put the numbers into README.md, between its marks."""
    path = ROOT / "README.md"
    note = f"`make demo`, {seconds:.0f} s on {hardware()}, {today()}."
    block = f"<!-- numbers: written by benchmarks/end_to_end.py -->\n{table}\n\n{note}\n<!-- /numbers -->"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"<!-- numbers.*?/numbers -->", lambda _: block, text, flags=re.S), encoding="utf-8")


if __name__ == "__main__":
    main()
