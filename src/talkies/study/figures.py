"""The study's figures, PNG and SVG: each measure with its interval and chance, in colours for the colour-blind."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from talkies.study.arms import PLAIN
from talkies.study.findings import TOWERS, average_common_seeds
from talkies.study.results import UNTRAINED, StudyResults, Summary, get_plain_pair

RANDOM_COLOUR, WITHIN_COLOUR, GREY = "#E69F00", "#0072B2", "#666666"
_WEIGHT_COLOURS = ("#E69F00", "#CC79A7", "#0072B2", "#56B4E9", "#000000")
_MARKERS = ("s", "^", "D", "o", "v")
_STYLE: dict[Any, Any] = {"font.size": 12, "svg.hashsalt": "talkies", "axes.titlesize": 12}
_SIDES = (("random", RANDOM_COLOUR, "s", "random films"), ("within", WITHIN_COLOUR, "o", "within films"))
_PAIR_NAMES = {
    "marks": "strength of shortcut cues (0: none)",
    "diversity": "concepts in a film",
    "recurrence": "places in a film, with characters",
    "batch": "clips in a batch",
}
_WIDEST_LEGEND = 65  # letters of all labels in one row
_CONCEPTS = "concept recognised (% of unseen clips)"


def draw_pair_figure(results: StudyResults) -> Figure | None:
    """Draw the pair on films with strong shortcut cues: every seed, the mean, its interval, and the film probe."""
    random, within = get_plain_pair(results)
    rows = [(f"concept from\n{words}", measure) for measure, words in TOWERS]
    rows += [("film from\npictures", "film_video"), ("film from\nsound", "film_audio")]
    figure, (axes,) = _make_panels(1, (7.2, 4.4))
    for name, colour, mark, words, shift in (
        (f"{UNTRAINED}-{PLAIN}", GREY, "x", "untrained", -0.26),
        (random, RANDOM_COLOUR, "s", "random films", 0.0),
        (within, WITHIN_COLOUR, "o", "within films", 0.26),
    ):
        for place, (_, measure) in enumerate(rows):
            summary = results.summary(name, measure)
            if summary is None:
                continue
            for trial in results.cells:
                if trial.arm == name:
                    share = trial.judged[-1].measures[measure]
                    axes.plot(100 * share, place + shift + 0.08, ".", color=colour, alpha=0.5, markersize=5)
            _draw_across(axes, summary, place + shift, colour=colour, mark=mark, label=words if place == 0 else None)
    for place, (_, measure) in enumerate(rows):
        chance = 100 * results.chance[PLAIN][measure]
        axes.plot(
            [chance, chance], [place - 0.42, place + 0.42], "--", color=GREY, label="chance" if place == 0 else None
        )
    axes.set(xlabel="clips of unseen films (%)", xlim=(-2, 102), yticks=range(len(rows)))
    axes.set_yticklabels([words for words, _ in rows])
    axes.invert_yaxis()
    _style_panel(axes, "x")
    figure.legend(loc="outside lower center", frameon=False, ncols=4)
    return figure


def draw_grid_figure(results: StudyResults) -> Figure | None:
    """Draw concept accuracy by clips per film, with a line for each weight of other films."""
    arms = [arm for arm in results.arms if arm["grid"] and arm["clips_per_film"] > 1]
    weights = sorted({arm["cross_film_weight"] for arm in arms}, reverse=True)
    if len(arms) < 3:
        return None
    batch = results.scale.batch_clips
    figure, panels = _make_panels(2, (8.4, 4.4))
    random = get_plain_pair(results)[0]
    for axes, (measure, words) in zip(panels, TOWERS, strict=True):
        for number, weight in enumerate(weights):
            line = [arm for arm in arms if arm["cross_film_weight"] == weight or arm["clips_per_film"] == batch]
            points = [(arm["clips_per_film"], results.summary(arm["name"], measure)) for arm in line]
            points.append((1, results.summary(random, measure)))
            colour, mark = _WEIGHT_COLOURS[number % 5], _MARKERS[number % 5]
            _draw_line(axes, points, colour, mark, f"weight of other films {weight:g}", shift=1 + 0.03 * (number - 1))
        _draw_chance(axes, 100 * results.chance[PLAIN][measure])
        counts = sorted({1, *(arm["clips_per_film"] for arm in arms)})
        axes.set_xscale("log", base=2)
        axes.set(xticks=counts, xlabel=f"clips of one film, of {batch} in a batch", title=f"from {words}")
        axes.set_xticklabels([str(count) for count in counts])
    return _share_axis(figure, panels, _CONCEPTS)


def draw_policies_figure(results: StudyResults) -> Figure | None:
    """Draw concept accuracy for each policy of sampling and weighting, on films with strong shortcut cues."""
    arms = [arm for arm in results.arms if arm["axis"] == "sampling"]
    figure, panels = _make_panels(2, (8.6, 0.9 + 0.36 * (len(arms) + 2)))
    names = [(arm["name"], arm["words"], arm["pair"]) for arm in arms]
    names.sort(key=lambda name: -average_common_seeds(results, name[0], "concept_video"))
    names.append((f"{UNTRAINED}-{PLAIN}", "untrained", None))
    for axes, (measure, words) in zip(panels, TOWERS, strict=True):
        for place, (name, _, pair) in enumerate(names):
            summary = results.summary(name, measure)
            colour = {"random": RANDOM_COLOUR, "within": WITHIN_COLOUR}.get(str(pair), "#333333")
            if summary:
                _draw_across(axes, summary, place, colour=colour, mark="s" if pair == "random" else "o")
        axes.axvline(100 * results.chance[PLAIN][measure], color=GREY, linestyle="--")
        axes.set(xlabel=f"concept from {words} (%)", xlim=(0, 102), yticks=range(len(names)))
        axes.set_yticklabels([description for _, description, _ in names])
        axes.invert_yaxis()
        _style_panel(axes, "x")
    panels[1].set_yticklabels([])
    return figure if arms else None


def draw_nature_figure(results: StudyResults, axis: str) -> Figure | None:
    """Draw concept accuracy of the two arms of the pair along an axis of the films' nature or the batch size."""
    pairs = results.of_pair(axis)
    own = results.of_pair("sampling")
    where = {"marks": results.scale.synth.mark_strength, "diversity": results.scale.synth.concepts_per_film}
    where |= {"recurrence": results.scale.synth.places, "batch": results.scale.batch_clips}
    if not pairs:
        return None
    figure, panels = _make_panels(2, (8.4, 4.2))
    for axes, (measure, words) in zip(panels, TOWERS, strict=True):
        for side, (_, colour, mark, label) in enumerate(_SIDES):
            points = [(float(pair[side]["at"]), results.summary(pair[side]["name"], measure)) for pair in pairs]
            points.append((float(where[axis]), results.summary(own[0][side]["name"], measure)))
            _draw_line(axes, points, colour, mark, label)
        if axis == "diversity":
            for arm in results.arms:
                if arm["axis"] == axis and arm["pair"] is None:
                    point = [(float(arm["at"]), results.summary(arm["name"], measure))]
                    _draw_line(axes, point, "#000000", "D", f"{arm['words']}, no others")
        _draw_chance(axes, 100 * results.chance[PLAIN][measure])
        axes.set(title=f"from {words}", xlabel=_PAIR_NAMES[axis])
        if axis in ("diversity", "recurrence", "batch"):
            ticks = sorted({float(where[axis]), *(float(pair[0]["at"]) for pair in pairs)})
            axes.set_xscale("log", base=2)
            axes.set(xticks=ticks)
            axes.set_xticklabels([f"{tick:g}" for tick in ticks])
    return _share_axis(figure, panels, _CONCEPTS)


