"""ESC-50 and ESC-10: five folds, and detecting a shifted class or fold."""

from pathlib import Path

import pytest
from miniatures import build_esc50, edit

from talkies.core import UsageError
from talkies.evaluation.datasets import Example
from talkies.evaluation.datasets.esc import read_esc10, read_esc50


def test_each_fold_is_tested_on_once(tmp_path: Path) -> None:
    data = read_esc50(build_esc50(tmp_path))
    assert data.classes == ("dog", "rooster", "cow", "rain")
    assert data.examples[0] == Example("audio/1-100001-A-0.wav", (0,), source="100001")
    assert data.examples[1].source == "100001"
    assert [split.name for split in data.splits] == [f"fold {fold}" for fold in range(1, 6)]
    for fold, split in enumerate(data.splits, start=1):
        assert all(data.examples[number].path.startswith(f"audio/{fold}-") for number in split.test)
        assert sorted((*split.train, *split.test)) == list(range(21))


def test_esc10_is_a_part_with_its_own_numbers(tmp_path: Path) -> None:
    data = read_esc10(build_esc50(tmp_path))
    assert (data.name, data.classes) == ("esc10", ("dog", "rooster", "rain"))
    assert len(data.examples) == 16
    assert data.examples[-1].labels == (2,)


def test_esc10_may_have_a_list_of_its_own(tmp_path: Path) -> None:
    build_esc50(tmp_path)
    whole = read_esc10(tmp_path)
    (tmp_path / "meta/esc50.csv").rename(tmp_path / "meta/esc10.csv")
    alone = read_esc10(tmp_path)
    assert (alone.examples, alone.lists) == (whole.examples, ("meta/esc10.csv",))


def test_a_file_may_have_been_coded_anew(tmp_path: Path) -> None:
    build_esc50(tmp_path)
    (tmp_path / "audio/1-100001-A-0.wav").rename(tmp_path / "audio/1-100001-A-0.ogg")
    data = read_esc50(tmp_path)
    assert (data.examples[0].path, data.absent) == ("audio/1-100001-A-0.ogg", frozenset())


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "A-0.wav,1,0,dog",
            "A-0.wav,1,1,dog",
            r"line 3, has target 0 with category dog, but another line pairs them differently",
        ),
        (
            "A-0.wav,1,0,dog",
            "A-0.wav,1,0,cow",
            r"line 3, has target 0 with category dog, but another line pairs them differently",
        ),
        ("A-0.wav,1,0,dog", "A-0.wav,2,0,dog", r"line 2, gives 1-100001-A-0.wav the fold 2, but its name says 1; take"),
        ("A-0.wav,1,0,dog", "A-0.wav,1,no,dog", r"line 2, has 'no' for target, which is not a whole number"),
        ("1-100001-A-0.wav", "dog.wav", r"line 2, names 'dog.wav', which is not of the form FOLD-CLIP-TAKE-TARGET.wav"),
        ("1-100001-B-0.wav", "1-100001-A-0.wav", r"line 3, names 1-100001-A-0.wav, which line 2 names too"),
        ("0,dog,True,100002", "0,dog,True,100001", r"line 4, puts the recording 100001 in fold 2, but it is in 1 too"),
        ("src_file", "source", r"meta/esc50.csv, line 1, has no column 'src_file'"),
        ("True,100001,A", "True,100001", r"meta/esc50.csv, line 2, has 6 fields, but the header has 7"),
    ],
)
def test_wrong_lists_are_refused(old: str, new: str, sentence: str, tmp_path: Path) -> None:
    build_esc50(tmp_path)
    edit(tmp_path / "meta/esc50.csv", old, new)
    with pytest.raises(UsageError, match=sentence):
        read_esc50(tmp_path)


def test_labels_that_are_all_off_by_one_are_refused(tmp_path: Path) -> None:
    build_esc50(tmp_path)
    listed = tmp_path / "meta/esc50.csv"
    head, *rows = [line.split(",") for line in listed.read_text().splitlines()]
    listed.write_text("\n".join(",".join(row) for row in (head, *([*r[:2], str(int(r[2]) + 1), *r[3:]] for r in rows))))
    with pytest.raises(UsageError, match=r"line 2, gives 1-100001-A-0.wav the target 1, but its name says 0; take"):
        read_esc50(tmp_path)


def test_a_list_without_esc10_is_refused(tmp_path: Path) -> None:
    build_esc50(tmp_path)
    listed = tmp_path / "meta/esc50.csv"
    listed.write_text(listed.read_text().replace("True", "False"))
    with pytest.raises(
        UsageError, match=r"meta/esc50.csv has no row whose esc10 is True; take the publishers' own list"
    ):
        read_esc10(tmp_path)
