"""Train on a Ray cluster: Ray Train starts the processes, and each is a rank as under `torchrun`."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from talkies.core import ReportedError, TalkiesError, UsageError, WorkError
from talkies.runs import InitialWeights, LoadedWeights
from talkies.runtime import open_cluster
from talkies.training.config import RunConfig
from talkies.training.devices import RAY_WORKER
from talkies.training.pretrain import PretrainReport, Progress, pretrain

_RAY_FOLDER = "ray"  # in the run's folder, which all machines share: what Ray Train keeps of its workers


@dataclass(frozen=True, slots=True)
class _Task:
    """What each process is told."""

    library: str
    config: RunConfig
    run: str
    resume: bool | Literal["auto"]
    init: InitialWeights | None
    film_ids: Sequence[str] | None


@dataclass(slots=True)
class _Told:
    """What the first process tells: its report, and what it showed before the first step."""

    report: PretrainReport | None = None
    loaded: list[LoadedWeights] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def pretrain_on_ray(
    library: str | Path,
    config: RunConfig,
    run: str | Path,
    resume: bool | Literal["auto"] = False,
    progress: Progress | None = None,
    *,
    workers: int,
    address: str | None = None,
    init: InitialWeights | None = None,
    film_ids: Sequence[str] | None = None,
) -> PretrainReport:
    """Pre-train as `pretrain` does, in processes on the machines of a Ray cluster, and return the report.

    Library, run and initial weights must have the same paths on all machines. What `progress` shows before the first
    step is shown at the end; the steps are in the run's logs.

    Args:
        library: the library's folder or address.
        config: the resolved config.
        run: the folder to write.
        resume: whether to continue the run, as in `pretrain`.
        progress: functions to call.
        workers: how many processes train; each has a GPU, or a core where the config trains on CPUs.
        address: the cluster's address; None starts a cluster on this machine.
        init: the weights to start the encoders from.
        film_ids: train on these films only.

    Raises:
        UsageError: if Ray is not installed, there is no such cluster, or it is too small.
        WorkError: if training fails; its text is the sentence of the first process that failed.
    """
    progress = progress or Progress()
    task = _Task(_make_absolute(library), config, _make_absolute(run), resume, init, film_ids)
    with open_cluster(address) as ray:
        use_gpu = _choose_gpu(config, ray.cluster_resources(), workers)
        told: _Told = _fit(ray, task, workers, use_gpu=use_gpu)

    assert told.report is not None
    for weights in told.loaded:
        progress.on_loaded(weights)
    if told.report.left_out:
        progress.on_left_out(told.report.left_out)
    for note in told.notes:
        progress.on_note(note)
    return replace(told.report, run=Path(run))


def _fit(ray: Any, task: _Task, workers: int, *, use_gpu: bool) -> Any:
    """Let Ray Train run the task, and return what the first process tells."""
    from ray.train import RunConfig as RayRunConfig
    from ray.train import ScalingConfig
    from ray.train.torch import TorchTrainer

    make_trainer: Any = TorchTrainer  # its annotations know of no value that is returned
    logging.getLogger("ray").setLevel(logging.ERROR)
    failures = ray.remote(num_cpus=0)(_Failures).remote()
    trainer = make_trainer(
        _train,
        train_loop_config={"task": task, "failures": failures},
        scaling_config=ScalingConfig(
            num_workers=workers, use_gpu=use_gpu, resources_per_worker={"CPU": 1, **({"GPU": 1} if use_gpu else {})}
        ),
        run_config=RayRunConfig(name=_RAY_FOLDER, storage_path=task.run),
    )
    try:
        return trainer.fit().return_value
    except ray.train.TrainingFailedError as error:
        raise _explain(error, ray.get(failures.list.remote())) from error


class _Failures:
    """An actor that keeps the sentence of the first process that failed: the others may end before it tells Ray."""

    def __init__(self) -> None:
        self._sentences: list[str] = []

    def add(self, sentence: str) -> None:
        self._sentences.append(sentence)

    def list(self) -> list[str]:
        return self._sentences


def _train(settings: dict[str, Any]) -> _Told:
    """Be one process: Ray has set its rank, and started PyTorch's process group."""
    import ray

    task: _Task = settings["task"]
    os.environ |= {RAY_WORKER: "1", "GROUP_RANK": os.environ.get("NODE_RANK", "0")}
    told = _Told()
    hooks = Progress(
        on_loaded=told.loaded.append,
        on_note=told.notes.append,
        on_failure=lambda sentence: ray.get(settings["failures"].add.remote(sentence)),
    )
    told.report = pretrain(
        task.library, task.config, task.run, task.resume, hooks, init=task.init, film_ids=task.film_ids
    )
    return told


def _choose_gpu(config: RunConfig, resources: dict[str, float], workers: int) -> bool:
    """Return whether each process has a GPU.

    Raises:
        UsageError: if the cluster has fewer GPUs or cores than there are processes: Ray would wait for more.
    """
    if workers < 1:
        raise UsageError(f"there must be at least one worker, got {workers}")
    device = config.training.device
    use_gpu = device == "cuda" or (device == "auto" and resources.get("GPU", 0) > 0)
    there, what = int(resources.get("GPU" if use_gpu else "CPU", 0)), "GPUs" if use_gpu else "cores"
    if there < workers:
        raise UsageError(
            f"--workers is {workers}, and the Ray cluster has {there} {what}; lower it, or add machines to the cluster"
        )
    return use_gpu


def _explain(error: Any, sentences: Sequence[str]) -> TalkiesError:
    """Return the error that says why training failed."""
    failures = getattr(error, "worker_failures", {})
    causes = [getattr(cause, "_base_exc", cause) for _, cause in sorted(failures.items())]
    for cause in causes:
        if isinstance(cause, ReportedError):
            return (UsageError if cause.status == UsageError.exit_status else WorkError)(str(cause))
        if isinstance(cause, TalkiesError):  # of a process that trains alone
            return cause
    if sentences:
        return WorkError(sentences[0])
    what = type(causes[0] if causes else error).__name__
    return WorkError(f"a process that trains on the Ray cluster was lost ({what}); continue with --resume")


def _make_absolute(location: str | Path) -> str:
    return str(location) if "://" in str(location) else str(Path(location).absolute())
