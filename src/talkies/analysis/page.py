"""The analysis as pages: one of the library, one of each film, and the numbers beside them."""

from pathlib import Path

from talkies.analysis.figures import (
    distance_figure,
    diversity_figure,
    marks_figure,
    recurrence_figure,
    shares_figure,
)
from talkies.analysis.values import Advice, Analysis, Diversity, FilmAnalysis, FilmView
from talkies.core import WorkError, describe_os_error, format_count
from talkies.library.staging import flush, replace_folder, create_staging_folder
from talkies.reporting.pages import render_page

NUMBERS, INDEX = "analysis.json", "index.html"


def write_analysis(found: Analysis, place: Path) -> Path:
    """Write the pages and `analysis.json` as folder `place`, which is there whole or not at all; return the index.

    An analysis that is there is replaced.

    Raises:
        WorkError: if it cannot be written.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with create_staging_folder(place.parent, place.name) as staging:
            made = staging / "made"
            (made / "films").mkdir(parents=True)
            (made / NUMBERS).write_text(found.model_dump_json(indent=1), encoding="utf-8")
            for film in found.films:
                (made / film.page).write_text(film_page(found, film), encoding="utf-8")
            (made / INDEX).write_text(library_page(found), encoding="utf-8")
            flush(*(path for path in made.rglob("*") if path.is_file()), made)
            replace_folder(staging, made, place)
    except OSError as error:
        raise WorkError(f"{place} cannot be written ({describe_os_error(error)}); name another folder with --out") from error
    return place / INDEX


def library_page(found: Analysis) -> str:
    """Return the page of the library: the same bytes for the same analysis."""
    return render_page(
        "talkies.analysis",
        "library.html",
        found=found,
        films=sorted(found.films, key=lambda film: (film.name, film.film_id)),
        words=words_of(found.advice),
        kinds=_kinds,
        same=_same,
        returns=_returns,
        diversity=diversity_figure(found),
        marks=marks_figure(found.marks) if found.marks else None,
    )


def film_page(found: Analysis, film: FilmAnalysis) -> str:
    """Return the page of one film."""
    return render_page(
        "talkies.analysis",
        "film.html",
        found=found,
        film=film,
        rows=_rows(film),
        picture=recurrence_figure(film, film.picture),
        sound=recurrence_figure(film, film.sound),
        distance=distance_figure(film),
        shares=shares_figure(film),
    )


def words_of(advice: Advice) -> str:
    """Return the advice as a sentence."""
    seconds, weight = advice.widest_window_seconds, advice.cross_film_weight
    span = "from anywhere in the film" if seconds is None else f"all within {seconds:g} s"
    rest = "" if weight is None else f", and a weight of {weight:g} for other films"
    return f"{format_count(advice.films_per_batch, 'film')} × {advice.clips_per_film} clips in a batch, {span}{rest}."


def _rows(film: FilmAnalysis) -> list[tuple[str, tuple[str, str]]]:
    def row(words: str, picture: str, sound: str) -> tuple[str, tuple[str, str]]:
        return words, (picture, sound)

    eye, ear = film.picture, film.sound
    return [
        row("kinds of clips (clusters)", _kinds(eye.diversity), _kinds(ear.diversity)),
        row("effective number of them", _effective(eye), _effective(ear)),
        row("mean silhouette, and that of chance", _silhouette(eye.diversity), _silhouette(ear.diversity)),
        row("Vendi score", f"{eye.diversity.vendi:.1f}", f"{ear.diversity.vendi:.1f}"),
        row("spread of the clips (1: as in the other films)", f"{eye.spread:.2f}", f"{ear.spread:.2f}"),
        row("visits", str(eye.recurrence.visits), str(ear.recurrence.visits)),
        row("kinds that come back", _percent(eye.recurrence.returning_share), _percent(ear.recurrence.returning_share)),
        row("median time between two visits", _returns(eye), _returns(ear)),
        row("pairs of clips that are of one kind", _same(eye), _same(ear)),
    ]


def _kinds(diversity: Diversity) -> str:
    return str(diversity.clusters) if diversity.clusters > 1 else "one kind"


def _effective(view: FilmView) -> str:
    return f"{view.diversity.effective_clusters:.1f}"


def _silhouette(diversity: Diversity) -> str:
    return f"{diversity.silhouette:.2f}, {diversity.silhouette_by_chance:.2f}"


def _same(view: FilmView) -> str:
    return _percent(view.recurrence.same_share) if view.diversity.clusters > 1 else "–"


def _returns(view: FilmView) -> str:
    seconds = view.recurrence.median_return_seconds
    return "–" if seconds is None else f"{seconds:.0f} s"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
