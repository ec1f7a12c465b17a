"""Measure `talkies serve`: many clients at once for minutes, and a page's search in a large library.

    python benchmarks/serve.py [--seconds 120] [--clients 32] [--films 12] [--rows 49999] [--only clients search]

The server is a process of its own, its library made of rendered films. Every byte that is played is compared with the
film's file. Writes `benchmarks/results/serve_<hardware>_<date>.md` (`--out` names another folder) and ends with status
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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np
import psutil

from machine import write_results
from talkies.ingest import ingest
from talkies.library import FilmEntry, Library
from talkies.retrieval.index import IndexRows, VectorIndex, embed
from talkies.retrieval.index.ann import update_ann_index
from talkies.synth import SynthConfig, render_films
from talkies.training import pretrain, resolve

PARTS = ("clients", "search")
SIDES = ("video", "audio", "both")
SEARCHES = 200
_FILM_SECONDS = 60.0
_RANGE_BYTES = 128 * 1024
_LEAST = ("training.steps=2", "sampling.films_per_batch=2", "sampling.clips_per_film=2", "transforms.video.size=32")
_SAMPLE_SECONDS = 1.0


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--films", type=int, default=12)
    parser.add_argument("--rows", type=int, default=49_999, help="fewer than 50,000 are all looked at")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--out", type=Path)
    wanted = parser.parse_args()
    sections, faults = list[str](), list[str]()
    with tempfile.TemporaryDirectory() as folder:
        library = made_library(Path(folder), wanted.films)
        if "clients" in wanted.only:
            use = clients(library, wanted.clients, wanted.seconds)
            sections += client_lines(use, wanted.clients, wanted.seconds)
            faults += use.faults
        if "search" in wanted.only:
            fill(library, wanted.rows)
            sections += search_lines(library, wanted.rows)
    shown = [f"- {fault}" for fault in sorted(set(faults))[:20]]
    sections += ["## Faults", "", f"{len(faults)}" if faults else "None.", *shown]
    write_results("serve", "Serving a library", sections, wanted.out)
    sys.exit(1 if faults else 0)


def made_library(folder: Path, films: int) -> Library:
    """Return a library of rendered films, embedded by a model that has learnt next to nothing."""
    render_films(folder / "films", films, SynthConfig(seconds=_FILM_SECONDS), seed=1)
    library = ingest([folder / "films"], folder / "library").library
    run = pretrain(library.root, resolve("tiny", [*_LEAST, "loader.workers=0"]), folder / "run").run
    embed(library.root, run)
    return library


@contextmanager
def served(library: Library) -> Iterator[tuple[psutil.Process, str]]:
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
class Use:
    """What clients did: seconds of each request by its kind, faults, and the server's memory along the time."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    faults: list[str] = field(default_factory=list)
    bytes_played: int = 0
    memory_bytes: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)


