"""The films of a folder or of a library, encoded clip by clip."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby, islice
from pathlib import Path

from talkies.clips import ClipSource, clips_of_file, collate, film_windows, sequential_batches
from talkies.core import Clip, ClipBatch, ClipRequest, FilmId, UsageError
from talkies.library import Library
from talkies.media import has_film_suffix
from talkies.retrieval.index import encode_all
from talkies.runs import ClipEncoder, Encoded
from talkies.runtime import hash_file

_BATCH_CLIPS = 64


@dataclass(frozen=True, slots=True)
class EncodedFilm:
    """One film: its file's name, the clips that were asked for, and what the encoders make of them."""

    name: str
    requests: tuple[ClipRequest, ...]
    encoded: Encoded


def encode_films(
    encoder: ClipEncoder, data: Path, stride_frames: int, on_film: Callable[[str, int], None] | None = None
) -> list[EncodedFilm]:
    """Return every film in `data` (a library, or a folder of films), one clip each `stride_frames`.

    Films shorter than a clip are left out. `on_film` is called after each with its name and their number.

    Raises:
        UsageError: if `data` is no folder, or no film in it is as long as a clip.
        MediaError: if a film cannot be read.
    """
    if not data.is_dir():
        raise UsageError(f"{data} is not a folder; name a folder of films, or a library")
    is_library = (data / "library.json").is_file()
    reading = _of_library(encoder, data, stride_frames) if is_library else _of_folder(encoder, data, stride_frames)
    films = []
    for film, count in reading:
        if film is not None:
            films.append(film)
        if on_film:
            on_film(film.name if film else "", count)
    if not films:
        raise UsageError(f"no film in {data} is as long as one clip ({_clip_seconds(encoder):g} s)")
    return films


def _of_library(encoder: ClipEncoder, data: Path, stride_frames: int) -> Iterator[tuple[EncodedFilm | None, int]]:
    library = Library.open(data)
    films = library.usable_films()
    if library.profile != encoder.profile:
        raise UsageError(f"{data} has another profile ({library.profile}) than the model learnt on ({encoder.profile})")
    source = ClipSource(library, encoder.shape)
    windows = {film.id: film_windows(film.id, film.frames, encoder.shape, stride_frames) for film in films}
    requests = [request for some in windows.values() for request in some]
    batches = sequential_batches(source, requests, dict.fromkeys(windows, 0), _BATCH_CLIPS, workers=None)
    of_films = groupby(batches, key=lambda batch: batch.requests[0].film_id)
    for film in films:
        yield _encoded(encoder, film.name, next(of_films)[1] if windows[film.id] else iter(())), len(films)
    source.close()


def _of_folder(encoder: ClipEncoder, data: Path, stride_frames: int) -> Iterator[tuple[EncodedFilm | None, int]]:
    paths = sorted(path for path in data.iterdir() if has_film_suffix(path.name) and not path.name.startswith("."))
    if not paths:
        raise UsageError(f"{data} holds no film; name a folder of films, or a library")
    for path in paths:
        film_id = FilmId(hash_file(path))
        clips = clips_of_file(path, film_id, encoder.profile, encoder.shape, stride_frames)
        yield _encoded(encoder, path.name, _batches(clips, film_id)), len(paths)


def _batches(clips: Iterator[Clip], film_id: FilmId) -> Iterator[ClipBatch]:
    while some := list(islice(clips, _BATCH_CLIPS)):
        yield collate(some, {film_id: 0})


def _encoded(encoder: ClipEncoder, name: str, batches: Iterable[ClipBatch]) -> EncodedFilm | None:
    """Return a film's clips encoded, batch after batch, or nothing if it has none."""
    requests: list[ClipRequest] = []

    def noted() -> Iterator[ClipBatch]:
        for batch in batches:
            requests.extend(batch.requests)
            yield batch

    parts = noted()
    first = next(parts, None)
    if first is None:
        return None
    encoded = encode_all(encoder, chain([first], parts))
    return EncodedFilm(name, tuple(requests), encoded)


def _clip_seconds(encoder: ClipEncoder) -> float:
    return encoder.shape.window_frames / encoder.profile.fps
