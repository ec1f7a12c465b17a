"""What a search is asked and what it answers.

Shapes: `D` embedding.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from talkies.core import Float32s, Modality, UsageError
from talkies.retrieval.search.clip_sequence import Passage

Side = Literal["video", "audio", "both"]
Per = Literal["moment", "shot", "film"]
MOST_HITS = 1000
SIDE_WORDS: Mapping[Side, str] = {"video": "picture", "audio": "sound", "both": "picture and sound"}


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of a film; `film` is its id, a unique beginning of it, or its file's name."""

    film: str
    at_seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """What a file looks and sounds like to the model `stamp`: unit vectors; a side that the file lacks is None.

    Of a file longer than a clip, `passage` is what it is like from window to window.
    """

    name: str
    seconds: float
    stamp: str
    video_D: Float32s | None
    audio_D: Float32s | None
    passage: Passage | None = None

    @property
    def sides(self) -> tuple[Modality, ...]:
        """The sides that it has."""
        both: tuple[tuple[Modality, Float32s | None], ...] = (("video", self.video_D), ("audio", self.audio_D))
        return tuple(side for side, vector in both if vector is not None)


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What is asked: with the picture, the sound or both of a moment or a file, for pictures, sounds or both.

    A file is a path, or what was made of it before.

    `skip` and `count` page through the hits, of which there is one a `per`. Only hits in `films`, inside
    `span_seconds` of theirs, and in the query's own film at least `apart_seconds` from its moment. With `floor` only
    those that are more alike than chance.

    Raises:
        UsageError: if a number makes no sense.
    """

    asked: Moment | Example | Path
    from_: Side = "both"
    to: Side = "both"
    count: int = 10
    skip: int = 0
    per: Per = "moment"
    films: tuple[str, ...] = ()
    span_seconds: tuple[float, float] | None = None
    apart_seconds: float = 0.0
    floor: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_HITS:
            raise UsageError(f"a search gives 1 to {MOST_HITS} hits, got {self.count}; ask for the next ones by a skip")
        if self.skip < 0:
            raise UsageError(f"a search skips 0 hits or more, got {self.skip}")
        if not 0 <= self.apart_seconds < float("inf"):
            raise UsageError(f"hits are 0 s or more apart from the query, got {self.apart_seconds:g}")
        if self.span_seconds is not None and not 0 <= self.span_seconds[0] < self.span_seconds[1]:
            begin, end = self.span_seconds
            raise UsageError(f"a span to search begins at 0 s or later and before it ends, got {begin:g} to {end:g}")


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer: a film's span in seconds, how alike it is (a cosine, or the mean of two), and the number of the shot
    that its middle is in.
    """

    film_id: str
    source: str
    start_seconds: float
    end_seconds: float
    score: float
    shot: int | None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The hits, best first, whether there are `more`, and the score from which on something counts as found.

    Of a moment, `film_id`, `source` and the span are those of the clip that it was asked with. `exact` tells that all
    rows were looked at; otherwise `recall` is the share of the truly best that the index finds.
    """

    query: SearchQuery
    stamp: str
    hits: tuple[Hit, ...]
    more: bool
    floor: float
    exact: bool
    recall: float | None
    film_id: str | None
    source: str
    start_seconds: float
    end_seconds: float

    @property
    def nothing(self) -> str | None:
        """A sentence where nothing was found."""
        if self.hits:
            return None
        if self.query.skip:
            return f"there are no hits after the first {self.query.skip}"
        if self.query.floor:
            return (
                f"nothing found: no {SIDE_WORDS[self.query.to]} that may be searched is more like "
                f"{self.source} than chance (a score of {self.floor:.2f}); ask for weaker ones, or with fewer filters"
            )
        return "nothing found: the filters leave no clip; ask with fewer"


def sides_used(query: SearchQuery, shown: Moment | Example) -> tuple[tuple[Modality, Modality], ...]:
    """Return which side of the query is compared with which side of a row; the score is the mean of their cosines.

    `shown` is what the query is asked with, a file encoded; of both sides the one is taken that there is.

    Raises:
        UsageError: if a file is asked with a side that it lacks.
    """
    if isinstance(shown, Moment):
        return _pairs(query.from_, query.to)
    if query.from_ == "both":
        return _pairs("both" if len(shown.sides) == 2 else shown.sides[0], query.to)
    if query.from_ not in shown.sides:
        raise UsageError(
            f"{shown.name} has no {SIDE_WORDS[query.from_]} to ask with; ask with its {SIDE_WORDS[shown.sides[0]]}"
        )
    return _pairs(query.from_, query.to)


def _pairs(from_: Side, to: Side) -> tuple[tuple[Modality, Modality], ...]:
    if from_ == "both" and to == "both":  # like with like
        return (("video", "video"), ("audio", "audio"))
    froms: tuple[Modality, ...] = ("video", "audio") if from_ == "both" else (from_,)
    tos: tuple[Modality, ...] = ("video", "audio") if to == "both" else (to,)
    return tuple((one, other) for one in froms for other in tos)


def weights(
    vectors: Mapping[Modality, Float32s], pairs: tuple[tuple[Modality, Modality], ...]
) -> dict[Modality, Float32s]:
    """Return a vector for each side of the rows: the score is the sum of a row's products with them."""
    sums: dict[Modality, Float32s] = {}
    for one, other in pairs:
        part = vectors[one] / np.float32(len(pairs))
        sums[other] = sums[other] + part if other in sums else part
    return sums