def clients(library: Library, count: int, seconds: float) -> Use:
    """Return what so many clients saw that searched, looked and played for so long."""
    use, films = Use(), library.usable_films()
    contents = {film.film_id: library.proxy_path(film.id).read_bytes() for film in films}
    with served(library) as (server, address):
        end = time.monotonic() + seconds
        threads = [
            threading.Thread(target=client, args=(address, films, contents, end, number, use))
            for number in range(count)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            use.memory_bytes.append(server.memory_info().rss)
            use.files.append(server.num_fds())
            time.sleep(min(_SAMPLE_SECONDS, seconds / 10))
    return use


def client(address: str, films: list[FilmEntry], contents: dict[str, bytes], end: float, seed: int, use: Use) -> None:
    """Search by a moment, look at a hit's picture, play a part of it; again until the end."""
    chance, connection = Random(seed), http.client.HTTPConnection(address, timeout=60)

    def asked(kind: str, path: str, headers: dict[str, str], expected: int) -> bytes:
        begun = time.monotonic()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        content = answer.read()
        use.seconds[kind].append(time.monotonic() - begun)
        if answer.status != expected:
            use.faults.append(f"{kind}: status {answer.status}: {content[:120]!r}")
        return content

    try:
        while time.monotonic() < end:
            film = chance.choice(films)
            at, (from_, to) = chance.uniform(0, film.duration_seconds), (chance.choice(SIDES), chance.choice(SIDES))
            found = json.loads(asked("search", search_path(film, at, from_, to), {}, 200))
            if not found.get("hits"):
                use.faults.append("search: no hit")
                continue
            hit = chance.choice(found["hits"])
            asked("picture", f"/api/films/{hit['film_id']}/frame.jpg?at={hit['start_seconds']}", {}, 200)
            play(asked, hit["film_id"], contents[hit["film_id"]], chance, use)
    except (OSError, http.client.HTTPException, ValueError) as error:
        use.faults.append(f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def search_path(film: FilmEntry, at: float, from_: str, to: str) -> str:
    """Return the address of a search that always finds something."""
    return f"/api/search?film={film.film_id}&at={at:.3f}&from={from_}&to={to}&floor=false"


def play(asked: "object", film_id: str, content: bytes, chance: Random, use: Use) -> None:
    """Play three parts of a film that follow each other, as a browser asks for them."""
    start = chance.randrange(len(content))
    for _ in range(3):
        if start >= len(content):
            return
        headers = {"Range": f"bytes={start}-{start + _RANGE_BYTES - 1}"}
        part = asked("play", f"/media/{film_id}.mp4", headers, 206)  # type: ignore[operator]
        if part != content[start : start + _RANGE_BYTES]:
            use.faults.append("play: other bytes than the film's")
        use.bytes_played += len(part)
        start += _RANGE_BYTES


def client_lines(use: Use, count: int, seconds: float) -> list[str]:
    """Return what clients saw as lines."""
    rows = [
        f"| {kind} | {len(spent)} | {percentile(spent, 50)} | {percentile(spent, 95)} | {percentile(spent, 100)} |"
        for kind, spent in use.seconds.items()
    ]
    memory = [value / 1e6 for value in use.memory_bytes]
    marks = np.linspace(0, len(memory) - 1, min(9, len(memory))).round().astype(int)
    second_half = memory[len(memory) // 2 :]
    requests = sum(map(len, use.seconds.values()))
    return [
        f"## {count} clients for {seconds:g} s",
        "",
        f"- {requests} requests ({requests / seconds:.0f} a second), {use.bytes_played / 1e6:.0f} MB played, "
        f"{len(use.faults)} faults; clients and server share the cores",
        f"- the server's memory along the time: {', '.join(f'{memory[mark]:.0f}' for mark in marks)} MB; in the second "
        f"half it changed by {second_half[-1] - second_half[0]:+.1f} MB",
        f"- open files: {use.files[0]} at the beginning, at most {max(use.files)}",
        "",
        "| what | requests | p50 | p95 | longest |",
        "|---|---:|---:|---:|---:|",
        *rows,
        "",
    ]


def percentile(seconds: list[float], percent: float) -> str:
    """Return a percentile in milliseconds."""
    return f"{1000 * float(np.percentile(seconds, percent)):.1f} ms"


def fill(library: Library, rows: int) -> None:
    """Bring the library's set to so many rows with made-up ones that lie in clusters, and index it if it is large."""
    index = VectorIndex(library)
    entry, chance = index.choose(), np.random.default_rng(0)
    missing = rows - index.count(entry.stamp)
    films = [film.film_id for film in library.usable_films()]
    number_B = np.arange(missing)
    start_B = 1000.0 + number_B // len(films)
    sides = []
    for _ in range(2):
        centre_CD = chance.normal(size=(missing // 50 + 1, entry.dim))
        near_BD = centre_CD[chance.integers(len(centre_CD), size=missing)] + 0.7 * chance.normal(
            size=(missing, entry.dim)
        )
        sides.append((near_BD / np.linalg.norm(near_BD, axis=1, keepdims=True)).astype(np.float32))
    film_B = np.array(films, np.object_)[number_B % len(films)]
    of_shot_B, shot_B = np.zeros(missing, bool), np.full(missing, -1, np.int32)
    index.add(entry.stamp, IndexRows(film_B, start_B, start_B + entry.clip_seconds, shot_B, of_shot_B, *sides))
    update_ann_index(index, entry.stamp)


def search_lines(library: Library, rows: int) -> list[str]:
    """Return how long a page waits for its hits, one search after the other."""
    chance, films = Random(0), library.usable_films()
    lines = []
    with served(library) as (server, address):
        connection = http.client.HTTPConnection(address, timeout=60)
        for from_, to in (("video", "video"), ("audio", "video"), ("both", "both")):
            spent = []
            for _ in range(SEARCHES):
                film = chance.choice(films)
                begun = time.monotonic()
                connection.request("GET", search_path(film, chance.uniform(0, film.duration_seconds), from_, to))
                found = json.loads(connection.getresponse().read())
                spent.append(time.monotonic() - begun)
                assert found["hits"], found
            mean = 1000 * statistics.fmean(spent)
            lines.append(f"| {from_} → {to} | {percentile(spent, 50)} | {percentile(spent, 95)} | {mean:.1f} ms |")
        memory = server.memory_info().rss / 1e6
        connection.close()
    how = "all looked at" if found["exact"] else f"by an index whose recall of the ten best is {found['recall']:.3f}"
    return [
        f"## A search among {rows:,} rows",
        "",
        f"- from the request to the document, over HTTP, one client, {SEARCHES} searches a line; {how}",
        f"- the server's memory afterwards: {memory:.0f} MB",
        "",
        "| asked | p50 | p95 | mean |",
        "|---|---:|---:|---:|",
        *lines,
        "",
    ]


if __name__ == "__main__":
    main()
