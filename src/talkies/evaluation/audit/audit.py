"""The audit: does a model merely recognise films? From a run and a library to numbers and a verdict."""

from pathlib import Path
from typing import Any

from talkies.analysis.descriptors.film_probe import BLOCKS, LONGEST_GAP_SECONDS, C
from talkies.clips.film_pass import OnFilm
from talkies.core import UsageError, WorkError, describe_os_error, path_to_text
from talkies.evaluation.audit.films import LEAST_CLIPS, MOST_CLIPS, MOST_FILMS, encode_audited_films
from talkies.evaluation.audit.measure import (
    RESAMPLES,
    AuditInputs,
    compute_reference_levels,
    measure_cues,
    measure_model,
)
from talkies.evaluation.audit.page import render_audit_page
from talkies.evaluation.audit.values import Audit, FilmCount
from talkies.evaluation.audit.verdict import (
    LEAST_CLIPS_IN_ALL,
    LEAST_FILMS,
    LEAST_RELIANCE,
    RELIANCE_AT,
    explain_verdict,
)
from talkies.library import Library
from talkies.runs import ClipEncoder, load_encoder
from talkies.runtime import write_atomically

REPORT_NAME = "audit.html"


def audit(
    run: str | Path,
    library: str | Path,
    step: int | None = None,
    seed: int = 0,
    on_film: OnFilm | None = None,
) -> Audit:
    """Return the audit of a run's checkpoint on a library, with the untrained model for comparison.

    Args:
        run: The folder of the run.
        library: The location of the library.
        step: The step of the checkpoint; None for the newest.
        seed: The seed of the draw of films and of the resamples.
        on_film: Called after each film with its name and the number of films.

    Raises:
        RunError: if there is no such run or checkpoint, or the untrained one is missing.
        LibraryError: if there is no such library.
        UsageError: if the step is the untrained model's, or the library has another profile or too few films.
        MediaError: if a film cannot be read.
    """
    run = Path(run)
    trained = load_encoder(run, step)
    if trained.step == 0:
        raise UsageError(
            f"step 0 of {run} is the untrained model, which the audit compares with; train it, or name a later step"
        )
    untrained = load_encoder(run, 0)
    opened = Library.open(library)

    encoders = {"trained": trained, "untrained": untrained}
    films, left_out = encode_audited_films(opened, encoders, seed, on_film)
    inputs = AuditInputs.of(films, trained.shape.window_frames, trained.profile.fps, seed)

    chance = compute_reference_levels(inputs)
    after = measure_model(inputs, "trained", trained.step, trained.stamp)
    before = measure_model(inputs, "untrained", untrained.step, untrained.stamp)
    return Audit(
        library=path_to_text(opened.location),
        run=path_to_text(trained.run),
        verdict=after.verdict,
        words=explain_verdict(after, before, chance, inputs.sizes),
        trained=after,
        untrained=before,
        marks=measure_cues(inputs),
        chance=chance,
        films=tuple(FilmCount(film_id=film.film_id, name=film.name, clips=len(film)) for film in inputs.films),
        left_out=tuple(left_out),
        protocol=_describe_protocol(trained, seed),
    )


def report_path(run: Path, to: Path | None) -> Path:
    """Return the path of the report: `to`, or a file in the run's folder.

    Raises:
        UsageError: if `to` is no HTML file in an existing folder.
    """
    path = to or run / REPORT_NAME
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
        "intervals": f"95 %: Student's over films, at least Wilson's of the clips; lifts: {RESAMPLES} resamples of "
        "films",
        "rules": f"at least {LEAST_FILMS} films and {LEAST_CLIPS_IN_ALL} clips; leans on the film from a reliance of "
        f"{LEAST_RELIANCE} at recall {RELIANCE_AT}; otherwise recall at 1 within films above chance",
        "seed": seed,
    }
