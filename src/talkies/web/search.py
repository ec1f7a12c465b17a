"""The addresses of searching: hits, a film's likeness to what is asked, the map, and files to search by."""

from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from talkies.core import Modality, ModalityChoice
from talkies.retrieval.search import Example, Moment, SearchQuery, SearchResult
from talkies.web.errors import FAULTS, RefusedError
from talkies.web.films import Model
from talkies.web.multipart import FIELD, received
from talkies.web.schemas import (
    HeatAnswer,
    HitAnswer,
    MapAnswer,
    MapPointAnswer,
    QueryAnswer,
    SearchAnswer,
    UploadAnswer,
)
from talkies.web.served_library import Shelf
from talkies.web.sets import Sets
from talkies.web.uploads import Uploads

Seconds = Annotated[float, Field(ge=0, le=1e7, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=300)]
Upload = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
_LATEST_SECONDS = 1e9

_FORM: dict[str, Any] = {
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


class Asked(BaseModel):
    """What is searched for: what is like a moment (`film` and `at`), or like a file that was uploaded (`upload`)."""

    model_config = ConfigDict(extra="forbid")

    film: Name | None = None
    at: Seconds | None = None
    upload: Upload | None = None
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
    def _asks_one_thing(self) -> Self:
        moment, file = (self.film is not None, self.at is not None), self.upload is not None
        if moment not in ((True, True), (False, False)) or any(moment) == file:
            raise ValueError("a search asks with a moment (film and at), or with a file (upload); name one of the two")
        return self

    def query(self, uploads: Uploads) -> SearchQuery:
        """Return what is asked as the search takes it."""
        spanned = self.begin is not None or self.end is not None
        begin, end = self.begin or 0.0, _LATEST_SECONDS if self.end is None else self.end
        return SearchQuery(
            by=self._example_or_moment(uploads),
            from_=self.from_,
            to=self.to,
            count=self.count,
            skip=self.skip,
            per=self.per,
            films=tuple(self.films),
            span_seconds=(begin, end) if spanned else None,
            apart_seconds=self.apart,
            use_threshold=self.floor,
        )

    def _example_or_moment(self, uploads: Uploads) -> Example | Moment:
        if self.upload is not None:
            return uploads.find(self.upload, self.model)
        assert self.film is not None, "one thing is asked"
        assert self.at is not None, "a moment has a time"
        return Moment(self.film, self.at)


class HeatAsked(Asked):
    """The same, and the film whose clips are compared with it."""

    in_: str = Field(alias="in", pattern="^[0-9a-f]{16}$")


def search_routes(shelf: Shelf, sets: Sets, uploads: Uploads, upload_limit_bytes: int) -> APIRouter:
    """Return the addresses of searching."""
    routes = APIRouter(prefix="/api", responses=FAULTS)

    @routes.get("/search")
    def search(asked: Annotated[Asked, Query()]) -> SearchAnswer:
        """Return what is most like what is asked, best first."""
        return _search_answer(asked, sets.searcher(asked.model).search(asked.query(uploads)))

    @routes.get("/heat")
    def heat(asked: Annotated[HeatAsked, Query()]) -> HeatAnswer:
        """Return how alike each clip of a film is to what is asked."""
        searcher, query = sets.searcher(asked.model), asked.query(uploads)
        film = shelf.film(asked.in_)
        spans = list(searcher.compute_similarity_curve(query, film.film_id))
        return HeatAnswer(spans=spans, floor=searcher.search(replace(query, count=1, skip=0)).score_threshold)

    @routes.get("/map")
    def laid_out(side: Modality = "video", model: Model = None) -> MapAnswer:
        """Return clips of the library laid out so that what is alike lies together."""
        points = sets.map(model, side)
        return MapAnswer(
            points=[
                MapPointAnswer(
                    film_id=p.film_id, start_seconds=p.start_seconds, end_seconds=p.end_seconds, x=p.x, y=p.y
                )
                for p in points
            ],
            side=side,
        )

    @routes.post("/uploads", openapi_extra=_FORM)
    async def upload(request: Request, model: Model = None) -> UploadAnswer:
        """Take in a picture, a sound or a clip to search by."""
        with uploads.coming():
            async with received(request, upload_limit_bytes) as file:
                return _upload_answer(file.upload, await uploads.add(file, model))

    @routes.get("/uploads/{upload}")
    def uploaded(upload: str, model: Model = None) -> UploadAnswer:
        """Return what was uploaded before."""
        return _upload_answer(upload, uploads.find(upload, model))

    return routes


def _search_answer(asked: Asked, result: SearchResult) -> SearchAnswer:
    told = asked.model_dump(exclude={"model"})
    span = {"source": result.source, "start_seconds": result.start_seconds, "end_seconds": result.end_seconds}
    return SearchAnswer(
        query=QueryAnswer(**told, **span),
        model=result.stamp,
        hits=[
            HitAnswer(
                film_id=hit.film_id,
                source=hit.source,
                start_seconds=hit.start_seconds,
                end_seconds=hit.end_seconds,
                score=hit.score,
                shot=hit.shot,
            )
            for hit in result.hits
        ],
        more=result.more,
        floor=result.score_threshold,
        exact=result.exact,
        recall=result.recall,
        nothing=result.no_hits_reason,
    )


def _upload_answer(upload: str, example: Example) -> UploadAnswer:
    if not example.modalities:
        raise RefusedError(422, f"{example.name} holds no picture and no sound")
    return UploadAnswer(
        upload=upload, name=example.name, seconds=example.seconds, sides=list(example.modalities), model=example.stamp
    )
