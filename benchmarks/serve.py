"""Measure `talkies serve`: many clients at once for minutes, and a page's search in a large library.

    python benchmarks/serve.py [--seconds 120] [--clients 32] [--films 12] [--rows 49999] [--only clients search]

The server runs in a process of its own on a library of rendered films. Every byte that is played is compared with the
film's file. Writes `benchmarks/results/serve_<hardware>_<date>.md` (`--out` names another folder) and exits with status
1 if any answer was wrong.
"""

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np
import psutil

from machine import write_results
from talkies.ingestion import ingest
from talkies.library import FilmEntry, Library
from talkies.retrieval.index import IndexRows, VectorIndex, embed
from talkies.retrieval.index.ann import update_ann_index
from talkies.synth import SynthConfig, render_films
from talkies.training import pretrain, resolve

PARTS = ("clients", "search")
MODALITY_CHOICES = ("video", "audio", "both")
SEARCHES = 200
_FILM_SECONDS = 60.0
_RANGE_BYTES = 128 * 1024
_SMALL_MODEL = (
    "training.steps=2",
    "sampling.films_per_batch=2",
    "sampling.clips_per_film=2",
    "transforms.video.size=32",
)
_SAMPLE_SECONDS = 1.0

Request = Callable[[str, str, dict[str, str], int], bytes]
"""Sends one request: its kind, path, headers and expected status; returns the body."""


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--films", type=int, default=12)
    parser.add_argument("--rows", type=int, default=49_999, help="fewer than 50,000 are searched exactly")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    sections: list[str] = []
    errors: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        library = create_library(Path(folder), arguments.films)
        if "clients" in arguments.only:
            usage = run_clients(library, arguments.clients, arguments.seconds)
            sections += format_client_lines(usage, arguments.clients, arguments.seconds)
            errors += usage.errors
        if "search" in arguments.only:
            add_rows(library, arguments.rows)
            sections += format_search_lines(library, arguments.rows)
    error_lines = [f"- {error}" for error in sorted(set(errors))[:20]]
    sections += ["## Errors", "", f"{len(errors)}" if errors else "None.", *error_lines]
    write_results("serve", "Serving a library", sections, arguments.out)
    sys.exit(1 if errors else 0)


def create_library(folder: Path, films: int) -> Library:
    """Return a library of rendered films, embedded by a model that has been trained for only two steps."""
    render_films(folder / "films", films, SynthConfig(seconds=_FILM_SECONDS), seed=1)
    library = ingest([folder / "films"], folder / "library").library
    run = pretrain(library.root, resolve("tiny", [*_SMALL_MODEL, "loader.workers=0"]), folder / "run").run
    embed(library.root, run)
    return library


@contextmanager
def start_server(library: Library) -> Iterator[tuple[psutil.Process, str]]:
    """Yield the process of a server of a library, and its address."""
    command = [sys.executable, "-m", "talkies", "serve", "--library", str(library.root), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline()]
            while lines[-1] not in ("}\n", ""):
                lines.append(process.stdout.readline())
            url = json.loads("".join(lines))["url"]
            yield psutil.Process(process.pid), url.removeprefix("http://").rstrip("/")
        finally:
            process.terminate()


