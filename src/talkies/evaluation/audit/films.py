"""One pass over a library's films: each clip is read once, and encoded by every model that is audited.

Shapes: `B` clips of a batch, `N` clips of a film, `E` features.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from talkies.analysis.descriptors.shortcut_cues import SHORTCUT_CUES, CueReader
from talkies.clips import list_windows, read_films
from talkies.core import ClipBatch, ClipRequest, Float32s, Int64s, UsageError
from talkies.library import FilmEntry, Library
from talkies.runs import ClipEncoder, Encoded

LEAST_CLIPS = 8
"""A film of fewer clips cannot be cut into blocks with gaps between them."""
MOST_CLIPS = 120
"""Of a longer film so many clips are taken, spread evenly from its beginning to its end."""
MOST_FILMS = 128
"""Of more films so many are drawn."""
_BATCH_CLIPS = 32


@dataclass(frozen=True, slots=True)
class AuditedFilm:
    """A film's clips: at which frame each begins, what each model makes of them, and their marks `[N, E]` by name."""

    film_id: str
    name: str
    start_N: Int64s
    encoded: Mapping[str, Encoded]
    marks: Mapping[str, Float32s]

    def __len__(self) -> int:
        return len(self.start_N)


def films_for_audit(
    library: Library,
    encoders: Mapping[str, ClipEncoder],
    seed: int,
    on_film: Callable[[str, int], None] | None = None,
) -> tuple[list[AuditedFilm], list[str]]:
    """Return the films that are audited, encoded, and the names of those that are too short.

    `on_film` is called after each with its name and their number.

    Raises:
        UsageError: if the library has another profile than the models, or fewer than two films are long enough.
        MediaError: if a film cannot be read.
    """
    encoder = next(iter(encoders.values()))
    if library.profile != encoder.profile:
        raise UsageError(
            f"{library.location} has another profile ({library.profile}) than the model learnt on "
            f"({encoder.profile}); name a library of that profile"
        )
    asked = {film: _requests(film, encoder) for film in _drawn(library.usable_films(), seed)}
    chosen = [film for film, requests in asked.items() if len(requests) >= LEAST_CLIPS]
    if len(chosen) < 2:
        seconds = LEAST_CLIPS * encoder.shape.window_frames / encoder.profile.fps
        raise UsageError(
            f"the audit needs two films of at least {LEAST_CLIPS} clips ({seconds:g} s) each, and {library.location} "
            f"has {len(chosen)} of {len(asked)} so long; ingest more, or longer ones"
        )
    requests = {film: asked[film] for film in chosen}
    marks = CueReader(library.profile.audio_rate_hz)
    films = [
        _encoded(film, batches, encoders, marks)
        for film, batches in read_films(library, encoder.shape, requests, batch_clips=_BATCH_CLIPS, on_film=on_film)
    ]
    return films, sorted(film.name for film in asked if film not in chosen)


def _drawn(films: Sequence[FilmEntry], seed: int) -> list[FilmEntry]:
    ordered = sorted(films, key=lambda film: film.film_id)
    if len(ordered) <= MOST_FILMS:
        return ordered
    places = np.random.default_rng([seed, 1]).choice(len(ordered), MOST_FILMS, replace=False)
    return [ordered[place] for place in sorted(places)]


def _requests(film: FilmEntry, encoder: ClipEncoder) -> list[ClipRequest]:
    window = encoder.shape.window_frames
    stride = max(window, -(-(film.frames - window) // (MOST_CLIPS - 1)))
    return list_windows(film.id, film.frames, encoder.shape, stride)


def _encoded(
    film: FilmEntry,
    batches: Iterable[ClipBatch],
    encoders: Mapping[str, ClipEncoder],
    marks: CueReader,
) -> AuditedFilm:
    parts: dict[str, list[Encoded]] = {name: [] for name in encoders}
    read, starts = [], list[int]()
    for batch in batches:
        starts.extend(request.window.start_frame for request in batch.requests)
        read.append(marks.read(batch))
        for name, encoder in encoders.items():
            parts[name].append(encoder.encode(batch))
    start_N = np.array(starts, np.int64)
    joined = {name: np.concatenate([part[name] for part in read]) for name in SHORTCUT_CUES}
    return AuditedFilm(
        film.film_id, film.name, start_N, {name: Encoded.concatenate(each) for name, each in parts.items()}, joined
    )
