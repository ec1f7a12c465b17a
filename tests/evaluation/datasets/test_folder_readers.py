"""Folders of classes, and the scenes of DCASE: what is found is what there is."""

from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miniatures import build_dcase2014, build_folder, stub

from talkies.core import UsageError
from talkies.evaluation.datasets import Example
from talkies.evaluation.datasets.dcase2014 import read_dcase2014
from talkies.evaluation.datasets.folders import read_audio_folder, read_video_folder

SUBJECT = "(s[0-9]+)_"


def test_folds_are_stratified_and_a_function_of_the_seed(tmp_path: Path) -> None:
    build_folder(tmp_path)
    data = read_video_folder(tmp_path, folds=3, seed=1)
    assert (data.name, data.modality, data.classes, data.lists) == ("video-folder", "video", ("fall", "walk"), ())
    assert data.examples[0] == Example("fall/s0_0.mp4", (0,), source="fall/s0_0.mp4")
    assert [split.name for split in data.splits] == ["fold 1", "fold 2", "fold 3"]
    for split in data.splits:
        assert sorted(data.examples[number].labels[0] for number in split.test) == [0, 0, 1, 1]
    assert data == read_video_folder(tmp_path, folds=3, seed=1)
    assert data.splits != read_video_folder(tmp_path, folds=3, seed=2).splits


def test_without_options_there_are_five_folds(tmp_path: Path) -> None:
    assert len(read_audio_folder(build_folder(tmp_path, suffix=".wav")).splits) == 5


def test_each_group_is_tested_on_once(tmp_path: Path) -> None:
    data = read_video_folder(build_folder(tmp_path), group=SUBJECT)
    assert [split.name for split in data.splits] == ["s0", "s1", "s2"]
    for split in data.splits:
        assert {data.examples[number].source for number in split.test} == {split.name}
        assert sorted((*split.train, *split.test)) == list(range(12))


def test_groups_stay_whole_in_folds(tmp_path: Path) -> None:
    data = read_video_folder(build_folder(tmp_path), group=SUBJECT, folds=2)
    assert len(data.splits) == 2
    for split in data.splits:
        learnt, tested = ({data.examples[n].source for n in side} for side in (split.train, split.test))
        assert not learnt & tested


def test_a_folder_may_bring_its_own_sides(tmp_path: Path) -> None:
    data = read_video_folder(build_folder(tmp_path, sides=("train", "test", "val")))
    (split,) = data.splits
    assert (len(split.train), len(split.test), len(split.select)) == (12, 12, 12)
    for side, numbers in (("train/", split.train), ("test/", split.test), ("val/", split.select)):
        assert all(data.examples[number].path.startswith(side) for number in numbers)


def test_train_may_be_a_class(tmp_path: Path) -> None:
    for name in ("bus", "train"):
        for take in range(5):
            stub(tmp_path / name / f"{name}{take}.wav", 0)
    assert read_audio_folder(tmp_path).classes == ("bus", "train")


def test_media_are_chosen_by_their_suffix(tmp_path: Path) -> None:
    build_folder(tmp_path)
    for name in ("fall/notes.txt", "fall/.hidden.mp4", ".cache/a.mp4", "README.md"):
        stub(tmp_path / name, 0)
    stub(tmp_path / "fall/deep/a.wav", 0)
    assert len(read_video_folder(tmp_path).examples) == 12
    assert len(read_audio_folder(tmp_path).examples) == 13


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"group": "(s["}, r"group '\(s\[' is not a regular expression \(.*\); give one such as"),
        ({"group": "s[0-9]"}, r"group 's\[0-9\]' has no part in brackets; give one such as"),
        (
            {"group": "(t[0-9])"},
            r"group '\(t\[0-9\]\)' does not match the name of .*fall/s0_0.mp4; give one that matches all",
        ),
        ({"group": "(s)"}, r"all files belong to s, so none are left to test on; choose another group"),
        ({"folds": 7}, r"7 folds cannot be made because one class has only 6 files; ask for at least 2 and at most 6"),
        ({"folds": 1}, r"1 fold cannot be made because one class has only 6 files; ask for at least 2 and at most 6"),
        (
            {"folds": 4, "group": SUBJECT},
            r"4 folds cannot be made because one class has only 3 groups; ask for",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, str | int], sentence: str, tmp_path: Path) -> None:
    build_folder(tmp_path)
    with pytest.raises(UsageError, match=sentence):
        read_video_folder(tmp_path, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("stray", "sentence"),
    [
        ("a.mp4", r"a.mp4 is in no class's folder; move it into one"),
        ("empty/notes.txt", r"empty holds no video file; fill the class's folder, or remove it"),
    ],
)
def test_what_would_be_dropped_is_refused(stray: str, sentence: str, tmp_path: Path) -> None:
    stub(build_folder(tmp_path) / stray, 0)
    with pytest.raises(UsageError, match=sentence):
        read_video_folder(tmp_path)


