"""The figures of an analysis, as SVG: recurrence plot and timeline, pairs by distance, diversity, film probe."""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from talkies.analysis.values import Analysis, CueProbe, Diversity, FilmAnalysis
from talkies.core import Modality, escape_controls
from talkies.reporting.pages import encode_figure, style_axes

_PICTURE, _SOUND, _DARK, _CHANCE = "#0072B2", "#D55E00", "#333333", "#777777"  # safe for colour-blind readers
_STYLE: dict[Any, Any] = {"font.size": 12, "svg.hashsalt": "talkies"}  # a fixed salt gives the same bytes every time
_SERIES: tuple[tuple[Modality, str, str, str], ...] = (
    ("video", "pictures", _PICTURE, "o"),
    ("audio", "sound", _SOUND, "s"),
)
MOST_ROWS = 40
"""The largest number of films that a figure shows."""
_FEWEST_PAIRS = 10  # a share of fewer pairs is not drawn
_CUES = (
    ("palette", "palette"),
    ("brightness", "brightness"),
    ("loudness", "loudness"),
    ("spectrum", "spectrum"),
    ("together", "all together"),
)


def draw_recurrence_plot(film: FilmAnalysis, modality: Modality) -> str:
    """Return the similarity of each two moments of a film, above its clusters in time."""
    seconds, unit = _scale_duration(film.seconds)
    part = film.of(modality)
    plot = np.array([[np.nan if cell is None else cell for cell in cells] for cells in part.plot])
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.2, 7.2), layout="constrained")
        axes, strip = figure.subplots(2, 1, height_ratios=(5, 1.4), sharex=True)

        colours = mpl.colormaps["cividis"].with_extremes(bad="#dddddd")
        image = axes.imshow(
            plot,
            origin="lower",
            extent=(0, seconds, 0, seconds),
            vmin=-1,
            vmax=1,
            cmap=colours,
            aspect="equal",
            interpolation="nearest",
        )
        axes.set(ylabel=f"time ({unit})")
        figure.colorbar(
            image, ax=axes, label="similarity (cosine)", location="top", aspect=30, ticks=(-1, -0.5, 0, 0.5, 1)
        )

        _draw_timeline(strip, film, part.labels, seconds)
        strip.set(xlabel=f"time ({unit})", ylabel="cluster", xlim=(0, seconds))
        return encode_figure(figure)


def draw_same_share_by_distance(film: FilmAnalysis) -> str:
    """Return the share of pairs of one cluster by their distance in time."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.2, 4.2), layout="constrained")
        axes = figure.subplots()
        drawn = 0
        for modality, words, colour, marker in _SERIES:
            recurrence = film.of(modality).recurrence
            curve = [pairs for pairs in recurrence.same_share_by_distance if pairs.pairs >= _FEWEST_PAIRS]
            middle = [(pairs.from_seconds + pairs.to_seconds) / 2 for pairs in curve]
            shares = [100 * (pairs.share or 0.0) for pairs in curve]
            drawn += len(curve)
            axes.plot(middle, shares, f"-{marker}", color=colour, markersize=4, label=words)
            axes.axhline(100 * recurrence.same_share, color=colour, linestyle=":", linewidth=1.5)
        axes.plot([], [], ":", color=_DARK, label="all pairs of the film")
        axes.set(xlabel="distance of two clips (s)", ylabel="pairs of one cluster (%)", ylim=(0, 102))
        if drawn:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
        else:  # an axis without a point cannot be logarithmic
            axes.set_xticks([])
            axes.text(0.5, 0.5, f"at no distance {_FEWEST_PAIRS} pairs", transform=axes.transAxes, ha="center")
        style_axes(axes, "y")
        figure.legend(loc="outside lower center", frameon=False, ncols=3, columnspacing=1.2)
        return encode_figure(figure)


def draw_cluster_sizes(film: FilmAnalysis) -> str:
    """Return the share of the clips in each cluster, largest first."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.2, 3.6), layout="constrained")
        axes = figure.subplots()
        for modality, words, colour, marker in _SERIES:
            labels = film.of(modality).labels
            shares = np.sort(np.bincount(labels))[::-1] / len(labels)
            axes.plot(range(1, len(shares) + 1), 100 * shares, f"-{marker}", color=colour, markersize=5, label=words)
        axes.set(xlabel="cluster, largest first", ylabel="clips (%)", ylim=(0, None))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        style_axes(axes, "y")
        figure.legend(loc="outside lower center", frameon=False, ncols=2)
        return encode_figure(figure)


