"""Every reader: a whole miniature, a clip that is not there, and the publishers' counts."""

import inspect
import warnings
from collections.abc import Callable
from pathlib import Path

import av
import miniatures as mini
import pytest

from talkies.core import UsageError
from talkies.evaluation.datasets import READERS, DataSet, check_published

Build = Callable[..., Path]
BUILD: dict[str, Build] = {
    "ucf101": mini.build_ucf101,
    "hmdb51": mini.build_hmdb51,
    "kinetics400": mini.build_kinetics,
    "kinetics600": mini.build_kinetics,
    "kinetics700": mini.build_kinetics,
    "ssv2": mini.build_ssv2,
    "video-folder": mini.build_folder,
    "esc50": mini.build_esc50,
    "esc10": mini.build_esc50,
    "dcase2014": mini.build_dcase2014,
    "urbansound8k": mini.build_urbansound8k,
    "speech-commands": mini.build_speech_commands,
    "audioset": mini.build_audioset,
    "audio-folder": mini.build_folder,
    "kinetics-sounds": mini.build_kinetics,
    "vggsound": mini.build_vggsound,
    "ave": mini.build_ave,
}
WITHOUT_LISTS = {"dcase2014", "video-folder", "audio-folder"}
CLASSES = {
    "ucf101": 101,
    "hmdb51": 51,
    "kinetics400": 400,
    "kinetics600": 600,
    "kinetics700": 700,
    "ssv2": 174,
    "esc50": 50,
    "esc10": 10,
    "dcase2014": 10,
    "urbansound8k": 10,
    "speech-commands": 35,
    "audioset": 527,
    "kinetics-sounds": 32,
    "vggsound": 309,
    "ave": 28,
}
EXAMPLES = {
    "ucf101": 13_320,
    "hmdb51": 6_766,
    "ssv2": 193_690,
    "esc50": 2_000,
    "esc10": 400,
    "dcase2014": 200,
    "urbansound8k": 8_732,
    "speech-commands": 105_829,
    "ave": 4_143,
}
TABLES = ("Where they come from", "Their layouts", "How they are split")


def read(name: str, root: Path) -> DataSet:
    return READERS[name](BUILD[name](root))


def test_every_reader_has_its_miniature() -> None:
    assert list(BUILD) == list(READERS)


@pytest.mark.parametrize("name", READERS)
def test_a_whole_miniature_lacks_nothing(name: str, tmp_path: Path) -> None:
    data = read(name, tmp_path)
    assert (data.name, data.root, data.absent) == (name, tmp_path, frozenset())
    assert all(data.get_path(number).is_file() for number in range(len(data.examples)))
    assert len(set(data.classes)) == len(data.classes)
    assert {label for example in data.examples for label in example.labels} == set(range(len(data.classes)))
    assert len(data.hash_lists()) == len(data.lists)
    assert bool(data.lists) == (name not in WITHOUT_LISTS)


@pytest.mark.parametrize("name", READERS)
def test_no_source_is_on_both_sides_of_a_split(name: str, tmp_path: Path) -> None:
    data = read(name, tmp_path)
    for split in data.splits:
        learnt, tested = ({data.examples[n].source for n in side} for side in (split.train, split.test))
        assert learnt
        assert tested
        assert not learnt & tested


@pytest.mark.parametrize("name", READERS)
def test_each_clip_has_the_label_that_it_was_made_with(name: str, tmp_path: Path) -> None:
    made: dict[Path, int] = {}

    def note(path: Path, label: int) -> None:
        mini.stub(path, label)
        made[path] = label

    data = READERS[name](BUILD[name](tmp_path, note))
    of_class: dict[int, int] = {}
    for number, example in enumerate(data.examples):
        if not data.multi_label and data.get_path(number).name != "train_0-0ab.mp4":  # which has two events
            assert of_class.setdefault(made[data.get_path(number)], example.labels[0]) == example.labels[0]
    assert len(set(of_class.values())) == len(of_class)


