"""`evaluate` on labelled data sets: a run and a folder in, a result with baselines and hashes out."""

import json
import re
import shutil
from pathlib import Path

import miniatures as mini
import pytest

from talkies.analysis.power import smallest_detectable_share
from talkies.core import RunError, UsageError
from talkies.evaluation import evaluate
from talkies.evaluation.datasets import READERS
from talkies.evaluation.results import Result
from talkies.evaluation.transfer import Protocol, resolve_protocol

QUICK = ("clips=2", "c_grid=[0.1]")


@pytest.fixture(scope="module")
def own_run(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The little run, where features may be kept."""
    return Path(shutil.copytree(run, tmp_path_factory.mktemp("own") / "run"))


@pytest.fixture(scope="module")
def esc50(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A playable miniature of ESC-50; read only."""
    return mini.build_esc50(tmp_path_factory.mktemp("esc50"), mini.playable)


@pytest.fixture(scope="module")
def kinetics_sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A playable miniature of Kinetics-Sounds, which has pictures and sound; read only."""
    return mini.build_kinetics(tmp_path_factory.mktemp("kinetics"), mini.playable)


def quick(*more: str) -> Protocol:
    return resolve_protocol("linear", [*QUICK, *more])


@pytest.fixture(scope="module")
def measured(own_run: Path, esc50: Path) -> Result:
    """The run on ESC-50."""
    return evaluate("esc50", own_run, esc50, protocol=quick(), allow_missing=True)


def test_the_result_has_the_run_untrained_weights_and_statistics(measured: Result, own_run: Path) -> None:
    assert measured.task == "esc50"
    assert list(measured.metrics) == ["accuracy", "window_accuracy"]
    assert list(measured.baselines) == ["untrained", "statistics"]
    assert all(metrics.keys() == measured.metrics.keys() for metrics in measured.baselines.values())
    assert measured.baselines["statistics"]["accuracy"].mean == 1.0, "each class has its own tone"
    protocol = measured.protocol
    assert (protocol["run"], protocol["checkpoint_step"], protocol["method"]) == (str(own_run), 2, "linear")
    assert (protocol["clips"], protocol["clips_listed"], protocol["clips_used"]) == (2, 21, 21)
    assert (protocol["unfit"], protocol["classes"]) == ({}, 4)
    assert protocol["missing_share"] == pytest.approx(1 - 21 / 2_000), "of all that are published"
    assert list(protocol["splits"]) == [f"fold {fold}" for fold in range(1, 6)]
    assert protocol["chance"]["accuracy"] == pytest.approx(0.25, abs=0.05)
    assert set(protocol["chosen"]) == {"run", "untrained", "statistics"}
    for metric in measured.metrics.values():
        assert metric.n == 5
        assert metric.low is not None
        assert metric.high is not None
        assert metric.low <= metric.mean <= metric.high


def test_hashes_identify_weights_lists_and_clips(measured: Result, own_run: Path, esc50: Path, tmp_path: Path) -> None:
    hashes = measured.hashes
    assert list(hashes) == [
        *(f"features of {arm}" for arm in ("run", "untrained", "statistics")),
        "meta/esc50.csv",
        "clips",
    ]
    assert all(re.fullmatch(r"[0-9a-f]{12,16}", value) for value in hashes.values())
    assert len(set(hashes.values())) == len(hashes)
    other = shutil.copytree(esc50, tmp_path / "esc50")
    shutil.copy(esc50 / "audio" / "1-100001-A-0.wav", other / "audio" / "1-100001-B-0.wav")
    mini.edit(other / "meta" / "esc50.csv", "100001,B", "100001,C")
    changed = evaluate("esc50", own_run, other, protocol=quick("baselines=false"), allow_missing=True).hashes
    assert {name for name in changed if changed[name] != hashes[name]} == {"meta/esc50.csv", "clips"}


def test_two_results_of_one_seed_differ_only_in_time(
    measured: Result, own_run: Path, esc50: Path, tmp_path: Path
) -> None:
    again = evaluate("esc50", own_run, esc50, protocol=quick(), allow_missing=True)  # features are kept
    fresh = Path(shutil.copytree(own_run, tmp_path / "run", ignore=shutil.ignore_patterns("features")))
    anew = evaluate("esc50", fresh, esc50, protocol=quick(), allow_missing=True)  # and here computed
    anew = anew.model_copy(update={"protocol": anew.protocol | {"run": str(own_run)}})
    documents = [json.loads(result.model_dump_json()) for result in (measured, again, anew)]
    assert all(document.pop("wall_seconds") > 0 for document in documents)
    told = {json.dumps(document) for document in documents}
    assert len(told) == 1


def test_the_result_names_its_tools(measured: Result) -> None:
    assert list(measured.tools) == ["talkies", "torch", "scikit-learn", "av", "numpy"]
    assert measured.wall_seconds > 0


def test_without_baselines_there_is_only_the_run(own_run: Path, esc50: Path, measured: Result) -> None:
    result = evaluate("esc50", own_run, esc50, protocol=quick("baselines=false"), allow_missing=True)
    assert result.baselines == {}
    assert result.metrics == measured.metrics
    assert [name for name in result.hashes if name.startswith("features")] == ["features of run"]


def test_each_baseline_says_how_large_a_difference_could_have_been_seen(measured: Result) -> None:
    assert {name: list(each) for name, each in measured.detectable.items()} == {
        name: list(metrics) for name, metrics in measured.baselines.items()
    }
    compared = measured.detectable["statistics"]["accuracy"]
    found = measured.metrics["accuracy"].mean - measured.baselines["statistics"]["accuracy"].mean
    assert compared.found == pytest.approx(found)
    assert compared.test in ("paired t test over 5 splits", "McNemar's test over 21 test clips")
    assert compared.smallest is not None
    assert compared.smallest >= smallest_detectable_share(0.0, 21), "no fewer clips than can tell"


def test_step_0_is_measured_as_the_untrained_baseline_of_a_later_step(
    own_run: Path, esc50: Path, measured: Result
) -> None:
    result = evaluate("esc50", own_run, esc50, 0, protocol=quick(), allow_missing=True)
    assert result.protocol["checkpoint_step"] == 0
    assert list(result.baselines) == ["statistics"], "it is no baseline of itself"
    assert result.metrics == measured.baselines["untrained"]
    assert result.hashes["features of run"] == measured.hashes["features of untrained"]


def test_each_clip_is_read_and_reported_once_for_all_arms(own_run: Path, esc50: Path) -> None:
    told: list[tuple[str, int]] = []
    evaluate("esc50", own_run, esc50, None, lambda *clip: told.append(clip), protocol=quick(), allow_missing=True)
    told = [each for each in told if each[0].startswith("audio/")]
    assert len(told) == len(set(told)) == 21
    assert told[0] == ("audio/1-100001-A-0.wav", 21)


def test_a_run_without_its_untrained_checkpoint_has_no_such_baseline(
    own_run: Path, esc50: Path, measured: Result, tmp_path: Path
) -> None:
    bare = Path(shutil.copytree(own_run, tmp_path / "run"))
    shutil.rmtree(bare / "checkpoints" / "step-00000000")
    result = evaluate("esc50", bare, esc50, protocol=quick(), allow_missing=True)
    assert list(result.baselines) == ["statistics"]
    assert result.metrics == measured.metrics
    with pytest.raises(RunError, match=r"run has no checkpoint of step 0; there are: 2"):
        evaluate("esc50", bare, esc50, 0, protocol=quick(), allow_missing=True)


def test_video_audio_and_both_are_measured_separately(own_run: Path, kinetics_sounds: Path) -> None:
    result = evaluate("kinetics-sounds", own_run, kinetics_sounds, protocol=quick(), allow_missing=True)
    names = [f"{tower}_{kind}" for tower in ("video", "audio", "joint") for kind in ("accuracy", "window_accuracy")]
    assert list(result.metrics) == list(result.protocol["chance"]) == names
    assert result.baselines["statistics"]["joint_accuracy"].mean == 1.0
    sound = evaluate(
        "kinetics-sounds", own_run, kinetics_sounds, protocol=quick("data.tower=audio"), allow_missing=True
    )
    assert list(sound.metrics) == ["accuracy", "window_accuracy"]
    assert sound.metrics["window_accuracy"] is not None
    assert "frames" not in sound.protocol


def test_fine_tuning_takes_one_modality_and_untrained_weights_as_baseline(own_run: Path, kinetics_sounds: Path) -> None:
    sets = ("clips=2", "finetune.epochs=1", "finetune.batch_clips=4")
    with pytest.raises(UsageError, match=r"one encoder is fine-tuned at a time; choose with --set data\.tower"):
        evaluate(
            "kinetics-sounds", own_run, kinetics_sounds,
            protocol=resolve_protocol("finetune-audio", sets), allow_missing=True,
        )  # fmt: skip
    protocol = resolve_protocol("finetune-audio", [*sets, "data.tower=audio"])
    result = evaluate("kinetics-sounds", own_run, kinetics_sounds, protocol=protocol, allow_missing=True)
    assert list(result.baselines) == ["untrained"]
    assert result.protocol["finetune"]["epochs"] == 1


def test_nearest_neighbours_need_no_other_features(own_run: Path, esc50: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*anything: object) -> None:
        raise AssertionError("a clip was decoded again")

    evaluate("esc50", own_run, esc50, protocol=quick(), allow_missing=True)
    monkeypatch.setattr("talkies.clips.clip_files.read_clip", refuse)
    protocol = resolve_protocol("knn", ["clips=2", "neighbour_grid=[1]"])
    result = evaluate("esc50", own_run, esc50, protocol=protocol, allow_missing=True)
    assert result.baselines["statistics"]["accuracy"].mean > 0.5


def test_what_cannot_be_used_is_reported_where_that_is_allowed(own_run: Path, esc50: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(esc50, tmp_path / "esc50"))
    (root / "audio" / "2-100002-A-0.wav").write_bytes(b"Dear sound" * 50)
    (root / "audio" / "3-100103-A-1.wav").unlink()
    result = evaluate("esc50", own_run, root, protocol=quick("baselines=false"), allow_missing=True)
    assert (result.protocol["clips_listed"], result.protocol["clips_used"]) == (21, 19)
    assert result.protocol["missing_share"] == pytest.approx(1 - 19 / 2_000)
    assert list(result.protocol["unfit"]) == ["audio/2-100002-A-0.wav"]


def test_a_data_set_of_another_size_than_its_publishers_is_refused(own_run: Path, esc50: Path) -> None:
    with pytest.raises(UsageError, match=r"meta/esc50\.csv names 4 classes, but esc50 has 50; it is another version"):
        evaluate("esc50", own_run, esc50, protocol=quick())


WRONG: dict[str, tuple[str, tuple[str, ...], str]] = {  # what is wrong: the task, what is set, the sentence
    "an unknown task": ("esc5O", (), r"^no task 'esc5O' \(did you mean 'esc50'\?\); there are: ucf101, .*, scenes$"),
    "an option of others": ("esc50", ("data.group=^(s.)",), r"^esc50 has no option data\.group; leave it out$"),
    "two options of others": ("esc50", ("data.subset=20k", "data.folds=3"), r"^esc50 has no option data\.folds; leave"),
    "pictures of sounds": ("esc50", ("data.tower=video",), r"^esc50 has no video; leave data\.tower out$"),
    "frames that do not divide": ("esc50", ("fps=7",), r"^the protocol cannot be followed: .*frame rate"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_use_is_refused_in_one_sentence(wrong: str, own_run: Path, esc50: Path) -> None:
    task, sets, sentence = WRONG[wrong]
    with pytest.raises(UsageError, match=sentence) as told:
        evaluate(task, own_run, esc50, protocol=quick(*sets), allow_missing=True)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("name", "sets", "sentence"),
    [
        ("liner", (), r"^no protocol 'liner' \(did you mean 'linear'\?\); there are: linear, linear-3-crops, knn, "),
        ("linear", ("c_grd=[1]",), r"^unknown key 'c_grd' in .*\(did you mean 'c_grid'\?\)"),
        ("linear", ("data.grop=x",), r"^unknown key 'data\.grop' in .*\(did you mean 'data\.group'\?\)"),
        ("linear", ("c_grid=[]",), r"c_grid must hold one value or more, each once, got \[\]"),
        ("linear", ("seeds=[1,1]",), r"seeds must hold one value or more, each once, got \[1, 1\]"),
        ("linear", ("crops=2",), r"^protocol linear: 'crops' got 2: "),
        ("linear", ("data.tower=smell",), r"^protocol linear: 'data\.tower' got 'smell': "),
        ("finetune", ("finetune.epochs=0",), r"^protocol finetune: 'finetune\.epochs' got 0: "),
        ("finetune", ("finetune.batch_clips=1",), r"^protocol finetune: 'finetune\.batch_clips' got 1: "),
    ],
)
def test_a_protocol_that_is_none_is_refused(name: str, sets: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        resolve_protocol(name, sets)


def test_data_that_are_no_folder_are_refused(own_run: Path, esc50: Path, tmp_path: Path) -> None:
    sentence = r"is not a folder; name the folder that holds esc50, as docs/datasets\.md describes$"
    for data in (tmp_path / "none", esc50 / "meta" / "esc50.csv"):
        with pytest.raises(UsageError, match=rf"^{re.escape(str(data))} {sentence}"):
            evaluate("esc50", own_run, data, protocol=quick(), allow_missing=True)
    with pytest.raises(UsageError, match=r"lacks meta/esc50\.csv; lay the data set out as docs/datasets\.md says"):
        evaluate("esc50", own_run, tmp_path, protocol=quick(), allow_missing=True)


def test_a_run_that_is_none_is_refused(esc50: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"none does not exist; make a run with: talkies pre"):
        evaluate("esc50", tmp_path / "none", esc50, protocol=quick(), allow_missing=True)
    assert list(tmp_path.iterdir()) == []


def test_every_task_is_listed_for_an_unknown_one(own_run: Path, esc50: Path) -> None:
    with pytest.raises(UsageError, match="no task 'smell'") as told:
        evaluate("smell", own_run, esc50)
    assert all(name in str(told.value) for name in (*READERS, "retrieval", "sync", "matchcut", "scenes"))


@pytest.mark.parametrize("task", ["retrieval", "synthetic-concepts"])
def test_films_have_no_list_that_could_lack_some(task: str, own_run: Path, films: Path) -> None:
    with pytest.raises(UsageError, match=f"^{task} measures every film of the folder; leave out --allow-missing"):
        evaluate(task, own_run, films, allow_missing=True)


def test_a_data_set_leaks_from_test_to_training_only_if_its_lists_say_so(
    own_run: Path, esc50: Path, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(esc50, tmp_path / "esc50"))
    shutil.copy(root / "audio" / "1-100001-A-0.wav", root / "audio" / "2-100002-A-0.wav")
    leak = r"trains on what it tests on: audio/\S+-0\.wav and audio/\S+-0\.wav are of the same source \(1 such clip\)"
    with pytest.raises(UsageError, match=leak):
        evaluate("esc50", own_run, root, protocol=quick(), allow_missing=True)
    sets = quick("drop_overlap=true", "baselines=false")
    result = evaluate("esc50", own_run, root, protocol=sets, allow_missing=True)
    assert result.protocol["dropped_for_overlap"] == 2
