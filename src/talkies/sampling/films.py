"""The films that clips may be drawn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from talkies.core import FilmId, Int64s, Span, SpanTable


@dataclass(frozen=True, slots=True, eq=False)
class FilmSpans:
    """Films and what is eligible of them: film *i* has the spans of row *i*; `shots` are needed for one clip a shot.

    `names` are what films are called in messages.

    Raises:
        ValueError: if the parts do not agree, or a film is there twice.
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
            raise ValueError("a film is there twice")

    @classmethod
    def of(
        cls,
        spans: Mapping[FilmId, Sequence[Span]],
        names: Mapping[FilmId, str] | None = None,
        shots: Mapping[FilmId, Sequence[Span]] | None = None,
    ) -> "FilmSpans":
        """Return the films of a mapping, in the order of their ids."""
        ids = tuple(sorted(spans))
        called = tuple((names or {}).get(i, i) for i in ids)
        return cls(
            ids, SpanTable.of([spans[i] for i in ids]), called, SpanTable.of([shots[i] for i in ids]) if shots else None
        )

    def __len__(self) -> int:
        return len(self.film_ids)

    def take(self, kept_F: Int64s) -> "FilmSpans":
        """Return these films alone."""
        kept = np.asarray(kept_F)
        ids, names = (tuple(values[film] for film in kept) for values in (self.film_ids, self.names))
        return FilmSpans(ids, self.spans.take(kept), names, self.shots.take(kept) if self.shots else None)
