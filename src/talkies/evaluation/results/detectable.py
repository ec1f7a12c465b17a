"""How large a difference from a baseline a measurement could have seen."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from talkies.analysis.metric import Metric
from talkies.analysis.power import ALPHA, POWER, smallest_detectable, smallest_detectable_share
from talkies.config import Config
from talkies.core import Float64s


class Detectable(Config):
    """The difference that was found, and the smallest that a two-sided test of level `alpha` finds with `power`.

    `smallest` is None where there is a single value, which does not say how much it varies. `test` names the test, and
    `n` counts the values that it compares.
    """

    found: float
    smallest: Annotated[float, Field(ge=0)] | None
    n: Annotated[int, Field(ge=1)]
    test: str
    power: float = POWER
    alpha: float = ALPHA


def compare_clips(measured: Sequence[Float64s], baseline: Sequence[Float64s]) -> Detectable:
    """Return what a comparison of scores (0 to 1) of the same test clips could have seen.

    Of a single split it is McNemar's test over the clips. Of several it is the paired t test over splits, but never
    less than McNemar's over all clips: splits may agree by chance. As splits share training clips, their differences
    are not quite independent, and the t test is somewhat too optimistic.

    Args:
        measured: for each split the scores of its test clips.
        baseline: the same of the baseline.
    """
    differences = [own - other for own, other in zip(measured, baseline, strict=True)]
    every = np.concatenate(differences)
    by_clip = Detectable(
        found=float(np.mean([split.mean() for split in differences])),
        smallest=smallest_detectable_share(min(1.0, float(np.square(every).mean())), len(every)),
        n=len(every),
        test=f"McNemar's test over {len(every)} test clips",
    )
    if len(differences) == 1:
        return by_clip
    by_split = compare_values([split.mean() for split in measured], [split.mean() for split in baseline])
    assert by_clip.smallest is not None
    assert by_split.smallest is not None
    return by_split if by_split.smallest >= by_clip.smallest else by_clip


def compare_values(measured: Sequence[float], baseline: Sequence[float]) -> Detectable:
    """Return what a paired t test over numbers of the same splits could have seen; a single pair says nothing."""
    difference = np.subtract(measured, baseline)
    found, n = float(difference.mean()), len(difference)
    if n == 1:
        return Detectable(found=found, smallest=None, n=1, test="none: a single value")
    smallest = smallest_detectable(float(difference.std(ddof=1)), n)
    return Detectable(found=found, smallest=smallest, n=n, test=f"paired t test over {n} splits")


def compare_metrics(measured: Mapping[str, Metric], baseline: Mapping[str, Metric]) -> dict[str, Detectable]:
    """Return by metric what a comparison could have seen of which only means and standard deviations are known.

    The values of both, such as those of films, count as independent. They are of the same films and mostly rise and
    fall together, so a smaller difference may have been seen.
    """
    compared: dict[str, Detectable] = {}
    for name in measured.keys() & baseline.keys():
        own, other = measured[name], baseline[name]
        n = min(own.n, other.n)
        smallest, test = None, "none: a single value"
        if n > 1:
            smallest = smallest_detectable(float(np.hypot(own.sd, other.sd)), n)
            test = f"t test over {n} values, as if independent"
        compared[name] = Detectable(found=own.mean - other.mean, smallest=smallest, n=n, test=test)
    return {name: compared[name] for name in measured if name in compared}


def describe_detectable(baseline: str, compared: Mapping[str, Detectable]) -> str:
    """Return one sentence that says which differences from a baseline could have been seen."""
    known = [(name, each) for name, each in compared.items() if each.smallest is not None]
    if not known:
        return f"Against {baseline}, a single value does not say how large a difference could have been seen."
    parts = [f"{each.smallest:.3f} in {name} ({each.test}; found {each.found:+.3f})" for name, each in known]
    first = known[0][1]
    return (
        f"Against {baseline}, differences could have been seen (power {first.power:.0%}, two-sided level "
        f"{first.alpha:g}) from {', '.join(parts)}."
    )