def draw_length_figure(results: StudyResults) -> Figure | None:
    """Draw concept accuracy of the pair over the course of training."""
    figure, panels = _make_panels(2, (8.4, 4.2))
    for axes, (measure, words) in zip(panels, TOWERS, strict=True):
        for name, (_, colour, mark, label) in zip(get_plain_pair(results), _SIDES, strict=True):
            steps = [measured.step for measured in next(t for t in results.cells if t.arm == name).judged]
            points = []
            for step in steps:
                key = f"{name}@{step}" if step not in (0, steps[-1]) else name if step else f"{UNTRAINED}-{PLAIN}"
                points.append((float(step * results.scale.batch_clips), results.summary(key, measure)))
            _draw_line(axes, points, colour, mark, label)
        _draw_chance(axes, 100 * results.chance[PLAIN][measure])
        axes.set(title=f"from {words}", xlabel="clips seen in training", xlim=(-0.02 * points[-1][0], None))
    return _share_axis(figure, panels, _CONCEPTS)


def draw_losses_figure(results: StudyResults) -> Figure | None:
    """Draw the two terms of the loss over the course of training: which clip of the film, and which film."""
    k, batch = results.scale.pair_clips_per_film, results.scale.batch_clips
    terms = (  # with the number of candidates that each arm of the pair has
        ("loss_within_film", "which clip of its film", (1, k)),
        ("loss_which_film", "which film", (batch, batch // k)),
    )
    figure, panels = _make_panels(2, (8.4, 4.0))
    for axes, (curve, words, candidates) in zip(panels, terms, strict=True):
        for name, (_, colour, _, label), count in zip(get_plain_pair(results), _SIDES, candidates, strict=True):
            curves = [trial.curves[curve] for trial in results.cells if trial.arm == name and curve in trial.curves]
            if curves and count > 1:
                rows_ST = np.array([each.values for each in curves]) / np.log(count)
                axes.plot(curves[0].steps, rows_ST.mean(0), color=colour, label=label)
                axes.fill_between(curves[0].steps, rows_ST.min(0), rows_ST.max(0), color=colour, alpha=0.25, lw=0)
        axes.axhline(1, color=GREY, linestyle="--", label="guess")
        axes.set(title=words, xlabel="step", ylim=(0, 1.25))
    return _share_axis(figure, panels, "loss (relative to a guess)")


def draw_shortcut_figure(results: StudyResults) -> Figure | None:
    """Draw film accuracy against concept accuracy for every trial on films with strong shortcut cues."""
    arms = {arm["name"]: arm for arm in results.arms if arm["axis"] == "sampling"}
    figure, panels = _make_panels(2, (8.4, 4.4))
    for axes, (measure, words) in zip(panels, TOWERS, strict=True):
        seen: set[str] = set()
        for trial in results.cells:
            if trial.arm in arms:
                arm, last = arms[trial.arm], trial.judged[-1].measures
                kind = "no other clip of the film" if arm["clips_per_film"] == 1 else "several; other films count"
                kind = "several; only they count" if arm["cross_film_weight"] == 0 else kind
                colour, mark = {
                    "no other clip of the film": (RANDOM_COLOUR, "s"),
                    "several; other films count": ("#CC79A7", "^"),
                    "several; only they count": (WITHIN_COLOUR, "o"),
                }[kind]
                x, y = 100 * last[measure.replace("concept", "film")], 100 * last[measure]
                label = None if kind in seen else kind
                seen.add(kind)
                axes.plot(x, y, mark, color=colour, alpha=0.75, markersize=6, label=label, linestyle="")
        axes.set(title=f"from {words}", xlabel="film identified (%)", xlim=(0, 102), ylim=(0, 102))
    return _share_axis(figure, panels, "concept recognised (%)")


def draw_sounds_figure(results: StudyResults) -> Figure | None:
    """Draw the class accuracy on held-out recordings: of the audio encoders, and of baselines without learning."""
    pairs = results.of_pair("sound")
    if not pairs:
        return None
    random, within = (arm["name"] for arm in pairs[0])
    rows = (
        ("log-mel statistics", random, "sounds_accuracy_statistics", GREY, "D"),
        ("untrained", random, "sounds_accuracy_untrained", GREY, "x"),
        ("random films", random, "sounds_accuracy", RANDOM_COLOUR, "s"),
        ("within films", within, "sounds_accuracy", WITHIN_COLOUR, "o"),
    )
    figure, (axes,) = _make_panels(1, (6.4, 2.8))
    for place, (_, name, measure, colour, mark) in enumerate(rows):
        if summary := results.summary(name, measure):
            _draw_across(axes, summary, place, colour=colour, mark=mark)
    axes.axvline(100 * results.chance["recordings"]["sounds_accuracy"], color=GREY, linestyle="--", label="chance")
    axes.set(xlabel="class recognised, of held-out recordings (%)", xlim=(0, 102), yticks=range(len(rows)))
    axes.set_yticklabels([row[0] for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    _style_panel(axes, "x")
    return figure


FIGURES: dict[str, Callable[[StudyResults], Figure | None]] = {
    "pair": draw_pair_figure,
    "grid": draw_grid_figure,
    "policies": draw_policies_figure,
    "shortcut": draw_shortcut_figure,
    "marks": lambda results: draw_nature_figure(results, "marks"),
    "diversity": lambda results: draw_nature_figure(results, "diversity"),
    "recurrence": lambda results: draw_nature_figure(results, "recurrence"),
    "batch": lambda results: draw_nature_figure(results, "batch"),
    "length": draw_length_figure,
    "losses": draw_losses_figure,
    "sounds": draw_sounds_figure,
}


def write_figures(folder: Path, results: StudyResults) -> list[str]:
    """Write each figure that the study's arms support as `<name>.png` and `<name>.svg`; return their names."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in FIGURES.items():
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

    handles: dict[str, Any] = {}
    for axes in panels:
        handles |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}

    columns = 4 if sum(map(len, handles)) < _WIDEST_LEGEND else 2
    options: dict[str, Any] = {"loc": "outside lower center", "frameon": False, "ncols": columns, "columnspacing": 1.2}
    figure.legend([*handles.values()], [*handles], **options)
    return figure


def _draw_line(
    axes: Axes,
    points: Sequence[tuple[float, Summary | None]],
    colour: str,
    mark: str,
    label: str,
    *,
    shift: float = 1.0,
) -> None:
    """Draw a line through summaries, each with its interval; `shift` separates lines that would overlap."""
    measured = [(place * shift, summary) for place, summary in points if summary is not None]
    measured.sort(key=lambda point: point[0])
    means = [100 * summary.mean for _, summary in measured]
    low = [100 * (summary.mean - (summary.mean if summary.low is None else summary.low)) for _, summary in measured]
    high = [100 * ((summary.mean if summary.high is None else summary.high) - summary.mean) for _, summary in measured]
    axes.errorbar(
        [place for place, _ in measured],
        means,
        [low, high],
        color=colour,
        marker=mark,
        capsize=3,
        label=label,
        alpha=0.95,
    )


def _draw_across(
    axes: Axes, summary: Summary, place: float, *, colour: str, mark: str, label: str | None = None
) -> None:
    """Draw a summary as a horizontal interval at a place of the y axis."""
    low, high = (summary.mean if end is None else end for end in (summary.low, summary.high))
    ends = [[100 * (summary.mean - low)], [100 * (high - summary.mean)]]
    axes.errorbar([100 * summary.mean], [place], xerr=ends, fmt=mark, color=colour, capsize=3, label=label)


def _draw_chance(axes: Axes, percent: float) -> None:
    axes.axhline(percent, color=GREY, linestyle="--", label="chance")


def _style_panel(axes: Axes, grid: str) -> None:
    axes.grid(axis=grid, color="#dddddd")  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
