"""The films of a study: for each film set and nature those to learn from and unseen ones, rendered and ingested."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from talkies.clips import list_windows, read_films
from talkies.config import check
from talkies.core import ClipBatch, ClipRequest, ClipShape, WorkError
from talkies.evaluation.film_tasks.concepts import FilmsWithTruth, read_truth
from talkies.evaluation.film_tasks.encode_films import EncodedFilm
from talkies.ingestion import ingest
from talkies.library import FilmEntry, Library
from talkies.runs import ClipEncoder
from talkies.runtime import hash_file
from talkies.study.materials import MaterialFolders
from talkies.study.scale import Scale
from talkies.synth import ComposedConfig, Side, SynthConfig, render_composed_split, render_films


@dataclass(frozen=True, slots=True)
class FilmSet:
    """The places of the films of one nature and one film set in the study's folder `root`."""

    root: Path
    number: int
    nature: str
    judged_on: str

    @classmethod
    def of(cls, root: Path, number: int, nature: str, scale: Scale) -> "FilmSet":
        """Return the places of a film set's films, and of those that its models are measured on."""
        return cls(root, number, nature, scale.find_nature(nature).judged_on or nature)

    @property
    def seen(self) -> Path:
        """The rendered films to learn from, with their truth."""
        return self._folder(self.nature) / "seen"

    @property
    def library(self) -> Path:
        """The library of the films to learn from."""
        return self._folder(self.nature) / "library"

    @property
    def unseen(self) -> Path:
        """The rendered films that no model is trained on, with their truth."""
        return self._folder(self.judged_on) / "unseen"

    @property
    def unseen_library(self) -> Path:
        """The library of the unseen films."""
        return self._folder(self.judged_on) / "unseen-library"

    @property
    def probe_library(self) -> Path:
        """The library of the films that the probes are fitted on: those to learn from, of the nature `judged_on`."""
        return self._folder(self.judged_on) / "library"

    @property
    def probe_truth(self) -> Path:
        """The folder with the truth of those films."""
        return self._folder(self.judged_on) / "seen"

    @property
    def fingerprint(self) -> str:
        """The hashes of the films' scripts, which identify them."""
        return " ".join(hash_file(side / "truth.json") for side in (self.seen, self.unseen))

    def list_first_films(self, films: int) -> list[str]:
        """Return the ids of the first films to learn from, in the order in which they were made."""
        return [film.film_id for film in _sort(Library.open(self.library))[:films]]

    def _folder(self, nature: str) -> Path:
        return self.root / "films" / f"set-{self.number}" / nature


def make_films(
    films: FilmSet,
    scale: Scale,
    materials: MaterialFolders,
    *,
    workers: int,
    on_film: Callable[[str], None],
) -> None:
    """Render the films of a film set and ingest them into libraries; existing ones are kept.

    Raises:
        UsageError: if the folder holds other films, or the materials of composed films are missing.
        WorkError: if a film cannot be made.
    """
    nature = scale.find_nature(films.nature)
    count = max(scale.count_films(films.nature), scale.probe_films)
    made = [(films.seen, films.library, count)]
    if nature.judged_on is None:
        made.append((films.unseen, films.unseen_library, scale.unseen_films))
    if nature.composed:
        config = check(ComposedConfig, scale.synth.model_dump() | nature.changes, f"nature {films.nature}")
        seen, unseen = materials.read_split(films.number)
        sides = Side(count, seen), Side(scale.unseen_films, unseen)
        render_composed_split(
            films.seen.parent, sides, config, films.number, workers=workers, on_film=lambda path: on_film(path.name)
        )
    else:
        synth = check(SynthConfig, scale.synth.model_dump() | nature.changes, f"nature {films.nature}")
        for number, (folder, _, films_of_side) in enumerate(made):
            seed = 2 * films.number + number
            render_films(folder, films_of_side, synth, seed, workers, on_film=lambda path: on_film(path.name))
    for folder, library, films_of_side in made:
        _ingest(folder, library, films_of_side, scale, workers)


def _ingest(folder: Path, library: Path, count: int, scale: Scale, workers: int) -> None:
    usable = ingest([folder], library, workers=workers, profile=scale.profile).library.usable_films()
    if len(usable) != count:
        raise WorkError(
            f"only {len(usable)} of the {count} films in {folder} can be used (see talkies films --library "
            f"{library}); remove {library}, free some disk space, and continue with --resume"
        )


def encode_unseen_films(encoder: ClipEncoder, films: FilmSet) -> FilmsWithTruth:
    """Return the unseen films encoded clip by clip; each process reads them once."""
    return _encode(encoder, films.unseen_library, None, films.unseen)


def encode_probe_films(encoder: ClipEncoder, films: FilmSet, count: int) -> FilmsWithTruth:
    """Return the first films to learn from, encoded clip by clip; each process reads them once."""
    return _encode(encoder, films.probe_library, count, films.probe_truth)


def _encode(encoder: ClipEncoder, library: Path, count: int | None, truth: Path) -> FilmsWithTruth:
    encoded = [
        EncodedFilm(name, requests, encoder.encode_batches(batches))
        for name, requests, batches in _read(library, count, encoder.shape)
    ]
    return FilmsWithTruth(encoded, read_truth(truth))


@lru_cache(maxsize=2)  # the unseen films and those of the probe: the arms of one film set and nature follow each other
def _read(
    library: Path, count: int | None, shape: ClipShape
) -> tuple[tuple[str, tuple[ClipRequest, ...], tuple[ClipBatch, ...]], ...]:
    opened = Library.open(library)
    chosen = _sort(opened)[:count]
    requests = {film: list_windows(film.id, film.frames, shape, shape.window_frames) for film in chosen}
    films = read_films(opened, shape, requests, workers=0)
    return tuple((film.name, tuple(requests[film]), tuple(batches)) for film, batches in films)


def _sort(library: Library) -> list[FilmEntry]:
    return sorted(library.usable_films(), key=lambda film: film.name)
