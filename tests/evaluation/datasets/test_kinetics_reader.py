"""Kinetics and Kinetics-Sounds: learnt on train, tested on val, wherever the clips lie."""

from pathlib import Path

import pytest
from miniatures import build_kinetics, edit

from talkies.core import UsageError
from talkies.evaluation.datasets import READERS, Example
from talkies.evaluation.datasets.kinetics import SOUNDS, read_kinetics, read_kinetics_sounds


def test_one_learns_on_train_and_tests_on_val(tmp_path: Path) -> None:
    data = read_kinetics(build_kinetics(tmp_path))
    assert (data.name, data.modality) == ("kinetics400", "video")
    assert data.classes == ("abseiling", "playing guitar", "singing")
    assert data.lists == ("train.csv", "val.csv")
    assert data.examples[1] == Example("train/train-0_1ab_000011_000021.mp4", (0,), source="train-0_1ab")
    (split,) = data.splits
    assert (split.train, split.test, split.select) == (tuple(range(12)), tuple(range(12, 18)), ())


def test_clips_are_found_in_their_classes_folders_too(tmp_path: Path) -> None:
    data = read_kinetics(build_kinetics(tmp_path, in_classes=True))
    assert data.absent == frozenset()
    assert data.examples[5].path == "train/playing_guitar/train-1_1ab_000011_000021.mp4"


def test_older_names_of_lists_and_folders_are_read(tmp_path: Path) -> None:
    build_kinetics(tmp_path)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "train.csv").rename(tmp_path / "annotations" / "train.csv")
    text = (tmp_path / "val.csv").read_text().replace(",val\n", ",validate\n")
    (tmp_path / "annotations" / "validate.csv").write_text(text)
    (tmp_path / "val.csv").unlink()
    (tmp_path / "val").rename(tmp_path / "validate")
    data = read_kinetics(tmp_path, number=700)
    assert (data.name, data.absent) == ("kinetics700", frozenset())
    assert data.lists == ("annotations/train.csv", "annotations/validate.csv")
    assert data.examples[-1].path.startswith("validate/")


def test_one_video_may_give_several_clips(tmp_path: Path) -> None:
    build_kinetics(tmp_path)
    edit(tmp_path / "train.csv", "train-0_1ab,11", "train-0_0ab,11")
    data = read_kinetics(tmp_path)
    assert data.examples[0].source == data.examples[1].source
    assert data.absent == {1}


def test_sounds_are_a_part_of_kinetics_400(tmp_path: Path) -> None:
    data = read_kinetics_sounds(build_kinetics(tmp_path))
    assert (data.name, data.modality, data.classes) == ("kinetics-sounds", "both", ("playing guitar", "singing"))
    assert [len(side) for side in (data.splits[0].train, data.splits[0].test)] == [8, 4]
    assert len(SOUNDS) == 32


def test_a_list_without_any_of_the_sounds_is_refused(tmp_path: Path) -> None:
    build_kinetics(tmp_path)
    text = (tmp_path / "train.csv").read_text().replace("singing", "abseiling").replace("playing guitar", "abseiling")
    (tmp_path / "train.csv").write_text(text)
    with pytest.raises(
        UsageError, match=r"train.csv has none of the classes of Kinetics-Sounds; take that of Kinetics-400"
    ):
        read_kinetics_sounds(tmp_path)


@pytest.mark.parametrize(
    ("listed", "old", "new", "sentence"),
    [
        (
            "train.csv",
            "youtube_id",
            "id",
            r"train.csv, line 1, has no column 'youtube_id'; take the publishers' own list",
        ),
        ("train.csv", ",10,20,train", ",10,20", r"train.csv, line 2, has 4 fields, but the header has 5"),
        (
            "train.csv",
            ",10,20,train",
            ",ten,20,train",
            r"line 2, has 'ten' for time_start, which is not a number of seconds",
        ),
        ("train.csv", ",10,20,train", ",30,20,train", r"train.csv, line 2, ends at 20 s, but starts at 30 s"),
        (
            "train.csv",
            ",10,20,train",
            ",10,20,val",
            r"train.csv, line 2, is of split 'val', but the list is that of 'train'",
        ),
        ("train.csv", "abseiling", '"abseiling', r"train.csv, line 2, is not valid CSV: its quotes are wrong"),
        (
            "val.csv",
            ",10,20,val",
            ",10,20,train",
            r"val.csv, line 2, is of split 'train', but the list is that of 'val'",
        ),
        (
            "val.csv",
            "abseiling",
            "air drumming",
            r"val.csv, line 2, is of class 'air drumming', which train.csv lacks: they",
        ),
        (
            "val.csv",
            "val-0_0abcd",
            "train-0_0ab",
            r"val.csv, line 2, names .*, which line 2 of train.csv names too, so the",
        ),
    ],
)
def test_wrong_lists_are_refused(listed: str, old: str, new: str, sentence: str, tmp_path: Path) -> None:
    build_kinetics(tmp_path)
    edit(tmp_path / listed, old, new)
    with pytest.raises(UsageError, match=sentence):
        read_kinetics(tmp_path)


def test_a_clip_in_the_folder_of_another_class_is_refused(tmp_path: Path) -> None:
    build_kinetics(tmp_path, in_classes=True)
    edit(tmp_path / "train.csv", "abseiling", "singing")
    with pytest.raises(
        UsageError, match=r"train.csv, line 2, is of class 'singing', but .*abseiling/.* is in the folder of another"
    ):
        read_kinetics(tmp_path)


def test_there_are_three_sizes(tmp_path: Path) -> None:
    assert {name for name in READERS if name.startswith("kinetics") and name[-1] == "0"} == {
        "kinetics400",
        "kinetics600",
        "kinetics700",
    }
    with pytest.raises(UsageError, match=r"there is no Kinetics-500; ask for 400, 600 or 700"):
        read_kinetics(tmp_path, number=500)
