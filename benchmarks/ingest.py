"""Measure the ingest: its speed beside FFmpeg's own, its scaling, its memory, and the catalogue of a large library.

    python benchmarks/ingest.py --film FILM [--runs 3] [--only speed scaling memory catalogue]

Writes `benchmarks/results/ingest_<part>_<hardware>_<date>.md` for each part. FFmpeg is the command line program on the
path; times are those of whole processes, in turns within one run, and what counts is their ratio.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av

from machine import write_results
from talkies.core import FilmId, Span
from talkies.library import SHOT, FilmRecord, Library, Verdict, write_annotations
from talkies.synth import render_sync_film

PARTS = ("speed", "scaling", "memory", "catalogue")


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--film", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    wanted = parser.parse_args()
    measures = {
        "speed": lambda folder: speed(wanted.film, folder, wanted.runs),
        "scaling": lambda folder: scaling(wanted.film, folder, wanted.runs),
        "memory": memory,
        "catalogue": lambda folder: catalogue(folder, wanted.runs),
    }
    for part in wanted.only:
        with tempfile.TemporaryDirectory() as folder:
            write_results(f"ingest_{part}", f"Ingest: {part}", measures[part](Path(folder)))


def speed(film: Path, folder: Path, runs: int) -> list[str]:
    """Return the wall time of an ingest beside FFmpeg's, which does the scaling and the encoding alone."""
    command = [
        *("ffmpeg", "-v", "error", "-nostdin", "-y", "-i", str(film), "-vf", "fps=16,scale=-2:128:flags=area"),
        *("-c:v", "libx264", "-preset", "veryfast", "-tune", "fastdecode", "-crf", "23", "-g", "16", "-bf", "0"),
        *("-c:a", "aac", "-ac", "1", "-ar", "16000", "-b:a", "96k", str(folder / "proxy.mp4")),
    ]
    theirs, ours = [], []
    for run in range(runs):
        theirs.append(timed(command))
        ours.append(timed(ingest_command([film], folder / f"library-{run}")))
    ratios = [our / their for our, their in zip(ours, theirs, strict=True)]
    seconds = duration_of(film)
    return [
        f"`{film.name}`, {seconds:.0f} s, {runs} runs in turns, medians:",
        "",
        "| | wall time | × real time |",
        "|---|---|---|",
        f"| FFmpeg command line: scale, H.264, AAC | {med(theirs):.1f} s | {seconds / med(theirs):.1f} |",
        f"| `talkies ingest`, 1 worker: all of it | {med(ours):.1f} s | {seconds / med(ours):.1f} |",
        "",
        f"Ratio within each run: {', '.join(f'{r:.2f}' for r in ratios)}; median **{med(ratios):.2f}** (wanted: 1.25).",
    ]


def scaling(film: Path, folder: Path, runs: int) -> list[str]:
    """Return how much two workers do in the time of one."""
    films = [folder / f"film-{number}.mkv" for number in range(2)]
    for number, path in enumerate(films):
        remux(film, path, number)
    one_thread = ["--set", "worker.threads=1"]
    gains, plain = [], []
    for run in range(runs):
        one = timed([*ingest_command(films[:1], folder / f"one-{run}"), *one_thread])
        two = timed([*ingest_command(films, folder / f"two-{run}", workers=2), *one_thread])
        gains.append(2 * one / two)
        both = timed(ingest_command(films, folder / f"both-{run}"))
        plain.append(both / two)
        for done in folder.glob(f"*-{run}"):
            shutil.rmtree(done)
    return [
        f"Two films of {duration_of(film):.0f} s, {runs} runs:",
        "",
        f"- workers of one thread each: two workers do {med(gains):.2f} times the work of one in the same time "
        f"({', '.join(f'{g:.2f}' for g in gains)}; wanted: 1.7)",
        f"- one worker that may use all cores takes {med(plain):.2f} times as long for both films as two workers of "
        "one thread",
    ]


def memory(folder: Path) -> list[str]:
    """Return the peak memory of a worker for a film of ten minutes and one of two hours."""
    short = folder / "ten-minutes.mp4"
    render_sync_film(short, 600, tuple(Fraction(s) for s in range(5, 600, 60)))
    long = folder / "two-hours.mkv"
    repeat(short, long, 12)
    lines = ["| film | worker's peak |", "|---|---|"]
    for film in (short, long):
        done = subprocess.run(
            [sys.executable, "-c", _PEAK, str(film), str(folder / f"library-{film.stem}")],
            check=True,
            stdout=subprocess.PIPE,
        )
        lines.append(f"| {duration_of(film) / 60:.0f} minutes | {int(done.stdout) / 1e6:.0f} MB |")
    return lines


