"""Measure what a search finds: the query's concept in other films, and the moment that an excerpt was taken from.

    python benchmarks/search_truth.py [--films 8] [--seconds 60] [--excerpts 100] [--workspace FOLDER]

Writes `benchmarks/results/search_truth_<hardware>_<date>.md`. The model is that of `talkies demo`; the films are
rendered, and it has never seen them. An excerpt lasts two to four seconds, begins anywhere, and is written again at a
quarter of the pixels, at a quality of 34 (x264's), with 12 pictures and 32 kbit of sound a second.
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
from talkies.ingest import ingest
from talkies.library import Library
from talkies.media import AudioReader, FilmWriter, VideoReader, X264Settings, yuv_to_rgb
from talkies.retrieval.index import embed
from talkies.retrieval.search import Hit, Moment, Searcher, SearchQuery
from talkies.study.demo import run_demo
from talkies.synth import SynthConfig, render_films

BEST, FPS, SAMPLES = 10, 16, 1_000
LOW = X264Settings(gop=48, crf=34, preset="veryfast", tune=None)
SIDES = (("video", "video"), ("audio", "audio"), ("audio", "video"), ("video", "audio"), ("both", "both"))


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--excerpts", type=int, default=100)
    parser.add_argument("--workspace", type=Path)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        workspace = wanted.workspace or Path(scratch)
        run = workspace / "run"
        if not (run / "config.yaml").is_file():
            run_demo(workspace)
        films = workspace / "searched-films"
        render_films(films, wanted.films, SynthConfig(seconds=wanted.seconds), seed=4_711)
        library = ingest([films], workspace / "searched").library
        coarse = embed(library.root, run).entry.stamp
        fine = Library.open(ingest([films], workspace / "searched-finely").library.root)
        embed(fine.root, run, stride_seconds=0.25)
        sections = [
            *concepts(Searcher(library, coarse), read_truth(films)),
            "",
            *moments([Searcher(library, coarse), Searcher(fine, coarse)], wanted.excerpts, Path(scratch)),
        ]
        write_results("search_truth", "What a search finds in films that the model has never seen", sections)


def concepts(searcher: Searcher, truth: Truth) -> list[str]:
    """Return a table: the share of the ten best, in other films, that are of the query's concept."""
    lines = ["| asked with → found | ten best of the query's concept | chance |", "|---|---|---|"]
    for from_, to in SIDES:
        share, chance = concept_share(searcher, truth, from_, to)
        lines.append(f"| {from_} → {to} | **{100 * share:.1f} %** | {100 * chance:.1f} % |")
    asked = f"Each shot of {len(truth.films)} films of at least two seconds asks with the clip in its middle"
    return [*lines, "", f"{asked}; {len(truth.concepts)} concepts. A hit that holds a cut counts as wrong."]


def concept_share(searcher: Searcher, truth: Truth, from_: str, to: str) -> tuple[float, float]:
    """Return the share of the ten best, in other films, that are of the query's concept, and that of chance."""
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
            shares.append(np.mean([_concept(hit, shots) == shot.concept for hit in hits]))
            chances.append(seconds[shot.concept] / seconds.sum())
    return float(np.mean(shares)), float(np.mean(chances))


def _concept(hit: Hit, shots: dict[str, Sequence[object]]) -> int | None:
    return find_concept(Span(round(hit.start_seconds * FPS), round(hit.end_seconds * FPS)), shots[hit.source], FPS)


def moments(searchers: Sequence[Searcher], count: int, scratch: Path) -> list[str]:
    """Return a table: how often the first hit of an excerpt lies in the moment that it was taken from."""
    found = first_hits(searchers, count, scratch)
    strides = [searcher.entry.stride_seconds for searcher in searchers]
    lines = [
        "| first hit lies in the excerpt's moment | " + " | ".join(f"a clip each {s:g} s" for s in strides) + " |",
        "|---|" + "---|" * len(strides),
    ]
    for from_, to in SIDES:
        cells = (f"**{100 * np.mean(found[stride, from_, to]):.1f} %**" for stride in strides)
        lines.append(f"| {from_} → {to} | {' | '.join(cells)} |")
    return [*lines, "", f"{count} excerpts."]


def first_hits(searchers: Sequence[Searcher], count: int, scratch: Path) -> dict[tuple[float, str, str], list[bool]]:
    """Return by stride and sides, for each excerpt, whether its first hit lies in the moment it was taken from."""
    random = np.random.default_rng(7)
    films = searchers[0].library.usable_films()
    found: dict[tuple[float, str, str], list[bool]] = {}
    for number in range(count):
        film = films[int(random.integers(len(films)))]
        frames = int(random.integers(2 * FPS, 4 * FPS))
        begin = int(random.integers(0, film.frames - frames))
        path = excerpt(searchers[0].library, film.film_id, begin, frames, scratch / f"excerpt-{number}.mp4")
        for searcher in searchers:
            example = searcher.encode_example(path)
            for from_, to in SIDES:
                hit = searcher.search(SearchQuery(example, from_, to, 1, use_threshold=False)).hits[0]
                inside = hit.start_seconds < (begin + frames) / FPS and hit.end_seconds > begin / FPS
                kind = (searcher.entry.stride_seconds, from_, to)
                found.setdefault(kind, []).append(hit.film_id == film.film_id and inside)
        path.unlink()
    return found


def excerpt(library: Library, film_id: str, begin: int, frames: int, path: Path) -> Path:
    """Return a part of a film, written again small and badly."""
    film = library.find(film_id).id
    with VideoReader(library.proxy_path(film), FPS) as video:
        pictures = [yuv_to_rgb(picture) for picture in video.read(range(begin, begin + frames))]
    with AudioReader(library.audio_path(film)) as sound:
        sound_S = sound.read(Span(begin, begin + frames), SAMPLES)
    height, width = (length // 4 * 2 for length in pictures[0].shape[:2])
    with FilmWriter(path, (width, height), FPS, 16_000, LOW, audio_kbit=32) as writer:
        for number in range(frames):
            shown = pictures[number - number % 4 // 3]  # three of four pictures: 12 a second
            writer.write_rgb(np.asarray(Image.fromarray(shown).resize((width, height))))
            writer.write_audio(sound_S[number * SAMPLES : (number + 1) * SAMPLES])
    return path


if __name__ == "__main__":
    main()
