"""From described films to numbers: diversity, recurrence, and how well shortcut cues identify the film.

Shapes: `N` clips of a film, `E` numbers.
"""

from collections.abc import Sequence

import numpy as np

from talkies.analysis.clusters import Clusters, cluster_clips
from talkies.analysis.descriptors.describe_films import DescribedFilm
from talkies.analysis.descriptors.film_probe import measure_film_accuracies
from talkies.analysis.descriptors.shortcut_cues import SHORTCUT_CUES
from talkies.analysis.diversity import cosine_matrix, effective_number, vendi_score
from talkies.analysis.metric import Metric
from talkies.analysis.recurrence import (
    choose_distance_edges,
    compute_recurrence_plot,
    compute_return_times,
    compute_returning_share,
    compute_same_share,
    compute_same_share_by_distance,
    find_visits,
)
from talkies.analysis.rows import compute_spread, normalise_rows
from talkies.analysis.settings import WINDOWS_SECONDS
from talkies.analysis.values import (
    CueProbe,
    Diversity,
    FilmAnalysis,
    ModalityAnalysis,
    ProbeAccuracy,
    Recurrence,
    Together,
    WindowShare,
)
from talkies.core import MODALITIES, Float32s, Float64s, Int64s, evenly_spaced

PLOT_CELLS = 80
MOST_TOGETHER = 600
"""The largest number of clips, spread evenly over all films, that are compared with each other."""
MOST_PROBED = 120
"""The largest number of clips of a film, spread evenly, whose shortcut cues are probed."""
_BRIGHTNESS = slice(0, 10)  # of the palette: mean, deviation and histogram of Y


def analyse_films(
    films: Sequence[DescribedFilm], clip_seconds: float, fps: int, seed: int
) -> tuple[tuple[FilmAnalysis, ...], Together]:
    """Return the numbers of each film's video and audio, and the diversity of all films together.

    Args:
        films: The films, described clip by clip.
        clip_seconds: The length of a clip.
        fps: The frames of the library's grid in a second.
        seed: The seed of the random draws that clusters are compared with.
    """
    rows = {modality: normalise_rows(films, modality) for modality in MODALITIES}
    analysed = []
    for number, film in enumerate(films):
        start_N = film.start_N / fps
        picture, sound = (
            _analyse_modality(rows[modality][number], start_N, clip_seconds, film.seconds, seed=seed)
            for modality in MODALITIES
        )
        analysed.append(
            FilmAnalysis(
                film_id=film.film_id,
                name=film.name,
                page=f"films/{film.film_id}.html",
                seconds=film.seconds,
                clips=len(film),
                across_cuts=film.across_cuts,
                start_seconds=tuple(start_N.tolist()),
                picture=picture,
                sound=sound,
            )
        )
    together = Together(
        picture=_measure_together(rows["video"], seed),
        sound=_measure_together(rows["audio"], seed),
    )
    return tuple(analysed), together


def measure_recurrence(label_N: Int64s, start_N: Float64s, clip_seconds: float, film_seconds: float) -> Recurrence:
    """Return how often the clusters of a film come back, and after how much time.

    Args:
        label_N: The cluster of each clip, `[N]`, in the order of time.
        start_N: Where each clip starts, `[N]`, in seconds.
        clip_seconds: The length of a clip.
        film_seconds: The length of the film.
    """
    visits = find_visits(label_N, start_N, clip_seconds)
    return_times = compute_return_times(visits)
    edges = choose_distance_edges(clip_seconds, film_seconds)
    share = compute_same_share(label_N)

    within = []
    for seconds in WINDOWS_SECONDS:
        if seconds < film_seconds:
            fitting = (0.0, seconds - clip_seconds + 1e-6)
            fitting_share = compute_same_share_by_distance(label_N, start_N, fitting)[0].share
            within.append(WindowShare(seconds=seconds, share=fitting_share))

    return Recurrence(
        visits=len(visits),
        returning_share=compute_returning_share(visits),
        median_return_seconds=float(np.median(return_times)) if return_times else None,
        same_share=share,
        same_share_by_distance=tuple(compute_same_share_by_distance(label_N, start_N, edges)),
        same_share_within=(*within, WindowShare(seconds=None, share=share)),
    )


def probe_shortcut_cues(films: Sequence[DescribedFilm], window_frames: int, fps: int) -> CueProbe | None:
    """Return how well shortcut cues identify the film of a clip, or `None` for a single film.

    Args:
        films: The films, with the shortcut cues of each clip.
        window_frames: The length of a clip in frames.
        fps: The frames of the library's grid in a second.
    """
    if len(films) < 2:
        return None
    cues: list[dict[str, Float32s]] = []
    starts = []
    for film in films:
        places = evenly_spaced(len(film), MOST_PROBED)
        own = {name: rows_NE[places] for name, rows_NE in film.cues.items()}
        own["together"] = np.concatenate([own[name] for name in SHORTCUT_CUES], axis=1)
        own["brightness"] = own["palette"][:, _BRIGHTNESS]
        cues.append(own)
        starts.append(film.start_N[places])

    accuracies = {}
    for name in ("palette", "brightness", "loudness", "spectrum", "together"):
        shares = measure_film_accuracies([own[name] for own in cues], starts, window_frames, fps)
        metric = Metric.of_shares(shares, sum(map(len, starts)))
        accuracies[name] = ProbeAccuracy.model_validate(metric.model_dump(include={"mean", "low", "high"}))
    return CueProbe(**accuracies, chance=1 / len(films))


def _analyse_modality(
    row_NE: Float64s, start_N: Float64s, clip_seconds: float, film_seconds: float, *, seed: int
) -> ModalityAnalysis:
    clusters = cluster_clips(row_NE, seed)
    kernel_NN = cosine_matrix(row_NE)
    plot = compute_recurrence_plot(kernel_NN, start_N, film_seconds, PLOT_CELLS)
    return ModalityAnalysis(
        diversity=_measure_diversity(clusters, kernel_NN),
        recurrence=measure_recurrence(clusters.label_N, start_N, clip_seconds, film_seconds),
        spread=compute_spread(row_NE),
        labels=tuple(clusters.label_N.tolist()),
        plot=tuple(tuple(cells) for cells in plot),
    )


def _measure_together(rows: Sequence[Float64s], seed: int) -> Diversity:
    row_NE = np.concatenate(rows)
    row_NE = row_NE[evenly_spaced(len(row_NE), MOST_TOGETHER)]
    return _measure_diversity(cluster_clips(row_NE, seed), cosine_matrix(row_NE))


def _measure_diversity(clusters: Clusters, kernel_NN: Float64s) -> Diversity:
    return Diversity(
        clips=len(kernel_NN),
        clusters=clusters.count,
        effective_clusters=effective_number(np.bincount(clusters.label_N).tolist()),
        vendi=vendi_score(kernel_NN),
        silhouette=clusters.silhouette,
        silhouette_by_chance=clusters.silhouette_by_chance,
    )
