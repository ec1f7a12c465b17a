"""Independent work in a pool of processes."""

import math
import operator
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from talkies.core import UsageError, WorkError
from talkies.runtime import map_in_processes

pytestmark = pytest.mark.kills


def test_one_worker_works_in_order_in_this_process() -> None:
    assert list(map_in_processes(math.factorial, [3, 1, 2], workers=1)) == [(3, 6), (1, 1), (2, 2)]
    assert list(map_in_processes(operator.call, [os.getpid], workers=1)) == [(os.getpid, os.getpid())]


def test_workers_end_when_the_process_that_they_work_for_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "works.py"
    script.write_text(
        "import time\nfrom talkies.runtime import map_in_processes\n"
        "if __name__ == '__main__':\n    list(map_in_processes(time.sleep, [300, 300], 2))\n"
    )
    process = subprocess.Popen([sys.executable, str(script)])
    deadline, working = time.monotonic() + 60, list[psutil.Process]()
    while len(working) < 3 and time.monotonic() < deadline:  # the two, and the tracker of what they share
        time.sleep(0.1)
        working = psutil.Process(process.pid).children()
    time.sleep(3)  # they have begun to work
    process.kill()  # and nobody asks how it ended, as yet
    gone, left = psutil.wait_procs(working, timeout=30)
    process.wait()
    assert len(gone) >= 2
    assert not left


def test_a_single_item_is_not_worth_a_process() -> None:
    assert list(map_in_processes(operator.call, [os.getpid], workers=4)) == [(os.getpid, os.getpid())]


def test_no_items_give_no_results() -> None:
    assert list(map_in_processes(math.factorial, [], workers=2)) == []


def test_one_worker_begins_an_item_when_it_is_asked_for() -> None:
    results = map_in_processes(math.factorial, [2, -1], workers=1)
    assert next(results) == (2, 2)
    with pytest.raises(ValueError, match="not defined for negative values"):
        next(results)


def test_two_workers_work_in_processes_of_their_own() -> None:
    pids = dict(map_in_processes(operator.call, [os.getpid, os.getppid], workers=2))
    assert pids[os.getpid] != os.getpid()
    assert pids[os.getppid] == os.getpid()


def test_what_a_worker_raises_is_raised_here() -> None:
    with pytest.raises(ValueError, match="not defined for negative values"):
        list(map_in_processes(math.factorial, [2, -1], workers=2))


def test_a_worker_that_dies_is_told_in_one_sentence() -> None:
    sentence = r"a worker process died \(out of memory, or killed\); run the same command again to go on"
    with pytest.raises(WorkError, match=sentence):
        list(map_in_processes(os._exit, [1, 1], workers=2))


@pytest.mark.parametrize("workers", [0, -1])
def test_fewer_than_one_worker_is_refused(workers: int) -> None:
    with pytest.raises(UsageError, match=f"there must be at least one worker, got {workers}"):
        list(map_in_processes(math.factorial, [1, 2], workers))
