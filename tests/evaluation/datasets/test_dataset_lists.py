"""The lists themselves: encodings, line numbers, and splits by value."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkies.core import UsageError
from talkies.evaluation.datasets.dataset import leave_one_out, read_list
from talkies.evaluation.datasets.lists import index_media_by_stem, read_csv, read_rows


@given(st.lists(st.sampled_from(["fold 1", "fold 2", "fold 10", "a", "B2", ""]), min_size=1))
def test_each_value_is_left_out_once_and_splits_cover_all(values: list[str]) -> None:
    splits = leave_one_out(values)
    assert {split.name for split in splits} == set(values)
    assert sorted(number for split in splits for number in split.test) == list(range(len(values)))
    for split in splits:
        assert {values[number] for number in split.test} == {split.name}
        assert sorted((*split.train, *split.test)) == list(range(len(values)))


def test_fold_2_comes_before_fold_10() -> None:
    assert [split.name for split in leave_one_out(["fold 10", "fold 2", "fold 1"])] == ["fold 1", "fold 2", "fold 10"]


def test_lists_of_other_systems_are_read_alike(tmp_path: Path) -> None:
    (tmp_path / "unix.txt").write_bytes(b"1 a\n\n2 b\n")
    (tmp_path / "windows.txt").write_bytes(b"\xef\xbb\xbf1 a\r\n\r\n2 b \r\n")
    unix, windows = (read_rows(tmp_path, name, form="NUMBER CLASS")[1] for name in ("unix.txt", "windows.txt"))
    assert [(row.fields, row.line) for row in unix] == [(("1", "a"), 1), (("2", "b"), 3)]
    assert [(row.fields, row.line) for row in windows] == [(row.fields, row.line) for row in unix]
    assert read_list(tmp_path, "windows.txt") == ("windows.txt", ["1 a", "2 b"])


def test_a_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00\x00")
    with pytest.raises(UsageError, match=r"list.txt is not UTF-8 text; fetch it from the publishers again"):
        read_rows(tmp_path, "list.txt", form="NUMBER CLASS")


def test_an_empty_table_lacks_its_columns(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("")
    with pytest.raises(UsageError, match=r"list.csv, line 1, has no column 'label'; take the publishers' own list"):
        read_csv(tmp_path, "list.csv", columns=["label"])


def test_every_name_of_a_missing_list_is_reported(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"lacks val.csv \(or validate.csv\); lay the data set out as docs/datasets.md"
    ):
        read_csv(tmp_path, "val.csv", "validate.csv", columns=["label"])


def test_the_first_folder_that_has_a_file_counts(tmp_path: Path) -> None:
    for name in ("a.mp4", "video/deep/a.mp4", "video/b.mp4", "audio/b.wav", "audio/c.d.wav", "audio/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = index_media_by_stem(tmp_path, (".", "video", "audio", "nowhere"))
    assert found == {"a": "a.mp4", "b": "video/b.mp4", "c.d": "audio/c.d.wav"}
