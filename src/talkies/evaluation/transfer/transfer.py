"""Transfer to a labelled data set: a classifier on frozen features, learnt and tested on the published splits.

Shapes: `N` examples, `V` windows of each, `E` features, `K` classes.
"""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from talkies.core import UsageError, format_count
from talkies.evaluation.datasets import DataSet, Split, check_published
from talkies.evaluation.results.result import Metric, Result
from talkies.evaluation.transfer.extract import Extracted, OnClip, extract_all, towers_of
from talkies.evaluation.transfer.features import Features
from talkies.evaluation.transfer.finetune import FineTuner
from talkies.evaluation.transfer.leakage import checked_splits
from talkies.evaluation.transfer.learners import Learner, Probe
from talkies.evaluation.transfer.protocol import Protocol
from talkies.evaluation.transfer.protocol_text import facts_of, protocol_of
from talkies.evaluation.transfer.scoring import fits_of, measured


def check_complete(data: DataSet, unfit: dict[int, str], allow_missing: bool) -> None:
    """Do nothing if every listed clip is there and can be used, or if some may be missing.

    Raises:
        UsageError: with how many, and the first by name; or if nothing is left at all.
    """
    listed, absent = len(data.examples), len(data.absent)
    if absent + len(unfit) >= listed:
        first = (
            next(iter(unfit.values()), None) or f"{data.path_of(0)} is not there" if listed else "its lists are empty"
        )
        raise UsageError(f"{data.name} in {data.root} has no clip that can be used: {first}")
    if allow_missing:
        return
    if absent:
        first_absent = data.examples[min(data.absent)].path
        raise UsageError(
            f"{data.root} lacks {absent} of the {format_count(listed, 'clip')} of {data.name}, {first_absent} first; fetch "
            f"what is missing, or give --allow-missing to go on without"
        )
    if unfit:
        number = min(unfit)
        raise UsageError(
            f"{len(unfit)} of the {format_count(listed, 'clip')} of {data.name} cannot be used, {data.examples[number].path} "
            f"first: {unfit[number]}; fetch them again, or give --allow-missing to go on without"
        )


def transfer(
    data: DataSet,
    arms: Sequence[Features],
    protocol: Protocol,
    *,
    store: Path | None = None,
    allow_missing: bool = False,
    on_clip: OnClip | None = None,
) -> Result:
    """Return how well each arm's features tell the classes: the first is what is measured, the others are baselines.

    `store` is where features are kept. With two towers, pictures, sound and both joined are measured apart.

    Raises:
        UsageError: if the data are not complete, leak from test to training, or no encoder speaks to them.
    """
    if not allow_missing:
        check_published(data)
    check_complete(data, {}, allow_missing)
    checked_splits(data, {}, protocol.drop_overlap)  # by their sources, before the work; by their bytes after it
    for arm in arms:
        arm.check(towers_of(data))
    learners, found = _learners(data, arms, protocol, store, on_clip)
    check_complete(data, found.unfit, allow_missing)
    splits, dropped = checked_splits(data, found.hashes, protocol.drop_overlap)
    usable = _usable(splits, found)
    metrics: dict[str, dict[str, Metric]] = {}
    chosen: dict[str, Any] = {}
    fits = len(arms) * fits_of(data, usable, protocol)
    for arm, learner in zip(arms, learners, strict=True):

        def on_fit(what: str, name: str = arm.name) -> None:
            if on_clip:
                on_clip(f"learnt by {name}: {what}", fits)

        metrics[arm.name], chosen[arm.name] = measured(data, usable, protocol, learner, on_fit)
    first, *others = metrics
    return Result(
        task=data.name,
        protocol=protocol_of(protocol, arms[0], data) | facts_of(data, found, usable, dropped) | {"chosen": chosen},
        metrics=metrics[first],
        baselines={name: metrics[name] for name in others},
        hashes={f"features of {arm.name}": arm.stamp for arm in arms} | data.hashes_of_lists() | _clips_hash(found),
    )


def _learners(
    data: DataSet, arms: Sequence[Features], protocol: Protocol, store: Path | None, on_clip: OnClip | None
) -> tuple[list[Learner], Extracted]:
    """Return what learns from each arm, and what was found of the clips: which can be used is the same for all."""
    if protocol.method != "finetune":
        founds = extract_all(data, arms, protocol, store, on_clip)
        return [Probe(data, found, protocol) for found in founds], founds[0]
    first = FineTuner(data, arms[0], protocol)
    shared = {arms[0].look: first.clips}  # read once for all that are shown alike
    tuners = [FineTuner(data, arm, protocol, shared.get(arm.look)) for arm in arms]
    return [*tuners], first.clips.read_all(on_clip)


def _usable(splits: Sequence[Split], found: Extracted) -> tuple[Split, ...]:
    def only(numbers: Sequence[int]) -> tuple[int, ...]:
        return tuple(number for number in numbers if number in found.rows)

    kept = tuple(Split(split.name, only(split.train), only(split.test), only(split.select)) for split in splits)
    for split in kept:
        if not split.train or not split.test:
            raise UsageError(f"{split.name} has no clip left to {'learn from' if not split.train else 'test on'}")
    return kept


def _clips_hash(found: Extracted) -> dict[str, str]:
    told = "".join(f"{number} {name}\n" for number, name in sorted(found.hashes.items()))
    return {"clips": blake2b(told.encode(), digest_size=8).hexdigest()}
