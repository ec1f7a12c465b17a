"""The approximate nearest-neighbour index of a large embedding set, and its measured recall.

A search of fewer than `EXACT_BELOW` rows compares all of them. From there on LanceDB keeps an inverted file with
product quantisation (IVF-PQ, Jégou et al. 2011) over the vectors of each modality: a search visits the partitions
nearest to the query and compares the best rows again by their full vectors. Rows added after the index was built are
compared one by one until it is built again.

Shapes: `B` rows, `D` embedding.
"""

import warnings
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from talkies.config import Config, read_document
from talkies.core import MODALITIES, Float32s, LibraryError, Modality, evenly_spaced
from talkies.library import write_json
from talkies.retrieval.index.rows import IndexRows
from talkies.retrieval.index.vector_index import VectorIndex

EXACT_BELOW = 50_000
"""A set of this many rows or more has an approximate index."""
_PROBES = 16
_ALL_PARTITIONS = 0
_MIN_REFINED = 96  # rows compared again by their full vectors, or six times the count if that is more
_MIN_REFINE_FACTOR = 6
_DIMS_PER_CODE = 8  # dimensions that one byte of a quantised vector represents
_MIN_PARTITION_ROWS = 256  # LanceDB needs this many to train a partition
_REBUILD_GROWTH = 1.5  # the index is built again when the set has this many times the rows that it was built from
_RECALL_QUERIES, _RECALL_AT = 100, 10


class IndexState(Config):
    """What a set's index was built from, and its recall: the share of the true ten best rows that it finds."""

    schema_version: Literal[1] = 1
    rows: Annotated[int, Field(ge=0)]
    recall: dict[Modality, float]


def read_index_state(index: VectorIndex, stamp: str) -> IndexState | None:
    """Return the state of a set's index, or None if it has none.

    Raises:
        LibraryError: if it is damaged, or of another version.
    """
    path = index.folder / f"{stamp}.ann.json"
    if not path.is_file():
        return None
    remedy = f"; remove {path} and embed again"
    return read_document(path, IndexState, "the state of an index", 1, LibraryError, remedy=remedy)


def update_ann_index(index: VectorIndex, stamp: str, exact_below: int = EXACT_BELOW) -> IndexState | None:
    """Merge the fragments of a set's table; build its index if the set is large and has grown.

    The recall is measured with a sample of the set's own rows as queries, against an exact search.

    Args:
        index: The library's embedding sets.
        stamp: The model of the set.
        exact_below: The number of rows below which no index is built.

    Returns:
        The state of the index; None if there is none.
    """
    table = index.open_table(stamp)
    table.optimize()
    rows, state = index.count(stamp), read_index_state(index, stamp)
    if rows < exact_below or (state and rows < _REBUILD_GROWTH * state.rows):
        return state

    modalities = [modality for modality in MODALITIES if modality in table.schema.names]
    for modality in modalities:
        _build_vector_index(table, modality, rows)
    _build_film_index(table)

    queries = sample_rows(table, _RECALL_QUERIES)
    recall = {modality: _measure_recall(table, queries.get_vectors(modality), modality) for modality in modalities}
    state = IndexState(rows=rows, recall=recall)
    write_json(index.folder / f"{stamp}.ann.json", state)
    return state


def find_nearest(
    table: Any,
    vector_D: Float32s,
    modality: Modality,
    count: int,
    condition: str = "",
    *,
    exact: bool = False,
    with_vectors: bool = True,
) -> tuple[IndexRows, Float32s]:
    """Return the rows whose embeddings of one modality are nearest to a vector, and their cosines, best first.

    Args:
        table: A set's LanceDB table.
        vector_D: The query; any length.
        modality: The column that is searched.
        count: The number of rows.
        condition: A filter on rows, in the language of LanceDB.
        exact: Whether all rows are compared; a set without an index is always searched so.
        with_vectors: Whether the rows have their vectors; leaving them out takes half the time.

    Returns:
        At most `count` rows, and their cosines `[B]`.
    """
    columns = [name for name in table.schema.names if with_vectors or name not in MODALITIES]

    def search(max_probes: int) -> pa.Table:
        query = table.search(vector_D, vector_column_name=modality).distance_type("cosine").limit(count)
        if exact:
            query = query.bypass_vector_index()
        else:
            query = query.minimum_nprobes(_PROBES).maximum_nprobes(max_probes)
            query = query.refine_factor(max(_MIN_REFINE_FACTOR, -(-_MIN_REFINED // count)))
        if condition:
            query = query.where(condition, prefilter=True)
        return query.select([*columns, "_distance"]).to_arrow()

    nearest = search(_PROBES)
    if len(nearest) < count and not exact:  # the condition may leave too few rows in the nearest partitions
        nearest = search(_ALL_PARTITIONS)
    rows = IndexRows.from_table(nearest, sort=False)
    cosine_B = np.float32(1) - nearest.column("_distance").to_numpy().astype(np.float32)
    best_first = np.argsort(-cosine_B, kind="stable")
    return rows[best_first], cosine_B[best_first]


def sample_rows(table: Any, count: int) -> IndexRows:
    """Return at most `count` rows of a table, spread evenly over it, in the order of films and times."""
    total = table.count_rows()
    if not total:
        return IndexRows.from_table(table.to_arrow())
    offsets = evenly_spaced(total, count)
    return IndexRows.from_table(table.take_offsets(offsets.tolist()).to_arrow())


def _build_vector_index(table: Any, modality: Modality, rows: int) -> None:
    from lancedb.index import IvfPq

    dim = table.schema.field(modality).type.list_size
    codes = max(1, dim // _DIMS_PER_CODE) if dim % _DIMS_PER_CODE == 0 else 1
    partitions = max(1, min(2 ** round(np.log2(np.sqrt(rows))), rows // _MIN_PARTITION_ROWS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        config = IvfPq(distance_type="cosine", num_partitions=partitions, num_sub_vectors=codes)
        table.create_index(modality, config=config, replace=True)


def _build_film_index(table: Any) -> None:
    from lancedb.index import BTree

    table.create_index("film_id", config=BTree(), replace=True)


def _measure_recall(table: Any, vectors_BD: Float32s, modality: Modality) -> float:
    """Return the mean share of the true ten best rows that the index finds."""
    shares = []
    for vector_D in vectors_BD:
        _, found_B = find_nearest(table, vector_D, modality, _RECALL_AT, with_vectors=False)
        _, truth_B = find_nearest(table, vector_D, modality, _RECALL_AT, exact=True, with_vectors=False)
        shares.append(np.mean(found_B >= truth_B[-1] - 1e-6) if len(truth_B) else 1.0)
    return float(np.mean(shares))
