"""The verb: a task, a run and its data in, a result with its protocol out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from talkies.core import UsageError, nearest
from talkies.embedding import ClipEncoder, load_encoder
from talkies.evaluation.concepts import SPLITS, probe_concepts, read_truth
from talkies.evaluation.films import encode_films
from talkies.evaluation.results import Result
from talkies.evaluation.retrieval import RECALLS, retrieval_metrics

_SEED = 0
OnFilm = Callable[[str, int], None]


def evaluate(task: str, run: Path, data: Path, step: int | None = None, on_film: OnFilm | None = None) -> Result:
    """Return the result of `task` with a run's newest checkpoint, or that of `step` (0: untrained).

    Raises:
        UsageError: if there is no such task, or the data are not what it needs.
        RunError: if there is no such run or checkpoint.
    """
    if task not in TASKS:
        raise UsageError(f"no task '{task}'{nearest(task, TASKS)}; there are: {', '.join(TASKS)}")
    return TASKS[task](load_encoder(run, step), data, on_film)


def _synthetic_concepts(encoder: ClipEncoder, data: Path, on_film: OnFilm | None) -> Result:
    truth = read_truth(data)
    stride_frames = encoder.shape.window_frames
    films = encode_films(encoder, data, stride_frames, on_film)
    metrics = probe_concepts(films, truth, encoder.profile.fps, _SEED)
    chance = 1 / len(truth.concepts)
    protocol = _protocol(encoder, stride_frames) | {
        "films": len(films),
        "clips": sum(len(film.requests) for film in films),
        "classifier": "logistic regression (L2, C = 0.1) on standardised encoder features, clips without a cut",
        "splits": f"{SPLITS} random halvings of the films, seed {_SEED}",
        "chance": {"video_accuracy": chance, "audio_accuracy": chance},
    }
    return Result(task="synthetic-concepts", protocol=protocol, metrics=metrics)


def _retrieval(encoder: ClipEncoder, data: Path, on_film: OnFilm | None) -> Result:
    stride_frames = encoder.shape.window_frames
    films = encode_films(encoder, data, stride_frames, on_film)
    metrics, chance = retrieval_metrics(films)
    protocol = _protocol(encoder, stride_frames) | {
        "films": len(films),
        "clips": sum(len(film.requests) for film in films),
        "score": "cosine of the towers' embeddings; the middle rank of equal scores; mean over films of their queries",
        "recalls_at": list(RECALLS),
        "galleries": {"across_films": "all clips of all films", "within_film": "the clips of the query's own film"},
        "chance": chance,
    }
    return Result(task="retrieval", protocol=protocol, metrics=metrics)


def _protocol(encoder: ClipEncoder, stride_frames: int) -> dict[str, Any]:
    fps = encoder.profile.fps
    return {
        "run": str(encoder.run),
        "checkpoint_step": encoder.step,
        "model_stamp": encoder.stamp,
        "clip": encoder.clip.model_dump(),
        "profile": encoder.profile.model_dump(),
        "stride_seconds": stride_frames / fps,
        "crop": "middle square, whole",
    }


TASKS: dict[str, Callable[[ClipEncoder, Path, OnFilm | None], Result]] = {
    "synthetic-concepts": _synthetic_concepts,
    "retrieval": _retrieval,
}
