"""Check that training does not see the test clips: no file with the same bytes, and no clip of the same source."""

from collections.abc import Mapping

from talkies.core import UsageError, format_count
from talkies.evaluation.datasets import DataSet, Split


def check_leakage(data: DataSet, clip_keys: Mapping[int, str], drop: bool) -> tuple[tuple[Split, ...], int]:
    """Return the splits without leaking training clips, and how many were removed.

    Args:
        data: the data set.
        clip_keys: a hash of each clip's bytes, by the number of its example; may lack some or all.
        drop: whether to remove training and validation clips that share bytes or source with a test clip.

    Raises:
        UsageError: naming a training clip and a test clip that share bytes or source, unless `drop`.
    """
    splits, dropped = [], 0
    for split in data.splits:
        test_origins = {origin: number for number in split.test for origin in _list_origins(data, clip_keys, number)}
        kept: list[tuple[int, ...]] = []
        for numbers in (split.train, split.select):
            leaking = {
                number: test_origins[origin]
                for number in numbers
                for origin in _list_origins(data, clip_keys, number)
                if origin in test_origins
            }
            if leaking and not drop:
                train, test = next(iter(leaking.items()))
                raise UsageError(
                    f"{split.name} of {data.name} trains on what it tests on: {data.examples[train].path} and "
                    f"{data.examples[test].path} are of the same source ({format_count(len(leaking), 'such clip')}); "
                    f"repair the split, or leave them out of training with --set drop_overlap=true"
                )
            kept.append(tuple(number for number in numbers if number not in leaking))
            dropped += len(leaking)
        splits.append(Split(split.name, kept[0], split.test, kept[1]))
    return tuple(splits), dropped


def _list_origins(data: DataSet, clip_keys: Mapping[int, str], number: int) -> tuple[tuple[str, str], ...]:
    """Return what identifies where a clip comes from: its source, and its bytes if they are known."""
    source = ("source", data.examples[number].source)
    return (source, ("bytes", clip_keys[number])) if number in clip_keys else (source,)
