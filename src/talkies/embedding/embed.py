"""The verb: embed every film of a library that this model has not embedded yet."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch

from talkies.clips import ClipSource, film_windows, sequential_batches
from talkies.core import ClipBatch, Embeddings, LibraryError, ahead
from talkies.embedding.encoder import ClipEncoder, Encoded, load_encoder
from talkies.embedding.index import EmbeddingSet, VectorIndex
from talkies.library import FilmEntry, Library

STRIDE_SECONDS = 1.0
_BATCHES_AHEAD = 2


@dataclass(frozen=True, slots=True)
class EmbedReport:
    """What an embedding did: the set, films and clips added, films that were there, films shorter than one clip."""

    entry: EmbeddingSet
    films: int
    clips: int
    reused: int
    too_short: tuple[str, ...]


def embed(
    library: str | Path,
    run: Path,
    stride_seconds: float = STRIDE_SECONDS,
    on_film: Callable[[FilmEntry, int], None] | None = None,
) -> EmbedReport:
    """Embed each accepted film's clips, one each `stride_seconds`, with the newest checkpoint of `run`.

    `on_film` is called after each film with its record and the number of films in all.

    Raises:
        RunError: if there is no such run, or it has no checkpoint.
        LibraryError: if there is no such library, it holds no film, or its grid is not the one that the model learnt.
    """
    opened = Library.open(library)
    films = opened.usable_films()
    encoder = load_encoder(run)
    if opened.profile != encoder.profile:
        raise LibraryError(
            f"{library} has another profile ({opened.profile}) than the films of {run} ({encoder.profile}); "
            f"ingest the films into a library of that profile"
        )
    grid = opened.profile.grid
    stride_frames = max(1, round(stride_seconds * grid.fps))
    index = VectorIndex(opened)
    entry = EmbeddingSet(
        stamp=encoder.stamp,
        run=str(run.absolute()),
        step=encoder.step,
        dim=encoder.dim,
        clip_seconds=encoder.shape.window_frames / grid.fps,
        stride_seconds=stride_frames / grid.fps,
    )
    index.begin(entry)
    known = index.films_in(entry.stamp)
    source = ClipSource(opened, encoder.shape)
    windows = {
        film.film_id: film_windows(film.id, film.frames, encoder.shape, stride_frames)
        for film in films
        if film.film_id not in known
    }
    requests = [request for some in windows.values() for request in some]
    batches = sequential_batches(source, requests, {film.id: 0 for film in films}, workers=None)
    of_films = groupby(batches, key=lambda batch: batch.requests[0].film_id)
    for film in films:
        if some := windows.get(film.film_id):
            index.add_film(entry.stamp, some, encode_all(encoder, next(of_films)[1]).embeddings)
        if on_film:
            on_film(film, len(films))
    source.close()
    added = [requests for requests in windows.values() if requests]
    short = tuple(film.name for film in films if windows.get(film.film_id) == [])
    return EmbedReport(entry, len(added), sum(map(len, added)), len(known), short)


def encode_all(encoder: ClipEncoder, batches: Iterable[ClipBatch]) -> Encoded:
    """Return what the encoders make of all batches, as one; a thread reads while they work."""
    with ahead(batches, _BATCHES_AHEAD) as coming:
        parts = [encoder.encode(batch) for batch in coming]
    names = ("video_BD", "audio_BD", "film_B", "start_B")
    embeddings = Embeddings(*(torch.cat([getattr(part.embeddings, name) for part in parts]) for name in names))
    return Encoded(embeddings, torch.cat([p.video_BE for p in parts]), torch.cat([p.audio_BE for p in parts]))
