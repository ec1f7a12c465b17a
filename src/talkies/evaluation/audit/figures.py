"""The audit's figures as SVG: probes, retrieval, and what its lift is made of."""

from math import log
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from talkies.evaluation.audit.values import Audit, AuditedModel, Directions, Estimate, Recalls
from talkies.evaluation.film_tasks.retrieval import RECALLS
from talkies.reporting.pages import encode_figure, style_axes

_UNTRAINED, _TRAINED, _MARK, _FILM, _MOMENT = (
    "#E69F00",
    "#0072B2",
    "#333333",
    "#CC79A7",
    "#009E73",
)  # told apart by the colour-blind
_STYLE: dict[Any, Any] = {"font.size": 11, "svg.hashsalt": "talkies"}  # the salt: the same bytes every time
_PROBES = (
    ("picture\nfeatures", "video_features"),
    ("picture\nembeddings", "video_embeddings"),
    ("sound\nfeatures", "audio_features"),
    ("sound\nembeddings", "audio_embeddings"),
)
_MARKS = ("palette", "spectrum", "loudness")


def probe_figure(found: Audit) -> str:
    """Return how well the film is told from each model's rows and from the marks alone."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.4, 4.6), layout="constrained")
        axes = figure.subplots()
        for model, colour, mark, name, shift in _models(found):
            for place, (_, field) in enumerate(_PROBES):
                label = name if place == 0 else None
                _dot(axes, getattr(model.film_probe, field), place + shift, colour, mark, label)
        for place, field in enumerate(_MARKS, len(_PROBES)):
            label = "marks alone" if field == _MARKS[0] else None
            _dot(axes, getattr(found.marks, field), place, _MARK, "D", label)
        axes.axvline(100 * found.chance.film_probe, color="#777777", linestyle="--", label="chance")
        names = [words for words, _ in _PROBES] + list(_MARKS)
        axes.set(xlabel="clips whose film is told (%)", xlim=(-2, 103), yticks=range(len(names)), yticklabels=names)
        axes.invert_yaxis()
        style_axes(axes, "x")
        figure.legend(loc="outside lower center", frameon=False, ncols=2)
        return encode_figure(figure)


def retrieval_figure(found: Audit) -> str:
    """Return recalls within and across films, without the films' means, and with shuffled sound."""
    panels = (
        ("within the film", "within_film", found.chance.within_film),
        ("all films", "across_films", found.chance.across_films),
        ("all, film means removed", "across_films_means_removed", found.chance.across_films),
        ("all, sound shuffled", "shuffled", found.chance.across_films),
    )
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.4, 7.2), layout="constrained")
        grid = figure.subplots(2, 2, sharex=True, sharey=True)
        for axes, (title, field, chance) in zip(grid.flat, panels, strict=True):
            for model, colour, mark, name, shift in _models(found):
                directions: Directions = getattr(model.retrieval, field)
                _curve(axes, directions.both, colour, mark, name, shift)
            axes.plot(_places(), [100 * chance.at(k) for k in RECALLS], "--", color="#777777", label="chance")
            if field in {"across_films", "shuffled"}:
                pure = [100 * found.chance.pure_film_recogniser.at(k) for k in RECALLS]
                axes.plot(_places(), pure, ":", color=_FILM, linewidth=2, label="knows the film alone")
            axes.set_title(title, fontsize=11)
            axes.set(xticks=_places(), xticklabels=RECALLS, ylim=(0, 102))
            style_axes(axes, "y")
        for axes in grid[1]:
            axes.set_xlabel("best k candidates")
        figure.supylabel("right one among them (%)", fontsize=11)
        handles, labels = grid[1, 1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", frameon=False, ncols=2)
        return encode_figure(figure)


def lift_figure(found: Audit) -> str:
    """Return the logarithm of the lift of the recall at 1 across films, cut into the film's and the moment's part."""
    films, clips = len(found.films), sum(film.clips for film in found.films)
    rows = [("perfect", log(films), log(clips / films)), ("knows the\nfilm alone", log(films), 0.0)]
    for name, model in (("trained", found.trained), ("untrained", found.untrained)):
        rows.append((name, model.lifts.film_nats or 0.0, model.lifts.moment_nats or 0.0))
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
        axes.axvline(0, color=_MARK, linewidth=1)
        axes.set(xlabel="log of times chance (nats)", yticks=range(len(rows)), yticklabels=[name for name, *_ in rows])
        axes.margins(x=0.12)
        style_axes(axes, "x")
        figure.legend(loc="outside lower center", frameon=False, ncols=2)
        return encode_figure(figure)


def _models(found: Audit) -> tuple[tuple[AuditedModel, str, str, str, float], ...]:
    """Return each model with its colour, its mark, its name and its shift."""
    return ((found.untrained, _UNTRAINED, "s", "untrained", -0.15), (found.trained, _TRAINED, "o", "trained", 0.15))


def _places() -> list[int]:
    return list(range(len(RECALLS)))


def _dot(axes: Axes, estimate: Estimate, place: float, colour: str, mark: str, label: str | None) -> None:
    mean, low, high = (100 * value for value in (estimate.mean, estimate.low, estimate.high))
    axes.errorbar(mean, place, xerr=[[mean - low], [high - mean]], fmt=mark, color=colour, capsize=3, label=label)


def _curve(axes: Axes, recalls: Recalls, colour: str, mark: str, label: str, shift: float) -> None:
    means, lows, highs = ([100 * getattr(recalls.at(k), part) for k in RECALLS] for part in ("mean", "low", "high"))
    below = [mean - low for mean, low in zip(means, lows, strict=True)]
    above = [high - mean for mean, high in zip(means, highs, strict=True)]
    at = [place + shift / 2 for place in _places()]
    axes.errorbar(at, means, yerr=[below, above], fmt=f"-{mark}", color=colour, capsize=3, markersize=5, label=label)
