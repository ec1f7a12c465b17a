"""The JSON documents of the API: times in seconds, sizes in pixels or bytes, scores from −1 to 1."""

from typing import Literal

from pydantic import BaseModel, Field

from talkies.core import Modality, ModalityChoice

Span = tuple[float, float]
"""Start and end in seconds."""


class ReasonAnswer(BaseModel):
    """One reason for a film's verdict."""

    code: str
    text: str


class FilmAnswer(BaseModel):
    """A film; `source` is its file's name, `other_names` are those it had before or has elsewhere.

    `embedded` says whether the chosen model embedded it.
    """

    film_id: str
    source: str
    other_names: list[str]
    verdict: str
    reasons: list[ReasonAnswer]
    duration_seconds: float
    shots: int
    width: int
    height: int
    usable: bool
    embedded: bool


class ModelAnswer(BaseModel):
    """A set of embeddings: the model's stamp, the name of its run, and how many rows and films it holds.

    `sides` are the modalities that it has, and `joint` says whether pictures can be compared with sounds. `text` names
    the modalities that words can be compared with; if there are none, `no_words` says why.
    """

    stamp: str
    run: str
    step: int
    clip_seconds: float
    stride_seconds: float
    rows: int
    films: int
    can_upload: bool
    sides: list[Modality]
    joint: bool
    text: list[Modality]
    no_words: str | None


class LibraryAnswer(BaseModel):
    """The served library; `notice` is what the page should say first, such as how to embed the films."""

    name: str
    version: str
    films: list[FilmAnswer]
    models: list[ModelAnswer]
    model: str | None
    notice: str | None
    upload_limit_bytes: int


class RecurringAnswer(BaseModel):
    """A clip of a film, and the most similar moment elsewhere, if there is one."""

    start_seconds: float
    end_seconds: float
    score: float
    film_id: str | None
    at_seconds: float | None


class RecurrenceAnswer(BaseModel):
    """The recurring clips of a film, by picture and by sound; none by a modality that the model lacks."""

    video: list[RecurringAnswer]
    audio: list[RecurringAnswer]


class FilmDetailAnswer(FilmAnswer):
    """A film's timeline: shots, annotations by kind (`marks`), peak levels (0 to 1), and recurring clips."""

    shot_spans: list[Span]
    marks: dict[str, list[Span]]
    waveform: list[float]
    recurrence: RecurrenceAnswer | None


class UploadAnswer(BaseModel):
    """An uploaded file that can be searched with, under its id `upload`; `sides` are the modalities it has."""

    upload: str
    name: str
    seconds: float
    sides: list[Modality]
    model: str


class QueryAnswer(BaseModel):
    """The parameters of a search, and the clip that was used as the query."""

    film: str | None
    at: float | None
    upload: str | None
    text: list[str]
    not_: list[str] = Field(serialization_alias="not")
    from_: ModalityChoice = Field(serialization_alias="from")
    to: ModalityChoice
    count: int
    skip: int
    per: Literal["moment", "shot", "film"]
    films: list[str]
    begin: float | None
    end: float | None
    apart: float
    floor: bool
    source: str | None
    start_seconds: float | None
    end_seconds: float | None


class HitAnswer(BaseModel):
    """One moment that matches the query."""

    film_id: str
    source: str
    start_seconds: float
    end_seconds: float
    score: float
    shot: int | None


class SearchAnswer(BaseModel):
    """The result of a search, best hit first; `nothing` says why there are no hits, `floor` is the score threshold."""

    query: QueryAnswer
    model: str
    run: str
    hits: list[HitAnswer]
    more: bool
    floor: float | None
    exact: bool
    recall: float | None
    nothing: str | None


class HeatAnswer(BaseModel):
    """The similarity of each clip of a film to the query: start, end, score; `floor` is the score threshold."""

    spans: list[tuple[float, float, float]]
    floor: float | None


class MapPointAnswer(BaseModel):
    """A clip's position on the map, `x` and `y` in [0, 1]."""

    film_id: str
    start_seconds: float
    end_seconds: float
    x: float
    y: float


class MapAnswer(BaseModel):
    """A map of the library's clips on which similar clips are close together."""

    points: list[MapPointAnswer]
    side: Modality
