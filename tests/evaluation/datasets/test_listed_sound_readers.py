"""UrbanSound8K, VGGSound, AudioSet and Speech Commands: splits, and detecting a wrong list."""

from pathlib import Path

import pytest
from miniatures import build_audioset, build_speech_commands, build_urbansound8k, build_vggsound, edit, stub

from talkies.core import UsageError
from talkies.evaluation.datasets import Example
from talkies.evaluation.datasets.audioset import read_audioset
from talkies.evaluation.datasets.speech_commands import read_speech_commands
from talkies.evaluation.datasets.urbansound8k import read_urbansound8k
from talkies.evaluation.datasets.vggsound import read_vggsound


def test_urbansound_tests_on_each_of_ten_folds(tmp_path: Path) -> None:
    data = read_urbansound8k(build_urbansound8k(tmp_path))
    assert data.classes == ("air_conditioner", "car_horn", "children_playing")
    assert data.examples[2] == Example("audio/fold2/1002-0-0-0.wav", (0,), source="1002")
    assert [split.name for split in data.splits] == [f"fold {fold}" for fold in range(1, 11)]
    assert all(len(split.train) == 54 and len(split.test) == 6 for split in data.splits)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "1,0,air",
            "1,1,air",
            r"line 2, gives 1001-0-0-0.wav the classID 1, but its name says 0; take the publishers'",
        ),
        (
            "1,0,air_conditioner",
            "1,0,car_horn",
            r"has classID 0 with class air_conditioner, but another line pairs them diff",
        ),
        (
            "1001-0-0-0.wav,1001",
            "1001-0-0-0.wav,1002",
            r"line 2, gives 1001-0-0-0.wav the fsID 1002, but its name says",
        ),
        (
            "1001-0-0-0.wav,",
            "1001.wav,",
            r"line 2, names '1001.wav', which is not of the form FSID-CLASSID-OCCURRENCE-",
        ),
        ("1001-0-0-1.wav,", "1001-0-0-0.wav,", r"line 3, names 1001-0-0-0.wav, which line 2 names too"),
        (",1,0,air", ",one,0,air", r"line 2, has 'one' for fold, which is not a whole number"),
        ("classID", "label", r"metadata/UrbanSound8K.csv, line 1, has no column 'classID'"),
    ],
)
def test_wrong_lists_of_urbansound_are_refused(old: str, new: str, sentence: str, tmp_path: Path) -> None:
    build_urbansound8k(tmp_path)
    edit(tmp_path / "metadata/UrbanSound8K.csv", old, new)
    with pytest.raises(UsageError, match=sentence):
        read_urbansound8k(tmp_path)


def test_urbansound_without_its_first_class_is_refused(tmp_path: Path) -> None:
    build_urbansound8k(tmp_path)
    listed = tmp_path / "metadata/UrbanSound8K.csv"
    listed.write_text("\n".join(line for line in listed.read_text().splitlines() if "air_cond" not in line))
    with pytest.raises(UsageError, match=r"has 2 classes but none with the classID 0, and they run from 0 to 1"):
        read_urbansound8k(tmp_path)


def test_vggsound_has_the_publishers_split_and_labels_with_commas(tmp_path: Path) -> None:
    data = read_vggsound(build_vggsound(tmp_path))
    assert (data.classes, data.modality) == (("dog barking", "people marching", "wind noise, heavy"), "both")
    assert data.examples[1] == Example("video/-vgg_0_1abc_000030.mp4", (0,), source="-vgg_0_1abc")
    assert [len(side) for side in (data.splits[0].train, data.splits[0].test)] == [12, 6]


@pytest.mark.parametrize("folder", [".", "vggsound/train", "audio"])
def test_vggsound_is_found_in_each_of_its_places(folder: str, tmp_path: Path) -> None:
    build_vggsound(tmp_path)
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for path in list((tmp_path / "video").iterdir()):
        path.rename(tmp_path / folder / path.with_suffix(".flac").name)
    data = read_vggsound(tmp_path)
    assert data.absent == frozenset()
    assert data.examples[0].path == f"{folder}/-vgg_0_0abc_000000.flac".removeprefix("./")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            ",0,dog barking,train",
            ",0,dog barking",
            r"vggsound.csv, line 1, is not of the form 'ID,SECOND,LABEL,train\|test'",
        ),
        (",0,dog barking,train", ",0,dog, barking,train", r"vggsound.csv, line 1, is not of the form 'ID,SECOND,LABEL"),
        (",0,dog barking,train", ",0,dog barking,val", r"vggsound.csv, line 1, is not of the form 'ID,SECOND,LABEL"),
        (",0,dog barking,train", ",a,dog barking,train", r"line 1, has 'a' for the start, which is not a whole number"),
        ("dog barking,test", "cat,test", r"vggsound.csv, line 5, is of class 'cat', which no line for training has"),
        ("-vgg_0_4abc,120", "-vgg_0_0abc,0", r"line 5, names -vgg_0_0abc_000000 for test, but line 1 for the other"),
    ],
)
def test_wrong_lists_of_vggsound_are_refused(old: str, new: str, sentence: str, tmp_path: Path) -> None:
    build_vggsound(tmp_path)
    edit(tmp_path / "vggsound.csv", old, new)
    with pytest.raises(UsageError, match=sentence):
        read_vggsound(tmp_path)


