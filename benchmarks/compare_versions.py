"""Compare two checkouts of talkies: does a change cost speed? Loader, ingest and search, interleaved in one run.

    python benchmarks/compare_versions.py BEFORE AFTER --film FILM [--rounds 7]

BEFORE and AFTER are checkouts (with `src/talkies`); FILM is a film to ingest. In each round both versions do the same
work one after the other, in processes of their own, each first in every other round; the figure is the median over
rounds of the ratio after / before, so that the machine's drift cancels. Below 1 the new version is faster. Writes
`benchmarks/results/compare_versions_<hardware>_<date>.md`.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import write_results

WORKLOADS = {
    "loader": "read 512 clips of 16 frames and 2 s of sound, one process",
    "ingest": "ingest the film into a new library",
    "search": "answer 300 searches by a moment among 40,000 rows of 128",
    "start": "import the command line and print its help",
}

PROGRAM = """
import sys, time
from pathlib import Path

work, library = sys.argv[1], Path(sys.argv[2])


def read_clips():
    import talkies.clips as clips

    open_clips = getattr(clips, "open_training_clips", None) or clips.open_for_training
    load = getattr(clips, "load_batches", None) or clips.loader
    sampling = clips.SamplingConfig.within_film(1, 8)
    opened = open_clips(library, clips.ClipConfig(), sampling, seed=0)
    batches = load(opened.source, opened.plan, range(65), clips.LoaderConfig(workers=0))
    next(batches)
    start = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - start


def ingest_film():
    try:
        from talkies.ingestion import ingest
    except ImportError:
        from talkies.ingest import ingest
    start = time.perf_counter()
    ingest([sys.argv[3]], library)
    return time.perf_counter() - start


def search_rows():
    from talkies.library import Library

    try:
        from talkies.retrieval.search import Moment, Searcher, SearchQuery
    except ImportError:
        from talkies.embedding import Moment, Searcher, SearchQuery
    opened = Library.open(library)
    searcher, names = Searcher(opened), [film.film_id for film in opened.films()]
    queries = [SearchQuery(Moment(names[n % len(names)], 10.0 + n)) for n in range(305)]
    for query in queries[:5]:
        searcher.search(query)
    start = time.perf_counter()
    for query in queries[5:]:
        searcher.search(query)
    return time.perf_counter() - start


def start_command():
    import subprocess

    start = time.perf_counter()
    for _ in range(3):
        subprocess.run([sys.executable, "-m", "talkies", "--help"], check=True, capture_output=True)
    return time.perf_counter() - start


print({"loader": read_clips, "ingest": ingest_film, "search": search_rows, "start": start_command}[work]())
"""


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--film", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    versions = {"before": arguments.before.resolve(), "after": arguments.after.resolve()}
    film = arguments.film.resolve()
    with tempfile.TemporaryDirectory() as folder:
        libraries = {"loader": Path(folder) / "film", "search": Path(folder) / "rows"}
        run(versions["before"], "ingest", libraries["loader"], film)
        create_rows(versions["after"], libraries["search"])
        seconds: dict[str, dict[str, list[float]]] = {work: {"before": [], "after": []} for work in WORKLOADS}
        for number in range(arguments.rounds):
            for work in WORKLOADS:
                for name in sorted(versions, reverse=bool(number % 2)):
                    library = libraries.get(work, Path(folder) / f"{work}-{number}-{name}")
                    seconds[work][name].append(run(versions[name], work, library, film))
                print(number, work, {name: f"{values[-1]:.3f}" for name, values in seconds[work].items()}, flush=True)
    write_results("compare_versions", "The version before and this one", format_table(seconds))


def run(version: Path, work: str, library: Path, film: Path) -> float:
    """Return the seconds that a version takes for a piece of work, measured inside its process."""
    environment = os.environ | {"PYTHONPATH": str(version / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, work, str(library), str(film)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout.split()[-1])


def create_rows(version: Path, library: Path) -> None:
    """Create a library of 40,000 embedded clips of 20 films."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; import search; "
        "search.create_library(Path(sys.argv[2]), 40_000, 128)"
    )
    environment = os.environ | {"PYTHONPATH": str(version / "src")}
    command = [sys.executable, "-c", program, str(Path(__file__).parent), str(library)]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


def format_table(seconds: dict[str, dict[str, list[float]]]) -> list[str]:
    """Return the table of medians and of the ratios within rounds."""
    lines = ["| work | before (s) | after (s) | after / before | rounds |", "|---|---|---|---|---|"]
    for work, words in WORKLOADS.items():
        before, after = seconds[work]["before"], seconds[work]["after"]
        ratios = sorted(new / old for old, new in zip(before, after, strict=True))
        lines.append(
            f"| {work}: {words} | {statistics.median(before):.3f} | {statistics.median(after):.3f} | "
            f"{statistics.median(ratios):.3f} | {ratios[0]:.2f} to {ratios[-1]:.2f} |"
        )
    return lines


if __name__ == "__main__":
    main()
