"""What training takes from a library: the source of its clips, the plan of the batches, and the library's profile."""

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


def open_training_clips(
    library: str | Path, clip: ClipConfig, sampling: SamplingConfig, seed: int, film_ids: Sequence[str] | None = None
) -> TrainingClips:
    """Return the clips of a library's films and the plan of their batches.

    Args:
        library: The library's folder.
        clip: What a clip is made of.
        sampling: How batches are drawn.
        seed: The seed of the plan.
        film_ids: Take only these films; None takes all that the library accepted.

    Raises:
        LibraryError: if there is no such library, or it lacks a film.
        PlanError: if the films cannot fill the batches.
        ConfigError: if the clip does not fit the library's grid.
    """
    opened = Library.open(library)
    films = opened.usable_films()
    if film_ids is not None:
        films = _select_films(films, film_ids, library)
    shape = clip.to_shape(opened.profile.fps)
    films = sorted(films, key=lambda film: film.film_id)
    table = FilmSpans(
        tuple(film.id for film in films),
        _find_eligible_spans(opened, films, sampling),
        tuple(film.name for film in films),
        opened.spans(films, {SHOT}) if sampling.one_clip_per_shot else None,
    )
    plan = BatchPlan(table, sampling, shape.window_frames, opened.profile.fps, seed)
    return TrainingClips(ClipSource(opened, shape), plan, opened.profile)


def _find_eligible_spans(library: Library, films: Sequence[FilmEntry], sampling: SamplingConfig) -> SpanTable:
    """Return the spans that clips may be drawn from: without excluded annotations and without damaged parts."""
    fps = library.profile.fps
    first, last = (round(seconds * fps) for seconds in (sampling.skip_first_seconds, sampling.skip_last_seconds))
    frames_F = np.array([film.frames for film in films], np.int64)
    whole_films = SpanTable.from_bounds(np.full_like(frames_F, first), frames_F - last)
    return whole_films.subtract(library.spans(films, {*sampling.exclude, "damaged"}))


def _select_films(films: Sequence[FilmEntry], film_ids: Sequence[str], library: str | Path) -> list[FilmEntry]:
    """Return the films of these ids, in their order.

    Raises:
        LibraryError: if one is missing.
    """
    by_id = {film.film_id: film for film in films}
    missing = [FilmId(film_id) for film_id in film_ids if film_id not in by_id]
    if missing:
        raise LibraryError(
            f"{library} lacks {format_count(len(missing), 'film')} of this run, {missing[0]} first; "
            "ingest the removed films again"
        )
    return [by_id[film_id] for film_id in film_ids]
