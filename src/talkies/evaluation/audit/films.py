"""One pass over a library's films: each clip is read once, and encoded by every audited model.

Shapes: `N` clips of a film, `E` features.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from talkies.analysis.descriptors.shortcut_cues import SHORTCUT_CUES, CueReader
from talkies.clips import list_windows, read_films
from talkies.clips.film_pass import OnFilm
from talkies.core import ClipBatch, ClipRequest, Float32s, Int64s, UsageError
from talkies.library import FilmEntry, Library
from talkies.runs import ClipEncoder, Encoded

LEAST_CLIPS = 8
"""A film with fewer clips cannot be cut into blocks with gaps between them."""
MOST_CLIPS = 120
"""The largest number of clips of a film, spread evenly from its start to its end."""
MOST_FILMS = 128
"""The largest number of films; of more, this many are drawn."""
_BATCH_CLIPS = 32


@dataclass(frozen=True, slots=True)
class AuditedFilm:
    """A film's clips: the frame at which each starts, each model's encodings, and shortcut cues `[N, E]` by name."""

    film_id: str
    name: str
    start_N: Int64s
    encoded: Mapping[str, Encoded]
    cues: Mapping[str, Float32s]

    def __len__(self) -> int:
        return len(self.start_N)


def encode_audited_films(
    library: Library,
    encoders: Mapping[str, ClipEncoder],
    seed: int,
    on_film: OnFilm | None = None,
) -> tuple[list[AuditedFilm], list[str]]:
    """Return the audited films, encoded, and the names of the films that are too short.

    Args:
        library: The library.
        encoders: The audited models by name.
        seed: The seed of the draw of films, where there are more than `MOST_FILMS`.
        on_film: Called after each film with its name and the number of films.

    Raises:
        UsageError: if the library has another profile than the models, or fewer than two films are long enough.
        MediaError: if a film cannot be read.
    """
    encoder = next(iter(encoders.values()))
    if library.profile != encoder.profile:
        raise UsageError(
            f"{library.location} has another profile ({library.profile}) than the model was trained on "
            f"({encoder.profile}); name a library of that profile"
        )

    all_requests = {film: _request_clips(film, encoder) for film in _draw_films(library.usable_films(), seed)}
    requests = {film: own for film, own in all_requests.items() if len(own) >= LEAST_CLIPS}
    if len(requests) < 2:
        seconds = LEAST_CLIPS * encoder.shape.window_frames / encoder.profile.fps
        raise UsageError(
            f"the audit needs two films of at least {LEAST_CLIPS} clips ({seconds:g} s) each, and {library.location} "
            f"has {len(requests)} of {len(all_requests)} that long; ingest more, or longer ones"
        )

    cue_reader = CueReader(library.profile.audio_rate_hz)
    films = [
        _encode_film(film, batches, encoders, cue_reader)
        for film, batches in read_films(
            library,
            encoder.shape,
            requests,
            batch_clips=_BATCH_CLIPS,
            on_film=on_film,
            device_type=encoder.device.type,
        )
    ]
    return films, sorted(film.name for film in all_requests if film not in requests)


def _draw_films(films: Sequence[FilmEntry], seed: int) -> list[FilmEntry]:
    """Return at most `MOST_FILMS` of the films, in the order of their ids."""
    ordered = sorted(films, key=lambda film: film.film_id)
    if len(ordered) <= MOST_FILMS:
        return ordered
    places = np.random.default_rng([seed, 1]).choice(len(ordered), MOST_FILMS, replace=False)
    return [ordered[place] for place in sorted(places)]


def _request_clips(film: FilmEntry, encoder: ClipEncoder) -> list[ClipRequest]:
    window = encoder.shape.window_frames
    stride = max(window, -(-(film.frames - window) // (MOST_CLIPS - 1)))
    return list_windows(film.id, film.frames, encoder.shape, stride)


def _encode_film(
    film: FilmEntry, batches: Iterable[ClipBatch], encoders: Mapping[str, ClipEncoder], cue_reader: CueReader
) -> AuditedFilm:
    starts = list[int]()
    cues: list[dict[str, Float32s]] = []
    parts: dict[str, list[Encoded]] = {name: [] for name in encoders}
    for batch in batches:
        starts.extend(request.window.start_frame for request in batch.requests)
        cues.append(cue_reader.read(batch))
        for name, encoder in encoders.items():
            parts[name].append(encoder.encode(batch))
    return AuditedFilm(
        film_id=film.film_id,
        name=film.name,
        start_N=np.array(starts, np.int64),
        encoded={name: Encoded.concatenate(own) for name, own in parts.items()},
        cues={name: np.concatenate([part[name] for part in cues]) for name in SHORTCUT_CUES},
    )
