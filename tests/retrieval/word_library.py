"""Libraries whose embeddings are planted, and a made-up model whose words mean something in them.

Every clip shows and sounds like a scene of its own; a concept is planted in the pictures of some clips and in the
sounds of others. Pictures, sounds and words each have a direction in common, so that cosines of words with clips lie
far below those of clips with clips, as those of CLIP do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from talkies.core import Modality, UsageError, parse_film_id
from talkies.library import FilmRecord, Library, Verdict, write_json
from talkies.retrieval.index import EmbeddingSet, IndexRows, VectorIndex
from talkies.retrieval.search import Searcher

STAMP = "0123456789ab"
FILMS, CLIPS = 10, 60
DIMS: Mapping[Modality, int] = {"video": 192, "audio": 160}
CONCEPTS = ("a train passes", "rain", "a dog barks", "two people talk", "fire", "an empty street")
PLANTED_CLIPS = 5


@dataclass(frozen=True)
class WordLibrary:
    """A library, its rows, and where each concept was planted: film and first clip, by modality."""

    library: Library
    rows: IndexRows
    planted: dict[tuple[str, Modality], tuple[str, int]] = field(default_factory=dict)

    @property
    def searcher(self) -> Searcher:
        return Searcher(self.library)


def normalise(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def draw(name: str, modality: Modality, kind: str = "concept") -> np.ndarray:
    """Return the direction of a concept, or of what all rows of a kind have in common, in one modality's space."""
    seed = list(f"{kind} {name} {modality}".encode())
    return normalise(np.random.default_rng(seed).normal(size=DIMS[modality]))


def encode_text(text: str, modality: Modality) -> np.ndarray:
    """Return the made-up model's embedding of a text."""
    return normalise(0.9 * draw("words", modality, "common") + 0.45 * draw(text, modality))


class MadeUpEncoder:
    """The made-up model, as a searcher loads it."""

    def encode_text(self, texts: Sequence[str], modality: Modality) -> np.ndarray:
        return np.stack([encode_text(text, modality) for text in texts])


def describe(**changes: object) -> EmbeddingSet:
    """Return the description of a set of the made-up model."""
    values: dict[str, object] = {
        "stamp": STAMP,
        "run": "video=hf:/models/clip,audio=hf:/models/clap",
        "step": 0,
        "dims": dict(DIMS),
        "joint": False,
        "text": ("video", "audio"),
        "clip_seconds": 1.0,
        "stride_seconds": 1.0,
    }
    return EmbeddingSet.model_validate(values | changes)


def build_library(folder: Path, entry: EmbeddingSet) -> WordLibrary:
    """Return a new library of films that have records and embeddings only."""
    library = Library.create(folder)
    index, random, planted, parts = VectorIndex(library), np.random.default_rng(5), {}, []
    with index.lock_for_adding(entry.stamp):
        index.create_or_resume(entry)
        for number in range(FILMS):
            film_id = add_film(library, number)
            sides = {modality: draw_film(random, modality) for modality in ("video", "audio")}
            for place, concept in enumerate(CONCEPTS):
                for modality, film, first in (("video", place, 10 + 5 * place), ("audio", place + 2, 50 - 5 * place)):
                    if film == number:
                        plant(sides[modality], concept, modality, first)
                        planted[concept, modality] = film_id, first
            vectors = [sides[modality][:, : entry.dims[modality]] for modality in ("video", "audio")]
            start = np.arange(CLIPS, dtype=np.float64)
            names, shots = np.array([film_id] * CLIPS, np.object_), (start // 6).astype(np.int32)
            parts.append(IndexRows(names, start, start + 1, shots, np.zeros(CLIPS, bool), *vectors))
            index.add(entry.stamp, parts[-1])
    library.update_catalogue()
    return WordLibrary(library, IndexRows.concatenate(parts), planted)


def draw_film(random: np.random.Generator, modality: Modality) -> np.ndarray:
    scenes = np.repeat(random.normal(size=(CLIPS // 6, DIMS[modality])), 6, axis=0)
    scenes += 0.5 * random.normal(size=scenes.shape) + 0.5 * random.normal(size=DIMS[modality])
    return normalise(0.6 * draw("clips", modality, "common") + 0.8 * normalise(scenes))


def plant(rows: np.ndarray, concept: str, modality: Modality, first: int) -> None:
    clips = slice(first, first + PLANTED_CLIPS)
    rows[clips] = normalise(0.4 * rows[clips] + 0.9 * draw(concept, modality))


def add_film(library: Library, number: int) -> str:
    film_id = parse_film_id(f"{number:016x}")
    record = FilmRecord(
        film_id=film_id,
        source=f"films/film-{number}.mp4",
        source_bytes=1,
        verdict=Verdict.ACCEPTED,
        duration_seconds=float(CLIPS),
        frames=CLIPS * library.profile.fps,
    )
    folder = library.film_folder(film_id)
    folder.mkdir(parents=True)
    write_json(folder / "film.json", record)
    return film_id


def give_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every searcher load the made-up model."""
    monkeypatch.setattr(Searcher, "load_encoder", lambda _: MadeUpEncoder())


def refuse_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no searcher load a model."""

    def refuse(_: Searcher) -> MadeUpEncoder:
        raise UsageError("the model was loaded although nothing needs it")

    monkeypatch.setattr(Searcher, "load_encoder", refuse)