@pytest.mark.parametrize(
    ("sides", "stray", "options", "sentence"),
    [
        (("train",), None, {}, r"has train/ with classes, but no test/; name the folder to test on test"),
        (("train", "test"), "extra/a.mp4", {}, r"has extra/ next to train/ and test/; move it away, or into them"),
        (
            ("train", "test"),
            "test/jump/a.mp4",
            {},
            r"test/jump/a.mp4 is of a class that train/ lacks; remove it, or add",
        ),
        (("train", "test"), None, {"folds": 3}, r"has train/ and test/, which are its split; do not ask for folds"),
        (
            ("train", "test"),
            None,
            {"group": SUBJECT},
            r"belongs to s0, which has files in train/ too; keep what belongs",
        ),
    ],
)
def test_sides_that_do_not_fit_are_refused(
    sides: tuple[str, ...], stray: str | None, options: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    build_folder(tmp_path, sides=sides)
    if stray:
        stub(tmp_path / stray, 0)
    with pytest.raises(UsageError, match=sentence):
        read_video_folder(tmp_path, **options)  # type: ignore[arg-type]


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no folders of classes; lay it out as docs/datasets.md says"):
        read_audio_folder(tmp_path)
    with pytest.raises(UsageError, match=r"nowhere is not a folder; name the one that holds the classes' folders"):
        read_audio_folder(tmp_path / "nowhere")


@settings(max_examples=40, deadline=None)
@given(
    takes=st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=8), min_size=1, max_size=4),
    folds=st.integers(2, 4),
    seed=st.integers(0, 2**31),
    grouped=st.booleans(),
)
def test_any_folder_is_split_whole_and_disjointly_or_refused(
    takes: list[list[int]], folds: int, seed: int, grouped: bool
) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        for label, subjects in enumerate(takes):
            for take, subject in enumerate(subjects):
                stub(root / f"class {label}" / f"s{subject}_{take}.wav", label)
        try:
            data = read_audio_folder(root, group=SUBJECT if grouped else None, folds=folds, seed=seed)
        except UsageError as error:
            assert "folds" in str(error)  # noqa: PT017
            return
    everything = list(range(sum(map(len, takes))))
    assert sorted(chain.from_iterable(split.test for split in data.splits)) == everything
    assert len(data.splits) == folds
    for split in data.splits:
        assert sorted((*split.train, *split.test)) == everything
        learnt, tested = ({data.examples[n].source for n in side} for side in (split.train, split.test))
        assert learnt
        assert tested
        assert not learnt & tested


def test_scenes_are_learnt_on_the_public_set(tmp_path: Path) -> None:
    data = read_dcase2014(build_dcase2014(tmp_path))
    assert data.classes == ("bus", "busystreet", "office")
    assert data.examples[0] == Example("scenes_stereo/bus01.wav", (0,), source="scenes_stereo/bus01.wav")
    assert [len(side) for side in (data.splits[0].train, data.splits[0].test)] == [9, 6]


def test_scenes_may_lie_one_folder_deeper(tmp_path: Path) -> None:
    build_dcase2014(tmp_path / "all")
    (tmp_path / "all/scenes_stereo").rename(tmp_path / "inner")
    (tmp_path / "all/scenes_stereo").mkdir()
    (tmp_path / "inner").rename(tmp_path / "all/scenes_stereo/scenes_stereo")
    assert read_dcase2014(tmp_path / "all").examples[0].path == "scenes_stereo/scenes_stereo/bus01.wav"


@pytest.mark.parametrize(
    ("stray", "sentence"),
    [
        ("scenes_stereo/noise.wav", r"scenes_stereo/noise.wav has no class in its name, as bus01.wav has; take"),
        (
            "scenes_stereo_testset/tram01.wav",
            r"tram01.wav is of class tram, which scenes_stereo lacks; take the publis",
        ),
    ],
)
def test_scenes_that_cannot_be_are_refused(stray: str, sentence: str, tmp_path: Path) -> None:
    stub(build_dcase2014(tmp_path) / stray, 0)
    with pytest.raises(UsageError, match=sentence):
        read_dcase2014(tmp_path)


def test_scenes_without_their_test_set_are_refused(tmp_path: Path) -> None:
    build_dcase2014(tmp_path)
    for path in (tmp_path / "scenes_stereo_testset").iterdir():
        path.unlink()
    with pytest.raises(
        UsageError, match=r"lacks scenes_stereo_testset/ with its recordings; lay the data set out as docs"
    ):
        read_dcase2014(tmp_path)
