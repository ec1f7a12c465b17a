"""One pass over a library's films: each clip is read once, described (by hand or by a run), and its marks are taken.

Shapes: `N` clips of a film, `E` numbers.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from talkies.analysis.descriptors.handcrafted import Blocks, HandcraftedReader
from talkies.analysis.descriptors.shortcut_cues import SHORTCUT_CUES, CueReader
from talkies.clips import ClipConfig, read_films
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
"""A film of fewer clips is left out."""
MOST_CLIPS = 600
"""Of a longer film so many clips are taken, spread evenly from its beginning to its end."""
CLIP_SECONDS = 2
NEVER_DRAWN = ("black", "silent", "still", "credits")
_FPS = 8
_BATCH_CLIPS = 32


@dataclass(frozen=True, slots=True)
class DescribedFilm:
    """A film's clips: at which frame each begins, the blocks `[N, E]` that describe its pictures and its sound, and its
    shortcut cues `[N, E]` by name. `across_cuts`: the film's shots are so short that clips do not keep to them.
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
    """Return the clip that is described by hand where a second has `fps` frames: 2 s, about 8 pictures a second."""
    rate = max(rate for rate in range(1, min(_FPS, fps) + 1) if fps % rate == 0)
    return ClipConfig(frames=CLIP_SECONDS * rate, fps=rate, audio_seconds=float(CLIP_SECONDS))


def describe_films(
    library: Library, encoder: ClipEncoder | None = None, on_film: Callable[[str, int], None] | None = None
) -> tuple[list[DescribedFilm], list[str]]:
    """Return the library's films described by `encoder`, or by hand, and the names of those that are too short.

    `on_film` is called after each film with its name and their number.

    Raises:
        LibraryError: if the library holds no accepted film.
        UsageError: if the encoder learnt on another profile, or no film is long enough.
        MediaError: if a film cannot be read.
    """
    if encoder and library.profile != encoder.profile:
        raise UsageError(
            f"{library.location} has another profile ({library.profile}) than the model learnt on "
            f"({encoder.profile}); name a library of that profile"
        )
    shape = encoder.shape if encoder else plain_clip(library.profile.fps).on(library.profile.fps)
    films = sorted(library.usable_films(), key=lambda film: film.film_id)
    laid = {film: clips_of(film, library, shape) for film in films}
    chosen = [film for film in films if len(laid[film][0]) >= LEAST_CLIPS]
    if not chosen:
        seconds = LEAST_CLIPS * shape.window_frames / library.profile.fps
        raise UsageError(
            f"an analysis needs a film of at least {LEAST_CLIPS} clips ({seconds:g} s), and {library.location} has "
            "none so long; ingest longer ones"
        )
    requests = {film: laid[film][0] for film in chosen}
    reader = _Reader(library, encoder)
    described = [
        reader.describe(film, requests[film], batches, across_cuts=laid[film][1])
        for film, batches in read_films(library, shape, requests, batch_clips=_BATCH_CLIPS, on_film=on_film)
    ]
    return described, sorted(film.name for film in films if film not in chosen)


def clips_of(film: FilmEntry, library: Library, shape: ClipShape) -> tuple[list[ClipRequest], bool]:
    """Return a film's clips, end to end within each shot, and whether they do not keep to shots.

    They do not where that would leave out more than half of what there is. Nothing is taken of what is black, silent,
    still or credits, for nothing of it is learnt from.
    """
    window = shape.window_frames
    marks = library.annotations_of(film.id)
    barred = [span for kind in (*NEVER_DRAWN, "damaged") for span in marks.get(kind, [])]
    whole = Span(0, film.frames)
    anywhere = _free(whole, window, barred)
    within = [start for shot in library.shots_of(film.id) for start in _free(shot, window, barred)]
    across = 2 * len(within) < len(anywhere)
    starts = anywhere if across else within
    starts = [starts[place] for place in evenly_spaced(len(starts), MOST_CLIPS)]
    return [ClipRequest(film.id, Span(start, start + window)) for start in starts], across


def _free(span: Span, window: int, barred: Sequence[Span]) -> list[int]:
    """Return where clips of so many frames begin that lie end to end in a span, less those that meet what is barred."""
    starts = range(span.start_frame, span.end_frame - window + 1, window)
    return [start for start in starts if not any(Span(start, start + window).overlaps(each) for each in barred)]


class _Reader:
    """Describes film after film."""

    def __init__(self, library: Library, encoder: ClipEncoder | None) -> None:
        self._encoder, rate_hz = encoder, library.profile.audio_rate_hz
        self._by_hand, self._cues = HandcraftedReader(rate_hz), CueReader(rate_hz)

    def describe(
        self, film: FilmEntry, requests: Sequence[ClipRequest], batches: Iterable[ClipBatch], *, across_cuts: bool
    ) -> DescribedFilm:
        blocks, cues = [], []
        for batch in batches:
            blocks.append(self._describe(batch))
            cues.append(self._cues.read(batch))
        return DescribedFilm(
            film_id=film.film_id,
            name=film.name,
            seconds=film.duration_seconds,
            start_N=np.array([request.window.start_frame for request in requests], np.int64),
            across_cuts=across_cuts,
            blocks={modality: _joined([part[modality] for part in blocks]) for modality in MODALITIES},
            cues={name: np.concatenate([part[name] for part in cues]) for name in SHORTCUT_CUES},
        )

    def _describe(self, batch: ClipBatch) -> dict[Modality, Blocks]:
        if self._encoder is None:
            return self._by_hand.read(batch)
        embeddings = self._encoder.encode(batch).embeddings
        return {"video": (embeddings.video_BD.numpy(),), "audio": (embeddings.audio_BD.numpy(),)}


def _joined(parts: Sequence[Blocks]) -> Blocks:
    return tuple(np.concatenate(same) for same in zip(*parts, strict=True))
