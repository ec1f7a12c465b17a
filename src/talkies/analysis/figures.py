"""The figures of an analysis as SVG: recurrence plot, timeline, returns in time, diversity, marks."""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from talkies.analysis.values import Analysis, FilmAnalysis, FilmView, MarksTold
from talkies.reporting.pages import encode_figure, style_axes

_PICTURE, _SOUND, _MARK, _CHANCE = "#0072B2", "#D55E00", "#333333", "#777777"  # told apart by the colour-blind
_STYLE: dict[Any, Any] = {"font.size": 12, "svg.hashsalt": "talkies"}  # the salt: the same bytes every time
_VIEWS = (("picture", "pictures", _PICTURE, "o"), ("sound", "sound", _SOUND, "s"))
MOST_ROWS = 40
"""Of more films the figures show so many."""
_FEWEST_PAIRS = 10  # of fewer a share is not drawn
_NAMES = (("palette", "palette"), ("brightness", "brightness"), ("loudness", "loudness"), ("spectrum", "spectrum"))


def recurrence_figure(film: FilmAnalysis, view: FilmView) -> str:
    """Return the similarity of each two moments of a film, over its clusters in time."""
    seconds, unit = _unit(film.seconds)
    plot = np.array([[np.nan if cell is None else cell for cell in cells] for cells in view.plot])
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.2, 7.2), layout="constrained")
        axes, strip = figure.subplots(2, 1, height_ratios=(5, 1.4), sharex=True)
        colours = mpl.colormaps["cividis"].with_extremes(bad="#dddddd")
        image = axes.imshow(
            plot, origin="lower", extent=(0, seconds, 0, seconds), vmin=-1, vmax=1, cmap=colours, aspect="equal",
            interpolation="nearest",
        )  # fmt: skip
        axes.set(ylabel=f"time ({unit})")
        figure.colorbar(
            image, ax=axes, label="similarity (cosine)", location="top", aspect=30, ticks=(-1, -0.5, 0, 0.5, 1)
        )
        starts = np.array(film.start_seconds) * seconds / film.seconds
        length = max(seconds / 250, _clip_seconds(film) * seconds / film.seconds)
        for start, label in zip(starts, view.labels, strict=True):
            strip.broken_barh([(start, length)], (label - 0.4, 0.8), color=_MARK)
        strip.set(xlabel=f"time ({unit})", ylabel="cluster", xlim=(0, seconds))
        strip.set_ylim(-0.7, max(view.labels) + 0.7)
        strip.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        style_axes(strip, "y")
        return encode_figure(figure)


def distance_figure(film: FilmAnalysis) -> str:
    """Return the share of pairs of one cluster by their distance in time."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.2, 4.2), layout="constrained")
        axes = figure.subplots()
        for name, words, colour, mark in _VIEWS:
            view: FilmView = getattr(film, name)
            curve = [each for each in view.recurrence.same_share_by_distance if each.pairs >= _FEWEST_PAIRS]
            middle = [(each.from_seconds + each.to_seconds) / 2 for each in curve]
            shares = [100 * (each.share or 0.0) for each in curve]
            axes.plot(middle, shares, f"-{mark}", color=colour, markersize=4, label=words)
            axes.axhline(100 * view.recurrence.same_share, color=colour, linestyle=":", linewidth=1.5)
        axes.plot([], [], ":", color=_MARK, label="all pairs of the film")
        axes.set(xlabel="distance of two clips (s)", ylabel="pairs of one cluster (%)", xscale="log", ylim=(0, 102))
        axes.xaxis.set_major_formatter("{x:g}")
        style_axes(axes, "y")
        figure.legend(loc="outside lower center", frameon=False, ncols=3, columnspacing=1.2)
        return encode_figure(figure)


def shares_figure(film: FilmAnalysis) -> str:
    """Return how large the clusters are, the largest first."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.2, 3.6), layout="constrained")
        axes = figure.subplots()
        for name, words, colour, mark in _VIEWS:
            view: FilmView = getattr(film, name)
            counts = np.sort(np.bincount(view.labels))[::-1] / len(view.labels)
            axes.plot(range(1, len(counts) + 1), 100 * counts, f"-{mark}", color=colour, markersize=5, label=words)
        axes.set(xlabel="cluster, the largest first", ylabel="clips (%)", ylim=(0, None))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        style_axes(axes, "y")
        figure.legend(loc="outside lower center", frameon=False, ncols=2)
        return encode_figure(figure)


def diversity_figure(found: Analysis) -> str:
    """Return each film's effective number of clusters and Vendi score, and those of all films together."""
    films = sorted(found.films, key=lambda film: film.name)[:MOST_ROWS]
    names = [_short(film.name) for film in films] + ["all films"]
    rows: list[Any] = [*films, None]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.5, 1.9 + 0.45 * len(rows)), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for axes, field, title in zip(
            panels, ("effective_clusters", "vendi"), ("effective number of clusters", "Vendi score"), strict=True
        ):
            for name, words, colour, mark in _VIEWS:
                values = [getattr(_diversity(found, film, name), field) for film in rows]
                shift = -0.13 if name == "picture" else 0.13
                axes.plot(values, np.arange(len(rows)) + shift, mark, color=colour, markersize=7, label=words)
            axes.set(xlabel=title, yticks=range(len(rows)), yticklabels=names, xlim=(0, None))
            axes.axhline(len(rows) - 1.5, color=_CHANCE, linewidth=1)
            style_axes(axes, "x")
        panels[0].invert_yaxis()
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", frameon=False, ncols=2)
        return encode_figure(figure)


def _diversity(found: Analysis, film: FilmAnalysis | None, view: str) -> Any:
    return getattr(found.together, view) if film is None else getattr(film, view).diversity


def marks_figure(marks: MarksTold) -> str:
    """Return how well marks alone tell films apart."""
    names = (*_NAMES, ("together", "all together"))
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.5, 3.6), layout="constrained")
        axes = figure.subplots()
        for place, (field, _) in enumerate(names):
            told = getattr(marks, field)
            mean, low, high = (100 * value for value in (told.mean, told.low, told.high))
            axes.errorbar(mean, place, xerr=[[mean - low], [high - mean]], fmt="D", color=_MARK, capsize=4)
        axes.axvline(100 * marks.chance, color=_CHANCE, linestyle="--", label="chance")
        words = [each for _, each in names]
        axes.set(xlabel="clips whose film is told (%)", xlim=(-2, 103), yticks=range(len(words)), yticklabels=words)
        axes.invert_yaxis()
        style_axes(axes, "x")
        figure.legend(loc="outside lower center", frameon=False)
        return encode_figure(figure)


def _unit(seconds: float) -> tuple[float, str]:
    return (seconds / 60, "min") if seconds > 300 else (seconds, "s")


def _clip_seconds(film: FilmAnalysis) -> float:
    return film.picture.recurrence.same_share_by_distance[0].from_seconds


def _short(name: str, most: int = 28) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
