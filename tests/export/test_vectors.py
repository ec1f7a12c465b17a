"""Exported embeddings: the tables hold what the index holds, row by row."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from talkies.core import LibraryError, RunError, UsageError, WorkError
from talkies.export import export_run, export_vectors
from talkies.library import Library
from talkies.retrieval.index import EmbeddingSet, IndexRows, VectorIndex, embed
from talkies.training import RunConfig, pretrain


@pytest.fixture(scope="module")
def shelf(library: Library, run: Path, tmp_path_factory: pytest.TempPathFactory) -> Library:
    """A copy of the library, embedded with the run; read only."""
    root = shutil.copytree(library.root, tmp_path_factory.mktemp("shelf") / "lib")
    embed(root, run)
    return Library.open(root)


@pytest.fixture(scope="module")
def rows(shelf: Library) -> IndexRows:
    """What its index holds."""
    index = VectorIndex(shelf)
    return index.read_rows(index.choose().stamp)


def test_parquet_holds_the_very_rows_of_the_index(shelf: Library, rows: IndexRows, tmp_path: Path) -> None:
    exported = export_vectors(shelf.root, tmp_path / "out" / "vectors.parquet", "parquet")
    assert exported.files == (tmp_path / "out" / "vectors.parquet",)
    table = pq.read_table(exported.files[0])
    names = ["film_id", "source", "start_seconds", "end_seconds", "shot", "of_shot", "video", "audio"]
    assert table.column_names == names
    assert (exported.clips, exported.films) == (len(rows), 3) == (table.num_rows, len(shelf.films()))
    sources = {film.film_id: film.name for film in shelf.films()}
    assert table["film_id"].to_pylist() == rows.film_B.tolist()
    assert table["source"].to_pylist() == [sources[film_id] for film_id in rows.film_B]
    for name, own in (("start_seconds", rows.start_B), ("end_seconds", rows.end_B), ("shot", rows.shot_B)):
        assert table[name].to_pylist() == own.tolist()
    assert table["of_shot"].to_pylist() == rows.of_shot_B.tolist()
    for name, own_BD in (("video", rows.video_BD), ("audio", rows.audio_BD)):
        np.testing.assert_array_equal(np.array(table[name].to_pylist(), np.float32), own_BD)
    told = EmbeddingSet.model_validate_json(table.schema.metadata[b"talkies"])
    assert told == exported.entry.model_copy(update={"run": "run"})
    assert exported.entry == VectorIndex(shelf).choose()


def test_arrays_hold_the_very_rows_of_the_index_and_a_list_tells_them(
    shelf: Library, rows: IndexRows, tmp_path: Path
) -> None:
    exported = export_vectors(shelf.root, tmp_path / "vectors", "npy")
    assert [path.name for path in exported.files] == ["audio.npy", "rows.csv", "set.json", "video.npy"]
    for side, own_BD in (("video", rows.video_BD), ("audio", rows.audio_BD)):
        stored_BD = np.load(tmp_path / "vectors" / f"{side}.npy", mmap_mode="r")
        assert stored_BD.dtype == np.float32
        np.testing.assert_array_equal(stored_BD, own_BD)
    with (tmp_path / "vectors" / "rows.csv").open(encoding="utf-8", newline="") as file:
        told = list(csv.DictReader(file))
    sources = {film.film_id: film.name for film in shelf.films()}
    columns = (rows.film_B, rows.start_B, rows.end_B, rows.shot_B, rows.of_shot_B)
    assert [(int(line["row"]), line["source"]) for line in told] == [
        (row, sources[film_id]) for row, film_id in enumerate(rows.film_B)
    ]
    assert [
        (line["film_id"], float(line["start_seconds"]), float(line["end_seconds"]), int(line["shot"]),
         line["of_shot"] == "true")
        for line in told
    ] == list(zip(*(column.tolist() for column in columns), strict=True))  # fmt: skip
    entry = json.loads((tmp_path / "vectors" / "set.json").read_text())
    assert entry == {**exported.entry.model_dump(mode="json"), "run": "run"}


def test_a_folder_gets_parquet_under_its_own_name(shelf: Library, tmp_path: Path) -> None:
    exported = export_vectors(shelf.root, tmp_path / "vectors", "parquet")
    assert exported.files == (tmp_path / "vectors" / "embeddings.parquet",)


def test_of_several_models_the_run_or_the_exported_folder_names_one(
    shelf: Library, run: Path, two_steps: Callable[..., RunConfig], tmp_path: Path
) -> None:
    root = Path(shutil.copytree(shelf.root, tmp_path / "lib"))
    other = pretrain(root, two_steps("training.seed=1", "training.steps=1"), tmp_path / "other").run
    stamp = embed(root, other).entry.stamp
    with pytest.raises(LibraryError, match=r"holds embeddings of 2 models: .*name one with --run RUN"):
        export_vectors(root, tmp_path / "a.parquet", "parquet")
    assert export_vectors(root, tmp_path / "a.parquet", "parquet", other).entry.stamp == stamp
    folder = export_run(run, tmp_path / "model").folder
    assert export_vectors(root, tmp_path / "b.parquet", "parquet", folder).entry.stamp != stamp


def test_wrong_use_of_the_export_of_embeddings_is_told(
    shelf: Library, library: Library, films: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        UsageError, match=r"embeddings have no format 'parket' \(did you mean 'parquet'\?\); there are: p"
    ):
        export_vectors(shelf.root, tmp_path / "out", "parket")
    with pytest.raises(
        UsageError, match=r"npy is a folder of arrays, got the file .*out\.npy; name a folder with --to"
    ):
        export_vectors(shelf.root, tmp_path / "out.npy", "npy")
    with pytest.raises(LibraryError, match=r"lib has no embeddings yet; make them with: talkies embed --library"):
        export_vectors(library.root, tmp_path / "out", "npy")
    with pytest.raises(LibraryError, match=r"none does not exist; make a library with"):
        export_vectors(tmp_path / "none", tmp_path / "out", "npy")
    with pytest.raises(RunError, match=r"none does not exist; make a run with"):
        export_vectors(shelf.root, tmp_path / "out", "npy", tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file is a file; name a folder with --to"):
        export_vectors(shelf.root, tmp_path / "file", "npy")
    with pytest.raises(WorkError, match=r"embeddings\.parquet cannot be written \(file exists\); name another place"):
        export_vectors(shelf.root, tmp_path / "file", "parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_arrays_of_somebody_else_are_left_alone_and_our_own_replaced(shelf: Library, tmp_path: Path) -> None:
    (tmp_path / "video.npy").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"holds a video\.npy that is not from an export; name a new folder$"):
        export_vectors(shelf.root, tmp_path, "npy")
    assert (tmp_path / "video.npy").read_bytes() == b"mine"
    assert [path.name for path in tmp_path.iterdir()] == ["video.npy"]
    for _ in range(2):
        files = export_vectors(shelf.root, tmp_path / "ours", "npy").files
    assert sorted(path.name for path in (tmp_path / "ours").iterdir()) == sorted(path.name for path in files)


def test_what_stops_half_way_leaves_nothing(shelf: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def vanish(index: VectorIndex, stamp: str, film_id: str) -> IndexRows:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(VectorIndex, "read_rows", vanish)
    for format_ in ("parquet", "npy"):
        with pytest.raises(WorkError, match=r"out cannot be written|embeddings\.parquet cannot be written"):
            export_vectors(shelf.root, tmp_path / "out", format_)
        assert not list(tmp_path.glob("out/*"))
