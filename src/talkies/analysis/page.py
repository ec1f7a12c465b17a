"""The pages of an analysis: one of the library, one of each film, and the numbers as JSON."""

from pathlib import Path

from talkies.analysis.values import Advice, Analysis, Diversity, FilmAnalysis, ModalityAnalysis
from talkies.core import WorkError, describe_os_error, format_count
from talkies.library.staging import create_staging_folder, flush, replace_folder
from talkies.reporting import format_percent, render_page

NUMBERS, INDEX = "analysis.json", "index.html"


def write_analysis(analysis: Analysis, folder: Path) -> Path:
    """Write the pages and `analysis.json` to `folder`, all of them or nothing; return the path of the index.

    An existing analysis is replaced.

    Raises:
        WorkError: if they cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with create_staging_folder(folder.parent, folder.name) as staging:
            new = staging / "made"
            (new / "films").mkdir(parents=True)
            (new / NUMBERS).write_text(analysis.model_dump_json(indent=1), encoding="utf-8")
            for film in analysis.films:
                (new / film.page).write_text(render_film_page(analysis, film), encoding="utf-8")
            (new / INDEX).write_text(render_library_page(analysis), encoding="utf-8")
            flush(*(path for path in new.rglob("*") if path.is_file()), new)
            replace_folder(staging, new, folder)
    except OSError as error:
        cause = describe_os_error(error)
        raise WorkError(f"{folder} cannot be written ({cause}); name another folder with --out") from error
    return folder / INDEX


def render_library_page(analysis: Analysis) -> str:
    """Return the page of the library: the same bytes for the same analysis."""
    from talkies.analysis import figures  # Matplotlib takes long to import, and only the pages need it

    return render_page(
        "talkies.analysis",
        "library.html",
        analysis=analysis,
        films=sorted(analysis.films, key=lambda film: (film.name, film.film_id)),
        advice=summarise_advice(analysis.advice),
        format_kinds=_format_kinds,
        format_same_share=_format_same_share,
        format_return=_format_return,
        diversity=figures.draw_diversity(analysis),
        cue_probe=figures.draw_cue_probe(analysis.marks) if analysis.marks else None,
    )


def render_film_page(analysis: Analysis, film: FilmAnalysis) -> str:
    """Return the page of one film."""
    from talkies.analysis import figures

    return render_page(
        "talkies.analysis",
        "film.html",
        analysis=analysis,
        film=film,
        rows=_list_rows(film),
        picture=figures.draw_recurrence_plot(film, "video"),
        sound=figures.draw_recurrence_plot(film, "audio"),
        distance=figures.draw_same_share_by_distance(film),
        sizes=figures.draw_cluster_sizes(film),
    )


def summarise_advice(advice: Advice) -> str:
    """Return the advice as a sentence."""
    seconds, weight = advice.widest_window_seconds, advice.cross_film_weight
    window = "from anywhere in the film" if seconds is None else f"all within {seconds:g} s"
    rest = "" if weight is None else f", and a weight of {weight:g} for other films"
    return f"{format_count(advice.films_per_batch, 'film')} × {advice.clips_per_film} clips in a batch, {window}{rest}."


def _list_rows(film: FilmAnalysis) -> list[tuple[str, tuple[str, str]]]:
    """Return the rows of a film's table: what was measured, in the picture and in the sound."""
    rows = {
        "kinds of clips (clusters)": lambda part: _format_kinds(part.diversity),
        "effective number of kinds": lambda part: f"{part.diversity.effective_clusters:.1f}",
        "mean silhouette, and by chance": lambda part: _format_silhouette(part.diversity),
        "Vendi score": lambda part: f"{part.diversity.vendi:.1f}",
        "spread of the clips (1: as in the other films)": lambda part: f"{part.spread:.2f}",
        "visits": lambda part: str(part.recurrence.visits),
        "kinds that come back": lambda part: format_percent(part.recurrence.returning_share, 0),
        "median time between two visits": _format_return,
        "pairs of clips of the same kind": _format_same_share,
    }
    return [(words, (show(film.picture), show(film.sound))) for words, show in rows.items()]


def _format_kinds(diversity: Diversity) -> str:
    return str(diversity.clusters) if diversity.clusters > 1 else "one kind"


def _format_silhouette(diversity: Diversity) -> str:
    return f"{diversity.silhouette:.2f}, {diversity.silhouette_by_chance:.2f}"


def _format_same_share(part: ModalityAnalysis) -> str:
    return format_percent(part.recurrence.same_share, 0) if part.diversity.clusters > 1 else "–"


def _format_return(part: ModalityAnalysis) -> str:
    seconds = part.recurrence.median_return_seconds
    return "–" if seconds is None else f"{seconds:.0f} s"
