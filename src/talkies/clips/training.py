"""What training needs of a library: the clips, their plan, and the profile they come in."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from talkies.clips.config import ClipConfig
from talkies.clips.source import ClipSource
from talkies.core import FilmId, LibraryError, Span, plural
from talkies.library import FilmEntry, Library, Profile
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
    spans = {film.id: _sound_spans(opened, film) for film in films}
    table = FilmSpans.of(spans, {film.id: film.name for film in films})
    plan = BatchPlan.of(table, sampling, shape.window_frames, opened.profile.fps, seed)
    return TrainingClips(ClipSource(opened, shape), plan, opened.profile)


def _sound_spans(library: Library, film: FilmEntry) -> list[Span]:
    """Return what of a film was decoded as it is: nothing that a decoder patched up is ever learnt from."""
    if not any(reason.code == "damaged_packets" for reason in film.reasons):
        return [Span(0, film.frames)]
    bounds = [0]
    for span in library.marks_of(film.id).get("damaged", []):
        bounds += [span.start_frame, span.end_frame]
    bounds.append(film.frames)
    return [Span(start, end) for start, end in zip(bounds[::2], bounds[1::2], strict=True) if start < end]


def _only(films: Sequence[FilmEntry], film_ids: Sequence[str], library: str | Path) -> list[FilmEntry]:
    by_id = {film.film_id: film for film in films}
    gone = [FilmId(film_id) for film_id in film_ids if film_id not in by_id]
    if gone:
        raise LibraryError(
            f"{library} lacks {plural(len(gone), 'film')} of this run, {gone[0]} first; ingest what was taken out again"
        )
    return [by_id[film_id] for film_id in film_ids]