_PEAK = """
import sys
from talkies.ingestion import ingest
report = ingest([sys.argv[1]], sys.argv[2])
assert report.films[0].record.usable, report.films[0].reasons
print(report.films[0].peak_memory_bytes)
"""


def catalogue(folder: Path, runs: int) -> list[str]:
    """Return how long it takes to add a thousand films to a catalogue, and to open one of a hundred thousand."""
    library = Library.create(folder / "library")
    add_films(library, range(1_000))
    adding = []
    for _ in range(runs):
        shutil.rmtree(library.root / "catalogue", ignore_errors=True)
        begun = time.perf_counter()
        library.update_catalogue()
        assert len(library.films()) == 1_000, "all films are in the catalogue"
        adding.append(time.perf_counter() - begun)
    add_films(library, range(1_000, 100_000))
    begun = time.perf_counter()
    library.update_catalogue()
    filling = time.perf_counter() - begun
    add_films(library, range(100_000, 101_000))
    begun = time.perf_counter()
    library.update_catalogue()
    more = time.perf_counter() - begun
    opened = [opening(library.root) for _ in range(runs)]
    return [
        f"- 1,000 films' records added and the catalogue opened: {med(adding):.2f} s (wanted: below 1 s)",
        f"- 99,000 more added: {filling:.0f} s; then 1,000 more: {more:.1f} s",
        f"- a catalogue of 101,000 films opened: {med([o['seconds'] for o in opened]):.2f} s, "
        f"{max(o['bytes'] for o in opened) / 1e6:.0f} MB for the whole process (wanted: 3 s, 1 GB)",
    ]


_OPEN = """
import json, sys, time
from talkies.runtime import read_peak_memory
from talkies.library import Library
begun = time.perf_counter()
films = Library.open(sys.argv[1]).films()
seconds = time.perf_counter() - begun
assert len(films) == 101_000, len(films)
print(json.dumps({"seconds": seconds, "bytes": read_peak_memory()}))
"""


def opening(root: Path) -> dict[str, float]:
    """Return the seconds and the bytes that opening a library takes a fresh process."""
    done = subprocess.run([sys.executable, "-c", _OPEN, str(root)], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def add_films(library: Library, numbers: range) -> None:
    """Put synthetic films of an hour and a half and 20 shots into a library, without the care of a commit."""
    marks = library.root / "marks.parquet"
    write_annotations(marks, {SHOT: [Span(i * 4320, (i + 1) * 4320) for i in range(20)]})
    for number in numbers:
        film_id = FilmId(f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}")
        made = library.film_folder(film_id)
        made.mkdir()
        shutil.copy(marks, made / "shots.parquet")
        record = FilmRecord(
            film_id=film_id, source=f"/archive/reel-{number:06d}.mov", source_bytes=10**9, verdict=Verdict.ACCEPTED,
            duration_seconds=5400.0, frames=86_400, width=228, height=128, shots=20, stored_bytes=10**8,
        )  # fmt: skip
        (made / "film.json").write_text(record.model_dump_json(indent=1), encoding="utf-8")


def ingest_command(films: list[Path], library: Path, workers: int = 1) -> list[str]:
    """Return the command line of an ingest."""
    names = [str(film) for film in films]
    return [sys.executable, "-m", "talkies", "ingest", *names, "--library", str(library), "--workers", str(workers)]


def timed(command: list[str]) -> float:
    """Return the wall time of a command that must succeed."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def duration_of(film: Path) -> float:
    """Return a film's duration in seconds."""
    with av.open(str(film)) as container:
        return container.duration / av.time_base


def remux(film: Path, path: Path, number: int) -> None:
    """Write the packets of a film to another file, whose bytes differ by its title."""
    repeat(film, path, 1, title=f"copy {number}")


def repeat(film: Path, path: Path, times: int, title: str = "") -> None:
    """Write the packets of a film to a file, several times one after the other."""
    with av.open(str(path), "w") as target:
        target.metadata["title"] = title
        shift = Fraction(0)
        for turn in range(times):
            with av.open(str(film)) as source:
                streams = [source.streams.video[0], source.streams.audio[0]]
                if turn == 0:
                    copies = {stream.index: target.add_stream_from_template(stream) for stream in streams}
                for packet in source.demux(streams):
                    if packet.dts is not None:
                        packet.pts += round(shift / packet.time_base)
                        packet.dts += round(shift / packet.time_base)
                        packet.stream = copies[packet.stream.index]
                        target.mux(packet)
                shift += Fraction(source.duration, av.time_base)


def med(values: list[float]) -> float:
    """Return the median."""
    return statistics.median(values)


if __name__ == "__main__":
    main()
