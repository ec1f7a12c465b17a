"""Training on a Ray cluster: the run that one machine makes, and what is refused."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ray_cluster import start_two_nodes
from talkies.core import UsageError, WorkError
from talkies.library import Library
from talkies.runs import RunFolder
from talkies.training import Progress, RunConfig, pretrain_on_ray
from talkies.training.metrics import read_metrics
from talkies.training.ranks.ray_train import _choose_gpu, _explain

pytestmark = [pytest.mark.slow, pytest.mark.ranks, pytest.mark.filterwarnings("default")]  # Ray's warnings are not ours
needs_minutes = pytest.mark.skipif(os.environ.get("TALKIES_SOAK") != "1", reason="make soak")
TIMED = ("clips_per_second", "times_real_time", "data_wait_share")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of two nodes with a core each, on this machine."""
    pytest.importorskip("ray")
    with start_two_nodes() as address:
        yield address


def learnt(run: Path) -> list[dict[str, float]]:
    lines = read_metrics(run / "metrics.jsonl")
    return [{name: value for name, value in line.items() if name not in TIMED} for line in lines]


@needs_minutes
def test_two_nodes_of_a_cluster_make_the_run_that_torchrun_makes_and_go_on_with_it(
    address: str, library: Library, small: Callable[..., RunConfig], tmp_path: Path
) -> None:
    from rank_groups import Groups, Job

    from talkies.config import to_yaml

    config = small("training.recalibration_batches=1")
    (tmp_path / "recipe.yaml").write_text(to_yaml(config))
    groups = Groups()
    said = ["pretrain", "--library", library.root, "--recipe", tmp_path / "recipe.yaml", "--run", tmp_path / "torchrun"]
    assert groups.run(Job(list(map(str, said)), str(tmp_path / "errors"))).status == 0
    groups.close()

    first = small("training.recalibration_batches=1", "training.steps=2")
    shown = []
    progress = Progress(on_note=shown.append)
    pretrain_on_ray(library.root, first, tmp_path / "ray", progress=progress, workers=2, address=address)
    report = pretrain_on_ray(library.root, config, tmp_path / "ray", True, workers=2, address=address)
    assert (report.run, report.steps, report.left_out) == (tmp_path / "ray", 6, ())
    assert report.stamp == RunFolder(tmp_path / "ray").get_checkpoint().read_state().stamp
    assert [line["step"] for line in learnt(tmp_path / "ray")] == [1, 2, 3, 4, 5, 6]
    whole = learnt(tmp_path / "torchrun")[0]
    assert learnt(tmp_path / "ray")[0] == pytest.approx(whole, rel=1e-6)


@needs_minutes
def test_what_ends_a_run_on_a_cluster_is_said_in_one_sentence(
    address: str, library: Library, small: Callable[..., RunConfig], tmp_path: Path
) -> None:
    config = small("optimiser.learning_rate=1.0e+30", "optimiser.warmup_steps=0")
    with pytest.raises(WorkError, match=r"^the loss of step 2 is not a finite number"):
        pretrain_on_ray(library.root, config, tmp_path / "run", workers=2, address=address)
    with pytest.raises(UsageError, match="exists; continue it with --resume, or name a new folder"):
        pretrain_on_ray(library.root, config, tmp_path / "run", workers=2, address=address)
    with pytest.raises(UsageError, match="--workers is 4, and the Ray cluster has 2 cores; lower it"):
        pretrain_on_ray(library.root, config, tmp_path / "other", workers=4, address=address)


@pytest.mark.parametrize(
    ("device", "resources", "expected"),
    [("auto", {"CPU": 8.0}, False), ("auto", {"CPU": 8.0, "GPU": 4.0}, True), ("cpu", {"CPU": 8.0, "GPU": 4.0}, False)],
)
def test_each_process_has_a_gpu_where_the_cluster_has_some(
    device: str, resources: dict[str, float], expected: bool, small: Callable[..., RunConfig]
) -> None:
    assert _choose_gpu(small(f"training.device={device}"), resources, 4) is expected


@pytest.mark.parametrize(
    ("device", "workers", "sentence"),
    [
        ("auto", 3, "--workers is 3, and the Ray cluster has 2 GPUs; lower it, or add machines to the cluster"),
        ("cpu", 9, "--workers is 9, and the Ray cluster has 8 cores; lower it"),
        ("auto", 0, "there must be at least one worker, got 0"),
    ],
)
def test_more_processes_than_the_cluster_has_room_for_are_refused(
    device: str, workers: int, sentence: str, small: Callable[..., RunConfig]
) -> None:
    with pytest.raises(UsageError, match=sentence):
        _choose_gpu(small(f"training.device={device}"), {"CPU": 8.0, "GPU": 2.0}, workers)


class FailedGroup(Exception):  # noqa: N818  # as Ray Train raises it
    def __init__(self, **failures: Exception) -> None:
        self.worker_failures = {int(name.removeprefix("rank")): error for name, error in failures.items()}


def test_the_sentence_of_the_first_process_counts_and_not_what_ray_saw_first() -> None:
    lost = FailedGroup(rank1=RuntimeError("The actor died"))
    assert str(_explain(lost, ["no space left"])) == "no space left"
    assert str(_explain(lost, [])) == (
        "a process that trains on the Ray cluster was lost (RuntimeError); continue with --resume"
    )
    alone = FailedGroup(rank0=UsageError("no such film"))
    assert isinstance(_explain(alone, []), UsageError)


def test_without_ray_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, library: Library, small: Callable[..., RunConfig], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"needs Ray; install it with: pip install 'talkies\[cluster\]'"):
        pretrain_on_ray(library.root, small(), tmp_path / "run", workers=2)
