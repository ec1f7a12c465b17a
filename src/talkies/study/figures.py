"""The study's figures, PNG and SVG: each measure with its interval and chance, in colours for the colour-blind."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from talkies.study.findings import (
    count_passes,
    describe_arm_point,
    describe_measure,
    name_sampling,
)
from talkies.study.results import StudyResults
from talkies.study.scale import PLAIN, RANDOM, USUAL
from talkies.study.statistics import Contrast

GREY = "#666666"
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#000000")
_RANDOM_COLOUR = "#E69F00"
_MARKERS = ("o", "^", "D", "v", "P", "X")
_STYLE: dict[Any, Any] = {"font.size": 11, "svg.hashsalt": "talkies", "axes.titlesize": 12}
_WIDEST_LEGEND = 65  # letters of all labels in one row


def draw_map(results: StudyResults) -> Figure | None:
    """Draw the gain over random films against the number of films, a line for each sampling and length.

    Each point names how often a model saw every second of its films.
    """
    gains = _collect_gains(results)
    if not gains:
        return None
    measures = list(dict.fromkeys(measure for measure, _, _ in gains))[:2]
    figure, panels = _make_panels(len(measures), (4.9 * len(measures), 4.6))
    margin = 100 * results.scale.equivalence_margin
    for axes, measure in zip(panels, measures, strict=True):
        axes.axhline(0, color="black", lw=0.8)
        axes.axhspan(-margin, margin, color="#eeeeee", zorder=0, label="within the margin of no difference")
        lines = {key[1:]: points for key, points in gains.items() if key[0] == measure}
        lengths = sorted({length for _, length in lines})
        samplings = list(dict.fromkeys(sampling for sampling, _ in lines))
        for (sampling, length), points in lines.items():
            place = samplings.index(sampling)
            _draw_gain_line(
                axes,
                points,
                label=f"{results.scale.samplings[sampling].words}, {_count_clips(results, length)} clips seen",
                style=("-", "--", ":", "-.")[lengths.index(length) % 4],
                colour=_COLOURS[place % len(_COLOURS)],
                shift=1 + 0.03 * (place - lengths.index(length)),
            )
        counts = sorted({films for points in lines.values() for films, _ in points})
        axes.set_xscale("log", base=2)
        axes.set_xticks(counts, [_label_films(results, films, lengths) for films in counts])
        axes.minorticks_off()
        axes.set(title=describe_measure(measure), xlabel="films to learn from (passes over them)")
    figure.suptitle("Gain over negatives from other films", fontsize=12)
    return _share_axis(figure, panels, "difference (points)")


def _collect_gains(results: StudyResults) -> dict[tuple[str, str, float], list[tuple[int, Contrast]]]:
    """Return the contrasts with random films by measure, sampling and length, as (films, contrast).

    They are of the study's first nature of films, with the usual recipe and batch.
    """
    arms = {arm["name"]: arm for arm in results.arms}
    gains: dict[tuple[str, str, float], dict[int, Contrast]] = {}
    for contrast in results.contrasts:
        arm, against = arms[contrast.arm], arms.get(contrast.against)
        usual = (arm["nature"], arm["variant"], arm["batch"]) == (
            results.arms[0]["nature"],
            USUAL,
            results.scale.batch_clips,
        )
        if usual and against is not None and against["sampling"] == RANDOM:
            points = gains.setdefault((contrast.measure, arm["sampling"], arm["length"]), {})
            points[arm["films"]] = contrast
    return {key: sorted(points.items()) for key, points in gains.items() if len(points) > 1}


def _draw_gain_line(
    axes: Axes, points: Sequence[tuple[int, Contrast]], *, label: str, style: str, colour: str, shift: float
) -> None:
    means = [100 * contrast.mean for _, contrast in points]
    low = [100 * (contrast.mean - _or(contrast.low, contrast.mean)) for _, contrast in points]
    high = [100 * (_or(contrast.high, contrast.mean) - contrast.mean) for _, contrast in points]
    places = [films * shift for films, _ in points]
    axes.errorbar(places, means, [low, high], color=colour, marker="o", ls=style, capsize=3, label=label)


def _count_clips(results: StudyResults, length: float) -> str:
    return f"{results.scale.steps * length * results.scale.batch_clips:,.0f}"


def _label_films(results: StudyResults, films: int, lengths: Sequence[float]) -> str:
    passes = [f"{count_passes(results, films, length):.2g}×" for length in lengths]
    return f"{films}\n({', '.join(passes)})"


def draw_family(results: StudyResults, family: str) -> Figure | None:
    """Draw every arm that a family compares: a row for each point, a symbol for each sampling."""
    contrasts = results.list_contrasts(family)
    measures = list(dict.fromkeys(contrast.measure for contrast in contrasts))
    points: dict[str, list[str]] = {}
    for contrast in contrasts:
        of_point = points.setdefault(describe_arm_point(results, contrast.arm), [])
        of_point += [name for name in (contrast.against, contrast.arm) if name not in of_point]
    if not points:
        return None
    samplings = list(dict.fromkeys(name_sampling(results, name) for names in points.values() for name in names))
    figure, panels = _make_panels(len(measures), (3.4 + 3.4 * len(measures), 1.4 + 0.55 * len(points)))
    for axes, measure in zip(panels, measures, strict=True):
        for place, names in enumerate(points.values()):
            for name in names:
                number = samplings.index(name_sampling(results, name))
                shift = 0.5 * (number / max(1, len(samplings) - 1) - 0.5)
                _draw_across(axes, results, name, measure, place=place + shift, number=number)
        axes.set(title=describe_measure(measure), xlabel="%", xlim=(0, 102), yticks=range(len(points)))
        axes.set_ylim(len(points) - 0.5, -0.5)
        axes.set_yticklabels([*points] if axes is panels[0] else [])
        _draw_chance(axes, results, contrasts[0].arm, measure)
        _style_panel(axes, "x")
    _add_legend(figure, panels)
    return figure


def draw_identity(results: StudyResults) -> Figure | None:
    """Draw concept accuracy against film accuracy for every model on plain films, and untrained ones."""
    figure, panels = _make_panels(2, (9.0, 4.6))
    arms = {arm["name"]: arm for arm in results.arms if arm["nature"] == PLAIN and arm["variant"] == USUAL}
    samplings = list(dict.fromkeys(arm["sampling"] for arm in arms.values()))
    for axes, modality in zip(panels, ("video", "audio"), strict=True):
        for trial in results.cells:
            if trial.arm not in arms:
                continue
            number = samplings.index(arms[trial.arm]["sampling"])
            last = trial.judged[-1].measures
            style = _style_of(arms[trial.arm]["sampling"], number)
            _draw_dot(axes, last, modality, style, label=arms[trial.arm]["words"])
            if trial.judged[0].step == 0:
                _draw_dot(axes, trial.judged[0].measures, modality, (GREY, "x"), label="untrained")
        words = "pictures" if modality == "video" else "sound"
        axes.set(title=f"from {words}", xlabel="film identified (%)", xlim=(0, 102))
    return _share_axis(figure, panels, "concept recognised (%)") if arms else None


def _draw_dot(axes: Axes, shares: dict[str, float], modality: str, style: tuple[str, str], *, label: str) -> None:
    x, y = 100 * shares[f"film_{modality}"], 100 * shares[f"concept_{modality}"]
    colour, mark = style
    axes.plot(x, y, mark, color=colour, alpha=0.7, markersize=6, label=label, linestyle="")


def _style_of(sampling: str, number: int) -> tuple[str, str]:
    """Return the colour and marker of a sampling."""
    if sampling == RANDOM:
        return _RANDOM_COLOUR, "s"
    return _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)]


def write_figures(folder: Path, results: StudyResults) -> list[str]:
    """Write each figure that the study's arms support as `<name>.png` and `<name>.svg`; return their names."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    figures: dict[str, Callable[[StudyResults], Figure | None]] = {"map": draw_map, "identity": draw_identity}
    for family in results.scale.families:
        figures[family] = lambda of, key=family: draw_family(of, key)  # type: ignore[misc]
    for name, draw in figures.items():
        with mpl.rc_context(_STYLE):
            figure = draw(results)
            if figure is not None:
                figure.savefig(folder / f"{name}.png", dpi=150, metadata={"Software": None})
                figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
                written.append(name)
    return written


