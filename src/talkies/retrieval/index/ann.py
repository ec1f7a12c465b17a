"""An index over a large set of embeddings, and how much of the truth it finds.

Under `EXACT_BELOW` rows every search looks at all of them. From there on LanceDB keeps an inverted file with product
quantisation (IVF-PQ, Jégou et al. 2011) over each side's vectors; a search looks into the parts nearest to the query
and compares the best of them again by their own vectors. Rows that came after the index was built are looked at one by
one until it is built anew.
"""

import warnings
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from talkies.config import Config, read_document
from talkies.core import Float32s, LibraryError, Modality
from talkies.library import write_json
from talkies.retrieval.index.rows import IndexRows
from talkies.retrieval.index.vector_index import VectorIndex

EXACT_BELOW = 50_000
"""From so many rows on a set has an index."""
SIDES: tuple[Modality, Modality] = ("video", "audio")
_PROBES = 16
_ALL = 0
_COMPARED = 96  # rows are compared by their own vectors, or six times as many as are wanted
_ROWS_A_CODE = 8  # dimensions that one byte of a quantised vector stands for
_ROWS_A_PARTITION = 256  # or LanceDB does not learn where they lie
_GROWN = 1.5  # times the rows that the index was built of: it is built anew
_ASKED, _BEST = 100, 10


class IndexState(Config):
    """What the index of a set was built of, and its recall: the share of the truly ten best that it finds."""

    schema_version: Literal[1] = 1
    rows: Annotated[int, Field(ge=0)]
    recall: dict[Modality, float]


def state_of(index: VectorIndex, stamp: str) -> IndexState | None:
    """Return the state of a set's index, or nothing if it has none.

    Raises:
        LibraryError: if it is damaged, or of another version.
    """
    path = index.folder / f"{stamp}.ann.json"
    if not path.is_file():
        return None
    return read_document(path, IndexState, "the state of an index", 1, LibraryError, f"; remove {path} and embed again")


def bring_up_to_date(index: VectorIndex, stamp: str, exact_below: int = EXACT_BELOW) -> IndexState | None:
    """Join what many additions left in pieces, and build the set's index if it is large and has grown.

    Its recall is measured on a sample of the set's own rows, against a search of all.
    """
    table = index.table(stamp)
    table.optimize()
    rows, state = index.count(stamp), state_of(index, stamp)
    if rows < exact_below or (state and rows < _GROWN * state.rows):
        return state
    for side in SIDES:
        _build(table, side, rows)
    _build_films(table)
    asked = sample(table, _ASKED)
    vectors = {"video": asked.video_BD, "audio": asked.audio_BD}
    state = IndexState(rows=rows, recall={side: _recall(table, vectors[side], side) for side in SIDES})
    write_json(index.folder / f"{stamp}.ann.json", state)
    return state


def nearest(
    table: Any,
    vector_D: Float32s,
    side: Modality,
    count: int,
    where: str = "",
    *,
    exact: bool = False,
    bare: bool = False,
) -> tuple[IndexRows, Float32s]:
    """Return the `count` rows whose vectors of one side are nearest to `vector_D`, and their cosines, best first.

    `where` is a condition on rows in LanceDB's words; `exact` looks at all rows, as does a set without an index; `bare`
    rows come without vectors, which takes half the time.
    """
    columns = [name for name in table.schema.names if not (bare and name in SIDES)]

    def found_in(parts: int) -> pa.Table:
        asked = table.search(vector_D, vector_column_name=side).distance_type("cosine").limit(count)
        if exact:
            asked = asked.bypass_vector_index()
        else:
            asked = asked.minimum_nprobes(_PROBES).maximum_nprobes(parts)
            asked = asked.refine_factor(max(6, -(-_COMPARED // count)))
        if where:
            asked = asked.where(where, prefilter=True)
        return asked.select([*columns, "_distance"]).to_arrow()

    found = found_in(_PROBES)
    if len(found) < count and not exact:  # a condition may leave few rows in the nearest parts: into all, if need be
        found = found_in(_ALL)
    rows = IndexRows.of_table(found, in_order=False)
    cosine_B = np.float32(1) - found.column("_distance").to_numpy().astype(np.float32)
    best = np.argsort(-cosine_B, kind="stable")
    return rows[best], cosine_B[best]


def sample(table: Any, count: int) -> IndexRows:
    """Return at most `count` rows of a table, spread evenly over it, in the order of films and times."""
    total = table.count_rows()
    if not total:
        return IndexRows.of_table(table.to_arrow())
    places = np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(np.int64))
    return IndexRows.of_table(table.take_offsets(places.tolist()).to_arrow())


def _build(table: Any, side: Modality, rows: int) -> None:
    from lancedb.index import IvfPq

    dim = table.schema.field(side).type.list_size
    codes = max(1, dim // _ROWS_A_CODE) if dim % _ROWS_A_CODE == 0 else 1
    partitions = max(1, min(2 ** round(np.log2(np.sqrt(rows))), rows // _ROWS_A_PARTITION))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        config = IvfPq(distance_type="cosine", num_partitions=partitions, num_sub_vectors=codes)
        table.create_index(side, config=config, replace=True)


def _build_films(table: Any) -> None:
    from lancedb.index import BTree

    table.create_index("film_id", config=BTree(), replace=True)


def _recall(table: Any, vectors_BD: Float32s, side: Modality) -> float:
    """Return the mean share of the truly ten best rows that the index finds."""
    shares = []
    for vector_D in vectors_BD:
        _, found = nearest(table, vector_D, side, _BEST, bare=True)
        _, truth = nearest(table, vector_D, side, _BEST, exact=True, bare=True)
        shares.append(np.mean(found >= truth[-1] - 1e-6) if len(truth) else 1.0)
    return float(np.mean(shares))
