"""The audit: does a model merely recognise films? From a run and a library to numbers and a verdict."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from talkies.analysis.advice import FilmReliance, SamplingAdvice, advise_sampling
from talkies.analysis.descriptors.film_probe import BLOCKS, LONGEST_GAP_SECONDS, C
from talkies.clips.film_pass import OnFilm
from talkies.core import Modality, UsageError, WorkError, describe_os_error, path_to_text
from talkies.evaluation.audit.explanation import (
    explain_learnt_films,
    explain_modalities,
    explain_origin,
    explain_probe,
)
from talkies.evaluation.audit.films import LEAST_CLIPS, MOST_CLIPS, MOST_FILMS, AuditedFilm, encode_audited_films
from talkies.evaluation.audit.measure import (
    RESAMPLES,
    AuditInputs,
    compute_reference_levels,
    measure_cue_neighbours,
    measure_cues,
    measure_model,
)
from talkies.evaluation.audit.page import render_audit_page
from talkies.evaluation.audit.twin import shuffle_weights
from talkies.evaluation.audit.values import Audit, AuditedModel, Comparison, FilmCount, Neighbours
from talkies.evaluation.audit.verdict import (
    LEAST_CLIPS_IN_ALL,
    LEAST_FILMS,
    LEAST_RELIANCE,
    RELIANCE_AT,
    explain_verdict,
)
from talkies.evaluation.film_tasks.base import explain_not_joint
from talkies.evaluation.plan import count_learnt_passes
from talkies.library import Library
from talkies.runs import RESULTS, ClipEncoder, RunFolder, load_model, make_file_name, parse_model
from talkies.runtime import write_atomically

REPORT_NAME = "audit.html"


def audit(
    run: str | Path,
    library: str | Path,
    step: int | None = None,
    seed: int = 0,
    on_film: OnFilm | None = None,
) -> Audit:
    """Return the audit of a run's checkpoint, or of public encoders, on a library, with another model for comparison.

    A run is compared with itself untrained, and public encoders with the same weights in random order.

    Args:
        run: The folder of the run, or the address of public encoders.
        library: The location of the library.
        step: The step of the checkpoint; None for the newest.
        seed: The seed of the draw of films, of the resamples and of the random order. On a CPU the same seed gives the
            same report; on a GPU embeddings may differ in their last digits.
        on_film: Called after each film with its name and the number of films.

    Raises:
        RunError: if there is no such run or checkpoint, or the untrained one is missing.
        ConfigError: if public encoders cannot be loaded.
        LibraryError: if there is no such library, or it gives less than public encoders need.
        UsageError: if the step is the untrained model's, or the library has another profile or too few films.
        MediaError: if a film cannot be read.
    """
    opened = Library.open(library)
    model = load_model(run, step, profile=opened.profile)
    other, compared_with = _load_other(model, seed)
    encoders = {"trained": model} | ({"untrained": other} if other else {})
    films, left_out = encode_audited_films(opened, encoders, seed, on_film)
    if other and model.is_public and not _are_finite(films, "untrained"):
        other, compared_with = None, "nothing"  # without its order, such a network may overflow

    inputs = AuditInputs.of(films, model.shape.window_frames, model.profile.fps, seed)
    chance = compute_reference_levels(inputs)
    after = measure_model(inputs, "trained", model.step, model.stamp, joint=model.joint)
    before = None
    if other:
        before = measure_model(inputs, "untrained", other.step, other.stamp, joint=other.joint)
    cues = measure_cue_neighbours(inputs)
    return Audit(
        library=path_to_text(opened.location),
        run=path_to_text(model.run),
        verdict=after.verdict,
        words=_explain(model, inputs, (after, before), cues, compared_with),
        trained=after,
        untrained=before,
        license=model.license,
        compared_with=compared_with,
        cue_neighbours=cues,
        marks=measure_cues(inputs),
        chance=chance,
        sampling=_advise(model, after, opened),
        films=tuple(FilmCount(film_id=film.film_id, name=film.name, clips=len(film)) for film in inputs.films),
        left_out=tuple(left_out),
        protocol=_describe_protocol(model, seed),
    )


def _load_other(model: ClipEncoder, seed: int) -> tuple[ClipEncoder | None, Comparison]:
    """Return the model for comparison: a run's untrained one, or public encoders with their weights shuffled."""
    if model.is_public:
        twin = shuffle_weights(model, seed)
        return twin, "shuffled weights" if twin else "nothing"
    if model.step == 0:
        raise UsageError(
            f"step 0 of {model.run} is the untrained model, which the audit compares with; train it, or name a later "
            "step"
        )
    return load_model(model.run, 0), "untrained"


