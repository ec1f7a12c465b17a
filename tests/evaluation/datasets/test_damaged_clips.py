"""Every data set, whole and damaged: what is measured on it, and the sentence that names what is wrong."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import miniatures as mini
import pytest
from test_dataset_readers import BUILD

from talkies.clips.clip_spec import ClipSpec
from talkies.core import UsageError
from talkies.evaluation.datasets import READERS, DataSet, Published, check_published
from talkies.evaluation.results.result import Result
from talkies.evaluation.transfer.features import Statistics
from talkies.evaluation.transfer.protocol import Protocol
from talkies.evaluation.transfer.transfer import measure_transfer
from talkies.transforms import AudioTransformConfig

pytestmark = pytest.mark.slow

UNLISTED = {"dcase2014", "video-folder", "audio-folder"}  # what is in their folders is what there is
QUICK = Protocol(clips=2, c_grid=(0.1,))


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function from a data set's name to a playable miniature of it; read only."""
    made: dict[str, Path] = {}

    def build(name: str) -> Path:
        if name not in made:
            made[name] = BUILD[name](tmp_path_factory.mktemp(name), mini.playable)
        return made[name]

    return build


@pytest.fixture
def copy(whole: Callable[[str], Path], tmp_path: Path) -> Callable[[str], DataSet]:
    """A function from a data set's name to a miniature of its own, to be damaged."""

    def build(name: str) -> DataSet:
        root = tmp_path / name
        for path in whole(name).rglob("*"):
            if path.is_file():
                target = root / path.relative_to(whole(name))
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
        return READERS[name](root)

    return build


def measure(data: DataSet, *, allow_missing: bool = False) -> Result:
    """Measure plain statistics on a miniature, which has fewer clips than its publishers say."""
    clip_spec = ClipSpec(frames=4, fps=8, short_side=64, size=64, audio_seconds=0.5, audio_rate_hz=8_000)
    statistics = Statistics(clip_spec, AudioTransformConfig(n_fft=256, hop=128, mels=16))
    return measure_transfer(replace(data, published=None), [statistics], QUICK, allow_missing=allow_missing)


@pytest.mark.parametrize("name", READERS)
def test_a_whole_data_set_is_measured(name: str, whole: Callable[[str], Path]) -> None:
    result = measure(READERS[name](whole(name)))
    assert result.task == name
    assert result.protocol["missing_share"] == 0
    best = "joint_accuracy" if "joint_accuracy" in result.metrics else next(iter(result.metrics))
    assert result.metrics[best].mean > 0.9  # each class has its own colour and tone


@pytest.mark.parametrize("name", [name for name in READERS if name not in UNLISTED])
def test_a_missing_clip_is_named(name: str, copy: Callable[[str], DataSet]) -> None:
    data = copy(name)
    number = data.splits[0].test[-1]  # of Speech Commands the training clips are in no list
    data.get_path(number).unlink()
    data = READERS[name](data.root)
    told = re.escape(data.examples[number].path)
    with pytest.raises(UsageError, match=rf"lacks 1 of the \d+ clips of {name}, {told} first; .*--allow-missing"):
        measure(data)
    result = measure(data, allow_missing=True)
    assert result.protocol["missing_share"] == pytest.approx(1 / len(data.examples))


@pytest.mark.parametrize("name", ["dcase2014", "speech-commands"])
def test_a_missing_clip_that_no_list_names_is_seen_by_its_number(name: str, copy: Callable[[str], DataSet]) -> None:
    data = copy(name)
    whole = Published(len(data.classes), len(data.examples))
    data.get_path(data.splits[0].train[0]).unlink()
    fewer = replace(READERS[name](data.root), published=whole)
    with pytest.raises(UsageError, match=rf"{len(data.examples) - 1} clips, but {name} has {len(data.examples)}"):
        check_published(fewer)


@pytest.mark.parametrize("name", READERS)
def test_a_corrupt_clip_is_named(name: str, copy: Callable[[str], DataSet]) -> None:
    data = copy(name)
    data.get_path(1).write_bytes(b"this is no film" * 100)
    with pytest.raises(
        UsageError, match=rf"1 of the \d+ clips of {name} cannot be used, .*{data.get_path(1).name} first: "
    ):
        measure(data)
    result = measure(data, allow_missing=True)
    assert list(result.protocol["unfit"]) == [data.examples[1].path]


@pytest.mark.parametrize("name", READERS)
def test_a_clip_without_sound_is_named_where_sound_is_wanted(name: str, copy: Callable[[str], DataSet]) -> None:
    data = copy(name)
    data.get_path(1).write_bytes(mini.mute_film())
    if data.modality == "video":
        assert measure(data).protocol["missing_share"] == 0
        return
    with pytest.raises(
        UsageError, match=rf"1 of the \d+ clips of {name} cannot be used, .*{data.get_path(1).name} first: .* no audio"
    ):
        measure(data)


def test_an_empty_data_set_is_refused_even_where_clips_may_be_missing(copy: Callable[[str], DataSet]) -> None:
    data = copy("esc50")
    for number in range(len(data.examples)):
        data.get_path(number).unlink()
    with pytest.raises(UsageError, match=r"esc50 in .* has no clip that can be used: .* does not exist"):
        measure(READERS["esc50"](data.root), allow_missing=True)


@pytest.mark.parametrize("kind", ["bytes", "source"])
def test_what_is_learnt_from_is_not_tested_on(kind: str, copy: Callable[[str], DataSet]) -> None:
    data = copy("speech-commands")
    train, test = data.splits[0].train[0], data.splits[0].test[0]
    if kind == "bytes":
        data.get_path(test).write_bytes(data.get_path(train).read_bytes())
    else:
        examples = list(data.examples)
        examples[test] = replace(examples[test], source=examples[train].source)
        data = replace(data, examples=tuple(examples))
    first, other = data.examples[train].path, data.examples[test].path
    with pytest.raises(UsageError, match=f"trains on what it tests on: {first} and {other} are of the same source"):
        measure(data)
    clip_spec = ClipSpec(4, 8, 64, 64, 0.5, 8_000)
    statistics = Statistics(clip_spec, AudioTransformConfig(n_fft=256, hop=128, mels=16))
    dropping = Protocol(clips=2, c_grid=(0.1,), drop_overlap=True)
    result = measure_transfer(replace(data, published=None), [statistics], dropping)
    assert result.protocol["dropped_for_overlap"] >= 1
    assert result.protocol["splits"][data.splits[0].name][0] < len(data.splits[0].train)
