"""Functions in an isolated process: a crash, a hang or an error there is one sentence here, and the next call works."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import isolated_work as work
import numpy as np
import psutil
import pytest

from talkies.core import MediaError, UsageError, WorkError
from talkies.runtime import IsolatedProcess, IsolationError, ProcessLimits

pytestmark = pytest.mark.kills

LIMITS = work.LIMITS
MB = 1_000_000


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the isolated process find what it is to do."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))


@pytest.fixture
def isolated() -> Iterator[IsolatedProcess]:
    """A process with room to work."""
    with IsolatedProcess(LIMITS) as process:
        yield process


def in_background(call: Callable[[], object]) -> tuple[threading.Thread, list[BaseException]]:
    """Run a call in a thread; return it, and what it will have raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001  # it is looked at
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, raised


def wait_for(path: Path) -> int:
    """Return the process number that shows up at `path`."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if path.exists() and (text := path.read_text()):
            return int(text)
        time.sleep(0.02)
    raise AssertionError(f"nothing at {path}")


def ends(pid: int) -> bool:
    """Return whether a process is gone, or goes, in time."""
    try:
        psutil.Process(pid).wait(10)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


def test_a_function_works_elsewhere_and_one_process_does_call_after_call(isolated: IsolatedProcess) -> None:
    assert isolated.call(work.double, 21) == 42
    first = isolated.call(work.pid, None)
    assert first != os.getpid()
    assert isolated.call(work.pid, None) == first


def test_the_terminal_cannot_interrupt_it(isolated: IsolatedProcess) -> None:
    assert isolated.call(work.session, None) == isolated.call(work.pid, None) != os.getsid(0)


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL"])
def test_a_crash_is_told_and_the_next_call_has_a_new_process(isolated: IsolatedProcess, name: str) -> None:
    before = isolated.call(work.pid, None)
    with pytest.raises(IsolationError, match=rf"^the decoder crashed \({name}\)$") as caught:
        isolated.call(work.signal_itself, signal.Signals[name])
    assert caught.value.code == "crashed"
    after = isolated.call(work.pid, None)
    assert after != before
    assert ends(before)


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_a_process_that_somebody_killed_is_told_from_one_that_crashed(isolated: IsolatedProcess, name: str) -> None:
    with pytest.raises(IsolationError, match=rf"^the worker process was killed \({name}\)$") as caught:
        isolated.call(work.signal_itself, signal.Signals[name])
    assert caught.value.code == "killed"
    assert isolated.call(work.double, 1) == 2


def test_a_process_that_leaves_by_itself_is_told_with_its_status(isolated: IsolatedProcess) -> None:
    with pytest.raises(IsolationError, match=r"^the worker process was killed \(status 3\)$"):
        isolated.call(work.leave, 3)


def test_a_process_killed_between_two_calls_is_replaced_without_a_word(isolated: IsolatedProcess) -> None:
    before = isolated.call(work.pid, None)
    os.kill(before, signal.SIGKILL)
    assert ends(before)
    assert isolated.call(work.pid, None) != before


def test_what_makes_no_progress_is_stopped() -> None:
    with IsolatedProcess(
        ProcessLimits(stall_seconds=4, total_seconds=60, memory_bytes=LIMITS.memory_bytes)
    ) as isolated:
        before = isolated.call(work.pid, None)
        with pytest.raises(IsolationError, match=r"^decoding made no progress for 4 s and was stopped$") as caught:
            isolated.call(work.sleep, 60)
        assert caught.value.code == "timed_out"
        assert ends(before)
        assert isolated.call(work.double, 1) == 2


def test_what_makes_progress_may_take_longer_than_a_stall() -> None:
    progress: list[float] = []
    with IsolatedProcess(
        ProcessLimits(stall_seconds=4, total_seconds=60, memory_bytes=LIMITS.memory_bytes)
    ) as isolated:
        assert isolated.call(work.work, 6, progress.append) == "worked"
    assert progress == sorted(progress)
    assert progress[-1] > 5


def test_what_makes_progress_without_end_is_stopped_too() -> None:
    with IsolatedProcess(
        ProcessLimits(stall_seconds=60, total_seconds=4, memory_bytes=LIMITS.memory_bytes)
    ) as isolated:
        with pytest.raises(IsolationError, match=r"^decoding took more than 4 s and was stopped$") as caught:
            isolated.call(work.work, 60)
        assert caught.value.code == "timed_out"


def test_a_report_a_frame_is_not_a_message_a_frame(isolated: IsolatedProcess) -> None:
    progress: list[float] = []
    isolated.call(work.report_quickly, 100_000, progress.append)
    assert 1 <= len(progress) < 100


def test_a_callback_that_fails_is_not_the_works_fault_and_its_answer_is_not_the_next_ones(
    isolated: IsolatedProcess,
) -> None:
    def fail(_: float) -> None:
        raise ValueError("no room for the bar")

    with pytest.raises(WorkError, match=r"the progress could not be shown \(ValueError: no room for the bar\)"):
        isolated.call(work.work, 6, fail)
    assert isolated.call(work.double, 21) == 42


def test_what_takes_too_much_memory_is_stopped() -> None:
    with IsolatedProcess(ProcessLimits(stall_seconds=60, total_seconds=60, memory_bytes=400 * MB)) as isolated:
        with pytest.raises(IsolationError, match=r"^decoding took \d{3} MB of memory; the limit is 400 MB$") as caught:
            isolated.call(work.eat, 500 * MB)
        assert caught.value.code == "out_of_memory"
        assert isolated.call(work.eat, 1 * MB) == 1


def test_what_a_function_raises_is_raised_here_with_all_that_it_carries(isolated: IsolatedProcess) -> None:
    with pytest.raises(MediaError, match=r"^it is empty$") as caught:
        isolated.call(work.fail, MediaError("empty", "it is empty"))
    assert caught.value.code == "empty"
    with pytest.raises(UsageError, match="no such track"):
        isolated.call(work.fail, UsageError("no such track"))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (work.fail_unpicklably, r"^UnpicklableError: nobody else must have the lock$"),
        (work.fail_unmakeably, r"^UnmakeableError: e7: two arguments in, one out$"),
        (work.give_a_lock, "^lock: <unlocked _thread.lock"),
    ],
)
def test_what_cannot_travel_is_raised_as_its_words(isolated: IsolatedProcess, function: Callable, words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        isolated.call(function, None)
    assert isolated.call(work.double, 1) == 2


def test_big_things_travel_both_ways(isolated: IsolatedProcess) -> None:
    data = isolated.call(work.big, 50 * MB)
    assert len(data) == 50 * MB
    np.testing.assert_array_equal(data[-300:], np.arange(50 * MB - 300, 50 * MB).astype(np.uint8))
    assert isolated.call(work.count_bytes, bytes(50 * MB)) == 50 * MB


def test_what_a_function_prints_is_no_part_of_our_own_output(
    isolated: IsolatedProcess, capfd: pytest.CaptureFixture
) -> None:
    isolated.call(work.talk, "chatter of a decoder")
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "chatter of a decoder\n")


def test_a_process_is_not_used_for_ever(isolated: IsolatedProcess) -> None:
    numbers = {isolated.call(work.pid, None) for _ in range(201)}
    assert len(numbers) == 2


def test_closing_it_from_another_thread_ends_a_call_at_once(tmp_path: Path) -> None:
    isolated = IsolatedProcess(LIMITS)
    thread, raised = in_background(lambda: isolated.call(work.note_pid_and_sleep, tmp_path / "pid"))
    process = wait_for(tmp_path / "pid")
    isolated.close()
    thread.join(10)
    assert not thread.is_alive()
    assert [(type(error), error.code) for error in raised] == [(IsolationError, "killed")]
    assert ends(process)


def test_once_closed_it_starts_nothing_more() -> None:
    isolated = IsolatedProcess(LIMITS)
    isolated.call(work.double, 1)
    isolated.close()
    with pytest.raises(IsolationError, match=r"^the work was stopped$"):
        isolated.call(work.double, 1)


def test_closed_while_it_starts_it_leaves_no_process(tmp_path: Path) -> None:
    for delay in (0, 0.001, 0.005, 0.02):
        isolated = IsolatedProcess(LIMITS)
        thread, raised = in_background(lambda isolated=isolated: isolated.call(work.sleep, 60))
        time.sleep(delay)
        isolated.close()
        thread.join(10)
        assert not thread.is_alive()
        assert [getattr(error, "code", error) for error in raised] == ["killed"]
    assert [child for child in psutil.Process().children() if "talkies.runtime.isolated" in child.cmdline()] == []


def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    program = f"from pathlib import Path; import isolated_work; isolated_work.relay(Path({str(tmp_path / 'pid')!r}))"
    with subprocess.Popen([sys.executable, "-c", program]) as parent:
        process = wait_for(tmp_path / "pid")
        assert psutil.pid_exists(process)
        parent.kill()
    assert ends(process)


def test_it_ends_when_its_parent_was_gone_before_it_had_begun() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-m", "talkies.runtime.isolated", str(theirs.fileno()), str(gone.pid)]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        assert process.wait(30) == 1
