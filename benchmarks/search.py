"""Compare a search among a million vectors with FAISS, and time whole searches of a large and a small library.

    python benchmarks/search.py [--rows 1000000] [--dims 256] [--queries 200] [--keep FOLDER]

Writes `benchmarks/results/search_<hardware>_<date>.md`. With `--keep` the library and FAISS's index are built in FOLDER
and reused. The vectors imitate a library: films of scenes that each show one of some concepts, an offset common to all
clips of a film, and clips that drift within a scene. The queries are other clips of the same scenes.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np

from machine import write_results
from talkies.core import parse_film_id
from talkies.library import FilmRecord, Library, Verdict, write_json
from talkies.retrieval.index import EmbeddingSet, IndexRows, VectorIndex
from talkies.retrieval.index.ann import find_nearest, read_index_state, update_ann_index
from talkies.retrieval.search import Example, Moment, Searcher, SearchQuery

STAMP, BEST, FILM_CLIPS = "0123456789ab", 10, 2_000
SMALL = 49_000  # below `EXACT_BELOW`
_ROUND_QUERIES, _WARM_UP_QUERIES = 50, 5


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dims", type=int, default=256)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--only-make", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        large = create_library(folder / f"rows-{arguments.rows}", arguments.rows, arguments.dims)
        graph = build_hnsw(folder / f"hnsw-{arguments.rows}.faiss", large)
        small = create_library(folder / f"rows-{SMALL}", SMALL, arguments.dims)
        if not arguments.only_make:
            title = f"Searching {arguments.rows:,} vectors of {arguments.dims}"
            sections = [
                *compare_with_faiss(large, graph, arguments.queries),
                "",
                *time_searches(large, small, arguments.queries),
            ]
            write_results("search", title, sections)


def create_library(folder: Path, rows: int, dims: int) -> Library:
    """Return a library of `rows` embedded clips, created if it does not exist; its films have records only."""
    library = Library.create(folder)
    index, entry = VectorIndex(library), describe_set(dims)
    if not index.list_sets():
        start_time = time.perf_counter()
        with index.lock_for_adding(STAMP):
            random = np.random.default_rng(0)
            concepts_CD = random.normal(size=(400, dims))
            index.create_or_resume(entry)
            for number in range(-(-rows // FILM_CLIPS)):
                clips = min(FILM_CLIPS, rows - number * FILM_CLIPS)
                film_id = parse_film_id(f"{number:016x}")
                add_film(library, film_id, clips)
                video_BD, audio_BD = (draw_film_vectors(clips, concepts_CD, random) for _ in range(2))
                index.add(STAMP, build_rows(film_id, clips, video_BD, audio_BD))
            update_ann_index(index, STAMP)
        library.update_catalogue()
        print(f"{folder} created in {time.perf_counter() - start_time:.0f} s", flush=True)
    return library


def describe_set(dims: int) -> EmbeddingSet:
    """Return the description of the embedding set."""
    return EmbeddingSet(stamp=STAMP, run="none", step=0, dims={"video": dims, "audio": dims}, clip_seconds=1.0, stride_seconds=1.0)


def draw_film_vectors(clips: int, concepts_CD: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the unit rows of one film."""
    dims = concepts_CD.shape[1]
    film_D = 0.7 * random.normal(size=dims)
    parts: list[np.ndarray] = []
    while (done := sum(map(len, parts))) < clips:
        length = min(clips - done, int(random.integers(5, 60)))
        drift_LD = np.cumsum(0.15 * random.normal(size=(length, dims)), axis=0)
        scene_D = concepts_CD[random.integers(len(concepts_CD))] + 0.6 * random.normal(size=dims)
        parts.append(scene_D + film_D + drift_LD + 0.3 * random.normal(size=(length, dims)))
    rows_BD = np.concatenate(parts)
    return (rows_BD / np.linalg.norm(rows_BD, axis=1, keepdims=True)).astype(np.float32)


