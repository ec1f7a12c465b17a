"""HMDB51: three splits by video, and detecting a wrong list."""

from pathlib import Path

import pytest
from miniatures import build_hmdb51, edit

from talkies.core import UsageError
from talkies.evaluation.datasets import Example
from talkies.evaluation.datasets.hmdb51 import read_hmdb51

LISTS = "testTrainMulti_7030_splits"


def test_splits_are_the_publishers_and_leave_some_out(tmp_path: Path) -> None:
    data = read_hmdb51(build_hmdb51(tmp_path))
    assert data.classes == ("brush_hair", "climb", "climb_stairs")
    path = "hmdb51_org/brush_hair/Film1_brush_hair_u_nm_np1_ba_goo_1.avi"
    assert data.examples[1] == Example(path, (0,), source="Film1_brush_hair_u_nm_np1_ba_goo")
    assert data.examples[-1].labels == (2,)
    assert len(data.examples) == 21
    assert len(data.lists) == 9
    for number, split in enumerate(data.splits, start=1):
        assert {data.examples[place].source[:5] for place in split.test} == {f"Film{number}"}
        assert (len(split.train), len(split.test), split.select) == (12, 6, ())
        left_out = set(range(21)) - {*split.train, *split.test}
        assert {data.examples[place].source[:5] for place in left_out} == {"Film4"}


@pytest.mark.parametrize(
    ("listed", "old", "new", "sentence"),
    [
        (
            "climb_test_split1",
            "_0.avi 2",
            "_0.avi 3",
            r"split1.txt, line 1, gives Film1_climb.* the number 3, which is none",
        ),
        (
            "climb_test_split1",
            "_0.avi 2",
            "_0.avi",
            r"climb_test_split1.txt, line 1, is not of the form 'CLIP.avi 0\|1\|2'",
        ),
        (
            "climb_test_split1",
            "_climb_",
            "_clap_",
            r"line 1, names 'Film1_clap_.*', which is not a clip of climb",
        ),
        (
            "climb_test_split1",
            "goo_0.avi",
            "goo_1.avi",
            r"line 2, names Film1_climb_.*goo_1.avi, which line 1 names too",
        ),
        (
            "climb_test_split2",
            "goo_0.avi",
            "goo_7.avi",
            r"climb_test_split2.txt and climb_test_split1.txt do not name the",
        ),
        (
            "climb_test_split3",
            "goo_0.avi 1",
            "goo_0.avi 2",
            r"split 3 trains and tests on clips of the video Film1_climb",
        ),
    ],
)
def test_wrong_lists_are_refused(listed: str, old: str, new: str, sentence: str, tmp_path: Path) -> None:
    build_hmdb51(tmp_path)
    edit(tmp_path / LISTS / f"{listed}.txt", old, new)
    with pytest.raises(UsageError, match=sentence):
        read_hmdb51(tmp_path)


def test_without_lists_the_first_that_is_missed_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"lacks testTrainMulti_7030_splits/<class>_test_split1.txt; lay the data set out"
    ):
        read_hmdb51(tmp_path)
