"""AVE: events with their seconds, and detecting a wrong list."""

from pathlib import Path

import pytest
from miniatures import build_ave, edit

from talkies.core import UsageError
from talkies.evaluation.datasets import Example
from talkies.evaluation.datasets.ave import read_ave


def test_events_have_their_seconds_and_three_sides(tmp_path: Path) -> None:
    data = read_ave(build_ave(tmp_path))
    assert (data.classes, data.modality) == (("Church bell", "Dog", "Violin, fiddle"), "both")
    assert data.examples[0] == Example("AVE/train_0-0ab.mp4", (0,), "train_0-0ab", span_seconds=(0.0, 1.0))
    (split,) = data.splits
    assert (split.train, split.select, split.test) == (tuple(range(13)), (13, 14, 15), tuple(range(16, 22)))


def test_a_clip_of_two_events_is_two_examples_and_an_event_without_length_the_whole_clip(tmp_path: Path) -> None:
    data = read_ave(build_ave(tmp_path))
    assert data.examples[12] == Example("AVE/train_0-0ab.mp4", (1,), "train_0-0ab", span_seconds=None)
    assert data.examples[0].path == data.examples[12].path


@pytest.mark.parametrize(
    ("listed", "old", "new", "sentence"),
    [
        (
            "trainSet.txt",
            "&good&0&1",
            "&good&0",
            r"trainSet.txt, line 1, is not of the form 'CATEGORY&VIDEO&QUALITY&START&",
        ),
        (
            "trainSet.txt",
            "&good&0&1",
            "&good&0&2",
            r"trainSet.txt, line 1, has an event that Annotations.txt lacks: Chu",
        ),
        (
            "trainSet.txt",
            "Church bell",
            "Dog",
            r"trainSet.txt, line 1, has an event that Annotations.txt lacks: Dog&tr",
        ),
        (
            "testSet.txt",
            "Ch",
            "Dog&val_1-0abcd&good&0&1\nCh",
            r"testSet.txt, line 1, names Dog&val_1-0abcd, which line 2 of",
        ),
        (
            "valSet.txt",
            "Ch",
            "Dog&val_1-0abcd&good&0&1\nCh",
            r"valSet.txt, line 3, names Dog&val_1-0abcd, which line 1 na",
        ),
    ],
)
def test_wrong_lists_are_refused(listed: str, old: str, new: str, sentence: str, tmp_path: Path) -> None:
    build_ave(tmp_path)
    edit(tmp_path / listed, old, new)
    with pytest.raises(UsageError, match=sentence):
        read_ave(tmp_path)


@pytest.mark.parametrize(
    ("seconds", "sentence"),
    [
        ("x&1", "line 1, has 'x' for the start, which is not a number of seconds"),
        ("3&1", "line 1, ends at 1 s, but starts"),
    ],
)
def test_seconds_that_cannot_be_are_refused(seconds: str, sentence: str, tmp_path: Path) -> None:
    build_ave(tmp_path)
    for listed in ("Annotations.txt", "trainSet.txt"):
        edit(tmp_path / listed, "train_0-0ab&good&0&1", f"train_0-0ab&good&{seconds}")
    with pytest.raises(UsageError, match=sentence):
        read_ave(tmp_path)
