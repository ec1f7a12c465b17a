"""The verb: does a model merely recognise films? A run and a library in, an audit out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from talkies.analysis.descriptors.film_probe import BLOCKS, LONGEST_GAP_SECONDS, C
from talkies.core import UsageError, WorkError, describe_os_error
from talkies.evaluation.audit.films import LEAST_CLIPS, MOST_CLIPS, MOST_FILMS, AuditedFilm, films_for_audit
from talkies.evaluation.audit.measure import RESAMPLES, Bench, measure_marks, measure_model, yardsticks
from talkies.evaluation.audit.page import page_of
from talkies.evaluation.audit.values import Audit, FilmCount
from talkies.evaluation.audit.verdict import LEANS_FROM, LEAST_CLIPS_IN_ALL, LEAST_FILMS, RELIANCE_AT, words_of
from talkies.library import Library
from talkies.runs import ClipEncoder, load_encoder
from talkies.runtime import write_atomically

REPORT_NAME = "audit.html"


def audit(
    run: Path,
    library: str | Path,
    step: int | None = None,
    seed: int = 0,
    on_film: Callable[[str, int], None] | None = None,
) -> Audit:
    """Return the audit of a run's newest checkpoint, or that of `step`, beside the untrained model, over a library.

    `on_film` is called after each film with its name and the number of films.

    Raises:
        RunError: if there is no such run or checkpoint, or the untrained one is missing.
        LibraryError: if there is no such library.
        UsageError: if the step is the untrained model's, or the library is of another profile or has too few films.
        MediaError: if a film cannot be read.
    """
    trained = load_encoder(run, step)
    if trained.step == 0:
        raise UsageError(
            f"step 0 of {run} is the untrained model, which the audit compares with; train it, or name a later step"
        )
    untrained = load_encoder(run, 0)
    opened = Library.open(library)
    films, left_out = films_for_audit(opened, {"trained": trained, "untrained": untrained}, seed, on_film)
    return audit_of(films, left_out, trained, untrained, opened, seed)


def audit_of(
    films: list[AuditedFilm],
    left_out: list[str],
    trained: ClipEncoder,
    untrained: ClipEncoder,
    library: Library,
    seed: int,
) -> Audit:
    """Return the audit of films that are encoded."""
    bench = Bench.of(films, trained.shape.window_frames, trained.profile.fps, seed)
    chance = yardsticks(bench)
    model = measure_model(bench, "trained", trained.step, trained.stamp)
    before = measure_model(bench, "untrained", untrained.step, untrained.stamp)
    return Audit(
        library=library.location,
        run=str(trained.run),
        verdict=model.verdict,
        words=words_of(model, before, chance, bench.sizes),
        trained=model,
        untrained=before,
        marks=measure_marks(bench),
        chance=chance,
        films=tuple(FilmCount(film_id=film.film_id, name=film.name, clips=len(film)) for film in bench.films),
        left_out=tuple(left_out),
        protocol=_protocol(trained, seed),
    )


def _protocol(encoder: ClipEncoder, seed: int) -> dict[str, Any]:
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
        f"{LEANS_FROM} at recall {RELIANCE_AT}; otherwise recall at 1 within films above chance",
        "seed": seed,
    }


def report_path(run: Path, to: Path | None) -> Path:
    """Return where the report goes: `to`, or the run's folder.

    Raises:
        UsageError: if `to` names no HTML file in a folder that is there.
    """
    path = to or run / REPORT_NAME
    if path.suffix.lower() not in {".html", ".htm"}:
        raise UsageError(f"the report is an HTML page, and {path} ends otherwise; name a file that ends in .html")
    if to and (path.is_dir() or not path.parent.is_dir()):
        raise UsageError(f"{path} cannot be written: it is a folder, or lies in none; name a file in a folder there is")
    return path


def write_audit(found: Audit, path: Path) -> Path:
    """Write the page to `path`, and beside it the same numbers as JSON; return the path of the JSON.

    Raises:
        WorkError: if they cannot be written.
    """
    numbers = path.with_suffix(".json")
    page = page_of(found)
    try:
        write_atomically(numbers, found.model_dump_json(indent=1))
        write_atomically(path, page)
    except OSError as error:
        raise WorkError(f"{path} cannot be written ({describe_os_error(error)}); name another with --to") from error
    return numbers
