"""Groups of ranks that run `talkies pretrain` under the elastic agent of `torchrun`, and what disturbs them.

Run as: rank_groups.py. It imports once all that training needs, and forks an agent for each line of its stdin, a `Job`
in JSON. It answers with the agent's exit status when all its processes have ended.
"""

import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from disturbed_training import Disturbance, module
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from talkies.cli.main import main
from talkies.library import Library
from talkies.objectives import ContrastiveObjective

WATCHDOG_SECONDS = 120
LIMIT_BYTES = 30_000  # more than a run's other files, and less than its weights


@dataclass(frozen=True)
class Job:
    """One group, what it is told, and its disturbance: which rank, before the batch of which step, and what happens.

    `fault` is one of `killed` (SIGKILL), `proxy` (the film it is about to read is gone), `disk` (files cannot grow),
    `loss` (of the last rank: not a number). It happens once: not again in a group that is restarted.
    """

    arguments: list[str]
    errors: str
    ranks: int = 2
    restarts: int = 0
    fault: str = ""
    rank: int = 0
    step: int = 0


def be_a_rank(job: Job) -> None:
    """Run the command as one rank."""
    redirect(job.errors)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # not the agent's, which a worker that `torchrun` starts has not
    sys.argv = ["talkies", *job.arguments]
    with ExitStack() as patches:
        if job.fault:
            patches.enter_context(patch.object(module, "load_batches", disturbed_batches(job)))
        if job.fault == "loss":
            objective = Disturbance(broken_at=job.step).objective()
            patches.enter_context(patch.object(ContrastiveObjective, "forward", objective))
        main()


def disturbed_batches(job: Job) -> Any:
    load = module.load_batches

    def load_batches(source: Any, plan: Any, steps: range, config: Any, *, rank: int, world_size: int) -> Iterator[Any]:
        batches = iter(load(source, plan, steps, config, rank=rank, world_size=world_size))
        for step in steps:
            mark = Path(f"{job.errors}.disturbed")
            if (rank, step + 1) == (job.rank, job.step) and not mark.exists():
                mark.write_text(str(time.time()))
                films = {request.film_id for request in plan.draw_batch(step).select_rank(rank, world_size)}
                disturb(job, films)
            yield next(batches)

    return load_batches


def disturb(job: Job, films: set[str]) -> None:
    if job.fault == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif job.fault == "disk":
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, resource.RLIM_INFINITY))
    elif job.fault == "proxy":
        library = Library.open(job.arguments[job.arguments.index("--library") + 1])
        (library.root / "films" / min(films) / "proxy.mp4").write_bytes(b"gone")


def redirect(path: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def be_the_agent(job: Job) -> int:
    """Start the ranks as `torchrun --standalone` does, and return its exit status."""
    redirect(f"{job.errors}.agent")
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=job.ranks,
        max_restarts=job.restarts,
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        start_method="fork",
        monitor_interval=0.1,
    )
    try:
        elastic_launch(config, be_a_rank)(job)
    except ChildFailedError:
        return 1
    return 0


def serve() -> None:
    """Fork an agent for each line of stdin, and answer with its exit status."""
    torch.set_num_threads(1)
    for line in sys.stdin:
        job, agent = Job(**json.loads(line)), os.fork()
        if agent == 0:
            os._exit(be_the_agent(job))
        _, status = os.waitpid(agent, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


class Groups:
    """Starts groups, one after the other, in a process of their own."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
        self._server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def run(self, job: Job) -> "Ended":
        """Return how a group ended."""
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.write(json.dumps(asdict(job)) + "\n")
        self._server.stdin.flush()
        ready, _, _ = select.select([self._server.stdout], [], [], WATCHDOG_SECONDS)
        errors, mark = Path(job.errors), Path(f"{job.errors}.disturbed")
        assert ready, f"the group hangs: {errors.read_text()}"
        status, ended = int(self._server.stdout.readline()), time.time()
        seconds = ended - float(mark.read_text()) if mark.exists() else 0.0
        said = [line for line in errors.read_text().splitlines() if line.startswith("talkies: ")]
        return Ended(status, said, seconds, errors.read_text())

    def close(self) -> None:
        self._server.communicate(timeout=WATCHDOG_SECONDS)


class Ended(NamedTuple):
    """How a group ended: the agent's status, the sentences of all ranks, the seconds since the fault, all messages."""

    status: int
    said: list[str]
    seconds: float
    messages: str


if __name__ == "__main__":
    serve()
