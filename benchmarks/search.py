"""Measure searching among a million vectors beside FAISS, and a page's search among fifty thousand.

    python benchmarks/search.py [--rows 1000000] [--dims 256] [--queries 200] [--keep FOLDER]

Writes `benchmarks/results/search_<hardware>_<date>.md`. With `--keep` the library and FAISS's index are made in FOLDER,
and used again. The vectors are made as a library has them: films of scenes that hold one of some concepts, a mark of
the film on all of them, and clips that drift within a scene. What is asked are other clips of the same scenes.
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
SMALL = 49_000
_ROUND, _WARM = 50, 5


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dims", type=int, default=256)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--only-make", action="store_true")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = wanted.keep or Path(scratch)
        large = library_of(folder / f"rows-{wanted.rows}", wanted.rows, wanted.dims)
        graph = graph_of(folder / f"hnsw-{wanted.rows}.faiss", large)
        small = library_of(folder / f"rows-{SMALL}", SMALL, wanted.dims)
        if not wanted.only_make:
            title = f"Searching {wanted.rows:,} vectors of {wanted.dims}"
            sections = [*beside_faiss(large, graph, wanted.queries), "", *whole_searches(large, small, wanted.queries)]
            write_results("search", title, sections)


def library_of(folder: Path, rows: int, dims: int) -> Library:
    """Return a library of so many embedded clips, made if it is not there; its films have records alone."""
    library = Library.create(folder)
    index, entry = VectorIndex(library), entry_of(dims)
    if not index.list_sets():
        began = time.perf_counter()
        with index.lock_for_adding(STAMP):
            random = np.random.default_rng(0)
            concepts_CD = random.normal(size=(400, dims))
            index.create_or_resume(entry)
            for number in range(-(-rows // FILM_CLIPS)):
                clips = min(FILM_CLIPS, rows - number * FILM_CLIPS)
                film_id = parse_film_id(f"{number:016x}")
                add_film(library, film_id, clips)
                sides = (film_vectors(clips, concepts_CD, random) for _ in range(2))
                index.add(STAMP, rows_of(film_id, clips, *sides))
            update_ann_index(index, STAMP)
        library.update_catalogue()
        print(f"{folder} made in {time.perf_counter() - began:.0f} s", flush=True)
    return library


def entry_of(dims: int) -> EmbeddingSet:
    """Return what the set is of."""
    return EmbeddingSet(stamp=STAMP, run="none", step=0, dim=dims, clip_seconds=1.0, stride_seconds=1.0)


def film_vectors(clips: int, concepts_CD: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return unit rows of one film."""
    dims, parts, mark_D = concepts_CD.shape[1], [], 0.7 * random.normal(size=concepts_CD.shape[1])
    while (done := sum(map(len, parts))) < clips:
        length = min(clips - done, int(random.integers(5, 60)))
        drift_LD = np.cumsum(0.15 * random.normal(size=(length, dims)), axis=0)
        scene_D = concepts_CD[random.integers(len(concepts_CD))] + 0.6 * random.normal(size=dims)
        parts.append(scene_D + mark_D + drift_LD + 0.3 * random.normal(size=(length, dims)))
    rows_BD = np.concatenate(parts)
    return (rows_BD / np.linalg.norm(rows_BD, axis=1, keepdims=True)).astype(np.float32)


def rows_of(film_id: str, clips: int, video_BD: np.ndarray, audio_BD: np.ndarray) -> IndexRows:
    """Return a film's rows, a clip each second."""
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


