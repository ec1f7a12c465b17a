"""Public encoders in the verb `evaluate`: film tasks, probes, fine-tuning, and runs beside what they came from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import miniatures as mini
import pytest
import small_checkpoints
import small_sound_checkpoints

from talkies.core import UsageError
from talkies.evaluation import build_table, evaluate, resolve_protocol, write_result
from talkies.evaluation.before import BEFORE, find_base_address, find_before
from talkies.evaluation.film_tasks.base import MODALITY_CHOICES, list_choices
from talkies.evaluation.results import Result
from talkies.library import Library
from talkies.runs import load_encoder
from talkies.training import RunConfig, pretrain


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Small random checkpoints: CLIP, VideoMAE, wav2vec 2.0, and VideoMAE beside wav2vec 2.0."""
    root = tmp_path_factory.mktemp("checkpoints")
    small_sound_checkpoints.save_wav2vec2(root / "w2v")
    clip, videomae = small_checkpoints.save_clip(root / "clip"), small_checkpoints.save_videomae(root / "videomae")
    both = f"video=hf:{videomae},audio=hf:{root / 'w2v'}"
    return {"clip": f"hf:{clip}", "videomae": f"hf:{videomae}", "w2v": f"hf:{root / 'w2v'}", "both": both}


@pytest.fixture(autouse=True)
def _somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def ucf101(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mini.build_ucf101(tmp_path_factory.mktemp("ucf101"), mini.playable)


@pytest.fixture(scope="module")
def esc50(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mini.build_esc50(tmp_path_factory.mktemp("esc50"), mini.playable)


@pytest.fixture(scope="module")
def adapted(
    library: Library,
    two_steps: Callable[..., RunConfig],
    addresses: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A run of two steps whose towers came from VideoMAE and wav2vec 2.0."""
    towers = (f"model.video={addresses['videomae']}", f"model.audio={addresses['w2v']}", "clip.frames=4", "clip.fps=4")
    return pretrain(library.root, two_steps(*towers), tmp_path_factory.mktemp("adapted") / "run").run


@pytest.mark.slow
def test_a_task_measures_the_modalities_that_there_are(
    addresses: dict[str, str], films: Path, library: Library
) -> None:
    for data in (films, library.root):
        result = evaluate("synthetic-concepts", addresses["clip"], data if data == films else films)
        assert result.metrics.keys() == result.protocol["chance"].keys() == {"video_accuracy"}
        assert (result.protocol["run"], result.protocol["license"]) == (f"video={addresses['clip']}", "")
        assert "checkpoint_step" not in result.protocol
    both = evaluate("synthetic-concepts", addresses["both"], films)
    assert both.metrics.keys() == {"video_accuracy", "audio_accuracy"}
    assert both.protocol["model_stamp"] == load_encoder(addresses["both"]).stamp


@pytest.mark.parametrize("task", ["retrieval", "sync"])
def test_what_cannot_be_compared_is_said_in_one_sentence(task: str, addresses: dict[str, str], films: Path) -> None:
    remedy = "name a run that was trained on these encoders, or public encoders of both in one space, such as PE-AV"
    with pytest.raises(
        UsageError, match=rf"{task} compares pictures with sounds, and \S+ encodes video only; {remedy}"
    ):
        evaluate(task, addresses["clip"], films)
    with pytest.raises(UsageError, match=rf"and the pictures and sounds of \S+ lie in spaces of their own; {remedy}"):
        evaluate(task, addresses["both"], films)


def test_lists_of_shots_are_measured_by_what_there_is(addresses: dict[str, str]) -> None:
    assert list_choices(load_encoder(addresses["clip"])) == ("video",)
    assert list_choices(load_encoder(addresses["w2v"])) == ("audio",)
    assert list_choices(load_encoder(addresses["both"])) == MODALITY_CHOICES


@pytest.mark.parametrize("model", ["clip", "videomae", "both"])
@pytest.mark.parametrize("protocol", ["linear", "knn"])
def test_probes_of_pictures(model: str, protocol: str, addresses: dict[str, str], ucf101: Path) -> None:
    small = resolve_protocol(protocol, ["clips=2", "c_grid=[0.1]", "neighbour_grid=[1]"])
    result = evaluate("ucf101", addresses[model], ucf101, protocol=small, allow_missing=True)
    assert result.metrics["accuracy"].mean == 1  # every class has a colour of its own
    assert list(result.baselines) == ["statistics"]
    assert (result.protocol["size"], result.protocol["frames"]) == (32, 4)


def test_probes_of_sounds_that_are_samples(addresses: dict[str, str], esc50: Path) -> None:
    small = resolve_protocol("linear", ["clips=2", "c_grid=[0.1]"])
    result = evaluate("esc50", addresses["w2v"], esc50, protocol=small, allow_missing=True)
    assert result.metrics["accuracy"].n == 5  # folds; what random weights hear is near chance
    assert 0 <= result.metrics["accuracy"].mean <= 1
    assert result.protocol["audio_rate_hz"] == 16_000
    sentence = r"\S+ has no audio encoder; name a model, or give encoders, that have one"
    with pytest.raises(UsageError, match=sentence):
        evaluate("esc50", addresses["clip"], esc50, protocol=small, allow_missing=True)


@pytest.mark.parametrize("model", ["clip", "w2v"])
def test_fine_tuning_takes_the_encoder_s_own_input(
    model: str, addresses: dict[str, str], ucf101: Path, esc50: Path
) -> None:
    own = resolve_protocol("finetune-own", ["finetune.epochs=1", "clips=1"])
    task, data = ("ucf101", ucf101) if model == "clip" else ("esc50", esc50)
    result = evaluate(task, addresses[model], data, protocol=own, allow_missing=True)
    assert 0 <= result.metrics["accuracy"].mean <= 1
    if model == "clip":
        usual = resolve_protocol("finetune", ["finetune.epochs=1"])
        with pytest.raises(UsageError, match=r"\S+ takes pictures of 32 px, and the protocol sets 112; leave size out"):
            evaluate(task, addresses[model], data, protocol=usual, allow_missing=True)


def test_fine_tuning_trains_frozen_encoders_too(addresses: dict[str, str], ucf101: Path) -> None:
    from talkies.evaluation.transfer.features import load_run_features
    from talkies.evaluation.transfer.finetune import Classifier

    protocol = resolve_protocol("finetune-own")
    features = load_run_features(addresses["clip"], None, protocol, "mine")
    assert features.video_encoder is not None
    features.video_encoder.requires_grad_(False)
    model = Classifier(features, "video", 3, 0.0)
    assert all(weight.requires_grad for weight in model.parameters())
    assert not any(weight.requires_grad for weight in features.video_encoder.parameters())


def test_public_encoders_have_no_steps(addresses: dict[str, str], films: Path) -> None:
    with pytest.raises(UsageError, match=r"\S+ was not trained here, so it has no steps; leave --step out"):
        evaluate("retrieval", addresses["both"], films, step=0)


def test_a_run_stands_beside_what_it_came_from(adapted: Path, addresses: dict[str, str], films: Path) -> None:
    assert find_base_address(adapted) == addresses["both"]
    result = evaluate("synthetic-concepts", adapted, films)
    before = find_before(load_encoder(adapted)).encoder
    assert before is not None
    assert before.clip == load_encoder(adapted).clip != load_encoder(addresses["both"]).clip
    assert result.baselines.keys() == {BEFORE}
    assert result.baselines[BEFORE].keys() == result.metrics.keys()
    assert result.protocol[BEFORE] == {
        "run": addresses["both"],
        "model_stamp": load_encoder(addresses["both"]).stamp,
        "license": "",
    }


def test_a_task_across_spaces_has_no_before(adapted: Path, films: Path) -> None:
    result = evaluate("retrieval", adapted, films)
    assert result.baselines == {}
    assert result.protocol[BEFORE].startswith("left out: the pictures and sounds of video=")


def test_a_run_of_talkies_own_encoders_has_no_before(run: Path, films: Path) -> None:
    assert find_base_address(run) is None
    result = evaluate("synthetic-concepts", run, films)
    assert (result.baselines, BEFORE in result.protocol) == ({}, False)


def test_probes_measure_before_and_after_with_the_same_input(adapted: Path, ucf101: Path) -> None:
    small = resolve_protocol("linear", ["clips=2", "c_grid=[0.1]"])
    result = evaluate("ucf101", adapted, ucf101, protocol=small, allow_missing=True)
    assert list(result.baselines) == [BEFORE, "statistics"]  # untrained is the same as before
    assert result.hashes[f"features of {BEFORE}"] != result.hashes["features of run"]


def test_public_encoders_that_are_gone_are_said(adapted: Path, films: Path, monkeypatch: Any) -> None:
    import talkies.evaluation.before as before
    from talkies.core import ConfigError

    def fail(*_: object, **__: object) -> None:
        raise ConfigError("hf:x is no folder here")

    monkeypatch.setattr(before, "load_model", fail)
    result = evaluate("synthetic-concepts", adapted, films)
    assert result.baselines == {}
    assert result.protocol[BEFORE].endswith("cannot be loaded: hf:x is no folder here")


def test_results_are_named_for_what_was_measured(adapted: Path, addresses: dict[str, str], films: Path) -> None:
    results: list[tuple[Path, Result]] = []
    for model in (adapted, addresses["clip"]):
        result = evaluate("synthetic-concepts", model, films)
        results.append((write_result(result, Path("results")), result))
    names = [path.name.rpartition("-")[0] for path, _ in results]
    assert names == ["synthetic-concepts-films-step-2", "synthetic-concepts-films-public"]
    measured = {row.what for row in build_table(results).rows}
    assert measured == {f"{adapted}, step 2", f"{adapted}, step 2: {BEFORE}", f"video={addresses['clip']}"}
