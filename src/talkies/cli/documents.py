"""The JSON documents that the verbs print with --json; docs/json.md describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from talkies.core import path_to_text
from talkies.library import FilmEntry, Profile

if TYPE_CHECKING:  # each verb prints one document and need not import the packages of all others
    from collections.abc import Sequence
    from pathlib import Path

    from talkies.analysis import Analysis
    from talkies.clips import DoctorReport
    from talkies.evaluation.audit.values import Audit
    from talkies.evaluation.results import Result
    from talkies.export import ExportedRun, ExportedVectors
    from talkies.ingestion import IngestedFilm, IngestReport
    from talkies.retrieval.index import EmbedReport
    from talkies.retrieval.recurrence.repeats import LibraryRepeats
    from talkies.retrieval.search import SearchResult
    from talkies.study import StudyResults
    from talkies.synth import RenderReport
    from talkies.training import Cost, PretrainReport


def film_document(film: FilmEntry) -> dict[str, Any]:
    """Return one film as `films` shows it."""
    return {
        "film_id": film.film_id,
        "source": film.source,
        "other_sources": list(film.other_sources),
        "verdict": str(film.verdict),
        "reasons": [reason.code for reason in film.reasons],
        "messages": [reason.text for reason in film.reasons],
        "duration_seconds": film.duration_seconds,
        "shots": film.shots,
        "width": film.width,
        "height": film.height,
        "stored_bytes": film.stored_bytes,
    }


def films_document(films: Sequence[FilmEntry], profile: Profile) -> dict[str, Any]:
    """Return the document of `films`."""
    return {"films": [film_document(film) for film in films], "profile": profile_document(profile)}


def profile_document(profile: Profile) -> dict[str, Any]:
    """Return a library's profile: its name, None if it has none, and its values."""
    return {"name": profile.name, **profile.model_dump()}


def ingest_document(report: IngestReport) -> dict[str, Any]:
    """Return the document of `ingest`."""
    return {
        "films": [_ingested(film) for film in report.films],
        "failures": [{"source": f.source.text, "message": f.message} for f in report.failures],
        "passed_over": report.skipped_files,
        "unreadable": [{"source": path_to_text(u.location), "message": u.message} for u in report.unreadable],
        "seconds": report.seconds,
        "profile": profile_document(report.library.profile),
    }


def _ingested(film: IngestedFilm) -> dict[str, Any]:
    return {
        **film_document(FilmEntry.of(film.record)),
        "source": film.source.text,
        "other_sources": [text for text in film.record.sources if text != film.source.text],
        "verdict": str(film.verdict),
        "reasons": [reason.code for reason in film.reasons],
        "messages": [reason.text for reason in film.reasons],
        "reused": film.reused,
        "duplicate_of": film.duplicate_of.text if film.duplicate_of else None,
    }


def render_document(folder: Path, reports: Sequence[RenderReport]) -> dict[str, Any]:
    """Return the document of `render`: the second report, if there is one, is that of the unseen films."""
    seen, *unseen = reports
    return {
        "folder": str(folder),
        "films": [str(path) for path in seen.films],
        "held_out_films": [str(path) for report in unseen for path in report.films],
        "without_theme": [str(path) for report in reports for path in report.without_theme],
        "reused": sum(report.reused for report in reports),
    }


def doctor_document(report: DoctorReport) -> dict[str, Any]:
    """Return the document of `doctor`."""
    return {
        "library": report.library.location,
        "profile": profile_document(report.library.profile),
        "films": report.films,
        "broken": [film.source for film in report.damaged],
        "clip": report.clip.model_dump(),
        "cores": report.cores,
        "speeds": [{"workers": s.workers, "clips_per_second": s.clips_per_second} for s in report.throughputs],
        "originals_clips_per_second": report.originals_per_second,
        "one_clip": {
            "opening_seconds": report.reading_time.opening_seconds,
            "pictures_seconds": report.reading_time.pictures_seconds,
            "sound_seconds": report.reading_time.sound_seconds,
            "busy_share": report.reading_time.busy_share,
        },
        "compared": [
            {
                "film_id": f.request.film_id,
                "start_seconds": f.request.window.start_frame / report.library.profile.fps,
                "frames_off": f.frames_off,
                "lag_seconds": f.lag_seconds,
            }
            for f in report.comparisons
        ],
        "bottleneck": report.bottleneck,
        "advised": {"workers": report.recommended.workers, "torch_threads": report.torch_threads},
        "starving_share": report.starving_share if report.step else None,
        "warnings": list(report.warnings),
    }


def pretrain_document(report: PretrainReport) -> dict[str, Any]:
    """Return the document of `pretrain`."""
    return {
        "run": str(report.run),
        "steps": report.steps,
        "model": report.stamp,
        "last": report.last,
        "left_out": list(report.left_out),
        "best_step": report.best_step,
    }


