"""The audit's figures as SVG: film probes, retrieval, and the parts of its lift."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from talkies.evaluation.audit.tables import name_columns
from talkies.evaluation.audit.values import Audit, AuditedModel, Directions, Estimate, Recalls
from talkies.evaluation.film_tasks.retrieval import RECALLS
from talkies.reporting.pages import encode_figure, style_axes

# Colours that colour-blind readers can distinguish.
_UNTRAINED, _TRAINED, _CUE, _FILM, _MOMENT = "#E69F00", "#0072B2", "#333333", "#CC79A7", "#009E73"
_CHANCE = "#777777"
_STYLE: dict[Any, Any] = {"font.size": 11, "svg.hashsalt": "talkies"}  # a fixed salt gives the same bytes every time
_PROBES = (
    ("picture\nfeatures", "video_features"),
    ("picture\nembeddings", "video_embeddings"),
    ("sound\nfeatures", "audio_features"),
    ("sound\nembeddings", "audio_embeddings"),
)
_CUES = ("palette", "spectrum", "loudness")


@dataclass(frozen=True, slots=True)
class _Series:
    """How the numbers of one model are drawn."""

    model: AuditedModel
    name: str
    colour: str
    marker: str
    shift: float


def draw_probes(audit: Audit) -> str:
    """Return how well the film is identified from each model's rows, and from shortcut cues."""
    shown = [(words, field) for words, field in _PROBES if getattr(audit.trained.film_probe, field) is not None]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.4, 4.6), layout="constrained")
        axes = figure.subplots()
        for series in _list_series(audit):
            probes: list[Estimate] = [getattr(series.model.film_probe, field) for _, field in shown]
            places = [place + series.shift for place in range(len(probes))]
            _draw_dots(axes, probes, places, colour=series.colour, marker=series.marker, label=series.name)
        cues: list[Estimate] = [getattr(audit.marks, field) for field in _CUES]
        places = [float(place) for place in range(len(shown), len(shown) + len(_CUES))]
        _draw_dots(axes, cues, places, colour=_CUE, marker="D", label="shortcut cues")

        axes.axvline(100 * audit.chance.film_probe, color=_CHANCE, linestyle="--", label="chance")
        names = [words for words, _ in shown] + list(_CUES)
        axes.set(
            xlabel="clips whose film is identified (%)", xlim=(-2, 103), yticks=range(len(names)), yticklabels=names
        )
        axes.invert_yaxis()
        style_axes(axes, "x")
        figure.legend(loc="outside lower center", frameon=False, ncols=2)
        return encode_figure(figure)


def draw_neighbours(audit: Audit) -> str:
    """Return how often a clip finds the clip next to it within its film, by each modality and by its cue."""
    modalities = list(audit.trained.neighbours)
    places = range(len(RECALLS))
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.4, 4.4), layout="constrained")
        grid = figure.subplots(1, len(modalities), sharey=True, squeeze=False)
        for axes, modality in zip(grid[0], modalities, strict=True):
            for series in _list_series(audit):
                _draw_curve(axes, series.model.neighbours[modality].within_film, series)
            cue = audit.cue_neighbours[modality].within_film
            cue_name = {"video": "palette", "audio": "mean spectrum"}[modality]
            shares = [100 * cue.at(k).mean for k in RECALLS]
            axes.plot(places, shares, ":D", color=_CUE, markersize=4, label="shortcut cue")
            chance = audit.trained.neighbours[modality].chance
            axes.plot(places, [100 * chance.at(k) for k in RECALLS], "--", color=_CHANCE, label="chance")
            name = {"video": "pictures", "audio": "sounds"}[modality]
            axes.set_title(f"{name}; cue: {cue_name}", fontsize=11)
            axes.set(xlabel="best k candidates", xticks=places, xticklabels=RECALLS, ylim=(0, 102))
            style_axes(axes, "y")
        figure.supylabel("next clip among them (%)", fontsize=11)
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", frameon=False, ncols=2)
        return encode_figure(figure)


