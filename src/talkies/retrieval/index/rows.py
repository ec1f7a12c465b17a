"""Rows of an embedding set: clips of films with their times, their shots and their two embeddings.

Shapes: `B` clips, `D` embedding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from talkies.core import MODALITIES, Bools, Float32s, Float64s, Int32s, Int64s, Modality


@dataclass(frozen=True, slots=True, repr=False)
class IndexRows:
    """B clips of films.

    Args:
        film_B: The ids of their films.
        start_B: The start of each clip, in seconds.
        end_B: The end of each clip, in seconds (exclusive).
        shot_B: The number of the shot that holds a clip's middle, -1 where none does.
        of_shot_B: Whether a clip is the one in the middle of its shot, and not one of those at the stride.
        video_BD: Unit rows; D = 0 if the model has no video encoder.
        audio_BD: Unit rows, which may have another D; D = 0 if the model has no audio encoder.

    Raises:
        ValueError: if the parts differ in B.
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
            raise ValueError(f"the parts of rows differ in length: {self}")
        if self.video_BD.ndim != 2 or self.audio_BD.ndim != 2:
            raise ValueError(f"video and audio embeddings must both be [B, D], got {self}")

    def __repr__(self) -> str:
        widths = (str(self.get_vectors(modality).shape[1:]) for modality in MODALITIES)
        return f"IndexRows({len(self.film_B)} clips of {' and '.join(widths)})"

    def __len__(self) -> int:
        return len(self.film_B)

    def __getitem__(self, which: npt.NDArray[Any] | slice) -> Self:
        """Return the rows of a mask, of an array of positions, or of a slice."""
        return type(self)(*(getattr(self, field.name)[which] for field in fields(self)))

    @property
    def dims(self) -> dict[Modality, int]:
        """The width of each modality's embeddings; 0 for one that the model does not have."""
        return {modality: self.get_vectors(modality).shape[1] for modality in MODALITIES}

    @property
    def middle_B(self) -> Float64s:
        """The middle of each clip, in seconds."""
        return (self.start_B + self.end_B) / 2

    def get_vectors(self, modality: Modality) -> Float32s:
        """Return the embeddings `[B, D]` of one modality."""
        return self.video_BD if modality == "video" else self.audio_BD

    @classmethod
    def concatenate(cls, parts: Sequence["IndexRows"]) -> Self:
        """Return the rows of all parts, one after the other."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    @classmethod
    def from_table(cls, table: pa.Table, *, sort: bool = True) -> Self:
        """Return the rows of a table with the columns of `build_schema`.

        Args:
            table: The table; without columns of vectors it gives rows with D = 0.
            sort: Whether rows are sorted by film, time and kind; otherwise they keep the table's order.
        """
        rows = cls(
            table.column("film_id").combine_chunks().to_numpy(zero_copy_only=False),
            table.column("start_seconds").to_numpy(),
            table.column("end_seconds").to_numpy(),
            table.column("shot").to_numpy(),
            table.column("of_shot").to_numpy(),
            *(_read_vectors(table, modality) for modality in MODALITIES),
        )
        return rows[rows._find_order()] if sort else rows

    def deduplicate(self) -> Self:
        """Return the rows sorted by film, time and kind, without repeated ones."""
        rows = self[self._find_order()]
        repeated_B = (
            (rows.film_B[1:] == rows.film_B[:-1])
            & (rows.start_B[1:] == rows.start_B[:-1])
            & (rows.of_shot_B[1:] == rows.of_shot_B[:-1])
        )
        return rows[np.concatenate([np.ones(min(1, len(rows)), np.bool_), ~repeated_B])]

    def to_table(self) -> pa.Table:
        """Return the rows as a table with the columns of `build_schema`."""
        columns = [
            pa.array(self.film_B, pa.string()),
            pa.array(self.start_B),
            pa.array(self.end_B),
            pa.array(self.shot_B, pa.int32()),
            pa.array(self.of_shot_B, pa.bool_()),
            *(_to_column(self.get_vectors(modality)) for modality in MODALITIES if self.dims[modality]),
        ]
        return pa.table(columns, schema=build_schema(self.dims))

    def _find_order(self) -> Int64s:
        return np.lexsort((self.of_shot_B, self.start_B, self.film_B.astype(str)))


def build_schema(dims: Mapping[Modality, int]) -> pa.Schema:
    """Return the columns of an embedding set; a modality whose embeddings have a width of 0 has none."""
    vectors = [(modality, pa.list_(pa.float32(), dims[modality])) for modality in MODALITIES if dims[modality]]
    return pa.schema(
        [
            ("film_id", pa.string()),
            ("start_seconds", pa.float64()),
            ("end_seconds", pa.float64()),
            ("shot", pa.int32()),
            ("of_shot", pa.bool_()),
            *vectors,
        ]
    )


def _read_vectors(table: pa.Table, modality: Modality) -> Float32s:
    """Return a column of vectors as `[B, D]`; D = 0 if the table lacks the column."""
    if modality not in table.column_names:
        return np.zeros((len(table), 0), np.float32)
    column = table.column(modality)
    joined = column.combine_chunks()
    rows_BD: Float32s = joined.flatten().to_numpy(zero_copy_only=False).reshape(len(joined), column.type.list_size)
    return rows_BD


def _to_column(rows_BD: Float32s) -> pa.Array:
    values = pa.array(np.ascontiguousarray(rows_BD, np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(values, rows_BD.shape[1])
