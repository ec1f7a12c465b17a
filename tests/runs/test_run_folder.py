"""`RunFolder` and its checkpoints: written atomically, read back equal, refused when damaged."""

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from talkies.core import RunError, WorkError
from talkies.runs import CheckpointState, RunFolder, RunRecord

RECORD = RunRecord(library="films", profile={"fps": 16}, films=("a" * 16, "b" * 16), tools={"torch": "2"})


def model_at(step: int) -> dict[str, Tensor]:
    return {"weight": torch.arange(6.0).view(2, 3).T + step, "counter": torch.tensor(step)}


def optimiser_at(step: int) -> dict[str, Tensor]:
    return {"weight:exp_avg": torch.full((3, 2), step / 3)}


def save(run: RunFolder, *steps: int) -> None:
    for step in steps:
        state = CheckpointState(step=step, stamp=f"{step:012x}")
        run.save(state, model_at(step), optimiser_at(step))


def steps_of(run: RunFolder) -> list[int]:
    return [checkpoint.step for checkpoint in run.list_checkpoints()]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.create("training:\n  steps: 3\n", RECORD)
    return folder


def refused(sentence: str) -> pytest.RaisesExc[RunError]:
    return pytest.raises(RunError, match=f"^{re.escape(sentence)}$")


def test_a_run_begins_with_its_config_and_its_record(run: RunFolder) -> None:
    assert run.exists()
    assert run.config_path.read_text() == "training:\n  steps: 3\n"
    assert run.read_record() == RECORD


def test_a_checkpoint_gives_back_equal_tensors_and_state(run: RunFolder) -> None:
    save(run, 7)
    checkpoint = run.get_checkpoint(7)
    torch.testing.assert_close(checkpoint.read_model_weights(), model_at(7), rtol=0, atol=0)
    torch.testing.assert_close(checkpoint.read_optimiser_weights(), optimiser_at(7), rtol=0, atol=0)
    assert checkpoint.read_state() == CheckpointState(step=7, stamp="000000000007")


def test_weights_that_are_one_tensor_twice_come_back_as_two(run: RunFolder) -> None:
    shared = torch.ones(3)
    run.save(CheckpointState(step=0, stamp="s"), {"a": shared, "b": shared.requires_grad_()}, {})
    assert {name: tensor.tolist() for name, tensor in run.get_checkpoint().read_model_weights().items()} == {
        "a": [1, 1, 1],
        "b": [1, 1, 1],
    }


def test_the_newest_checkpoint_is_that_of_the_highest_step(run: RunFolder) -> None:
    save(run, 100, 20, 3)
    assert steps_of(run) == [3, 20, 100]
    assert run.get_checkpoint().step == 100


def test_a_checkpoint_of_the_same_step_takes_the_old_ones_place(run: RunFolder) -> None:
    save(run, 5)
    run.save(CheckpointState(step=5, stamp="new"), model_at(6), optimiser_at(6))
    assert steps_of(run) == [5]
    assert run.get_checkpoint(5).read_state().stamp == "new"
    assert run.get_checkpoint(5).read_model_weights()["counter"] == 6


