"""Measure the planning of batches over a hundred thousand films.

    python benchmarks/plan.py [--films 100000] [--steps 200]

Writes `benchmarks/results/plan_<hardware>_<date>.md`: how long one global batch of 4,096 clips takes, and how the
memory grows with the number of films.
"""

import argparse
import statistics
import subprocess
import sys
import time
from itertools import chain

import numpy as np

from machine import write_results
from talkies.core import FilmId, SpanTable
from talkies.sampling import BatchPlan, FilmSpans, SamplingConfig

FPS, WINDOW_FRAMES = 16, 32
MARKED_SPANS = 20  # of a film, on average: black, silent, still
SHOTS = 100  # of a film, on average: fewer than films have, for memory's sake
SAMPLINGS = {
    "random: 4096 × 1": {"films_per_batch": 4096, "clips_per_film": 1},
    "within film: 256 × 16, 1 s apart": {"films_per_batch": 256, "clips_per_film": 16, "least_gap_seconds": 1.0},
    "within film: 16 × 256": {"films_per_batch": 16, "clips_per_film": 256},
    "256 × 16, films by duration": {"films_per_batch": 256, "clips_per_film": 16, "film_weights": "duration"},
    "256 × 16 from 10 minutes": {"films_per_batch": 256, "clips_per_film": 16, "widest_window_seconds": 600.0},
    "256 × 16, one clip a shot": {"films_per_batch": 256, "clips_per_film": 16, "one_clip_per_shot": True},
    "positives within 60 s: 4096 × 1": {
        "films_per_batch": 4096, "clips_per_film": 1, "positives_within_seconds": 60.0,
    },
}  # fmt: skip
HOLES = {  # of a film: how many on average, and their seconds from and to
    "none": (0, 1.0, 10.0),
    "20 of 1 to 10 s": (20, 1.0, 10.0),
    "20 under 1 s": (20, 0.1, 1.0),
    "100 of up to 10 s": (100, 0.1, 10.0),
}
WITH_HOLES = {
    "256 × 16, 1 s apart": {"films_per_batch": 256, "clips_per_film": 16, "least_gap_seconds": 1.0},
    "64 × 64, 1 s apart": {"films_per_batch": 64, "clips_per_film": 64, "least_gap_seconds": 1.0},
    "16 × 256": {"films_per_batch": 16, "clips_per_film": 256},
    "256 × 16 from 10 minutes": {"films_per_batch": 256, "clips_per_film": 16, "widest_window_seconds": 600.0},
}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--memory-of", type=int, help="Print the memory that a plan over so many films adds, and end.")
    wanted = parser.parse_args()
    if wanted.memory_of:
        print(memory_of(wanted.memory_of))
        return
    title = f"Planning a global batch of 4,096 clips over {wanted.films:,} films"
    write_results(
        "plan",
        title,
        [times(wanted.films, wanted.steps), times_by_holes(wanted.films, wanted.steps), memory(wanted.films)],
    )


def films_of(count: int, with_shots: bool, holes: tuple[int, float, float] = (MARKED_SPANS, 1.0, 10.0)) -> FilmSpans:
    """Return films of 20 minutes to 2 hours without some spans: how many on average, and their seconds from and to."""
    random = np.random.default_rng(0)
    frames_F = random.integers(20 * 60 * FPS, 120 * 60 * FPS, count)
    film_R = np.repeat(np.arange(count), random.integers(0, 2 * holes[0] or 1, count))
    start_R = (random.random(len(film_R)) * frames_F[film_R]).astype(np.int64)
    frames_R = random.integers(max(int(holes[1] * FPS), 1), int(holes[2] * FPS), len(film_R))
    marked = SpanTable.from_rows(count, film_R, start_R, start_R + frames_R)
    whole = SpanTable.from_bounds(np.zeros(count, np.int64), frames_F)
    shots = None
    if with_shots:
        cut_FS = np.sort(random.random((count, SHOTS)) * frames_F[:, None], axis=1).astype(np.int64)
        cut_FS[:, 0] = 0
        rows = np.concatenate([cut_FS[:, 1:], frames_F[:, None]], axis=1)
        kept = (rows > cut_FS).reshape(-1)
        film = np.repeat(np.arange(count), SHOTS)[kept]
        shots = SpanTable.from_rows(count, film, cut_FS.reshape(-1)[kept], rows.reshape(-1)[kept])
    ids = tuple(FilmId(f"{number:016x}") for number in range(count))
    return FilmSpans(ids, whole.subtract(marked), ids, shots)


