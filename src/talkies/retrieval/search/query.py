"""The values of a search: the query (by a moment, a file, words, or several of them) and its result (hits).

Shapes: `D` embedding.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Literal

from talkies.core import MODALITIES, Float32s, Modality, ModalityChoice, UsageError, escape_controls, path_to_text
from talkies.retrieval.search.clip_sequence import ClipSequence

HitUnit = Literal["moment", "shot", "film"]
MAX_HITS = 1000
MAX_TEXT_LENGTH = 300
_MAX_PARTS = 16
MODALITY_WORDS: Mapping[ModalityChoice, str] = {"video": "picture", "audio": "sound", "both": "picture and sound"}


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of a film; `film` is its id, a unique prefix of the id, or its file's name."""

    film: str
    at_seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A file's embedding by the model `stamp`: unit vectors, None for a modality that the file lacks.

    `sequence` holds the embeddings of the single clips of a file that is longer than one clip.
    """

    name: str
    seconds: float
    stamp: str
    video_D: Float32s | None
    audio_D: Float32s | None
    sequence: ClipSequence | None = None

    @property
    def vectors(self) -> dict[Modality, Float32s]:
        """The vector of each modality that the file has."""
        both: tuple[tuple[Modality, Float32s | None], ...] = (("video", self.video_D), ("audio", self.audio_D))
        return {modality: vector_D for modality, vector_D in both if vector_D is not None}

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities that the file has."""
        return tuple(modality for modality in MODALITIES if modality in self.vectors)


@dataclass(frozen=True, slots=True)
class Words:
    """A text to search with.

    Raises:
        UsageError: if it is empty or too long.
    """

    text: str

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise UsageError("the words to search with are empty; describe what is to be found")
        if len(self.text) > MAX_TEXT_LENGTH:
            raise UsageError(
                f"the words to search with may have {MAX_TEXT_LENGTH} characters, got {len(self.text)}; shorten them, "
                "or search with several texts"
            )


Comparisons = tuple[tuple[Modality | Literal["words"], Modality], ...]
Single = Moment | Example | Path | Words
"""A query of one part."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a combined query.

    The weight says how much the part counts beside the others; that of a part to subtract is negative.

    Raises:
        UsageError: if the weight is 0 or not finite.
    """

    by: Single
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not isfinite(self.weight) or not self.weight:
            raise UsageError(f"the weight of a part of a query is a number other than 0, got {self.weight:g}")

    @property
    def kind(self) -> Literal["film", "file", "text"]:
        """What the part is: a moment of a film, a file, or words."""
        if isinstance(self.by, Moment):
            return "film"
        return "text" if isinstance(self.by, Words) else "file"

    @property
    def name(self) -> str:
        """The film, the file or the words that the part names."""
        if isinstance(self.by, Moment):
            return self.by.film
        if isinstance(self.by, Words):
            return self.by.text
        return self.by.name if isinstance(self.by, Example) else path_to_text(self.by)