def graph_of(path: Path, library: Library) -> faiss.Index:
    """Return FAISS's HNSW over the pictures' vectors, built if it is not there."""
    if path.is_file():
        return faiss.read_index(str(path))
    began = time.perf_counter()
    rows_BD = VectorIndex(library).read_rows(STAMP).video_BD
    graph = faiss.IndexHNSWFlat(rows_BD.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    graph.add(rows_BD)
    faiss.write_index(graph, str(path))
    print(f"HNSW made in {time.perf_counter() - began:.0f} s", flush=True)
    return graph


def beside_faiss(library: Library, graph: faiss.Index, queries: int) -> list[str]:
    """Return a table: each way to find the ten best of all rows, in turns."""
    index = VectorIndex(library)
    table, rows = index.open_table(STAMP, pinned=True), index.read_rows(STAMP)
    random = np.random.default_rng(1)
    asked_QD = rows.video_BD[random.choice(len(rows), queries, replace=False)]
    asked_QD = asked_QD + 0.03 * random.normal(size=asked_QD.shape).astype(np.float32)
    asked_QD /= np.linalg.norm(asked_QD, axis=1, keepdims=True)
    flat = faiss.IndexFlatIP(rows.video_BD.shape[1])
    flat.add(rows.video_BD)

    def ours(vector_D: np.ndarray) -> list[int]:
        found, _ = find_nearest(table, vector_D, "video", BEST, with_vectors=False)
        places = zip(found.film_B.tolist(), found.start_B.tolist(), strict=True)
        return [int(film, 16) * FILM_CLIPS + int(start) for film, start in places]

    def by_graph(breadth: int) -> Callable[[np.ndarray], list[int]]:
        parameters = faiss.SearchParametersHNSW(efSearch=breadth)
        return lambda vector_D: graph.search(vector_D[None], BEST, params=parameters)[1][0].tolist()

    ways: dict[str, Callable[[np.ndarray], list[int]]] = {
        "talkies (LanceDB, IVF-PQ on disk)": ours,
        "FAISS flat, in memory": lambda vector_D: flat.search(vector_D[None], BEST)[1][0].tolist(),
        "FAISS HNSW 32, in memory, breadth 64": by_graph(64),
        "FAISS HNSW 32, in memory, breadth 256": by_graph(256),
    }
    seconds, shares = {name: [] for name in ways}, {name: [] for name in ways}
    truth = [set(ways["FAISS flat, in memory"](vector_D)) for vector_D in asked_QD]
    for begin in range(0, queries, _ROUND):  # in turns; the first ones of a turn warm up
        for name, way in ways.items():
            for number in range(begin, min(begin + _ROUND, queries)):
                began = time.perf_counter()
                found = way(asked_QD[number])
                if number >= begin + _WARM:
                    seconds[name].append(time.perf_counter() - began)
                shares[name].append(len(truth[number] & set(found)) / BEST)
    lines = ["| the ten best | p50, ms | p95, ms | recall@10 |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {ms(spent, 0.5)} | {ms(spent, 0.95)} | {np.mean(shares[name]):.3f} |"
        for name, spent in seconds.items()
    ]
    state = read_index_state(index, STAMP)
    told = f"The set's own word on its recall: {state.recall['video']:.3f}." if state else "The set has no index."
    return [
        *lines,
        "",
        f"{queries} queries, one after the other; the ways take turns of 50 queries in one process. {told}",
    ]


def whole_searches(large: Library, small: Library, queries: int) -> list[str]:
    """Return a table: whole searches, with floors, hits apart and names, as a page asks for them."""
    lines = ["| a whole search | rows | p50, ms | p95, ms |", "|---|---|---|---|"]
    for library in (large, small):
        searcher, count = Searcher(library, STAMP), VectorIndex(library).count(STAMP)
        for sides in (("video", "video"), ("audio", "video"), ("both", "both")):
            spent = []
            for query in _queries(searcher, queries, *sides):
                began = time.perf_counter()
                searcher.search(query)
                spent.append(time.perf_counter() - began)
            kept = spent[queries // 10 :]
            lines.append(f"| {sides[0]} → {sides[1]} | {count:,} | {ms(kept, 0.5)} | {ms(kept, 0.95)} |")
    return [*lines, "", "By a file's vectors and by moments of films, half each; ten hits, with the floor."]


def _queries(searcher: Searcher, count: int, from_: str, to: str) -> list[SearchQuery]:
    random, films = np.random.default_rng(2), searcher.library.films()
    queries = []
    for number in range(count):
        film = films[int(random.integers(len(films)))]
        moment = Moment(film.film_id, float(random.uniform(0, film.duration_seconds)))
        rows = VectorIndex(searcher.library).read_rows(STAMP, film.id)
        place = int(random.integers(len(rows)))
        example = Example("a file", 1.0, STAMP, rows.video_BD[place], rows.audio_BD[place])
        queries.append(SearchQuery(example if number % 2 else moment, from_, to))
    return queries


def ms(seconds: list[float], share: float) -> str:
    """Return a quantile in milliseconds."""
    return f"{1000 * float(np.quantile(seconds, share)):.1f}"


if __name__ == "__main__":
    main()