def times(count: int, steps: int) -> str:
    """Return how long batches take, as a table."""
    lines = ["| sampling | median, ms | slowest of 100, ms | made in, s |", "|---|---|---|---|"]
    films = films_of(count, with_shots=True)
    for name, settings in SAMPLINGS.items():
        median, slow, made = time_batches(films, settings, steps)
        lines.append(f"| {name} | **{median:.2f}** | {slow:.2f} | {made:.2f} |")
    spans = len(films.spans.start_R)
    return "\n".join(
        [
            *lines,
            "",
            f"Wanted: under 5 ms. {spans:,} eligible spans; {steps} batches of each, processor time of one thread.",
        ]
    )


def times_by_holes(count: int, steps: int) -> str:
    """Return how long batches take of films with more and fewer holes, as a table."""
    rows = {name: [name] for name in WITH_HOLES}
    for holes in HOLES.values():
        films = films_of(count, with_shots=False, holes=holes)
        for name, settings in WITH_HOLES.items():
            rows[name].append(f"{time_batches(films, settings, steps)[0]:.2f}")
    lines = [["median, ms: holes of a film", *HOLES], ["---"] * (len(HOLES) + 1), *rows.values()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def time_batches(films: FilmSpans, settings: dict[str, object], steps: int) -> tuple[float, float, float]:
    """Return the median time of a batch and that of the slowest in 100, in ms, and the seconds that the plan took.

    Batches are measured in processor time, because one takes less than a busy machine lets a process wait.
    """
    begun = time.perf_counter()
    config = SamplingConfig(short_films="leave_out", **settings)  # type: ignore[arg-type]
    plan = BatchPlan(films, config, WINDOW_FRAMES, FPS, seed=0)
    made = time.perf_counter() - begun
    plan.draw_batch(0)
    spent = []
    for step in range(1, steps + 1):
        begun = time.thread_time()
        plan.draw_batch(step)
        spent.append(1000 * (time.thread_time() - begun))
    return statistics.median(spent), sorted(spent)[int(0.99 * len(spent))], made


def memory(count: int) -> str:
    """Return the memory of plans, each in a process of its own, as a table."""
    counts = [count // 100, count // 10, count]
    told = [
        int(subprocess.run([sys.executable, __file__, "--memory-of", str(n)], check=True, capture_output=True).stdout)
        for n in counts
    ]
    rows = [f"| {n:,} | {bytes_ / 1e6:.1f} | {bytes_ / n:.0f} |" for n, bytes_ in zip(counts, told, strict=True)]
    lines = ["| films | memory that the plan adds, MB | bytes a film |", "|---|---|---|", *rows, ""]
    return "\n".join([*lines, f"{MARKED_SPANS} marked spans a film; the films' ids and their spans are counted."])


def memory_of(count: int) -> int:
    """Return how many bytes films, a plan and its batches hold."""
    films = films_of(count, with_shots=False)
    plan = BatchPlan(films, SamplingConfig.within_film(16, 16), WINDOW_FRAMES, FPS, seed=0)
    for step in range(20):
        plan.draw_batch(step)
    tables = (films.spans.offset_F1, films.spans.start_R, films.spans.end_R)
    arrays = chain(tables, *(_arrays(part) for part in (plan._starts, plan._sampler._spaced, plan._order)))
    return sum(part.nbytes for part in arrays) + sum(sys.getsizeof(i) for i in films.film_ids)


def _arrays(part: object) -> list[np.ndarray]:
    """Return the arrays that a part of a plan holds."""
    held: list[np.ndarray] = []
    for value in vars(part).values():
        values = value.values() if isinstance(value, dict) else [value]
        held += [array for array in values if isinstance(array, np.ndarray)]
    return held


if __name__ == "__main__":
    main()