def draw_retrieval(audit: Audit) -> str:
    """Return recalls within and across films, without the films' means, and with shuffled sound."""
    chance = audit.chance
    panels = (
        ("within the film", "within_film", chance.within_film),
        ("all films", "across_films", chance.across_films),
        ("all, film means removed", "across_films_means_removed", chance.across_films),
        ("all, sound shuffled", "shuffled", chance.across_films),
    )
    places = range(len(RECALLS))
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.4, 7.2), layout="constrained")
        grid = figure.subplots(2, 2, sharex=True, sharey=True)
        for axes, (title, field, guess) in zip(grid.flat, panels, strict=True):
            for series in _list_series(audit):
                directions: Directions = getattr(series.model.retrieval, field)
                _draw_curve(axes, directions.both, series)
            axes.plot(places, [100 * guess.at(k) for k in RECALLS], "--", color=_CHANCE, label="chance")
            if field in {"across_films", "shuffled"}:
                pure = [100 * chance.pure_film_recogniser.at(k) for k in RECALLS]
                axes.plot(places, pure, ":", color=_FILM, linewidth=2, label="knows only the film")
            axes.set_title(title, fontsize=11)
            axes.set(xticks=places, xticklabels=RECALLS, ylim=(0, 102))
            style_axes(axes, "y")
        for axes in grid[1]:
            axes.set_xlabel("best k candidates")
        figure.supylabel("right one among them (%)", fontsize=11)
        handles, labels = grid[1, 1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", frameon=False, ncols=2)
        return encode_figure(figure)


def draw_lift(audit: Audit) -> str:
    """Return the logarithm of the lift of the recall at 1 across films, split into the film's and the moment's part."""
    films, clips = len(audit.films), sum(film.clips for film in audit.films)
    rows = [("perfect", log(films), log(clips / films)), ("knows only\nthe film", log(films), 0.0)]
    for series in reversed(_list_series(audit)):
        lifts = series.model.lifts
        rows.append((series.name, (lifts and lifts.film_nats) or 0.0, (lifts and lifts.moment_nats) or 0.0))

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.4, 2.9), layout="constrained")
        axes = figure.subplots()
        places = [place + shift for place in range(len(rows)) for shift in (-0.19, 0.19)]
        values = [value for _, film, moment in rows for value in (film, moment)]
        bars = axes.barh(places, values, height=0.34, color=[_FILM, _MOMENT] * len(rows))
        for bar, hatch in zip(bars, ["//", ""] * len(rows), strict=True):
            bar.set(hatch=hatch, edgecolor="white")
        bars[0].set_label("right film")
        bars[1].set_label("right moment, given the film")
        axes.bar_label(bars, fmt="{:z.1f}", padding=3)

        axes.axvline(0, color=_CUE, linewidth=1)
        axes.set(xlabel="log of times chance (nats)", yticks=range(len(rows)), yticklabels=[name for name, *_ in rows])
        axes.margins(x=0.12)
        style_axes(axes, "x")
        figure.legend(loc="outside lower center", frameon=False, ncols=2)
        return encode_figure(figure)


def _list_series(audit: Audit) -> tuple[_Series, ...]:
    other, own = name_columns(audit)
    compared = [_Series(audit.untrained, other, _UNTRAINED, "s", -0.15)] if audit.untrained else []
    return (*compared, _Series(audit.trained, own, _TRAINED, "o", 0.15))


def _draw_dots(
    axes: Axes, estimates: Sequence[Estimate], places: Sequence[float], *, colour: str, marker: str, label: str
) -> None:
    """Draw a dot with its interval for each estimate, at its place on the vertical axis; one label for all."""
    for number, (estimate, place) in enumerate(zip(estimates, places, strict=True)):
        mean, low, high = (100 * value for value in (estimate.mean, estimate.low, estimate.high))
        interval = [[mean - low], [high - mean]]
        own_label = label if number == 0 else None
        axes.errorbar(mean, place, xerr=interval, fmt=marker, color=colour, capsize=3, label=own_label)


def _draw_curve(axes: Axes, recalls: Recalls, series: _Series) -> None:
    """Draw a model's recalls with their intervals."""
    estimates = [recalls.at(k) for k in RECALLS]
    means = [100 * estimate.mean for estimate in estimates]
    below = [mean - 100 * estimate.low for mean, estimate in zip(means, estimates, strict=True)]
    above = [100 * estimate.high - mean for mean, estimate in zip(means, estimates, strict=True)]
    places = [place + series.shift / 2 for place in range(len(RECALLS))]
    axes.errorbar(
        places,
        means,
        yerr=[below, above],
        fmt=f"-{series.marker}",
        color=series.colour,
        capsize=3,
        markersize=5,
        label=series.name,
    )
