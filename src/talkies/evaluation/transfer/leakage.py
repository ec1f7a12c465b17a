"""Whether something of the test clips was seen in training: the same bytes, or the same source."""

from collections.abc import Mapping

from talkies.core import UsageError, format_count
from talkies.evaluation.datasets import DataSet, Split


def checked_splits(data: DataSet, hashes: Mapping[int, str], drop: bool) -> tuple[tuple[Split, ...], int]:
    """Return the splits, and how many training clips were taken out of them because a test clip is of the same source.

    `hashes` tells each clip by its bytes. Only with `drop` is any taken out.

    Raises:
        UsageError: naming two such clips, unless `drop` is given.
    """
    splits, dropped = [], 0
    for split in data.splits:
        known = {mark: number for number in split.test for mark in _marks(data, hashes, number)}
        keep: list[tuple[int, ...]] = []
        for numbers in (split.train, split.select):
            shared = {n: known[m] for n in numbers for m in _marks(data, hashes, n) if m in known}
            if shared and not drop:
                first, other = next(iter(shared.items()))
                raise UsageError(
                    f"{split.name} of {data.name} learns from what it tests on: {data.examples[first].path} and "
                    f"{data.examples[other].path} are of the same source ({format_count(len(shared), 'such clip')}); mend "
                    f"the split, or leave them out of training with --set drop_overlap=true"
                )
            keep.append(tuple(number for number in numbers if number not in shared))
            dropped += len(shared)
        splits.append(Split(split.name, keep[0], split.test, keep[1]))
    return tuple(splits), dropped


def _marks(data: DataSet, hashes: Mapping[int, str], number: int) -> tuple[tuple[str, str], ...]:
    source = ("source", data.examples[number].source)
    return (source, ("bytes", hashes[number])) if number in hashes else (source,)
