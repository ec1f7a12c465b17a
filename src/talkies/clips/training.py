"""What training needs of a library: the clips, their plan, and the profile they come in."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from talkies.clips.config import ClipConfig
from talkies.clips.source import ClipSource
from talkies.core import FilmId, LibraryError, SpanTable, format_count
from talkies.library import SHOT, FilmEntry, Library, Profile
from talkies.sampling import BatchPlan, FilmSpans, SamplingConfig


@dataclass(frozen=True, slots=True)
class TrainingClips:
    """A source of clips, the plan of their batches, and the profile of the library they come from."""

    source: ClipSource
    plan: BatchPlan
    profile: Profile


def open_for_training(
    library: str | Path, clip: ClipConfig, sampling: SamplingConfig, seed: int, film_ids: Sequence[str] | None = None
) -> TrainingClips:
    """Return the clips and the plan of a library's accepted films, or of `film_ids` alone.

    Raises:
        LibraryError: if there is no such library, or it lacks a film.
        PlanError: if the films cannot give the batches.
        ConfigError: if the clip does not fit the library's grid.
    """
    opened = Library.open(library)
    films = opened.usable_films()
    if film_ids is not None:
        films = _only(films, film_ids, library)
    shape = clip.on(opened.profile.fps)
    films = sorted(films, key=lambda film: film.film_id)
    table = FilmSpans(
        tuple(film.id for film in films),
        _eligible(opened, films, sampling),
        tuple(film.name for film in films),
        opened.spans(films, {SHOT}) if sampling.one_clip_per_shot else None,
    )
    plan = BatchPlan(table, sampling, shape.window_frames, opened.profile.fps, seed)
    return TrainingClips(ClipSource(opened, shape), plan, opened.profile)


def _eligible(library: Library, films: Sequence[FilmEntry], sampling: SamplingConfig) -> SpanTable:
    """Return what clips may be drawn from: nothing marked to be excluded, and nothing that a decoder patched up."""
    fps = library.profile.fps
    first, last = (round(seconds * fps) for seconds in (sampling.skip_first_seconds, sampling.skip_last_seconds))
    frames_F = np.array([film.frames for film in films], np.int64)
    whole = SpanTable.from_bounds(np.full_like(frames_F, first), frames_F - last)
    return whole.subtract(library.spans(films, {*sampling.exclude, "damaged"}))


def _only(films: Sequence[FilmEntry], film_ids: Sequence[str], library: str | Path) -> list[FilmEntry]:
    by_id = {film.film_id: film for film in films}
    gone = [FilmId(film_id) for film_id in film_ids if film_id not in by_id]
    if gone:
        raise LibraryError(
            f"{library} lacks {format_count(len(gone), 'film')} of this run, {gone[0]} first; ingest what was taken out again"
        )
    return [by_id[film_id] for film_id in film_ids]
