"""What comes back in the films of a run, from the document of `talkies repeats`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import BaseModel, Field

from talkies.clips import TrainingClips
from talkies.config import read_document
from talkies.core import ConfigError, RunError, format_count, quote_path
from talkies.objectives import Recurrences
from talkies.runs import RunRecord
from talkies.training.config import RunConfig

_VERSION = 1


class _Place(BaseModel):
    """A span of a film, as `talkies repeats` writes it."""

    film_id: str
    start_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    end_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Pair(BaseModel):
    first: _Place
    second: _Place


class _Family(BaseModel):
    passages: tuple[_Pair, ...]


class _Side(BaseModel):
    families: tuple[_Family, ...]


class _RepeatsDocument(BaseModel):
    """The parts of `repeats.json` that are needed: passages that come back, and parts of films that are the same."""

    sides: tuple[_Side, ...]
    duplicates: tuple[_Pair, ...]

    def list_pairs(self) -> Iterator[_Pair]:
        for side in self.sides:
            for family in side.families:
                yield from family.passages
        yield from self.duplicates


def read_recurrences(config: RunConfig, clips: TrainingClips, record: RunRecord | None = None) -> Recurrences | None:
    """Return what comes back in the films of a run; None if its objective names no recurrences.

    Passages of films that the run does not learn from are left out.

    Args:
        config: the run's config.
        clips: the films that it learns from.
        record: the record of a run that is resumed.

    Raises:
        ConfigError: if the file cannot be read, is not what `talkies repeats` writes, or names a film that the library
            lacks.
        RunError: if the run began with other recurrences.
    """
    if config.objective.recurrences is None:
        return None
    path, library = Path(config.objective.recurrences), clips.source.library
    remedy = f"write it with: talkies repeats --library {quote_path(library.location)} --to FOLDER --format json"
    what = "a document of talkies repeats"
    document = read_document(path, _RepeatsDocument, what, _VERSION, ConfigError, remedy=f"; {remedy}")

    # Check that it is about the films of this library.
    pairs = list(document.list_pairs())
    known = {film.film_id for film in library.usable_films()}
    for place in (place for pair in pairs for place in (pair.first, pair.second)):
        if place.end_seconds <= place.start_seconds:
            raise ConfigError(
                f"objective.recurrences: {path} has a passage that does not end after it starts; {remedy}"
            )
        if place.film_id not in known:
            raise ConfigError(
                f"objective.recurrences: {path} names the film {place.film_id!r}, which is not in {library.location}; "
                f"{remedy}"
            )

    found = _build_table(pairs, clips)
    if record and record.recurrences_digest != found.digest:
        raise RunError(
            f"{path} has changed since this run began, so it cannot continue with the same negatives; put the former "
            f"file back, or start a new run"
        )
    return found


def describe_recurrences(recurrences: Recurrences | None) -> str | None:
    """Return a sentence about what comes back in the films of a run; None if there are no recurrences."""
    if recurrences is None:
        return None
    passages = format_count(len(recurrences), "repeated passage")
    return f"clips of {passages} of these films are not negatives of the same moments elsewhere"


def _build_table(pairs: list[_Pair], clips: TrainingClips) -> Recurrences:
    """Return the pairs whose films are both learnt from, in frames of the library's grid."""
    numbers = {str(film_id): number for number, film_id in enumerate(clips.plan.films.film_ids)}
    fps, rows = clips.profile.fps, []
    for pair in pairs:
        places = pair.first, pair.second
        frames = min(round((place.end_seconds - place.start_seconds) * fps) for place in places)
        if frames and all(place.film_id in numbers for place in places):
            starts = [round(place.start_seconds * fps) for place in places]
            rows.append((*(numbers[place.film_id] for place in places), *starts, frames))
    table_P5 = torch.from_numpy(np.array(rows, np.int64).reshape(-1, 5))
    return Recurrences(table_P5[:, :2], table_P5[:, 2:4], table_P5[:, 4], clips.source.shape.window_frames)
