"""From described films to numbers: diversity, recurrence, and how well marks tell films apart.

Shapes: `N` clips of a film, `E` numbers.
"""

from collections.abc import Sequence

import numpy as np

from talkies.analysis.advice import WINDOWS_SECONDS
from talkies.analysis.clusters import Clusters, clusters_of
from talkies.analysis.descriptors.describe_films import VIEWS, DescribedFilm
from talkies.analysis.descriptors.film_probe import film_accuracies
from talkies.analysis.diversity import cosines, effective_number, vendi
from talkies.analysis.metric import Metric
from talkies.analysis.recurrence import (
    distance_edges,
    returning_share,
    returns,
    same_share,
    same_share_between,
    similarity_cells,
    visits,
)
from talkies.analysis.rows import evenly, rows_of, spread_of
from talkies.analysis.values import (
    Diversity,
    FilmAnalysis,
    FilmView,
    MarksTold,
    PairShare,
    Recurrence,
    Together,
    Told,
    WindowShare,
)
from talkies.core import Float64s, Int64s

PLOT_CELLS = 80
MOST_TOGETHER = 600
"""Of all films' clips at most so many are compared with each other, spread evenly."""
MOST_PROBED = 120
"""Of a film at most so many clips are probed for its marks, spread evenly."""
_BRIGHTNESS = slice(0, 10)  # of the palette: mean, deviation and histogram of Y


def analyse_films(
    films: Sequence[DescribedFilm], clip_seconds: float, fps: int, seed: int
) -> tuple[tuple[FilmAnalysis, ...], Together]:
    """Return what each film's pictures and sound come to, and those of all films together."""
    rows = {view: rows_of(films, view) for view in VIEWS}
    analysed = tuple(
        FilmAnalysis(
            film_id=film.film_id,
            name=film.name,
            page=f"films/{film.film_id}.html",
            seconds=film.seconds,
            clips=len(film),
            across_cuts=film.across_cuts,
            start_seconds=tuple((film.start_N / fps).tolist()),
            **{view: _view(film, rows[view][number], clip_seconds, fps, seed) for view in VIEWS},
        )
        for number, film in enumerate(films)
    )
    together = Together(**{view: _together(rows[view], seed) for view in VIEWS})
    return analysed, together


def _view(film: DescribedFilm, row_NE: Float64s, clip_seconds: float, fps: int, seed: int) -> FilmView:
    clusters, kernel_NN, start_N = clusters_of(row_NE, seed), cosines(row_NE), film.start_N / fps
    return FilmView(
        diversity=_diversity(clusters, kernel_NN),
        recurrence=recurrence_of(clusters.label_N, start_N, clip_seconds, film.seconds),
        spread=spread_of(row_NE),
        labels=tuple(clusters.label_N.tolist()),
        plot=tuple(tuple(cells) for cells in similarity_cells(kernel_NN, start_N, film.seconds, PLOT_CELLS)),
    )


def _together(rows: Sequence[Float64s], seed: int) -> Diversity:
    row_NE = np.concatenate(rows)
    row_NE = row_NE[evenly(len(row_NE), MOST_TOGETHER)]
    return _diversity(clusters_of(row_NE, seed), cosines(row_NE))


def _diversity(clusters: Clusters, kernel_NN: Float64s) -> Diversity:
    return Diversity(
        clips=len(kernel_NN),
        clusters=clusters.count,
        effective_clusters=effective_number(np.bincount(clusters.label_N).tolist()),
        vendi=vendi(kernel_NN),
        silhouette=clusters.silhouette,
        silhouette_by_chance=clusters.silhouette_by_chance,
    )


def recurrence_of(label_N: Int64s, start_N: Float64s, clip_seconds: float, film_seconds: float) -> Recurrence:
    """Return how clips of these clusters come back, `start_N` in seconds and in the order of time."""
    found = visits(label_N, start_N, clip_seconds)
    distances = returns(found)
    curve = same_share_between(label_N, start_N, distance_edges(clip_seconds, film_seconds))
    within = [
        WindowShare(
            seconds=seconds,
            share=same_share_between(label_N, start_N, (0.0, seconds - clip_seconds + 1e-6))[0].share,
        )
        for seconds in WINDOWS_SECONDS
        if seconds < film_seconds
    ]
    share = same_share(label_N)
    return Recurrence(
        visits=len(found),
        returning_share=returning_share(found),
        median_return_seconds=float(np.median(distances)) if distances else None,
        same_share=share,
        same_share_by_distance=tuple(
            PairShare(from_seconds=p.from_seconds, to_seconds=p.to_seconds, pairs=p.pairs, share=p.share) for p in curve
        ),
        same_share_within=(*within, WindowShare(seconds=None, share=share)),
    )


def marks_told(films: Sequence[DescribedFilm], window_frames: int, fps: int) -> MarksTold | None:
    """Return how well marks tell the films apart, or nothing if there is one film alone."""
    if len(films) < 2:
        return None
    kept = [evenly(len(film), MOST_PROBED) for film in films]
    marks = [
        {name: rows_NE[places] for name, rows_NE in film.marks.items()}
        for film, places in zip(films, kept, strict=True)
    ]
    for film in marks:
        film["together"] = np.concatenate([film[name] for name in ("palette", "loudness", "spectrum")], axis=1)
        film["brightness"] = film["palette"][:, _BRIGHTNESS]
    starts = [film.start_N[places] for film, places in zip(films, kept, strict=True)]
    told = {}
    for name in ("palette", "brightness", "loudness", "spectrum", "together"):
        shares = film_accuracies([film[name] for film in marks], starts, window_frames, fps)
        metric = Metric.of_shares(shares, sum(map(len, starts)))
        told[name] = Told.model_validate(metric.model_dump(include={"mean", "low", "high"}))
    return MarksTold(**told, chance=1 / len(films))