def draw_diversity(analysis: Analysis) -> str:
    """Return each film's effective number of clusters and Vendi score, and those of all films together."""
    films = sorted(analysis.films, key=lambda film: film.name)[:MOST_ROWS]
    names = [_shorten(escape_controls(film.name)) for film in films] + ["all films"]
    titles = {"effective_clusters": "effective number of clusters", "vendi": "Vendi score"}
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.5, 1.9 + 0.45 * len(names)), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for axes, (field, title) in zip(panels, titles.items(), strict=True):
            for modality, words, colour, marker in _SERIES:
                rows: list[Diversity] = [film.of(modality).diversity for film in films]
                rows.append(analysis.together.of(modality))
                values = [getattr(diversity, field) for diversity in rows]
                shift = -0.13 if modality == "video" else 0.13
                axes.plot(values, np.arange(len(rows)) + shift, marker, color=colour, markersize=7, label=words)
            axes.set(xlabel=title, yticks=range(len(names)), yticklabels=names, xlim=(0, None))
            axes.axhline(len(names) - 1.5, color=_CHANCE, linewidth=1)
            style_axes(axes, "x")
        panels[0].invert_yaxis()
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", frameon=False, ncols=2)
        return encode_figure(figure)


def draw_cue_probe(cue_probe: CueProbe) -> str:
    """Return how well each shortcut cue identifies the film of a clip."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.5, 3.6), layout="constrained")
        axes = figure.subplots()
        for place, (field, _) in enumerate(_CUES):
            accuracy = getattr(cue_probe, field)
            mean, low, high = (100 * value for value in (accuracy.mean, accuracy.low, accuracy.high))
            axes.errorbar(mean, place, xerr=[[mean - low], [high - mean]], fmt="D", color=_DARK, capsize=4)
        axes.axvline(100 * cue_probe.chance, color=_CHANCE, linestyle="--", label="chance")
        names = [words for _, words in _CUES]
        axes.set(
            xlabel="clips whose film is identified (%)", xlim=(-2, 103), yticks=range(len(names)), yticklabels=names
        )
        axes.invert_yaxis()
        style_axes(axes, "x")
        figure.legend(loc="outside lower center", frameon=False)
        return encode_figure(figure)


def _draw_timeline(axes: Axes, film: FilmAnalysis, labels: tuple[int, ...], length: float) -> None:
    """Draw a bar for each clip at the height of its cluster, on a time axis of this length."""
    starts = np.array(film.start_seconds) * length / film.seconds
    bar_length = max(length / 250, _read_clip_seconds(film) * length / film.seconds)
    for start, label in zip(starts, labels, strict=True):
        axes.broken_barh([(start, bar_length)], (label - 0.4, 0.8), color=_DARK)
    axes.set_ylim(-0.7, max(labels) + 0.7)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    style_axes(axes, "y")


def _scale_duration(seconds: float) -> tuple[float, str]:
    """Return a duration in minutes if it is longer than 5 minutes, otherwise in seconds, and the unit."""
    return (seconds / 60, "min") if seconds > 300 else (seconds, "s")


def _read_clip_seconds(film: FilmAnalysis) -> float:
    return film.picture.recurrence.same_share_by_distance[0].from_seconds


def _shorten(name: str, most: int = 28) -> str:
    """Return a name as a short label; a dollar sign would begin a formula."""
    short = name if len(name) <= most else f"{name[: most - 1]}…"
    return short.replace("$", r"\$")
