"""Something-Something V2: labels by template, and detecting a wrong list."""

import json
from pathlib import Path

import pytest
from miniatures import build_ssv2, edit

from talkies.core import UsageError
from talkies.evaluation.datasets import Example
from talkies.evaluation.datasets.ssv2 import read_ssv2

LABELS = ("Holding something", "Pushing something from left to right", "Tearing something into two pieces")


def test_a_template_without_brackets_is_the_label(tmp_path: Path) -> None:
    data = read_ssv2(build_ssv2(tmp_path))
    assert data.classes == LABELS
    assert data.examples[4] == Example("20bn-something-something-v2/5010.webm", (1,), source="5010")
    (split,) = data.splits
    assert (split.train, split.test, split.select) == (tuple(range(12)), tuple(range(12, 18)), ())


@pytest.mark.parametrize("folder", [".", "labels"])
def test_older_names_are_read(folder: str, tmp_path: Path) -> None:
    new = read_ssv2(build_ssv2(tmp_path))
    for name in ("train", "validation", "labels"):
        (tmp_path / "labels" / f"{name}.json").rename(tmp_path / folder / f"something-something-v2-{name}.json")
    old = read_ssv2(tmp_path)
    assert (old.examples, old.classes, old.splits) == (new.examples, new.classes, new.splits)


def test_classes_are_numbered_as_the_publishers_do_and_not_by_the_alphabet(tmp_path: Path) -> None:
    build_ssv2(tmp_path)
    (tmp_path / "labels/labels.json").write_text(json.dumps({LABELS[0]: "2", LABELS[1]: "0", LABELS[2]: "1"}))
    data = read_ssv2(tmp_path)
    assert data.classes == (LABELS[1], LABELS[2], LABELS[0])
    assert data.examples[0].labels == (2,)


@pytest.mark.parametrize(
    ("listed", "old", "new", "sentence"),
    [
        (
            "labels",
            '"0"',
            '"3"',
            r"labels.json has 3 labels but none with the number 0, and numbers run from 0 to 2; take",
        ),
        ("labels", '"0"', '"1"', r"labels.json has 3 labels but none with the number 0, and numbers run from 0 to 2"),
        ("labels", '"0"', "[0]", r"labels.json does not give each label a number; take the publishers' own list"),
        ("labels", '"0",', '"0"', r"labels.json, line 3, is not JSON \(.*\); take the publishers' own list"),
        ("train", '"template"', '"form"', r"train.json: entry 1 lacks id or template; take the publishers' own list"),
        (
            "train",
            "Holding [some",
            "Having [some",
            r"entry 1 has the template 'Having something', which is not a label, so",
        ),
        ("train", '"5001"', '"5000"', r"train.json: entry 2 names clip 5000 again; take the publishers' own list"),
        (
            "validation",
            '"10000"',
            '"5000"',
            r"validation.json names clip 5000, which labels/train.json names too, so the",
        ),
    ],
)
def test_wrong_lists_are_refused(listed: str, old: str, new: str, sentence: str, tmp_path: Path) -> None:
    build_ssv2(tmp_path)
    edit(tmp_path / "labels" / f"{listed}.json", old, new)
    with pytest.raises(UsageError, match=sentence):
        read_ssv2(tmp_path)


def test_labels_that_are_all_off_by_one_are_refused(tmp_path: Path) -> None:
    build_ssv2(tmp_path)
    (tmp_path / "labels/labels.json").write_text(json.dumps({name: str(n) for n, name in enumerate(LABELS, start=1)}))
    with pytest.raises(UsageError, match=r"has 3 labels but none with the number 0, and numbers run from 0 to 2"):
        read_ssv2(tmp_path)


def test_a_list_that_is_no_list_is_refused(tmp_path: Path) -> None:
    build_ssv2(tmp_path)
    (tmp_path / "labels/train.json").write_text("{}")
    with pytest.raises(UsageError, match=r"train.json is not a list of clips; take the publishers' own list"):
        read_ssv2(tmp_path)
