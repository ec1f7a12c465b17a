"""Groups of ranks that run `talkies pretrain` under the elastic agent of `torchrun`, and what disturbs them.

Run as: rank_groups.py. It imports all that training needs once, and forks an agent for each line of its stdin: a JSON
object of `Job`. It answers with a line when the agent has ended: the statuses of the ranks' last processes, and how
many seconds passed from the disturbance to the end of all.
"""

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from disturbed_training import Disturbance, module
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from talkies.cli.main import main
from talkies.library import Library
from talkies.objectives import ContrastiveObjective

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
    Path(f"{job.errors}.{os.environ['RANK']}.pid").write_text(str(os.getpid()))
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


def to_line(job: Job) -> str:
    return json.dumps(asdict(job)) + "\n"


if __name__ == "__main__":
    serve()
