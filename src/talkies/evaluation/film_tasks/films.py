"""The films of a folder or of a library, found by name or by IMDb id, checked before they are read clip by clip.

A film is checked from its packets before any film is encoded, so errors are reported at once and not after hours.
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from talkies.clips import choose_workers, collate_in_batches, list_windows, read_batches, read_file_clips
from talkies.core import (
    Clip,
    ClipBatch,
    ClipRequest,
    FilmId,
    MediaError,
    Span,
    UsageError,
    escape_controls,
    path_to_text,
)
from talkies.library import FilmEntry, Library, Profile
from talkies.media import MediaInfo, has_film_suffix, probe
from talkies.runs import ClipEncoder
from talkies.runtime import hash_file

_MISSING_SECONDS = 2.0
_IMDB_ID = re.compile(r"tt\d+")
_REPLACE = "replace it by a whole copy of the film, with its sound"


@dataclass(frozen=True, slots=True)
class FilmFacts:
    """What a film's packets say: how long its pictures last, their rate a second, and whether it is constant."""

    seconds: float
    fps: float
    constant_rate: bool


class Film(ABC):
    """A film that is read from start to end.

    `name` is the name of its file, `other_names` are those it had before, and `usable` is False if a library rejected
    it.
    """

    other_names: tuple[str, ...] = ()

    def __init__(self, name: str, usable: bool, encoder: ClipEncoder) -> None:
        self.name, self.usable = name, usable
        self.profile, self.shape, self.device_type = encoder.profile, encoder.shape, encoder.device.type

    @property
    def printable_name(self) -> str:
        """The name without control characters, for messages."""
        return escape_controls(self.name)

    @abstractmethod
    def read_facts(self) -> FilmFacts:
        """Return what the film's packets say.

        Raises:
            MediaError: if the film is damaged, or lacks pictures or sound.
        """

    @abstractmethod
    def read_every(self, stride_frames: int) -> Iterator[ClipBatch]:
        """Yield all clips that fit into the film, one every `stride_frames`, in order."""

    @abstractmethod
    def read_at(self, starts: Iterable[int]) -> Iterator[ClipBatch]:
        """Yield the clips that start at frames `starts`, in order; for those that do not fit, the film's last clip."""


class _FolderFilm(Film):
    """A film file of a folder."""

    def __init__(self, path: Path, encoder: ClipEncoder) -> None:
        super().__init__(path_to_text(path.name), True, encoder)
        self._path = path

    def read_facts(self) -> FilmFacts:
        try:
            info = probe(self._path)
        except MediaError as error:
            raise MediaError(error.code, f"{self.printable_name} cannot be read ({error}); {_REPLACE}") from error
        facts = _read_facts(info, self.printable_name)
        _check_complete(info, facts.seconds, self.printable_name)
        return facts

    def read_every(self, stride_frames: int) -> Iterator[ClipBatch]:
        return collate_in_batches(self._read_clips(stride_frames))

    def read_at(self, starts: Iterable[int]) -> Iterator[ClipBatch]:
        return collate_in_batches(_select_clips(self._read_clips(stride_frames=1), set(starts)))

    def _read_clips(self, stride_frames: int) -> Iterator[Clip]:
        film_id = FilmId(hash_file(self._path))
        return read_file_clips(self._path, film_id, self.profile, self.shape, stride_frames)


class _LibraryFilm(Film):
    """A film of a library."""

    def __init__(self, library: Library, entry: FilmEntry, encoder: ClipEncoder) -> None:
        super().__init__(entry.name, entry.usable, encoder)
        self.other_names = entry.other_names
        self._library, self._entry = library, entry

    def read_facts(self) -> FilmFacts:
        record = self._library.record_of(self._entry.id)
        if record is None or not record.usable or record.probe is None:
            reason = "; ".join(reason.text for reason in self._entry.reasons) or "it has no record"
            raise MediaError("rejected", f"{self.printable_name} is not used by the library ({reason}); {_REPLACE}")
        original = _read_facts(MediaInfo.model_validate_json(json.dumps(record.probe)), self.printable_name)
        return FilmFacts(record.frames / self.profile.fps, original.fps, original.constant_rate)

    def read_every(self, stride_frames: int) -> Iterator[ClipBatch]:
        return self._read(list_windows(self._entry.id, self._entry.frames, self.shape, stride_frames))

    def read_at(self, starts: Iterable[int]) -> Iterator[ClipBatch]:
        window = self.shape.window_frames
        last = self._entry.frames - window
        if last < 0:
            return iter(())
        fitting = sorted({min(start, last) for start in starts})
        return self._read([ClipRequest(self._entry.id, Span(start, start + window)) for start in fitting])

    def _read(self, requests: Sequence[ClipRequest]) -> Iterator[ClipBatch]:
        workers = choose_workers(len(requests), self.device_type)
        return read_batches(self._library, self.shape, requests, workers=workers)


