"""`MaterialFolders`: which files composed films and unseen films are made of."""

import csv
from pathlib import Path

import pytest

from talkies.core import UsageError
from talkies.study.materials import MaterialFolders


def write_classes(root: Path, names: dict[str, int], suffix: str) -> Path:
    """Write folders of so many empty files."""
    for name, count in names.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            (root / name / f"{name.replace('/', '-')}-{number}{suffix}").touch()
    return root


def name_all(files: tuple[tuple[Path, ...], ...]) -> list[set[str]]:
    return [{path.name for path in paths} for paths in files]


def test_a_folder_of_classes_is_split_by_class_and_seed(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "sounds", {"dog": 5, "cat": 2, "rain/deep": 10}, ".wav")
    (root / "dog" / "notes.txt").touch()
    (root / ".cache").mkdir()
    folders = MaterialFolders(sounds=root)
    whole = folders.read_all()
    seen, unseen = folders.read_split(0)
    assert whole.classes == seen.classes == unseen.classes == ("cat", "dog", "rain")
    assert [len(paths) for paths in whole.sounds] == [2, 5, 10]
    assert [len(paths) for paths in unseen.sounds] == [1, 2, 4]
    for all_files, one, other in zip(*map(name_all, (whole.sounds, seen.sounds, unseen.sounds)), strict=True):
        assert one | other == all_files
        assert not one & other
    assert folders.read_split(0) == (seen, unseen)
    assert folders.read_split(1) != (seen, unseen)


def test_train_and_test_are_the_split(tmp_path: Path) -> None:
    names = {"train/dog": 2, "train/cat": 1, "test/dog": 1, "test/cat": 1}
    folders = MaterialFolders(actions=write_classes(tmp_path / "videos", names, ".mp4"))
    seen, unseen = folders.read_split(5)
    assert (seen.classes, name_all(seen.clips)) == (("cat", "dog"), [{"train-cat-0.mp4"}, _of("train-dog", 2)])
    assert name_all(unseen.clips) == [{"test-cat-0.mp4"}, {"test-dog-0.mp4"}]
    assert [len(paths) for paths in folders.read_all().clips] == [2, 3]
    (tmp_path / "videos" / "test" / "cat" / "test-cat-0.mp4").rename(tmp_path / "videos" / "test" / "dog" / "x.mp4")
    (tmp_path / "videos" / "test" / "cat").rmdir()
    with pytest.raises(UsageError, match=r"^class 'cat' is in only one of train/ and test/ of \S+; add files to the o"):
        folders.read_split(5)


def _of(name: str, count: int) -> set[str]:
    return {f"{name}-{number}.mp4" for number in range(count)}


def test_classes_with_sounds_and_clips_are_joined_by_name(tmp_path: Path) -> None:
    sounds = write_classes(tmp_path / "sounds", {"dog": 2, "rain": 2}, ".wav")
    actions = write_classes(tmp_path / "actions", {"dog": 3, "fall": 2}, ".mp4")
    backgrounds = (Path("a.mp4"),), (Path("b.mp4"),)
    seen, unseen = MaterialFolders(sounds, actions, *backgrounds).read_split(0)
    assert seen.classes == ("dog", "rain", "fall")
    assert [len(paths) for paths in seen.sounds] == [1, 1, 0]
    assert [len(paths) for paths in seen.clips] == [2, 0, 1]
    assert (seen.backgrounds, unseen.backgrounds) == backgrounds


def test_of_escs_layout_the_last_two_folds_are_held_out(tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    (tmp_path / "meta").mkdir()
    with (tmp_path / "meta" / "esc10.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("filename", "fold", "target", "category", "esc10", "src_file", "take"))
        for number in range(400):
            fold, target = number // 80 + 1, number % 10
            name = f"{fold}-{number}-A-{target}.wav"
            (tmp_path / "audio" / name).touch()
            rows.writerow((name, fold, target, f"class {target}", True, number, "A"))
    seen, unseen = MaterialFolders(sounds=tmp_path).read_split(0)
    assert len(seen.classes) == 10
    assert {path.name[0] for paths in seen.sounds for path in paths} == {"1", "2", "3"}
    assert {path.name[0] for paths in unseen.sounds for path in paths} == {"4", "5"}
    assert [len(paths) for paths in MaterialFolders(sounds=tmp_path).read_all().sounds] == [40] * 10


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (None, r"/sounds is not a folder; name the one that holds the classes' folders"),
        ({}, r"/sounds holds no folders of classes; lay it out as docs/datasets\.md says"),
        ({"dog": 2, "cat": 0}, r"/sounds/cat holds no file that can be used; fill the class's folder, or remove it"),
        ({"dog": 2, "cat": 1}, r"^class 'cat' of \S+ has only one file, and unseen films need others; add files$"),
    ],
)
def test_folders_that_do_not_suffice_are_refused(tmp_path: Path, names: dict[str, int] | None, sentence: str) -> None:
    if names is not None:
        (tmp_path / "sounds").mkdir()
        write_classes(tmp_path / "sounds", names, ".wav")
    with pytest.raises(UsageError, match=sentence):
        MaterialFolders(sounds=tmp_path / "sounds").read_split(0)


def test_some_folder_must_be_named() -> None:
    with pytest.raises(UsageError, match=r"^composed films need a folder of sounds or of actions; name one$"):
        MaterialFolders(backgrounds=(Path("a.mp4"),)).read_all()
