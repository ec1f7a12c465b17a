"""UCF101: three splits by group, and detecting a wrong list."""

from pathlib import Path

import pytest
from miniatures import build_ucf101, edit

from talkies.core import UsageError
from talkies.evaluation.datasets import Example
from talkies.evaluation.datasets.ucf101 import read_ucf101

LISTS = "ucfTrainTestlist"


def test_splits_are_the_publishers_groups(tmp_path: Path) -> None:
    data = read_ucf101(build_ucf101(tmp_path))
    assert data.classes == ("ApplyEyeMakeup", "Archery", "HandstandPushups")
    path = "UCF-101/HandstandPushups/v_HandStandPushups_g06_c01.avi"
    assert data.examples[-1] == Example(path, (2,), source="HandstandPushups g06")
    assert [split.name for split in data.splits] == ["split 1", "split 2", "split 3"]
    tested = [sorted({data.examples[number].source[-3:] for number in split.test}) for split in data.splits]
    assert tested == [["g01", "g02"], ["g03", "g04"], ["g05", "g06"]]
    assert all(len(split.train) == 12 and len(split.test) == 6 and not split.select for split in data.splits)
    assert len(data.lists) == 7


def test_classes_may_lie_in_the_root_itself(tmp_path: Path) -> None:
    build_ucf101(tmp_path)
    for folder in sorted((tmp_path / "UCF-101").iterdir()):
        folder.rename(tmp_path / folder.name)
    (tmp_path / "UCF-101").rmdir()
    data = read_ucf101(tmp_path)
    assert data.absent == frozenset()
    assert data.examples[0].path == "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi"


@pytest.mark.parametrize(
    ("listed", "old", "new", "sentence"),
    [
        (
            "classInd.txt",
            "1 Apply",
            "0 Apply",
            r"classInd.txt, line 1, numbers ApplyEyeMakeup 0, but 1 comes next; take",
        ),
        (
            "classInd.txt",
            "2 Archery",
            "two Archery",
            r"line 2, has 'two' for a class's number, which is not a whole number",
        ),
        ("classInd.txt", "2 Archery", "2 Archery far", r"classInd.txt, line 2, is not of the form 'NUMBER CLASS'"),
        (
            "classInd.txt",
            "2 Archery",
            "2 Bowling",
            r"is of class Archery, which classInd.txt lacks: they are of different",
        ),
        (
            "trainlist01.txt",
            "c01.avi 1",
            "c01.avi 0",
            r"trainlist01.txt, line 1, numbers ApplyEyeMakeup 0, but .* it 1",
        ),
        (
            "trainlist02.txt",
            "c01.avi 1",
            "c01.avi",
            r"trainlist02.txt, line 1, is not of the form 'CLASS/CLIP.avi NUMBER'",
        ),
        (
            "testlist01.txt",
            "/v_Apply",
            "/Apply",
            r"line 1, names '.*', which is not of the form CLASS/v_CLASS_gNN_cNN.avi",
        ),
        (
            "testlist01.txt",
            "Apply",
            "Archery/v_Archery_g01_c01.avi\nApply",
            r"line 4, names .*, which line 1 names too",
        ),
        (
            "testlist01.txt",
            "_g01_c01",
            "_g03_c01",
            r"testlist01.txt, line 1, names .*, which line 1 of trainlist01.txt",
        ),
        (
            "testlist01.txt",
            "_g01_c01",
            "_g03_c09",
            r"testlist01.txt, line 1, is of group g03 of ApplyEyeMakeup, which the",
        ),
        (
            "testlist02.txt",
            "_g03_c01",
            "_g03_c07",
            r"splits 1 and 2 do not name the same clips .* of different versions",
        ),
    ],
)
def test_wrong_lists_are_refused(listed: str, old: str, new: str, sentence: str, tmp_path: Path) -> None:
    build_ucf101(tmp_path)
    edit(tmp_path / LISTS / listed, old, new)
    with pytest.raises(UsageError, match=sentence):
        read_ucf101(tmp_path)


def test_labels_that_are_all_off_by_one_are_refused(tmp_path: Path) -> None:
    build_ucf101(tmp_path)
    for listed in (tmp_path / LISTS).glob("trainlist*.txt"):
        lines = [line.split() for line in listed.read_text().splitlines()]
        listed.write_text("".join(f"{clip} {int(label) - 1}\n" for clip, label in lines))
    with pytest.raises(
        UsageError, match=r"numbers ApplyEyeMakeup 0, but classInd.txt numbers it 1; take the publishers'"
    ):
        read_ucf101(tmp_path)