@dataclass(frozen=True, slots=True)
class Combined:
    """Several parts as one query.

    A clip's score is the weighted mean of its scores by the parts, less its weighted scores by those to subtract: their
    sum over the parts, divided by the sum of the positive weights.

    Raises:
        UsageError: if there is nothing to search for, more than one moment, or too many parts.
    """

    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        if not any(part.weight > 0 for part in self.parts):
            raise UsageError("a query that only excludes finds nothing; add a moment, a file or words to search for")
        if sum(isinstance(part.by, Moment) for part in self.parts) > 1:
            raise UsageError("a query holds one moment of a film at most; search with files for further ones")
        if len(self.parts) > _MAX_PARTS:
            raise UsageError(f"a query has at most {_MAX_PARTS} parts, got {len(self.parts)}; leave some out")


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A query, and the clips that it is compared with.

    Args:
        by: A moment of a film, a file's path, a file that has been encoded before, words, or several of these.
        from_: The modalities of moments and files that are used.
        to: The modalities of the library's clips that they are compared with.
        count: The number of hits.
        skip: The number of best hits to leave out; with `count` it pages through the hits.
        per: What there is at most one hit of.
        films: Films to search, named as in `Moment`; empty: all.
        span_seconds: The span of each film to search, `[start, end)`; None: all of it.
        apart_seconds: The least distance of a hit from the query's moment in the query's own film.
        use_threshold: Whether hits below the score threshold are left out (see `score_threshold.py`).

    Raises:
        UsageError: if a number is out of range.
    """

    by: Single | Combined
    from_: ModalityChoice = "both"
    to: ModalityChoice = "both"
    count: int = 10
    skip: int = 0
    per: HitUnit = "moment"
    films: tuple[str, ...] = ()
    span_seconds: tuple[float, float] | None = None
    apart_seconds: float = 0.0
    use_threshold: bool = True

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of the query; one, unless it is a combined one."""
        return self.by.parts if isinstance(self.by, Combined) else (Part(self.by),)

    @property
    def moment(self) -> Moment | None:
        """The moment of a film that the query holds, if it holds one."""
        return next((part.by for part in self.parts if isinstance(part.by, Moment)), None)

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MAX_HITS:
            raise UsageError(f"a search returns 1 to {MAX_HITS} hits, got {self.count}; page through more with a skip")
        if self.skip < 0:
            raise UsageError(f"a search skips 0 hits or more, got {self.skip}")
        if not 0 <= self.apart_seconds < float("inf"):
            raise UsageError(f"hits are 0 s or more apart from the query, got {self.apart_seconds:g}")
        if self.span_seconds is not None and not 0 <= self.span_seconds[0] < self.span_seconds[1]:
            start, end = self.span_seconds
            raise UsageError(f"a span to search starts at 0 s or later and before its end, got {start:g} to {end:g}")


@dataclass(frozen=True, slots=True)
class Hit:
    """A clip that matches a query: its film, its span in seconds, its score, and the shot that holds its middle.

    The score is a cosine, or the mean of several (see `Combined`); `shot` is None where no shot holds the middle.
    """

    film_id: str
    source: str
    start_seconds: float
    end_seconds: float
    score: float
    shot: int | None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The hits of a query, best first, and how they were found.

    Args:
        query: The query.
        stamp: The weights of the model that embedded the library.
        model: Its name: of its run, or its address.
        compared: Each modality of the query, or "words", with the modality of the clips that it was compared with.
        hits: One page of hits.
        more: Whether there are hits after this page.
        score_threshold: The score that chance alone is not expected to reach.
        exact: Whether the query was compared with all rows.
        recall: Of an inexact search, the share of the true ten best rows that the index finds; otherwise None.
        film_id: The film of the query's moment; None without one.
        source: The name of the query's film or file, or its words in quotation marks; of several parts, all of them.
        start_seconds: The start of the clip that stands for the query's moment; 0 without one.
        end_seconds: Its end; for a file, its duration; 0 for words and combined queries without a moment.
    """

    query: SearchQuery
    stamp: str
    model: str
    compared: Comparisons
    hits: tuple[Hit, ...]
    more: bool
    score_threshold: float
    exact: bool
    recall: float | None
    film_id: str | None
    source: str
    start_seconds: float
    end_seconds: float

    @property
    def no_hits_reason(self) -> str | None:
        """A sentence that says why there are no hits; None if there are any."""
        if self.hits:
            return None
        if self.query.skip:
            return f"there are no hits after the first {self.query.skip}"
        if self.query.use_threshold:
            source = escape_controls(self.source)
            return (
                f"no confident match: no {MODALITY_WORDS[self.query.to]} is more similar to {source} than chance "
                f"(a score of {self.score_threshold:.2f}); show weaker matches, or use fewer filters"
            )
        return "no match: the filters exclude every clip; use fewer filters"

    @property
    def left_out_note(self) -> str | None:
        """A sentence that says why there are fewer hits than asked for; None if there are as many, or none at all."""
        if not self.hits or self.more or len(self.hits) >= self.query.count or not self.query.use_threshold:
            return None
        return (
            f"matches with a score below {self.score_threshold:.2f} could be chance and are left out; show weaker "
            "matches to see them"
        )
