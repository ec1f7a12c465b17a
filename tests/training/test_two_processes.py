"""One run by two processes: launched by talkies or by `torchrun`, synchronised, and written once."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from several_processes import run_all, run_one, talkies, torchrun

from forked_ranks import find_free_port, run_forked
from talkies.config import to_yaml
from talkies.library import Library
from talkies.runs import RunFolder
from talkies.training import RunConfig, pretrain
from talkies.training.metrics import read_metrics

pytestmark = [pytest.mark.slow, pytest.mark.ranks]
Config = Callable[..., RunConfig]
TIMED = ("clips_per_second", "times_real_time", "data_wait_share")


def learnt(run: Path) -> list[dict[str, float]]:
    lines = read_metrics(run / "metrics.jsonl")
    return [{name: value for name, value in line.items() if name not in TIMED} for line in lines]


def arguments(library: Library, config: RunConfig, folder: Path) -> list[str | Path]:
    """What `talkies pretrain` is to be told, to train into `folder/run`."""
    (folder / "recipe.yaml").write_text(to_yaml(config))
    return ["--library", library.root, "--recipe", folder / "recipe.yaml", "--run-folder", folder / "run"]


@pytest.fixture(scope="module")
def two(library: Library, small: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of two processes that talkies launched; read only."""
    folder = tmp_path_factory.mktemp("two")
    config = small("training.devices=2", "training.steps=2")
    status, _, messages = run_one(talkies(*arguments(library, config, folder)), folder)
    assert status == 0, messages
    return folder / "run"


def test_two_processes_share_the_batches_of_one_run(two: Path) -> None:
    lines = read_metrics(two / "metrics.jsonl")
    assert [line["step"] for line in lines] == [1, 2]
    # Each process has one film of four clips; the negatives are those of both.
    assert [line["within_film_share"] for line in lines] == pytest.approx([3 / 7] * 2, abs=1e-6)
    assert [line["negatives"] for line in lines] == [7, 7]
    for line in lines:
        assert line["loss_within_film"] + line["loss_which_film"] == pytest.approx(line["cross_entropy"], abs=1e-6)
    checkpoints = RunFolder(two).list_checkpoints()
    assert [checkpoint.step for checkpoint in checkpoints] == [0, 2]
    assert checkpoints[0].read_state().stamp != checkpoints[1].read_state().stamp


def test_two_processes_learn_what_one_learns_because_their_norms_see_the_whole_batch(
    two: Path, library: Library, small: Config, tmp_path: Path
) -> None:
    one = pretrain(library.root, small("training.steps=2"), tmp_path / "run").run
    of_each = {"uniformity_video", "uniformity_audio"}  # means over processes of what each has
    for line, other in zip(learnt(one), learnt(two), strict=True):
        expected = {name: value for name, value in line.items() if name not in of_each}
        assert {name: other[name] for name in expected} == pytest.approx(expected, rel=1e-3, abs=1e-4)
    weights, others = (RunFolder(run).get_checkpoint().read_model_weights() for run in (one, two))
    for name in (name for name in weights if "running" in name):
        torch.testing.assert_close(others[name], weights[name], rtol=0.02, atol=0.002)


@pytest.mark.parametrize(
    "setting", ["training.sync_batch_norm=false", "training.chunk_clips=2"], ids=["norms of their own", "in chunks"]
)
def test_two_processes_also_train_with(
    setting: str, library: Library, small: Config, two: Path, tmp_path: Path
) -> None:
    config = small("training.devices=2", "training.steps=2", setting)
    run_forked(lambda _: pretrain(library.root, config, tmp_path / "run"), 2, tmp_path)
    assert learnt(tmp_path / "run")[0]["loss"] != pytest.approx(learnt(two)[0]["loss"], rel=1e-4)


def test_a_run_that_exists_is_refused_before_a_second_process_is_begun(
    two: Path,
    library: Library,
    small: Config,
    tmp_path: Path,
    sentence_of: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def launch(_: Fabric) -> None:
        pytest.fail("a second process would be begun")

    monkeypatch.setattr(Fabric, "launch", launch)
    said = arguments(library, small("training.devices=2", "training.steps=2"), tmp_path)
    told = sentence_of("pretrain", *said[:-1], two)
    assert told == f"talkies: {two} exists; continue it with --resume, or name a new folder"


def test_torchrun_says_how_many_processes_there_are_and_not_the_config(
    two: Path, library: Library, small: Config, tmp_path: Path
) -> None:
    said = arguments(library, small("training.devices=1", "training.steps=2"), tmp_path)
    port = str(find_free_port())
    status, _, messages = run_one(torchrun("--nproc-per-node", "2", "--master-port", port, arguments=said), tmp_path)
    assert status == 0, messages
    assert learnt(tmp_path / "run") == learnt(two)
    assert (
        RunFolder(tmp_path / "run").get_checkpoint().read_state().stamp
        == RunFolder(two).get_checkpoint().read_state().stamp
    )


def test_two_machines_with_a_process_each_share_one_run_and_the_first_writes_it(
    two: Path, library: Library, small: Config, tmp_path: Path
) -> None:
    said = [*arguments(library, small("training.devices=1", "training.steps=2"), tmp_path), "--json"]
    where = (
        "--nnodes",
        "2",
        "--nproc-per-node",
        "1",
        "--master-addr",
        "127.0.0.1",
        "--master-port",
        str(find_free_port()),
    )
    commands = [torchrun(*where, "--node-rank", str(number), arguments=said) for number in (0, 1)]
    done = run_all(commands, tmp_path)
    assert [status for status, _, _ in done] == [0, 0], done
    assert learnt(tmp_path / "run") == learnt(two)
    assert [checkpoint.step for checkpoint in RunFolder(tmp_path / "run").list_checkpoints()] == [0, 2]
    assert len(list((tmp_path / "run" / "tensorboard").iterdir())) == 1
    stamps = {json.loads(out)["model"] for _, out, _ in done if out}
    assert stamps == {RunFolder(two).get_checkpoint().read_state().stamp}