def test_a_save_that_fails_leaves_no_checkpoint_and_can_be_done_again(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    save(run, 1)
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(
        WorkError, match=r"step-00000002 cannot be written .*No space left.*; free disk space and continue"
    ):
        save(run, 2)
    monkeypatch.undo()
    assert steps_of(run) == [1]
    save(run, 2)
    assert steps_of(run) == [1, 2]
    assert sorted(path.name for path in (run.root / "checkpoints").iterdir()) == ["step-00000001", "step-00000002"]


@pytest.mark.parametrize(
    ("newest", "kept"), [(1, [0, 40]), (2, [0, 30, 40]), (4, [0, 10, 20, 30, 40]), (9, [0, 10, 20, 30, 40])]
)
def test_the_untrained_model_and_the_newest_checkpoints_are_kept(run: RunFolder, newest: int, kept: list[int]) -> None:
    save(run, 0, 10, 20, 30, 40)
    run.remove_old(newest)
    assert steps_of(run) == kept


def scored(run: RunFolder, scores: dict[int, float | None]) -> None:
    for step, score in scores.items():
        run.save(CheckpointState(step=step, stamp="s", score=score), {}, {})


def test_the_best_checkpoint_is_that_of_the_highest_score_and_the_earlier_of_two_alike(run: RunFolder) -> None:
    scored(run, {0: None, 10: -0.5, 20: 0.25, 30: 0.25, 40: 0.125})
    best = run.find_best()
    assert best is not None
    assert (best.step, best.read_state().score) == (20, 0.25)


def test_where_none_has_a_score_none_is_the_best(run: RunFolder) -> None:
    assert run.find_best() is None
    scored(run, {0: None, 10: None})
    assert run.find_best() is None


def test_the_best_checkpoint_stays_however_many_follow_until_a_better_one_comes(run: RunFolder) -> None:
    seen = []
    for step, score in {0: None, 1: 0.2, 2: 0.9, 3: 0.3, 4: 0.4, 5: 0.5, 6: 0.95, 7: 0.1}.items():
        scored(run, {step: score})
        run.remove_old(2)
        seen.append(steps_of(run))
    assert seen[-4:] == [[0, 2, 3, 4], [0, 2, 4, 5], [0, 5, 6], [0, 6, 7]]


def test_averaged_weights_are_what_encodes_and_without_them_the_models_are(run: RunFolder) -> None:
    plain = run.save(CheckpointState(step=1, stamp="s"), model_at(1), {})
    averaged = run.save(CheckpointState(step=2, stamp="s"), model_at(2), {}, model_at(9))
    assert plain.read_average_weights() is None
    torch.testing.assert_close(plain.read_encoder_weights(), model_at(1), rtol=0, atol=0)
    torch.testing.assert_close(averaged.read_model_weights(), model_at(2), rtol=0, atol=0)
    torch.testing.assert_close(averaged.read_average_weights(), model_at(9), rtol=0, atol=0)
    torch.testing.assert_close(averaged.read_encoder_weights(), model_at(9), rtol=0, atol=0)


def test_averaged_weights_that_are_damaged_are_refused_and_not_passed_over(run: RunFolder) -> None:
    checkpoint = run.save(CheckpointState(step=1, stamp="s"), model_at(1), {}, model_at(1))
    path = checkpoint.folder / "ema.safetensors"
    put(path, b"\x08\x00")
    with refused(f"{path} is missing or damaged; remove {checkpoint.folder} to use the one before"):
        checkpoint.read_encoder_weights()


def test_a_folder_that_does_not_exist_is_no_run(tmp_path: Path) -> None:
    root = tmp_path / "none"
    sentence = f"{root} does not exist; make a run with: talkies pretrain --run {root} …"
    for question in (RunFolder(root).get_checkpoint, RunFolder(root).read_record):
        with refused(sentence):
            question()


def test_a_folder_without_a_config_is_no_run(tmp_path: Path) -> None:
    with refused(
        f"{tmp_path} is not a run (it has no config.yaml); make a run with: talkies pretrain --run {tmp_path} …"
    ):
        RunFolder(tmp_path).check_exists()
    assert not RunFolder(tmp_path).exists()


def test_a_run_without_checkpoints_says_how_to_get_one(run: RunFolder) -> None:
    with refused(f"{run.root} has no checkpoint; train it: talkies pretrain --run {run.root} --resume …"):
        run.get_checkpoint()


def test_a_step_that_was_not_kept_is_told_with_those_there_are(run: RunFolder) -> None:
    save(run, 0, 10)
    with refused(f"{run.root} has no checkpoint of step 5; there are: 0, 10"):
        run.get_checkpoint(5)


@pytest.mark.parametrize(
    "content", [None, b"", b"\xff\xfe", b'{"schema_version": 1, "ste', b'{"schema_version": 1, "step": "many"}']
)
def test_a_checkpoint_with_a_damaged_state_is_refused(run: RunFolder, content: bytes | None) -> None:
    save(run, 3)
    checkpoint = run.get_checkpoint(3)
    put(checkpoint.folder / "state.json", content)
    path, what = checkpoint.folder / "state.json", "the state of a checkpoint"
    fault = "is not {}, or is damaged" if content is not None else "cannot be read as {} (no such file or directory)"
    with refused(f"{path} {fault.format(what)}; remove {checkpoint.folder} to use the one before"):
        checkpoint.read_state()


@pytest.mark.parametrize("content", [None, b"", b"\x08\x00"])
def test_a_checkpoint_with_damaged_weights_is_refused(run: RunFolder, content: bytes | None) -> None:
    save(run, 3)
    checkpoint = run.get_checkpoint(3)
    for name, load in (("model", checkpoint.read_model_weights), ("optimiser", checkpoint.read_optimiser_weights)):
        path = checkpoint.folder / f"{name}.safetensors"
        put(path, content)
        with refused(f"{path} is missing or damaged; remove {checkpoint.folder} to use the one before"):
            load()


def test_a_checkpoint_whose_weights_were_cut_off_is_refused(run: RunFolder) -> None:
    save(run, 3)
    path = run.get_checkpoint(3).folder / "model.safetensors"
    put(path, path.read_bytes()[:-1])
    with pytest.raises(RunError, match=re.escape(f"{path} is missing or damaged; remove ")):
        run.get_checkpoint(3).read_model_weights()


def test_a_checkpoint_of_a_newer_schema_is_refused(run: RunFolder) -> None:
    run.save(CheckpointState(schema_version=4, step=3, stamp="s"), {}, {})
    folder = run.get_checkpoint(3).folder
    text = (folder / "state.json").read_text().replace('"step"', '"what_it_does_not_know": 1, "step"')
    (folder / "state.json").write_text(text)
    with refused(
        f"{folder / 'state.json'} is of schema version 4, this talkies reads up to 3; install a newer talkies"
    ):
        run.get_checkpoint(3).read_state()


def test_a_run_of_a_newer_schema_is_refused(run: RunFolder) -> None:
    run.create("", RECORD.model_copy(update={"schema_version": 3}))
    with refused(
        f"{run.root / 'run.json'} is of schema version 3, this talkies reads up to 2; install a newer talkies"
    ):
        run.read_record()


@pytest.mark.parametrize("content", [None, b"", b"[1, 2]", b'{"library": 3}'])
def test_a_run_with_a_damaged_record_is_refused(run: RunFolder, content: bytes | None) -> None:
    put(run.root / "run.json", content)
    fault = "is not {}, or is damaged" if content is not None else "cannot be read as {} (no such file or directory)"
    with refused(f"{run.root / 'run.json'} {fault.format('the record of a run')}; name another run"):
        run.read_record()


def test_a_run_cannot_be_made_where_a_file_lies(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for root, reason in ((tmp_path / "file", "file exists"), (tmp_path / "file" / "run", "not a directory")):
        with refused(f"cannot create the run folder {root} ({reason}); name one you may write to"):
            RunFolder(root).create("", RECORD)


def put(path: Path, content: bytes | None) -> None:
    """Make the file hold `content`, or be gone."""
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