def test_audioset_has_many_labels_and_two_sizes(tmp_path: Path) -> None:
    build_audioset(tmp_path)
    small, large = read_audioset(tmp_path), read_audioset(tmp_path, subset="2m")
    assert small.multi_label
    assert small.classes == ("Speech", "Male speech, man speaking", "Male singing")
    assert small.examples[0] == Example("balanced_train_segments/ba-0_abcdef.wav", (0, 1), source="ba-0_abcdef")
    assert [len(side) for side in (small.splits[0].train, small.splits[0].test)] == [4, 4]
    assert [len(side) for side in (large.splits[0].train, large.splits[0].test)] == [8, 4]
    assert large.lists[2] == "unbalanced_train_segments.csv"
    assert large.absent == frozenset()


def test_audioset_may_lie_in_audios(tmp_path: Path) -> None:
    build_audioset(tmp_path)
    (tmp_path / "audios").mkdir()
    (tmp_path / "eval_segments").rename(tmp_path / "audios" / "eval_segments")
    assert read_audioset(tmp_path).absent == frozenset()


@pytest.mark.parametrize(
    ("listed", "old", "new", "sentence"),
    [
        (
            "class_labels_indices",
            "0,/m",
            "1,/m",
            r"class_labels_indices.csv, line 2, has index 1, but 0 comes next; take",
        ),
        (
            "class_labels_indices",
            "/m/05zppz",
            "/m/09x0r",
            r"class_labels_indices.csv, line 3, has the code /m/09x0r again",
        ),
        (
            "balanced_train_segments",
            "/m/09x0r",
            "/m/none",
            r"segments.csv, line 4, has the code '/m/none', which class_",
        ),
        (
            "balanced_train_segments",
            '"/m/09x0r,/m/05zppz"',
            "/m/09x0r,/m/05zppz",
            r"line 4, is not of the form 'YTID, ST",
        ),
        (
            "balanced_train_segments",
            " 30.000",
            " start",
            r"line 4, has 'start' for the start, which is not a number of sec",
        ),
        (
            "balanced_train_segments",
            "num_segs=4",
            "num_segs=5",
            r"declares 5 segments, but has 4; take the publ",
        ),
        (
            "eval_segments",
            "ev-0_abcdef",
            "ba-0_abcdef",
            r"eval_segments.csv, line 4, names ba-0_abcdef, which line 4 of b",
        ),
    ],
)
def test_wrong_lists_of_audioset_are_refused(listed: str, old: str, new: str, sentence: str, tmp_path: Path) -> None:
    build_audioset(tmp_path)
    edit(tmp_path / f"{listed}.csv", old, new)
    with pytest.raises(UsageError, match=sentence):
        read_audioset(tmp_path)


def test_audioset_has_no_third_size(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"AudioSet has no subset '500k'; ask for 20k \(balanced\) or 2m"):
        read_audioset(tmp_path, subset="500k")


def test_speech_commands_are_split_by_speaker(tmp_path: Path) -> None:
    data = read_speech_commands(build_speech_commands(tmp_path))
    assert data.classes == ("bed", "cat", "wow")
    assert data.examples[0] == Example("bed/004ae714_nohash_0.wav", (0,), source="004ae714")
    (split,) = data.splits
    assert {data.examples[number].source for number in split.select} == {"2aa787cf"}
    assert {data.examples[number].source for number in split.test} == {"3b852f6f"}
    assert len(split.train) == 24


def test_a_speaker_on_two_sides_tells_lists_of_another_version(tmp_path: Path) -> None:
    build_speech_commands(tmp_path)
    listed = tmp_path / "testing_list.txt"
    listed.write_text("\n".join(listed.read_text().splitlines()[1:]))
    with pytest.raises(
        UsageError, match=r"testing_list.txt: speaker 3b852f6f of .* is of another version than the files"
    ):
        read_speech_commands(tmp_path)


def test_a_stray_file_among_spoken_words_is_refused(tmp_path: Path) -> None:
    build_speech_commands(tmp_path)
    stub(tmp_path / "bed" / "mine.wav", 0)
    with pytest.raises(
        UsageError, match=r"bed/mine.wav is not named SPEAKER_nohash_TAKE.wav; move what is not part of the data"
    ):
        read_speech_commands(tmp_path)


@pytest.mark.parametrize(
    ("listed", "old", "new", "sentence"),
    [
        (
            "testing",
            "bed/3b852f6f_nohash_0",
            "bed/3b852f6f_0",
            r"testing_list.txt, line 1, names 'bed/3b852f6f_0.wav', whi",
        ),
        (
            "testing",
            "bed/3b852f6f_nohash_0",
            "bed/2aa787cf_nohash_0",
            r"line 1, names .*, which line 1 of validation_list",
        ),
        (
            "validation",
            "bed/2aa787cf_nohash_0",
            "bed/2aa787cf_nohash_1",
            r"validation_list.txt, line 2, names .*, which l",
        ),
        (
            "validation",
            "_0.wav",
            "_0.wav 0",
            r"validation_list.txt, line 1, is not of the form 'WORD/SPEAKER_nohash_TAKE",
        ),
    ],
)
def test_wrong_lists_of_words_are_refused(listed: str, old: str, new: str, sentence: str, tmp_path: Path) -> None:
    build_speech_commands(tmp_path)
    edit(tmp_path / f"{listed}_list.txt", old, new)
    with pytest.raises(UsageError, match=sentence):
        read_speech_commands(tmp_path)
