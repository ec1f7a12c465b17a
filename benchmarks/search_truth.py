"""Measure what a search finds: the query's concept in other films, and the moment from which an excerpt was cut.

    python benchmarks/search_truth.py [--films 8] [--seconds 60] [--excerpts 100] [--workspace FOLDER]

Writes `benchmarks/results/search_truth_<hardware>_<date>.md`. The model is that of `talkies demo`; the films are
rendered, and the model has never seen them. An excerpt lasts two to four seconds, starts anywhere, and is encoded again
with a quarter of the pixels, at x264's CRF 34, with 12 pictures and 32 kbit of sound per second.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from machine import write_results
from talkies.core import Span
from talkies.evaluation.film_tasks.concepts import Truth, find_concept, read_truth
from talkies.ingestion import ingest
from talkies.library import Library
from talkies.media import AudioReader, FilmWriter, VideoReader, X264Settings, yuv_to_rgb
from talkies.retrieval.index import embed
from talkies.retrieval.search import Hit, Moment, Searcher, SearchQuery
from talkies.study.demo import run_demo
from talkies.synth import SynthConfig, render_films

BEST, FPS, SAMPLES_PER_FRAME = 10, 16, 1_000
LOW_QUALITY = X264Settings(gop=48, crf=34, preset="veryfast", tune=None)
COMPARISONS = (("video", "video"), ("audio", "audio"), ("audio", "video"), ("video", "audio"), ("both", "both"))


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--excerpts", type=int, default=100)
    parser.add_argument("--workspace", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        workspace = arguments.workspace or Path(scratch)
        run = workspace / "run"
        if not (run / "config.yaml").is_file():
            run_demo(workspace)
        films = workspace / "searched-films"
        render_films(films, arguments.films, SynthConfig(seconds=arguments.seconds), seed=4_711)
        library = ingest([films], workspace / "searched").library
        coarse = embed(library.root, run).entry.stamp
        fine = Library.open(ingest([films], workspace / "searched-finely").library.root)
        embed(fine.root, run, stride_seconds=0.25)
        sections = [
            *measure_concepts(Searcher(library, coarse), read_truth(films)),
            "",
            *measure_excerpts([Searcher(library, coarse), Searcher(fine, coarse)], arguments.excerpts, Path(scratch)),
        ]
        write_results("search_truth", "What a search finds in films that the model has never seen", sections)


def measure_concepts(searcher: Searcher, truth: Truth) -> list[str]:
    """Return a table of the share of the ten best hits in other films that show the query's concept."""
    lines = ["| query → hits | ten best hits of the query's concept | chance |", "|---|---|---|"]
    for from_, to in COMPARISONS:
        share, chance = measure_concept_share(searcher, truth, from_, to)
        lines.append(f"| {from_} → {to} | **{100 * share:.1f} %** | {100 * chance:.1f} % |")
    queries = f"The queries are the middle clips of all shots of at least two seconds of {len(truth.films)} films"
    return [*lines, "", f"{queries}; {len(truth.concepts)} concepts. A hit that holds a cut counts as wrong."]


def measure_concept_share(searcher: Searcher, truth: Truth, from_: str, to: str) -> tuple[float, float]:
    """Return the share of the ten best hits in other films that show the query's concept, and that of chance."""
    shots = {film.file: film.shots for film in truth.films}
    seconds = np.zeros(len(truth.concepts))
    for film in truth.films:
        for shot in film.shots:
            seconds[shot.concept] += shot.end_seconds - shot.start_seconds
    shares, chances = [], []
    for film in truth.films:
        others = tuple(other.file for other in truth.films if other.file != film.file)
        for shot in film.shots:
            if shot.end_seconds - shot.start_seconds < 2:
                continue
            moment = Moment(film.file, (shot.start_seconds + shot.end_seconds) / 2)
            hits = searcher.search(SearchQuery(moment, from_, to, BEST, films=others, use_threshold=False)).hits
            shares.append(np.mean([find_hit_concept(hit, shots) == shot.concept for hit in hits]))
            chances.append(seconds[shot.concept] / seconds.sum())
    return float(np.mean(shares)), float(np.mean(chances))


def find_hit_concept(hit: Hit, shots: dict[str, Sequence[object]]) -> int | None:
    """Return the concept that a hit shows, None if it holds a cut."""
    return find_concept(Span(round(hit.start_seconds * FPS), round(hit.end_seconds * FPS)), shots[hit.source], FPS)


def measure_excerpts(searchers: Sequence[Searcher], count: int, scratch: Path) -> list[str]:
    """Return a table of how often an excerpt's first hit is in the span from which it was cut."""
    found = check_first_hits(searchers, count, scratch)
    strides = [searcher.entry.stride_seconds for searcher in searchers]
    lines = [
        "| first hit in the excerpt's span | " + " | ".join(f"a clip every {s:g} s" for s in strides) + " |",
        "|---|" + "---|" * len(strides),
    ]
    for from_, to in COMPARISONS:
        cells = (f"**{100 * np.mean(found[stride, from_, to]):.1f} %**" for stride in strides)
        lines.append(f"| {from_} → {to} | {' | '.join(cells)} |")
    return [*lines, "", f"{count} excerpts."]


def check_first_hits(
    searchers: Sequence[Searcher], count: int, scratch: Path
) -> dict[tuple[float, str, str], list[bool]]:
    """Return for each stride and comparison whether each excerpt's first hit is in the span from which it was cut."""
    random = np.random.default_rng(7)
    films = searchers[0].library.usable_films()
    found: dict[tuple[float, str, str], list[bool]] = {}
    for number in range(count):
        film = films[int(random.integers(len(films)))]
        frames = int(random.integers(2 * FPS, 4 * FPS))
        begin = int(random.integers(0, film.frames - frames))
        path = write_excerpt(searchers[0].library, film.film_id, begin, frames, scratch / f"excerpt-{number}.mp4")
        for searcher in searchers:
            example = searcher.encode_example(path)
            for from_, to in COMPARISONS:
                hit = searcher.search(SearchQuery(example, from_, to, 1, use_threshold=False)).hits[0]
                inside = hit.start_seconds < (begin + frames) / FPS and hit.end_seconds > begin / FPS
                kind = (searcher.entry.stride_seconds, from_, to)
                found.setdefault(kind, []).append(hit.film_id == film.film_id and inside)
        path.unlink()
    return found


def write_excerpt(library: Library, film_id: str, begin: int, frames: int, path: Path) -> Path:
    """Write a span of a film with few pixels and at low quality, and return its path."""
    film = library.find(film_id).id
    with VideoReader(library.proxy_path(film), FPS) as video:
        pictures = [yuv_to_rgb(picture) for picture in video.read(range(begin, begin + frames))]
    with AudioReader(library.audio_path(film)) as sound:
        sound_S = sound.read(Span(begin, begin + frames), SAMPLES_PER_FRAME)
    height, width = (length // 4 * 2 for length in pictures[0].shape[:2])
    with FilmWriter(path, (width, height), FPS, 16_000, LOW_QUALITY, audio_kbit=32) as writer:
        for number in range(frames):
            picture = pictures[number - number % 4 // 3]  # three of four pictures: 12 per second
            writer.write_rgb(np.asarray(Image.fromarray(picture).resize((width, height))))
            writer.write_audio(sound_S[number * SAMPLES_PER_FRAME : (number + 1) * SAMPLES_PER_FRAME])
    return path


if __name__ == "__main__":
    main()