@pytest.mark.parametrize("name", sorted(set(READERS) - WITHOUT_LISTS))
def test_a_missing_clip_is_absent_and_stays_listed(name: str, tmp_path: Path) -> None:
    before = read(name, tmp_path)
    gone = before.splits[0].test[0]
    before.get_path(gone).unlink()
    after = READERS[name](tmp_path)
    if name == "audioset":
        assert [example.labels for example in after.examples] == [example.labels for example in before.examples]
    else:
        assert after.examples == before.examples
    assert (after.splits, after.absent) == (before.splits, {gone})


@pytest.mark.parametrize("name", sorted(set(READERS) - WITHOUT_LISTS))
def test_a_missing_list_is_named(name: str, tmp_path: Path) -> None:
    for listed in read(name, tmp_path).lists:
        kept = (tmp_path / listed).read_bytes()
        (tmp_path / listed).unlink()
        with pytest.raises(UsageError, match=rf"lacks .*{Path(listed).stem[:4]}.*; lay the data set out as"):
            READERS[name](tmp_path)
        (tmp_path / listed).write_bytes(kept)


@pytest.mark.parametrize("name", CLASSES)
def test_a_miniature_is_not_what_was_published(name: str, tmp_path: Path) -> None:
    data = read(name, tmp_path)
    assert data.published is not None
    assert (data.published.classes, data.published.examples) == (CLASSES[name], EXAMPLES.get(name))
    with pytest.raises(UsageError, match=rf"names {len(data.classes)} classes, but {name} has {CLASSES[name]}; "):
        check_published(data)


def test_a_folder_of_ones_own_was_never_published(tmp_path: Path) -> None:
    check_published(read("video-folder", tmp_path))


@pytest.mark.parametrize("name", READERS)
def test_playable_miniatures_play_and_no_two_files_are_alike(name: str, tmp_path: Path) -> None:
    data = READERS[name](BUILD[name](tmp_path, mini.playable))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in (0, len(data.examples) - 1):
            with av.open(str(data.get_path(number))) as container:
                assert sum(1 for _ in container.decode()) > 8
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(set(files)) == len(files)


def test_declared_options_are_the_keyword_arguments_of_the_readers() -> None:
    for name, reader in READERS.items():
        arguments = inspect.signature(reader.read).parameters.values()
        keywords = [argument.name for argument in arguments if argument.kind is argument.KEYWORD_ONLY]
        assert list(reader.options) == [keyword for keyword in keywords if keyword != "number"], name
    assert READERS["audioset"].options == ("subset",)
    assert READERS["video-folder"].options == READERS["audio-folder"].options == ("group", "folds", "seed")


def test_an_option_of_another_reader_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"unknown option 'subset'; accepted: group, folds, seed"):
        READERS["video-folder"](tmp_path, subset="20k")


def test_real_esc10_is_as_published(real_data: Path) -> None:
    data = READERS["esc10"](real_data / "esc10")
    check_published(data)
    assert data.absent == frozenset()
    assert data.classes[:3] == ("dog", "rooster", "rain")
    assert [(len(split.train), len(split.test)) for split in data.splits] == 5 * [(320, 80)]


def test_real_actions_split_by_subject(real_data: Path) -> None:
    data = READERS["video-folder"](real_data / "actions", group="(subject[0-9]+)_")
    assert data.classes == ("adl", "fall")
    assert [split.name for split in data.splits] == ["subject1", "subject2", "subject3", "subject4"]
    assert sum(len(split.test) for split in data.splits) == len(data.examples) == 23


def test_the_documentation_has_a_row_in_each_table_for_each_data_set() -> None:
    text = (Path(__file__).parents[3] / "docs" / "datasets.md").read_text(encoding="utf-8")
    first, layouts, splits = (text.split(f"## {title}\n")[1].split("\n## ")[0] for title in TABLES)
    for name in READERS:
        assert f"`{name}`" in first, name
        family = name.rstrip("0123456789") if name.startswith("kinetics") else name
        assert f"`{family}" in layouts, name
        assert f"`{family}" in splits, name
    for name, clips in EXAMPLES.items():
        row = next(line for line in first.splitlines() if f"`{name}`" in line)
        assert f"| {CLASSES[name]} | {clips:,} |" in row
