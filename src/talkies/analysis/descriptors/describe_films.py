"""Describes a library's films in one pass: each clip is read once, for its descriptors and its shortcut cues.

Shapes: `N` clips of a film, `E` numbers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from talkies.analysis.descriptors.handcrafted import Blocks, HandcraftedReader
from talkies.analysis.descriptors.shortcut_cues import SHORTCUT_CUES, CueReader
from talkies.clips import ClipConfig, read_films
from talkies.clips.film_pass import OnFilm
from talkies.core import (
    MODALITIES,
    ClipBatch,
    ClipRequest,
    ClipShape,
    Float32s,
    Int64s,
    Modality,
    Span,
    UsageError,
    evenly_spaced,
)
from talkies.library import FilmEntry, Library
from talkies.runs.clip_encoder import ClipEncoder

LEAST_CLIPS = 8
"""A film with fewer clips is left out."""
MOST_CLIPS = 600
"""The largest number of clips of a film, spread evenly from its start to its end."""
CLIP_SECONDS = 2
EXCLUDED_KINDS = ("black", "silent", "still", "credits")
"""Annotations whose spans training does not use either."""
_FPS = 8
_BATCH_CLIPS = 32


@dataclass(frozen=True, slots=True)
class DescribedFilm:
    """A film's clips, each described by numbers.

    `start_N` is the frame at which each clip starts, `blocks` the descriptors `[N, E]` of each modality, and `cues` the
    shortcut cues `[N, E]` by name. `across_cuts`: the shots are so short that clips extend across cuts.
    """

    film_id: str
    name: str
    seconds: float
    start_N: Int64s
    across_cuts: bool
    blocks: Mapping[Modality, Blocks]
    cues: Mapping[str, Float32s]

    def __len__(self) -> int:
        return len(self.start_N)


def plain_clip(fps: int) -> ClipConfig:
    """Return the clip that is described by hand on a grid of `fps` frames a second: 2 s, about 8 pictures a second."""
    rate = max(rate for rate in range(1, min(_FPS, fps) + 1) if fps % rate == 0)
    return ClipConfig(frames=CLIP_SECONDS * rate, fps=rate, audio_seconds=float(CLIP_SECONDS))


def describe_films(
    library: Library, encoder: ClipEncoder | None = None, on_film: OnFilm | None = None
) -> tuple[list[DescribedFilm], list[str]]:
    """Return the library's films, described clip by clip, and the names of the films that are too short.

    Args:
        library: The library.
        encoder: The encoder whose embeddings describe the clips; handcrafted descriptors describe what it does not
            encode, and everything without one.
        on_film: Called after each film with its name and the number of films.

    Raises:
        LibraryError: if the library holds no accepted film.
        UsageError: if the encoder was trained on another profile, or no film is long enough.
        MediaError: if a film cannot be read.
    """
    if encoder and library.profile != encoder.profile:
        raise UsageError(
            f"{library.location} has another profile ({library.profile}) than the model was trained on "
            f"({encoder.profile}); name a library of that profile"
        )

    # Choose the clips of every film.
    shape = encoder.shape if encoder else plain_clip(library.profile.fps).to_shape(library.profile.fps)
    films = sorted(library.usable_films(), key=lambda film: film.film_id)
    clips = {film: choose_clips(film, library, shape) for film in films}
    long_enough = [film for film in films if len(clips[film][0]) >= LEAST_CLIPS]
    if not long_enough:
        seconds = LEAST_CLIPS * shape.window_frames / library.profile.fps
        raise UsageError(
            f"an analysis needs a film of at least {LEAST_CLIPS} clips ({seconds:g} s), and {library.location} has "
            "none that long; ingest longer ones"
        )

    # Read and describe them.
    requests = {film: clips[film][0] for film in long_enough}
    describer = _Describer(library, encoder)
    described = [
        describer.describe(film, requests[film], batches, across_cuts=clips[film][1])
        for film, batches in read_films(library, shape, requests, batch_clips=_BATCH_CLIPS, workers=0, on_film=on_film)
    ]
    return described, sorted(film.name for film in films if film not in long_enough)


def choose_clips(film: FilmEntry, library: Library, shape: ClipShape) -> tuple[list[ClipRequest], bool]:
    """Return a film's clips, end to end within each shot, and whether they extend across cuts instead.

    They do where clips within shots would leave out more than half of the film. Clips that overlap black, silent,
    still, credits or damaged spans are left out: training does not use those either.
    """
    window = shape.window_frames
    annotations = library.annotations_of(film.id)
    excluded = [span for kind in (*EXCLUDED_KINDS, "damaged") for span in annotations.get(kind, [])]

    anywhere = _list_starts(Span(0, film.frames), window, excluded)
    within_shots = [start for shot in library.shots_of(film.id) for start in _list_starts(shot, window, excluded)]
    across_cuts = 2 * len(within_shots) < len(anywhere)

    starts = anywhere if across_cuts else within_shots
    starts = [starts[place] for place in evenly_spaced(len(starts), MOST_CLIPS)]
    return [ClipRequest(film.id, Span(start, start + window)) for start in starts], across_cuts


def _list_starts(span: Span, window: int, excluded: Sequence[Span]) -> list[int]:
    """Return where clips of `window` frames start that are end to end in a span and overlap no excluded span."""
    starts = range(span.start_frame, span.end_frame - window + 1, window)
    return [start for start in starts if not any(Span(start, start + window).overlaps(other) for other in excluded)]


class _Describer:
    """Describes one film after the other."""

    def __init__(self, library: Library, encoder: ClipEncoder | None) -> None:
        rate_hz = library.profile.audio_rate_hz
        self._encoder = encoder
        self._handcrafted = HandcraftedReader(rate_hz)
        self._cues = CueReader(rate_hz)

    def describe(
        self, film: FilmEntry, requests: Sequence[ClipRequest], batches: Iterable[ClipBatch], *, across_cuts: bool
    ) -> DescribedFilm:
        blocks, cues = [], []
        for batch in batches:
            blocks.append(self._describe_batch(batch))
            cues.append(self._cues.read(batch))
        return DescribedFilm(
            film_id=film.film_id,
            name=film.name,
            seconds=film.duration_seconds,
            start_N=np.array([request.window.start_frame for request in requests], np.int64),
            across_cuts=across_cuts,
            blocks={modality: _join_blocks([part[modality] for part in blocks]) for modality in MODALITIES},
            cues={name: np.concatenate([part[name] for part in cues]) for name in SHORTCUT_CUES},
        )

    def _describe_batch(self, batch: ClipBatch) -> dict[Modality, Blocks]:
        has = self._encoder.modalities if self._encoder else ()
        blocks = self._handcrafted.read(batch) if len(has) < len(MODALITIES) else {}
        if self._encoder:
            embeddings = self._encoder.encode(batch).embeddings
            rows = {"video": embeddings.video_BD, "audio": embeddings.audio_BD}
            blocks |= {modality: (rows[modality].numpy(),) for modality in has}
        return blocks


def _join_blocks(parts: Sequence[Blocks]) -> Blocks:
    return tuple(np.concatenate(same) for same in zip(*parts, strict=True))