def cost_document(cost: Cost) -> dict[str, Any]:
    """Return the document of `cost`."""
    return {
        "device": cost.device,
        "devices": cost.processes,
        "steps": cost.steps,
        "clips": cost.clips,
        "trials": [
            {"clips": trial.clips, "seconds": trial.seconds, "peak_bytes": trial.peak_bytes} for trial in cost.trials
        ],
        "step_seconds": cost.step_seconds,
        "clips_per_second": cost.clips_per_second,
        "times_real_time": cost.clips_per_second * cost.clip_seconds,
        "loader": {"workers": cost.loader_workers, "clips_per_second": cost.loader_clips_per_second},
        "waiting_share": cost.waiting_share,
        "hours": cost.hours,
        "device_hours": cost.device_hours,
        "memory_bytes": cost.memory_bytes,
        "memory_there_bytes": cost.available_memory_bytes,
        "disk_bytes": cost.disk_bytes,
        "disk_there_bytes": cost.available_disk_bytes,
        "queue_bytes": cost.queue_bytes,
        "start_seconds": cost.stretch.start_seconds if cost.stretch else None,
        "checkpoint_seconds": cost.stretch.checkpoint_seconds if cost.stretch else None,
        "checkpoints": cost.checkpoints,
        "feature_seconds": cost.feature_seconds,
        "advice": list(cost.advice),
    }


def export_document(exported: ExportedRun) -> dict[str, Any]:
    """Return the document of `export` of a run."""
    return {
        "video": str(exported.video),
        "audio": str(exported.audio),
        "model": exported.stamp,
        "folder": str(exported.folder),
        "files": [str(path) for path in exported.files],
        "formats": list(exported.formats),
        "step": exported.step,
        "results": exported.results,
        "onnx_difference": exported.onnx_difference,
    }


def vectors_document(exported: ExportedVectors) -> dict[str, Any]:
    """Return the document of `export` of a library."""
    return {
        "files": [str(path) for path in exported.files],
        "format": exported.format,
        "model": exported.entry.stamp,
        "run": exported.entry.name,
        "dim": exported.entry.dim,
        "dims": dict(exported.entry.dims),
        "clips": exported.clips,
        "films": exported.films,
    }


def evaluate_document(result: Result) -> dict[str, Any]:
    """Return the document of `evaluate`."""
    return result.model_dump(mode="json")


def results_document(results: Sequence[tuple[Path, Result]]) -> dict[str, Any]:
    """Return the document of `results`."""
    return {"results": [{"path": str(path), **evaluate_document(result)} for path, result in results]}


def analyse_document(analysis: Analysis) -> dict[str, Any]:
    """Return the document of `analyse`."""
    return analysis.model_dump(mode="json")


def audit_document(audit: Audit) -> dict[str, Any]:
    """Return the document of `audit`."""
    return audit.model_dump(mode="json")


def embed_document(report: EmbedReport) -> dict[str, Any]:
    """Return the document of `embed`."""
    return {
        "model": report.entry.stamp,
        "run": report.entry.run,
        "dims": dict(report.entry.dims),
        "joint": report.entry.joint,
        "text": list(report.entry.text),
        "films": report.films,
        "clips": report.clips,
        "reused": report.reused,
        "too_short": list(report.too_short),
        "removed": report.removed,
        "film_seconds": report.film_seconds,
        "seconds": report.seconds,
        "times_real_time": report.times_real_time,
    }


def search_document(result: SearchResult) -> dict[str, Any]:
    """Return the document of `search`."""
    query = result.query
    return {
        "query": {
            "film_id": result.film_id,
            "source": result.source,
            "at_seconds": query.moment.at_seconds if query.moment else None,
            "start_seconds": result.start_seconds,
            "end_seconds": result.end_seconds,
            "parts": [{"kind": part.kind, "name": part.name, "weight": part.weight} for part in query.parts],
            "from": query.from_,
            "to": query.to,
            "per": query.per,
            "films": list(query.films),
            "span_seconds": list(query.span_seconds) if query.span_seconds else None,
            "apart_seconds": query.apart_seconds,
            "skip": query.skip,
            "model": result.stamp,
            "run": result.model,
            "compared": [list(pair) for pair in result.compared],
        },
        "hits": [
            {
                "film_id": hit.film_id,
                "source": hit.source,
                "start_seconds": hit.start_seconds,
                "end_seconds": hit.end_seconds,
                "score": hit.score,
                "shot": hit.shot,
            }
            for hit in result.hits
        ],
        "more": result.more,
        "floor": result.score_threshold,
        "exact": result.exact,
        "recall": result.recall,
        "nothing": result.no_hits_reason,
    }


def repeats_document(result: LibraryRepeats, files: Sequence[Path]) -> dict[str, Any]:
    """Return the document of `repeats`."""
    from talkies.retrieval.recurrence.repeats_document import build_document

    return {**build_document(result), "files": [str(path) for path in files]}


def serve_document(url: str, library: str, local: bool, upload_limit_bytes: int) -> dict[str, Any]:
    """Return the document of `serve`."""
    return {"url": url, "library": library, "this_machine_alone": local, "upload_limit_bytes": upload_limit_bytes}


def study_document(results: StudyResults) -> dict[str, Any]:
    """Return the document of `study`: what `results.json` holds."""
    return results.model_dump(mode="json")
