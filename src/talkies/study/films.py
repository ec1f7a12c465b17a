"""The films of a study by nature: rendered and ingested; the unseen ones are read once."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from talkies.clips import list_windows, read_films
from talkies.core import ClipBatch, ClipRequest, ClipShape, WorkError
from talkies.evaluation.film_tasks.encode_films import EncodedFilm
from talkies.ingestion import ingest
from talkies.library import Library
from talkies.runs import ClipEncoder
from talkies.runtime import hash_file
from talkies.study.arms import Nature
from talkies.study.scale import Scale
from talkies.synth import Recordings, render_films

_SEEN_SEED, _UNSEEN_SEED = 2, 3


@dataclass(frozen=True, slots=True)
class FilmsOfNature:
    """The places of the films of one nature in the study's folder `root`."""

    root: Path
    nature: str
    judged_on: str

    @classmethod
    def of(cls, root: Path, nature: Nature) -> "FilmsOfNature":
        """Return the places of a nature's films, and of those that its models are measured on."""
        return cls(root, nature.name, nature.judged_on or nature.name)

    @property
    def folder(self) -> Path:
        """The folder of this nature."""
        return self.root / "films" / self.nature

    @property
    def unseen(self) -> Path:
        """The rendered films that no model is trained on, with their truth."""
        return self.root / "films" / self.judged_on / "unseen"

    @property
    def library(self) -> Path:
        """The library to train on."""
        return self.folder / "library"

    @property
    def unseen_library(self) -> Path:
        """The library of the unseen films."""
        return self.root / "films" / self.judged_on / "unseen-library"

    @property
    def fingerprint(self) -> str:
        """The hashes of the films' scripts, which identify them."""
        return " ".join(hash_file(side / "truth.json") for side in (self.folder / "seen", self.unseen))


def make_films(
    root: Path,
    nature: Nature,
    scale: Scale,
    *,
    recordings: Recordings,
    workers: int,
    on_film: Callable[[str], None],
) -> None:
    """Render the films of a nature and ingest them into libraries; existing ones are kept.

    Raises:
        UsageError: if the folder holds other films.
        MediaError: if a recording cannot be read.
        WorkError: if a film cannot be made.
    """
    films, config = FilmsOfNature.of(root, nature), scale.synth.model_copy(update=nature.changes)
    sounds = recordings if nature.recorded else ()
    if sounds:
        config = config.model_copy(update={"concepts_per_film": min(config.concepts_per_film, len(sounds))})
    sides = [(films.folder / "seen", films.library, scale.films, _SEEN_SEED)]
    if nature.judged_on is None:
        sides.append((films.unseen, films.unseen_library, scale.unseen_films, _UNSEEN_SEED))
    for folder, library, count, seed in sides:
        render_films(folder, count, config, seed, workers, on_film=lambda path: on_film(path.name), recordings=sounds)
        usable = ingest([folder], library, workers=workers, profile=scale.profile).library.usable_films()
        if len(usable) != count:
            raise WorkError(
                f"only {len(usable)} of the {count} films in {folder} can be used (see talkies films --library "
                f"{library}); remove {library}, free some disk space, and continue with --resume"
            )


def encode_unseen_films(encoder: ClipEncoder, films: FilmsOfNature) -> list[EncodedFilm]:
    """Return the unseen films encoded clip by clip; each process reads them once."""
    return [
        EncodedFilm(name, requests, encoder.encode_batches(batches))
        for name, requests, batches in _read(films.unseen_library, encoder.shape)
    ]


@lru_cache(maxsize=1)  # arms of one nature follow each other
def _read(library: Path, shape: ClipShape) -> tuple[tuple[str, tuple[ClipRequest, ...], tuple[ClipBatch, ...]], ...]:
    opened = Library.open(library)
    requests = {film: list_windows(film.id, film.frames, shape, shape.window_frames) for film in opened.usable_films()}
    films = read_films(opened, shape, requests, workers=0)
    return tuple((film.name, tuple(requests[film]), tuple(batches)) for film, batches in films)