def _make_panels(count: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=size, layout="constrained")
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def _share_axis(figure: Figure, panels: Sequence[Axes], ylabel: str) -> Figure:
    """Label the shared y axis of several panels once, and put one legend below them."""
    panels[0].set_ylabel(ylabel)
    for axes in panels:
        if "%" in ylabel:
            axes.set_ylim(0, 102)
        _style_panel(axes, "y")
    _add_legend(figure, panels)
    return figure


def _add_legend(figure: Figure, panels: Sequence[Axes]) -> None:
    """Put one legend of all panels below them."""
    handles: dict[str, Any] = {}
    for axes in panels:
        handles |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    columns = 4 if sum(map(len, handles)) < _WIDEST_LEGEND else 2
    options: dict[str, Any] = {"loc": "outside lower center", "frameon": False, "ncols": columns, "columnspacing": 1.2}
    figure.legend([*handles.values()], [*handles], **options)


def _draw_across(axes: Axes, results: StudyResults, name: str, measure: str, *, place: float, number: int) -> None:
    """Draw a summary as a horizontal interval at a place of the y axis, with a dot for each film set."""
    summary, arm = results.summary(name, measure), results.arm(name)
    if summary is None:
        return
    colour, mark = (GREY, "x") if arm is None else _style_of(arm["sampling"], number)
    low, high = _or(summary.low, summary.mean), _or(summary.high, summary.mean)
    ends = [[100 * (summary.mean - low)], [100 * (high - summary.mean)]]
    label = name_sampling(results, name)
    axes.errorbar([100 * summary.mean], [place], xerr=ends, fmt=mark, color=colour, capsize=3, label=label)
    shares = [100 * trial.judged[-1].measures[measure] for trial in results.cells if trial.arm == name]
    axes.plot(shares, [place + 0.1] * len(shares), ".", color=colour, alpha=0.5, markersize=4)


def _draw_chance(axes: Axes, results: StudyResults, arm: str, measure: str) -> None:
    described = results.arm(arm)
    level = results.chance.get(described["nature"] if described else PLAIN, {}).get(measure)
    if level is not None:
        axes.axvline(100 * level, color=GREY, linestyle="--", label="chance")


def _style_panel(axes: Axes, grid: str) -> None:
    axes.grid(axis=grid, color="#dddddd")  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