def list_films(data: Path, encoder: ClipEncoder) -> list[Film]:
    """Return the films of a library (those it rejected too), or of a folder, in the order of their names.

    Raises:
        UsageError: if there is none, or the library has another profile than the model.
    """
    if not data.is_dir():
        raise UsageError(f"{data} is not a folder; name a folder of films, or a library")
    films: list[Film] = []
    if (data / "library.json").is_file():
        library = Library.open(data)
        if library.profile != encoder.profile:
            raise UsageError(
                f"{data} has another profile ({library.profile}) than the model was trained on ({encoder.profile}); "
                f"ingest the films into a library of that profile"
            )
        films.extend(_LibraryFilm(library, entry, encoder) for entry in library.films())
    else:
        paths = (path for path in data.iterdir() if has_film_suffix(path.name) and not path.name.startswith("."))
        films.extend(_FolderFilm(path, encoder) for path in paths)
    if not films:
        raise UsageError(f"{data} holds no film; name a folder of films, or a library")
    return sorted(films, key=lambda film: film.name)


def find_library_profile(data: Path) -> Profile | None:
    """Return the profile of the library `data`, or of the library `data/films`; None if neither is one."""
    for folder in (data, data / "films"):
        if (folder / "library.json").is_file():
            return Library.open(folder).profile
    return None


def find_films_by_imdb_id(data: Path, encoder: ClipEncoder) -> dict[str, Film]:
    """Return the films of `data/films` (a folder or a library), or of the library `data`, by IMDb id.

    Raises:
        UsageError: as `list_films`, or if two films have one id.
    """
    folder = data if (data / "library.json").is_file() else data / "films"
    if not folder.is_dir():
        raise UsageError(f"{data} has no folder films; put the films there under names that start with their IMDb ids")
    films: dict[str, Film] = {}
    for film in list_films(folder, encoder):
        ids = (match[0] for name in (film.name, *film.other_names) if (match := _IMDB_ID.match(name)))
        if imdb_id := next(ids, None):
            if imdb_id in films:
                first, second = films[imdb_id].printable_name, film.printable_name
                raise UsageError(f"{first} and {second} are both {imdb_id}; take one of them away")
            films[imdb_id] = film
    return films


def choose_films(
    films: Mapping[str, Film], wanted: Sequence[str], data: Path, allow_missing: bool
) -> tuple[dict[str, Film], dict[str, Any]]:
    """Return the films of the ids `wanted`, in that order, and the facts of the protocol about missing ones.

    Raises:
        UsageError: if one is missing and that is not allowed, or all are.
    """
    missing = sorted(set(wanted) - films.keys())
    share = f"{len(missing)} of {len(wanted)} films are missing: {', '.join(missing)}"
    if (missing and not allow_missing) or len(missing) == len(wanted):
        raise UsageError(
            f"{data} has no film {missing[0]} ({share}); put the files into {data / 'films'} under names that start "
            f"with their IMDb ids, or measure on only the others with --allow-missing"
        )
    chosen = {imdb_id: films[imdb_id] for imdb_id in wanted if imdb_id in films}
    return chosen, {"films": len(chosen), "share_of_films": len(chosen) / len(wanted), "missing_films": missing}


def check_films(films: Mapping[str, Film]) -> dict[str, FilmFacts]:
    """Check that each film can be read, and return its facts.

    Raises:
        MediaError: if one is damaged, or lacks pictures or sound.
    """
    return {name: film.read_facts() for name, film in films.items()}


def _read_facts(info: MediaInfo, name: str) -> FilmFacts:
    if info.video is None or info.audio is None:
        missing = "pictures" if info.video is None else "sound"
        raise MediaError(f"no_{'video' if info.video is None else 'audio'}", f"{name} has no {missing}; {_REPLACE}")
    if info.video.fps is None:
        raise MediaError("too_short", f"{name} has fewer than two pictures; {_REPLACE}")
    return FilmFacts(info.video.times.duration_seconds, info.video.fps, info.video.constant_rate)


def _check_complete(info: MediaInfo, seconds: float, name: str) -> None:
    """Check that the film can be read to the end that its file claims."""
    claimed = (info.video.claimed_seconds if info.video else None) or info.claimed_seconds or 0.0
    if info.unreadable_end or (claimed - seconds > _MISSING_SECONDS and not info.jumps):
        raise MediaError("truncated", f"{name} can be read to {seconds:.2f} s only and is longer; {_REPLACE}")


def _select_clips(clips: Iterator[Clip], starts: set[int]) -> Iterator[Clip]:
    """Yield the clips that start at `starts`, and the last clip if a start is after it."""
    last: Clip | None = None
    for last in clips:
        if last.request.window.start_frame in starts:
            yield last
    if last is not None and max(starts) > last.request.window.start_frame not in starts:
        yield last
