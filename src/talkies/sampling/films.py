"""The films that clips may be drawn from, with their eligible spans."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from talkies.core import FilmId, Int64s, Span, SpanTable


@dataclass(frozen=True, slots=True, eq=False)
class FilmSpans:
    """Films and their eligible spans: film *i* has the spans of row *i*.

    `names` are what messages call the films. `shots` are needed only to draw one clip a shot.

    Raises:
        ValueError: if the parts differ in number, or a film is listed twice.
    """

    film_ids: tuple[FilmId, ...]
    spans: SpanTable
    names: tuple[str, ...]
    shots: SpanTable | None = None

    def __post_init__(self) -> None:
        shots = len(self.film_ids) if self.shots is None else len(self.shots)
        if not len(self.film_ids) == len(self.spans) == len(self.names) == shots:
            raise ValueError(
                f"films, spans, names and shots differ in number: "
                f"{len(self.film_ids)}, {len(self.spans)}, {len(self.names)}, {shots}"
            )
        if len(set(self.film_ids)) != len(self.film_ids):
            raise ValueError("a film is listed twice")

    @classmethod
    def of(
        cls,
        spans: Mapping[FilmId, Sequence[Span]],
        names: Mapping[FilmId, str] | None = None,
        shots: Mapping[FilmId, Sequence[Span]] | None = None,
    ) -> "FilmSpans":
        """Return the films of a mapping, in the order of their ids; a film without a name is called by its id."""
        film_ids = tuple(sorted(spans))
        film_names = tuple((names or {}).get(film_id, film_id) for film_id in film_ids)
        shot_table = SpanTable.of([shots[film_id] for film_id in film_ids]) if shots else None
        return cls(film_ids, SpanTable.of([spans[film_id] for film_id in film_ids]), film_names, shot_table)

    def __len__(self) -> int:
        return len(self.film_ids)

    def take(self, film_X: Int64s) -> "FilmSpans":
        """Return some of the films, by number."""
        film_X = np.asarray(film_X)
        film_ids = tuple(self.film_ids[film] for film in film_X)
        names = tuple(self.names[film] for film in film_X)
        return FilmSpans(film_ids, self.spans.take(film_X), names, self.shots.take(film_X) if self.shots else None)
