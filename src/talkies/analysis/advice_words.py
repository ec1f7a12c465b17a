"""The advice on sampling in words: plain sentences with the numbers that they rest on."""

from collections.abc import Mapping, Sequence

from talkies.analysis.evidence import BY_HAND, EvidenceRow

Reliance = tuple[float, float, float]
_MEASURES = {"concept_video": "by pictures", "concept_audio": "by sound"}
_ONE = "one clip of each film"


def describe_choice(
    point: tuple[int, float], standing: str, clips: int, gain: Sequence[EvidenceRow], *, favours_several: bool
) -> str:
    """Return what the evidence says of several clips of a film at a point.

    Args:
        point: The films and the passes over them.
        standing: The verdict on the rows together.
        clips: The clips of a film that were measured.
        gain: The rows.
        favours_several: Whether the mean difference is above 0.
    """
    subject, several = f"With {_format_point(*point)}", f"{clips} clips of a film"
    favoured, numbers = (several if favours_several else _ONE), describe_rows(gain)
    match standing:
        case "better":
            return f"{subject}, {several} are advised: in the study they taught more than {_ONE} ({numbers})."
        case "worse":
            return f"{subject}, {_ONE} is advised: in the study {several} taught less ({numbers})."
        case "equivalent":
            return (
                f"{subject}, either does: {several} and {_ONE} taught the same within the study’s margin ({numbers}). "
                f"The numbers favour {favoured}."
            )
        case "untested":
            return (
                f"{subject}, the numbers favour {favoured}, but no test has shown it: {several} less {_ONE} "
                f"({numbers})."
            )
    return (
        f"{subject}, either does: it is not shown that {several} teach more or less than {_ONE} ({numbers}). "
        f"The numbers favour {favoured}."
    )


def describe_weight(weight: float, usual: float, lower_weights: Mapping[float, Sequence[EvidenceRow]]) -> str:
    """Return why other films have their weight among several clips of a film.

    Args:
        weight: The advised weight.
        usual: The weight with which the gain was measured.
        lower_weights: The rows of each lower weight that was measured.
    """
    if not lower_weights:
        return f"Other films weigh {usual:g}, as they did there; other weights were not measured."
    numbers = "; ".join(f"{lower:g}: {describe_rows(rows)}" for lower, rows in sorted(lower_weights.items()))
    if weight < usual:
        return f"Other films are advised to weigh {weight:g}: that taught more than {usual:g} ({numbers})."
    return f"Other films weigh {usual:g}, because it is not shown that a lower weight teaches more ({numbers})."


def describe_reliance(leans: bool, numbers: Reliance | None, step: tuple[int, float] | None) -> str:
    """Return what the measured reliance on the film changes.

    Args:
        leans: Whether the model leans on the film.
        numbers: The reliance with the ends of its interval; None if it is not measured.
        step: The clips of a film and the weight of other films, one step further within the film; None for no step.
    """
    measured = "" if numbers is None else " (reliance {:.2f} [{:.2f}, {:.2f}])".format(*numbers).replace("-", "−")
    if not leans:
        return f"This model is not found to lean on the film{measured}, which asks for no change."
    begin = f"This model leans on the film{measured}, which speaks for more weight within films"
    if step is None:
        return f"{begin}; how much more was not measured."
    clips, weight = step
    return (
        f"{begin}: a step further is {clips} clips of a film with a weight of {weight:g} for other films. How much "
        "that helps such a model was not measured."
    )


def describe_outside(
    films: int, passes: float | None, rows: Sequence[EvidenceRow], nearest: Sequence[EvidenceRow]
) -> str:
    """Return that nothing is advised, because nothing was measured around a point.

    Args:
        films: The films.
        passes: The passes over them; None if they are unknown.
        rows: All evidence.
        nearest: The rows of the nearest points.
    """
    measured = "; ".join(_describe_points(rows)) or "nothing"
    nothing = "so neither a number of clips of a film nor a weight of other films is advised"
    if passes is None:
        return f"How often the {_format_films(films)} are passed over is not known, {nothing}."
    words = f"{_format_point(films, passes)} are outside what the studies measured ({measured}), {nothing}."
    if nearest:
        words += f" The nearest that was measured: {describe_rows(nearest)}."
    return f"{words} Train both ways, and evaluate."


def list_unknown(rows: Sequence[EvidenceRow]) -> tuple[str, ...]:
    """Return what the rows leave open, a sentence each."""
    unknown = []
    if any(row.source.startswith(BY_HAND) for row in rows):
        unknown.append("The numbers without intervals were repeated by hand, and no test was made of them.")
    if {row.kind for row in rows} == {"rendered"}:
        unknown.append("They are of rendered films with strong shortcut cues; on real films nothing is shown.")
    elif rows:
        unknown.append("They are of rendered and composed films with strong shortcut cues, not of real ones.")
    if rows:
        clips = sorted({row.sampling.clips_per_film for row in rows})
        unknown.append(
            f"Films were short and encoders small, and only {' and '.join(map(str, clips))} clips of a film were "
            "measured against one: whether other numbers, longer films or larger encoders change it is not known."
        )
    return tuple(unknown)


def describe_rows(rows: Sequence[EvidenceRow]) -> str:
    """Return differences with their intervals, point by point: of the share of clips whose concept a probe finds."""
    points: dict[str, list[str]] = {}
    for row in rows:
        words = f"{row.films:,} {row.kind} films, {format_passes(row.passes)}"
        points.setdefault(words, []).append(f"{_format_difference(row)} {_MEASURES.get(row.measure, row.measure)}")
    return "; ".join(f"{words}: {', '.join(numbers)}" for words, numbers in points.items())


def format_passes(passes: float) -> str:
    """Return a number of passes in words: `1.5 passes`."""
    number = f"{passes:,.0f}" if passes >= 10 else f"{passes:.2g}"
    return f"{number} pass" if number == "1" else f"{number} passes"


def _format_difference(row: EvidenceRow) -> str:
    interval = "" if row.low is None or row.high is None else f" [{_format_sign(row.low)}, {_format_sign(row.high)}]"
    return f"{_format_sign(row.mean)} points{interval}"


def _format_sign(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "−")


def _format_films(films: int) -> str:
    return "1 film" if films == 1 else f"{films:,} films"


def _format_point(films: int, passes: float) -> str:
    return f"{_format_films(films)} and about {format_passes(passes)} over them"


def _describe_points(rows: Sequence[EvidenceRow]) -> list[str]:
    """Return the measured points of each kind of films."""
    kinds = dict.fromkeys(row.kind for row in rows if row.is_gain)
    return [
        f"{kind} films: {_list_points([row for row in rows if row.kind == kind and row.is_gain])}" for kind in kinds
    ]


def _list_points(rows: Sequence[EvidenceRow]) -> str:
    parts = []
    for films in sorted({row.films for row in rows}):
        passes = sorted({row.passes for row in rows if row.films == films})
        ends = [format_passes(passes[0]), format_passes(passes[-1])]
        first = ends[0] if len(passes) == 1 else f"{ends[0].split()[0]} to {ends[1]}"
        parts.append(f"{films:,} with {first}")
    return ", ".join(parts)