@dataclass
class Usage:
    """What clients did: seconds of each request by its kind, errors, and the server's memory over time."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)
    bytes_played: int = 0
    memory_bytes: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)


def run_clients(library: Library, count: int, seconds: float) -> Usage:
    """Return what `count` clients did that searched, looked at pictures and played films for `seconds`."""
    usage = Usage()
    films = library.usable_films()
    contents = {film.film_id: library.proxy_path(film.id).read_bytes() for film in films}
    with start_server(library) as (server, address):
        end = time.monotonic() + seconds
        threads = [
            threading.Thread(
                target=run_client, args=(address, films, contents), kwargs={"end": end, "seed": number, "usage": usage}
            )
            for number in range(count)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            usage.memory_bytes.append(server.memory_info().rss)
            usage.files.append(server.num_fds())
            time.sleep(min(_SAMPLE_SECONDS, seconds / 10))
    return usage


def run_client(
    address: str, films: list[FilmEntry], contents: dict[str, bytes], *, end: float, seed: int, usage: Usage
) -> None:
    """Search with a moment, fetch a hit's picture, play a part of it; repeat until the end."""
    generator = Random(seed)
    connection = http.client.HTTPConnection(address, timeout=60)

    def request(kind: str, path: str, headers: dict[str, str], expected: int) -> bytes:
        start_time = time.monotonic()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        content = answer.read()
        usage.seconds[kind].append(time.monotonic() - start_time)
        if answer.status != expected:
            usage.errors.append(f"{kind}: status {answer.status}: {content[:120]!r}")
        return content

    try:
        while time.monotonic() < end:
            film = generator.choice(films)
            at = generator.uniform(0, film.duration_seconds)
            from_, to = generator.choice(MODALITY_CHOICES), generator.choice(MODALITY_CHOICES)
            path = build_search_path(film, at, from_, to)
            result = json.loads(request("search", path, {}, 200))
            if not result.get("hits"):
                usage.errors.append("search: no hit")
                continue
            hit = generator.choice(result["hits"])
            request("picture", f"/api/films/{hit['film_id']}/frame.jpg?at={hit['start_seconds']}", {}, 200)
            play(request, hit["film_id"], contents[hit["film_id"]], generator, usage)
    except (OSError, http.client.HTTPException, ValueError) as error:
        usage.errors.append(f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def build_search_path(film: FilmEntry, at: float, from_: str, to: str) -> str:
    """Return the path of a search that always has hits."""
    return f"/api/search?film={film.film_id}&at={at:.3f}&from={from_}&to={to}&floor=false"


def play(request: Request, film_id: str, content: bytes, generator: Random, usage: Usage) -> None:
    """Play three parts of a film that follow each other, as a browser asks for them."""
    start = generator.randrange(len(content))
    for _ in range(3):
        if start >= len(content):
            return
        headers = {"Range": f"bytes={start}-{start + _RANGE_BYTES - 1}"}
        part = request("play", f"/media/{film_id}.mp4", headers, 206)
        if part != content[start : start + _RANGE_BYTES]:
            usage.errors.append("play: other bytes than the film's")
        usage.bytes_played += len(part)
        start += _RANGE_BYTES


def format_client_lines(usage: Usage, count: int, seconds: float) -> list[str]:
    """Return what clients did, as lines of Markdown."""
    rows = [
        f"| {kind} | {len(times)} | {' | '.join(format_percentile(times, percent) for percent in (50, 95, 100))} |"
        for kind, times in usage.seconds.items()
    ]
    memory = [value / 1e6 for value in usage.memory_bytes]
    samples = np.linspace(0, len(memory) - 1, min(9, len(memory))).round().astype(int)
    second_half = memory[len(memory) // 2 :]
    requests = sum(map(len, usage.seconds.values()))
    return [
        f"## {count} clients for {seconds:g} s",
        "",
        f"- {requests} requests ({requests / seconds:.0f} a second), {usage.bytes_played / 1e6:.0f} MB played, "
        f"{len(usage.errors)} errors; clients and server share the cores",
        f"- the server's memory over time: {', '.join(f'{memory[sample]:.0f}' for sample in samples)} MB; "
        f"in the second half it changed by {second_half[-1] - second_half[0]:+.1f} MB",
        f"- open files: {usage.files[0]} at the start, at most {max(usage.files)}",
        "",
        "| what | requests | p50 | p95 | longest |",
        "|---|---:|---:|---:|---:|",
        *rows,
        "",
    ]


def format_percentile(seconds: list[float], percent: float) -> str:
    """Format a percentile in milliseconds."""
    return f"{1000 * float(np.percentile(seconds, percent)):.1f} ms"


def add_rows(library: Library, rows: int) -> None:
    """Fill the library's set up to `rows` with made-up, clustered rows, and build its index if it is large."""
    index = VectorIndex(library)
    entry, generator = index.choose(), np.random.default_rng(0)
    missing = rows - index.count(entry.stamp)
    films = [film.film_id for film in library.usable_films()]
    number_B = np.arange(missing)
    start_B = 1000.0 + number_B // len(films)
    vectors = []
    for _ in range(2):
        centre_CD = generator.normal(size=(missing // 50 + 1, entry.dim))
        near_BD = centre_CD[generator.integers(len(centre_CD), size=missing)] + 0.7 * generator.normal(
            size=(missing, entry.dim)
        )
        vectors.append((near_BD / np.linalg.norm(near_BD, axis=1, keepdims=True)).astype(np.float32))
    film_B = np.array(films, np.object_)[number_B % len(films)]
    of_shot_B, shot_B = np.zeros(missing, bool), np.full(missing, -1, np.int32)
    index.add(entry.stamp, IndexRows(film_B, start_B, start_B + entry.clip_seconds, shot_B, of_shot_B, *vectors))
    update_ann_index(index, entry.stamp)


def format_search_lines(library: Library, rows: int) -> list[str]:
    """Return how long a page waits for its hits, one search after another, as lines of Markdown."""
    generator, films = Random(0), library.usable_films()
    lines = []
    with start_server(library) as (server, address):
        connection = http.client.HTTPConnection(address, timeout=60)
        for from_, to in (("video", "video"), ("audio", "video"), ("both", "both")):
            times = []
            for _ in range(SEARCHES):
                film = generator.choice(films)
                start_time = time.monotonic()
                connection.request(
                    "GET", build_search_path(film, generator.uniform(0, film.duration_seconds), from_, to)
                )
                result = json.loads(connection.getresponse().read())
                times.append(time.monotonic() - start_time)
                assert result["hits"], result
            mean = 1000 * statistics.fmean(times)
            lines.append(
                f"| {from_} → {to} | {format_percentile(times, 50)} | {format_percentile(times, 95)} | {mean:.1f} ms |"
            )
        memory = server.memory_info().rss / 1e6
        connection.close()
    how = (
        "exact search"
        if result["exact"]
        else f"an approximate index whose recall of the ten best is {result['recall']:.3f}"
    )
    return [
        f"## A search among {rows:,} rows",
        "",
        f"- from the request to the document, over HTTP, one client, {SEARCHES} searches per line; {how}",
        f"- the server's memory afterwards: {memory:.0f} MB",
        "",
        "| query | p50 | p95 | mean |",
        "|---|---:|---:|---:|",
        *lines,
        "",
    ]


if __name__ == "__main__":
    main()
