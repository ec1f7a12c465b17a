"""Rows of a set of embeddings: clips of films, each with its time, its shot and both towers' vectors.

Shapes: `B` clips, `D` embedding.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from talkies.core import Bools, Float32s, Float64s, Int32s, Int64s


@dataclass(frozen=True, slots=True, repr=False)
class IndexRows:
    """B clips: ids of their films `film_B`, their spans `[start_B, end_B)` in seconds, the number of the shot that
    holds a clip's middle `shot_B` (-1: none does), whether a clip is the one in the middle of its shot `of_shot_B` and
    not one of those at the stride, and unit rows `video_BD`, `audio_BD`.

    Raises:
        ValueError: if the parts do not agree on B and D.
    """

    film_B: npt.NDArray[np.object_]
    start_B: Float64s
    end_B: Float64s
    shot_B: Int32s
    of_shot_B: Bools
    video_BD: Float32s
    audio_BD: Float32s

    def __post_init__(self) -> None:
        if len({len(getattr(self, field.name)) for field in fields(self)}) != 1:
            raise ValueError(f"the parts of rows do not agree on how many there are: {self}")
        if self.video_BD.ndim != 2 or self.video_BD.shape != self.audio_BD.shape:
            raise ValueError(f"both towers give [B, D] of one shape, got {self}")

    def __repr__(self) -> str:
        return f"IndexRows({len(self.film_B)} clips of {list(self.video_BD.shape[1:])})"

    def __len__(self) -> int:
        return len(self.film_B)

    def __getitem__(self, which: npt.NDArray[Any] | slice) -> Self:
        """Return the rows of a mask, of an array of places, or of a slice."""
        return type(self)(*(getattr(self, field.name)[which] for field in fields(self)))

    @property
    def middle_B(self) -> Float64s:
        """The middle of each clip, in seconds."""
        return (self.start_B + self.end_B) / 2

    @classmethod
    def concatenated(cls, parts: Sequence["IndexRows"]) -> Self:
        """Return the rows of all parts, one after the other."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    @classmethod
    def of_table(cls, table: pa.Table, in_order: bool = True) -> Self:
        """Return the rows of a table with a set's columns, in the order of films, times and kinds, or in its own.

        A table without vectors gives rows of no dimension.
        """
        films = table.column("film_id").combine_chunks().to_numpy(zero_copy_only=False)
        plain = {name: table.column(name).to_numpy() for name in ("start_seconds", "end_seconds", "shot", "of_shot")}
        rows = cls(films, *plain.values(), *(_vectors_in(table, side) for side in ("video", "audio")))
        return rows[rows._order()] if in_order else rows

    def once(self) -> Self:
        """Return the rows in the order of films, times and kinds, each once."""
        rows = self[self._order()]
        again_B = (rows.film_B[1:] == rows.film_B[:-1]) & (rows.start_B[1:] == rows.start_B[:-1])
        again_B &= rows.of_shot_B[1:] == rows.of_shot_B[:-1]
        return rows[np.concatenate([np.ones(min(1, len(rows)), np.bool_), ~again_B])]

    def _order(self) -> Int64s:
        return np.lexsort((self.of_shot_B, self.start_B, self.film_B.astype(str)))

    def to_table(self) -> pa.Table:
        """Return the rows as a table with a set's columns."""
        columns = (
            pa.array(self.film_B, pa.string()),
            *(pa.array(part) for part in (self.start_B, self.end_B)),
            pa.array(self.shot_B, pa.int32()),
            pa.array(self.of_shot_B, pa.bool_()),
            *(_vectors(part) for part in (self.video_BD, self.audio_BD)),
        )
        return pa.table(list(columns), schema=schema_of(self.video_BD.shape[1]))


def schema_of(dim: int) -> pa.Schema:
    """Return the columns of a set whose embeddings have `dim` dimensions."""
    vector = pa.list_(pa.float32(), dim)
    return pa.schema(
        [
            ("film_id", pa.string()),
            ("start_seconds", pa.float64()),
            ("end_seconds", pa.float64()),
            ("shot", pa.int32()),
            ("of_shot", pa.bool_()),
            ("video", vector),
            ("audio", vector),
        ]
    )


def _vectors_in(table: pa.Table, side: str) -> Float32s:
    return vectors_of(table.column(side)) if side in table.column_names else np.zeros((len(table), 0), np.float32)


def vectors_of(column: pa.ChunkedArray) -> Float32s:
    """Return a column of vectors as `[B, D]`."""
    joined = column.combine_chunks()
    rows: Float32s = joined.flatten().to_numpy(zero_copy_only=False).reshape(len(joined), column.type.list_size)
    return rows


def _vectors(rows_BD: Float32s) -> pa.Array:
    values = pa.array(np.ascontiguousarray(rows_BD, np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(values, rows_BD.shape[1])
