"""The API routes of search: hits, the similarity of one film to the query, the map, and uploaded query files."""

from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from talkies.core import Modality, ModalityChoice
from talkies.retrieval.search import Combined, Example, Moment, Part, SearchQuery, SearchResult, Words
from talkies.retrieval.search.query import MAX_TEXT_LENGTH, Single
from talkies.web.errors import ERROR_ANSWERS
from talkies.web.films import Model
from talkies.web.multipart import FIELD, receive_file
from talkies.web.schemas import (
    HeatAnswer,
    HitAnswer,
    MapAnswer,
    MapPointAnswer,
    QueryAnswer,
    SearchAnswer,
    UploadAnswer,
)
from talkies.web.served_library import ServedLibrary
from talkies.web.served_models import ServedModels
from talkies.web.uploads import Uploads

Seconds = Annotated[float, Field(ge=0, le=1e7, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=4096)]
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_LENGTH)]
UploadId = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
_LATEST_SECONDS = 1e9
MAX_TEXTS = 5  # words in one query, and words that it excludes

_UPLOAD_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {FIELD: {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


class SearchRequest(BaseModel):
    """The query parameters of a search: a moment (`film` and `at`) or an uploaded file (`upload`), words, or both.

    `text` are the words to search with, `not` those that hits are not to match.
    """

    model_config = ConfigDict(extra="forbid")

    film: Name | None = None
    at: Seconds | None = None
    upload: UploadId | None = None
    text: list[Text] = Field(default_factory=list, max_length=MAX_TEXTS)
    not_: list[Text] = Field(default_factory=list, alias="not", max_length=MAX_TEXTS)
    from_: ModalityChoice = Field("both", alias="from")
    to: ModalityChoice = "both"
    count: int = Field(10, ge=1, le=100)
    skip: int = Field(0, ge=0, le=1_000_000)
    per: Literal["moment", "shot", "film"] = "moment"
    films: list[Name] = Field(default_factory=list, max_length=200)
    begin: Seconds | None = None
    end: Seconds | None = None
    apart: Seconds = 0.0
    floor: bool = True
    model: Annotated[str, Field(max_length=64)] | None = None

    @model_validator(mode="after")
    def _check_one_query(self) -> Self:
        moment = self.film is not None, self.at is not None
        has_file = self.upload is not None
        if moment not in ((True, True), (False, False)) or (any(moment) and has_file):
            raise ValueError("a search has a moment (film and at) or a file (upload); name one of the two")
        if not (any(moment) or has_file or self.text):
            raise ValueError("a search needs a moment (film and at), a file (upload) or words (text); name one of them")
        return self

    def build_query(self, uploads: Uploads) -> SearchQuery:
        """Return the query for the searcher."""
        has_span = self.begin is not None or self.end is not None
        span = self.begin or 0.0, _LATEST_SECONDS if self.end is None else self.end
        return SearchQuery(
            by=self._build_parts(uploads),
            from_=self.from_,
            to=self.to,
            count=self.count,
            skip=self.skip,
            per=self.per,
            films=tuple(self.films),
            span_seconds=span if has_span else None,
            apart_seconds=self.apart,
            use_threshold=self.floor,
        )

    def _build_parts(self, uploads: Uploads) -> Single | Combined:
        parts: list[Part] = []
        if self.upload is not None:
            parts.append(Part(uploads.find(self.upload, self.model)))
        elif self.film is not None:
            assert self.at is not None, "the validator requires a time with a film"
            parts.append(Part(Moment(self.film, self.at)))
        parts += [Part(Words(text)) for text in self.text]
        parts += [Part(Words(text), -1.0) for text in self.not_]
        return parts[0].by if len(parts) == 1 else Combined(tuple(parts))


class HeatRequest(SearchRequest):
    """The query parameters of a search, and the film whose clips are compared with the query."""

    in_: str = Field(alias="in", pattern="^[0-9a-f]{16}$")


def build_search_routes(
    served: ServedLibrary, models: ServedModels, uploads: Uploads, upload_limit_bytes: int
) -> APIRouter:
    """Return the routes of search."""
    routes = APIRouter(prefix="/api", responses=ERROR_ANSWERS)

    @routes.get("/search")
    def search(request: Annotated[SearchRequest, Query()]) -> SearchAnswer:
        """Return the clips most similar to the query, best first."""
        result = models.get_searcher(request.model).search(request.build_query(uploads))
        return _build_search_answer(request, result)

    @routes.get("/heat")
    def get_heat(request: Annotated[HeatRequest, Query()]) -> HeatAnswer:
        """Return the similarity of each clip of a film to the query."""
        searcher = models.get_searcher(request.model)
        query = request.build_query(uploads)
        film = served.get_film(request.in_)
        spans = list(searcher.compute_similarity_curve(query, film.film_id))
        score_threshold = searcher.search(replace(query, count=1, skip=0)).score_threshold
        return HeatAnswer(spans=spans, floor=score_threshold)

    @routes.get("/map")
    def get_map(side: Modality = "video", model: Model = None) -> MapAnswer:
        """Return a map of the library's clips on which similar clips are close together."""
        points = [
            MapPointAnswer(
                film_id=point.film_id,
                start_seconds=point.start_seconds,
                end_seconds=point.end_seconds,
                x=point.x,
                y=point.y,
            )
            for point in models.get_map(model, side)
        ]
        return MapAnswer(points=points, side=side)

    @routes.post("/uploads", openapi_extra=_UPLOAD_FORM)
    async def add_upload(request: Request, model: Model = None) -> UploadAnswer:
        """Receive a picture, a sound or a clip to search with."""
        with uploads.reserve_slot():
            async with receive_file(request, upload_limit_bytes) as file:
                return _build_upload_answer(file.upload_id, await uploads.add(file, model))

    @routes.get("/uploads/{upload}")
    def get_upload(upload: str, model: Model = None) -> UploadAnswer:
        """Return the description of an earlier upload."""
        return _build_upload_answer(upload, uploads.find(upload, model))

    return routes


def _build_search_answer(request: SearchRequest, result: SearchResult) -> SearchAnswer:
    query = QueryAnswer(
        **request.model_dump(exclude={"model"}),
        source=result.source,
        start_seconds=result.start_seconds,
        end_seconds=result.end_seconds,
    )
    hits = [
        HitAnswer(
            film_id=hit.film_id,
            source=hit.source,
            start_seconds=hit.start_seconds,
            end_seconds=hit.end_seconds,
            score=hit.score,
            shot=hit.shot,
        )
        for hit in result.hits
    ]
    return SearchAnswer(
        query=query,
        model=result.stamp,
        run=result.model,
        hits=hits,
        more=result.more,
        floor=result.score_threshold,
        exact=result.exact,
        recall=result.recall,
        nothing=result.no_hits_reason,
    )


def _build_upload_answer(upload_id: str, example: Example) -> UploadAnswer:
    return UploadAnswer(
        upload=upload_id,
        name=example.name,
        seconds=example.seconds,
        sides=list(example.modalities),
        model=example.stamp,
    )
