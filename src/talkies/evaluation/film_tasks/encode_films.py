"""The films of a folder or of a library, encoded clip by clip."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from talkies.clips import collate_in_batches, list_windows, read_file_clips, read_films
from talkies.clips.film_pass import OnFilm
from talkies.core import ClipBatch, ClipRequest, FilmId, UsageError, path_to_text
from talkies.library import Library
from talkies.media import has_film_suffix
from talkies.runs import ClipEncoder, Encoded
from talkies.runtime import hash_file


@dataclass(frozen=True, slots=True)
class EncodedFilm:
    """One film: its file's name, the clips that were read, and what the encoders made of them."""

    name: str
    requests: tuple[ClipRequest, ...]
    encoded: Encoded


@dataclass(frozen=True, slots=True)
class _FilmToEncode:
    """A film's name, its clips in batches, and the number of films that are encoded."""

    name: str
    batches: Iterable[ClipBatch]
    films: int


def encode_films(
    encoder: ClipEncoder, data: Path, stride_frames: int, on_film: OnFilm | None = None
) -> list[EncodedFilm]:
    """Return every film of a library or of a folder, encoded; films shorter than a clip are left out.

    Args:
        encoder: The encoders.
        data: A library, or a folder of films.
        stride_frames: The distance between the starts of two clips, in frames of the encoder's grid.
        on_film: Called after each film with its name and the number of films.

    Raises:
        UsageError: if `data` is no folder, or no film in it is as long as a clip.
        MediaError: if a film cannot be read.
    """
    if not data.is_dir():
        raise UsageError(f"{data} is not a folder; name a folder of films, or a library")
    is_library = (data / "library.json").is_file()
    films = _read_library(encoder, data, stride_frames) if is_library else _read_folder(encoder, data, stride_frames)
    encoded_films = []
    for film in films:
        encoded = _encode_film(encoder, film)
        if encoded:
            encoded_films.append(encoded)
        if on_film:
            on_film(encoded.name if encoded else "", film.films)
    if not encoded_films:
        seconds = encoder.shape.window_frames / encoder.profile.fps
        raise UsageError(f"no film in {data} is as long as one clip ({seconds:g} s)")
    return encoded_films


def _read_library(encoder: ClipEncoder, data: Path, stride_frames: int) -> Iterator[_FilmToEncode]:
    library = Library.open(data)
    films = library.usable_films()
    if library.profile != encoder.profile:
        raise UsageError(
            f"{data} has another profile ({library.profile}) than the model was trained on ({encoder.profile}); "
            f"ingest the films into a library of that profile"
        )
    requests = {film: list_windows(film.id, film.frames, encoder.shape, stride_frames) for film in films}
    for film, batches in read_films(library, encoder.shape, requests, device_type=encoder.device.type):
        yield _FilmToEncode(film.name, batches, len(films))


def _read_folder(encoder: ClipEncoder, data: Path, stride_frames: int) -> Iterator[_FilmToEncode]:
    paths = sorted(path for path in data.iterdir() if has_film_suffix(path.name) and not path.name.startswith("."))
    if not paths:
        raise UsageError(f"{data} holds no film; name a folder of films, or a library")
    for path in paths:
        clips = read_file_clips(path, FilmId(hash_file(path)), encoder.profile, encoder.shape, stride_frames)
        yield _FilmToEncode(path_to_text(path.name), collate_in_batches(clips), len(paths))


def _encode_film(encoder: ClipEncoder, film: _FilmToEncode) -> EncodedFilm | None:
    """Return a film's clips encoded, or None if it has none."""
    requests: list[ClipRequest] = []
    parts: list[Encoded] = []
    for batch in film.batches:
        requests += batch.requests
        parts.append(encoder.encode(batch))
    return EncodedFilm(film.name, tuple(requests), Encoded.concatenate(parts)) if parts else None