def _are_finite(films: Sequence[AuditedFilm], which: str) -> bool:
    """Return whether a model gave numbers for all clips."""
    encoded = [film.encoded[which] for film in films]
    return all(
        bool(rows.isfinite().all())
        for each in encoded
        for rows in (each.video_BE, each.audio_BE, each.embeddings.video_BD, each.embeddings.audio_BD)
    )


def _explain(
    encoder: ClipEncoder,
    inputs: AuditInputs,
    models: tuple[AuditedModel, AuditedModel | None],
    cues: Mapping[Modality, Neighbours],
    compared_with: Comparison,
) -> str:
    """Return the verdict and its reasons in words; `models` are the audited one and the compared one."""
    model, other = models
    reason = explain_not_joint(encoder)
    if reason:
        words = explain_modalities(model, cues, inputs.sizes, reason)
    else:
        words = explain_verdict(model, compute_reference_levels(inputs), inputs.sizes)
    learnt = None if encoder.is_public else _explain_learnt(Path(encoder.run), inputs)
    origin = explain_origin(compared_with) if encoder.is_public else None
    sentences = [words, learnt, explain_probe(model, other, compared_with), origin]
    return " ".join(sentence for sentence in sentences if sentence)


def _advise(encoder: ClipEncoder, model: AuditedModel, library: Library) -> SamplingAdvice | None:
    """Return how a run like this should draw its clips; None for public encoders and exported models."""
    if encoder.is_public:
        return None
    clip_seconds = encoder.shape.window_frames / encoder.profile.fps
    learnt = count_learnt_passes(Path(encoder.run), encoder.step, clip_seconds, library)
    if learnt is None:
        return None
    measured = model.film_reliance.model_dump() if model.film_reliance else {}
    return advise_sampling(*learnt, FilmReliance(leans=model.verdict == "leans_on_film", **measured))


def _explain_learnt(run: Path, inputs: AuditInputs) -> str | None:
    """Return the sentence about films that a run has learnt from; None for a run without a record."""
    folder = RunFolder(run)
    if not folder.record_path.is_file():
        return None
    return explain_learnt_films([film.film_id for film in inputs.films], folder.read_record().films)


def report_path(run: str | Path, to: Path | None) -> Path:
    """Return the path of the report: `to`, or a file in the run's folder, or in `results/audits` of public encoders.

    Raises:
        UsageError: if `to` is no HTML file in an existing folder.
    """
    model = parse_model(run)
    own = RESULTS / "audits" / f"{make_file_name(model)}.html" if isinstance(model, str) else model / REPORT_NAME
    path = to or own
    if path.suffix.lower() not in {".html", ".htm"}:
        raise UsageError(f"the report is an HTML page, and {path} has another suffix; name a file that ends in .html")
    if to and (path.is_dir() or not path.parent.is_dir()):
        raise UsageError(
            f"{path} cannot be written: it is a folder, or its folder does not exist; name a file in an existing folder"
        )
    return path


def write_audit(report: Audit, path: Path) -> Path:
    """Write the page to `path`, and its numbers as JSON next to it; return the path of the JSON.

    Raises:
        WorkError: if they cannot be written.
    """
    numbers = path.with_suffix(".json")
    page = render_audit_page(report)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(numbers, report.model_dump_json(indent=1))
        write_atomically(path, page)
    except OSError as error:
        raise WorkError(f"{path} cannot be written ({describe_os_error(error)}); name another with --to") from error
    return numbers


def _describe_protocol(encoder: ClipEncoder, seed: int) -> dict[str, Any]:
    return {
        "clip": encoder.clip.model_dump(),
        "profile": encoder.profile.model_dump(),
        "clips": f"end to end, at most {MOST_CLIPS} a film spread evenly; films of at least {LEAST_CLIPS}, at most "
        f"{MOST_FILMS} drawn",
        "film_probe": f"logistic regression (L2, C = {C}, films weigh alike) on standardised rows; {BLOCKS} blocks "
        f"of time, one left out at a time, with a gap of a third of a block (at most {LONGEST_GAP_SECONDS:g} s, at "
        "least a clip)",
        "score": "cosine of the towers' embeddings; the middle rank of equal scores; mean over films of their queries",
        "neighbours": "pairs of clips next to each other, one clip left out between pairs; cosine within one modality; "
        "cues: each number standardised over all clips",
        "intervals": f"95 %: Student's over films, at least Wilson's of the clips; lifts: {RESAMPLES} resamples of "
        "films",
        "rules": f"at least {LEAST_FILMS} films and {LEAST_CLIPS_IN_ALL} clips; leans on the film from a reliance of "
        f"{LEAST_RELIANCE} at recall {RELIANCE_AT}; otherwise recall at 1 within films above chance",
        "seed": seed,
    }
