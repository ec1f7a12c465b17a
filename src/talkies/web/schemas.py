"""The documents that are answered: times in seconds, sizes in pixels or bytes, scores from −1 to 1."""

from typing import Literal

from pydantic import BaseModel, Field

from talkies.core import Modality, ModalityChoice

Span = tuple[float, float]


class ReasonAnswer(BaseModel):
    """Why a verdict is what it is."""

    code: str
    text: str


class FilmAnswer(BaseModel):
    """A film; `source` is its file's name, and `embedded` tells whether the chosen model's set holds it."""

    film_id: str
    source: str
    verdict: str
    reasons: list[ReasonAnswer]
    duration_seconds: float
    shots: int
    width: int
    height: int
    usable: bool
    embedded: bool


class ModelAnswer(BaseModel):
    """A set of embeddings: the model's stamp, the name of its run, and how much it holds."""

    stamp: str
    run: str
    step: int
    clip_seconds: float
    stride_seconds: float
    rows: int
    films: int
    can_upload: bool


class LibraryAnswer(BaseModel):
    """What is served. `notice` is what a person should be told first, such as how to embed."""

    name: str
    version: str
    films: list[FilmAnswer]
    models: list[ModelAnswer]
    model: str | None
    notice: str | None
    upload_limit_bytes: int


class RecurringAnswer(BaseModel):
    """A clip of a film, and the moment elsewhere that is most like it, if there is any."""

    start_seconds: float
    end_seconds: float
    score: float
    film_id: str | None
    at_seconds: float | None


class RecurrenceAnswer(BaseModel):
    """What comes back of the pictures and of the sound."""

    video: list[RecurringAnswer]
    audio: list[RecurringAnswer]


class FilmDetailAnswer(FilmAnswer):
    """A film's timeline: its shots, its marks by kind, its peaks of level (0 to 1), and what comes back."""

    shot_spans: list[Span]
    marks: dict[str, list[Span]]
    waveform: list[float]
    recurrence: RecurrenceAnswer | None


class UploadAnswer(BaseModel):
    """A file that can be searched by, under its id `upload`: what it has been found to hold."""

    upload: str
    name: str
    seconds: float
    sides: list[Modality]
    model: str


class QueryAnswer(BaseModel):
    """What was asked, and the clip that it was answered by."""

    film: str | None
    at: float | None
    upload: str | None
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
    """One moment that was found."""

    film_id: str
    source: str
    start_seconds: float
    end_seconds: float
    score: float
    shot: int | None


class SearchAnswer(BaseModel):
    """What was found, best first; `nothing` says why where nothing was."""

    query: QueryAnswer
    model: str
    hits: list[HitAnswer]
    more: bool
    floor: float | None
    exact: bool
    recall: float | None
    nothing: str | None


class HeatAnswer(BaseModel):
    """How alike each clip of a film is to what is asked: start, end, score."""

    spans: list[tuple[float, float, float]]
    floor: float | None


class MapPointAnswer(BaseModel):
    """A clip's place on the map, 0 to 1."""

    film_id: str
    start_seconds: float
    end_seconds: float
    x: float
    y: float


class MapAnswer(BaseModel):
    """The library laid out so that what is alike lies together."""

    points: list[MapPointAnswer]
    side: Modality