def build_rows(film_id: str, clips: int, video_BD: np.ndarray, audio_BD: np.ndarray) -> IndexRows:
    """Return a film's rows, one clip every second."""
    start = np.arange(clips, dtype=np.float64)
    films = np.array([film_id] * clips, np.object_)
    return IndexRows(films, start, start + 1, (start // 6).astype(np.int32), np.zeros(clips, bool), video_BD, audio_BD)


def add_film(library: Library, film_id: str, clips: int) -> None:
    """Add the record of a film to a library."""
    record = FilmRecord(
        film_id=film_id,
        source=f"films/{film_id}.mp4",
        source_bytes=1,
        verdict=Verdict.ACCEPTED,
        duration_seconds=float(clips),
        frames=clips * library.profile.fps,
    )
    folder = library.film_folder(parse_film_id(film_id))
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "film.json", record)


def build_hnsw(path: Path, library: Library) -> faiss.Index:
    """Return FAISS's HNSW graph over the video vectors, built if it does not exist."""
    if path.is_file():
        return faiss.read_index(str(path))
    start_time = time.perf_counter()
    rows_BD = VectorIndex(library).read_rows(STAMP).video_BD
    graph = faiss.IndexHNSWFlat(rows_BD.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    graph.add(rows_BD)
    faiss.write_index(graph, str(path))
    print(f"HNSW built in {time.perf_counter() - start_time:.0f} s", flush=True)
    return graph


def compare_with_faiss(library: Library, graph: faiss.Index, queries: int) -> list[str]:
    """Return a table of the ways to find the ten nearest of all rows, timed in interleaved rounds."""
    index = VectorIndex(library)
    table, rows = index.open_table(STAMP, pinned=True), index.read_rows(STAMP)

    # Draw queries near existing rows.
    random = np.random.default_rng(1)
    query_QD = rows.video_BD[random.choice(len(rows), queries, replace=False)]
    query_QD = query_QD + 0.03 * random.normal(size=query_QD.shape).astype(np.float32)
    query_QD /= np.linalg.norm(query_QD, axis=1, keepdims=True)
    flat = faiss.IndexFlatIP(rows.video_BD.shape[1])
    flat.add(rows.video_BD)

    def search_lancedb(vector_D: np.ndarray) -> list[int]:
        found, _ = find_nearest(table, vector_D, "video", BEST, with_vectors=False)
        clips = zip(found.film_B.tolist(), found.start_B.tolist(), strict=True)
        return [int(film, 16) * FILM_CLIPS + int(start) for film, start in clips]

    def search_hnsw(breadth: int) -> Callable[[np.ndarray], list[int]]:
        parameters = faiss.SearchParametersHNSW(efSearch=breadth)
        return lambda vector_D: graph.search(vector_D[None], BEST, params=parameters)[1][0].tolist()

    # Time the ways in rounds, so that all of them see the same machine.
    ways: dict[str, Callable[[np.ndarray], list[int]]] = {
        "talkies (LanceDB, IVF-PQ on disk)": search_lancedb,
        "FAISS flat, in memory": lambda vector_D: flat.search(vector_D[None], BEST)[1][0].tolist(),
        "FAISS HNSW 32, in memory, breadth 64": search_hnsw(64),
        "FAISS HNSW 32, in memory, breadth 256": search_hnsw(256),
    }
    seconds, shares = {name: [] for name in ways}, {name: [] for name in ways}
    truth = [set(ways["FAISS flat, in memory"](vector_D)) for vector_D in query_QD]
    for first in range(0, queries, _ROUND_QUERIES):
        for name, way in ways.items():
            for number in range(first, min(first + _ROUND_QUERIES, queries)):
                start_time = time.perf_counter()
                found = way(query_QD[number])
                if number >= first + _WARM_UP_QUERIES:
                    seconds[name].append(time.perf_counter() - start_time)
                shares[name].append(len(truth[number] & set(found)) / BEST)

    lines = ["| the ten nearest | p50, ms | p95, ms | recall@10 |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {format_ms(spent, 0.5)} | {format_ms(spent, 0.95)} | {np.mean(shares[name]):.3f} |"
        for name, spent in seconds.items()
    ]
    state = read_index_state(index, STAMP)
    recall = f"The recall that the set states: {state.recall['video']:.3f}." if state else "The set has no index."
    return [
        *lines,
        "",
        f"{queries} queries, one after the other, in interleaved rounds of 50 queries in one process. {recall}",
    ]


def time_searches(large: Library, small: Library, queries: int) -> list[str]:
    """Return a table of whole searches, with thresholds, hit selection and names, as the web page runs them."""
    lines = ["| a whole search | rows | p50, ms | p95, ms |", "|---|---|---|---|"]
    for library in (large, small):
        searcher, count = Searcher(library, STAMP), VectorIndex(library).count(STAMP)
        for from_, to in (("video", "video"), ("audio", "video"), ("both", "both")):
            spent = []
            for query in draw_queries(searcher, queries, from_, to):
                start_time = time.perf_counter()
                searcher.search(query)
                spent.append(time.perf_counter() - start_time)
            kept = spent[queries // 10 :]  # the first ones warm up
            lines.append(f"| {from_} → {to} | {count:,} | {format_ms(kept, 0.5)} | {format_ms(kept, 0.95)} |")
    return [
        *lines,
        "",
        "Half of the queries are a file's vectors, half are moments of films; ten hits, with the score threshold.",
    ]


def draw_queries(searcher: Searcher, count: int, from_: str, to: str) -> list[SearchQuery]:
    """Return queries by a file's vectors and by moments of films, in turn."""
    random, films = np.random.default_rng(2), searcher.library.films()
    queries = []
    for number in range(count):
        film = films[int(random.integers(len(films)))]
        moment = Moment(film.film_id, float(random.uniform(0, film.duration_seconds)))
        rows = VectorIndex(searcher.library).read_rows(STAMP, film.id)
        row = int(random.integers(len(rows)))
        example = Example("a file", 1.0, STAMP, rows.video_BD[row], rows.audio_BD[row])
        queries.append(SearchQuery(example if number % 2 else moment, from_, to))
    return queries


def format_ms(seconds: list[float], share: float) -> str:
    """Return a quantile in milliseconds."""
    return f"{1000 * float(np.quantile(seconds, share)):.1f}"


if __name__ == "__main__":
    main()
