"""Ranks that end together: which failure counts, who is told, and who is not believed."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from talkies.core import WorkError
from talkies.runtime import Failure, HubAddress, RankHub, RankMember

HOST = "127.0.0.1"
LOST = "process 2 of 3 was killed (by hand, or for lack of memory), and the others were stopped; continue with --resume"


class Peer:
    """A rank that speaks to the hub by hand."""

    def __init__(self, address: HubAddress, rank: int, token: str | None = None) -> None:
        self._connection = socket.create_connection((HOST, address.port), timeout=5)
        self._lines = self._connection.makefile("rb")
        self.send(token=token or address.token, rank=rank)

    def send(self, **message: object) -> None:
        self._connection.sendall(json.dumps(message).encode() + b"\n")

    def fail(self, sentence: str, *, is_consequence: bool = False) -> None:
        self.send(failed=sentence, status=1, is_consequence=is_consequence)

    def receive(self) -> dict[str, object]:
        """Return the next message; an empty one when the hub has closed the connection."""
        line = self._lines.readline()
        return json.loads(line) if line else {}

    def close(self) -> None:
        self._lines.close()
        self._connection.close()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def hub(said: list[str]) -> Iterator[RankHub]:
    hub = RankHub(3, said.append, host=HOST, grace_seconds=60)
    yield hub
    hub.leave()


@pytest.fixture
def join(hub: RankHub) -> Iterator[Callable[[int], Peer]]:
    """A function from a rank to its connection, after its welcome."""
    peers = []

    def peer(rank: int) -> Peer:
        peers.append(Peer(hub.get_address(HOST), rank))
        assert peers[-1].receive() == {"welcome": True}
        return peers[-1]

    yield peer
    for each in peers:
        each.close()


def test_the_first_failure_is_said_once_and_all_are_told_to_end(
    hub: RankHub, join: Callable[[int], Peer], said: list[str]
) -> None:
    one, two = join(1), join(2)
    one.fail("no space left")
    assert one.receive() == two.receive() == {"end": True}
    assert hub.fail(Failure("and this, too")).sentence == "no space left"
    assert said == ["no space left"]


def test_a_connection_that_breaks_is_a_failure(hub: RankHub, join: Callable[[int], Peer], said: list[str]) -> None:
    one, two = join(1), join(2)
    one.close()
    assert two.receive() == {"end": True}
    assert hub.fail(Failure("broken pipe", is_consequence=True)) == Failure(LOST)
    assert said == [LOST]


def test_what_may_follow_from_another_failure_waits_for_it(
    hub: RankHub, join: Callable[[int], Peer], said: list[str]
) -> None:
    one, two = join(1), join(2)
    two.fail("connection closed by peer", is_consequence=True)
    time.sleep(0.3)
    assert said == []
    one.fail("no such film")
    assert two.receive() == {"end": True}
    assert said == ["no such film"]


def test_what_follows_from_nothing_counts_in_the_end(
    hub: RankHub, join: Callable[[int], Peer], said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("talkies.runtime.rank_watch._CAUSE_SECONDS", 0.2)
    two = join(2)
    two.fail("the network is down", is_consequence=True)
    assert two.receive() == {"end": True}
    assert said == ["the network is down"]


def test_a_rank_that_has_done_its_work_may_leave(hub: RankHub, join: Callable[[int], Peer], said: list[str]) -> None:
    one, two = join(1), join(2)
    one.send(done=True)
    one.close()
    hub.share(True)
    assert two.receive() == {"shared": True}
    hub.leave()
    assert two.receive() == {"done": True}
    assert said == []


@pytest.mark.parametrize("hello", [{"token": "guessed"}, {"token": None}])
def test_a_stranger_is_neither_welcome_nor_missed(
    hello: dict[str, str | None], hub: RankHub, join: Callable[[int], Peer], said: list[str]
) -> None:
    stranger = Peer(hub.get_address(HOST), 1, hello["token"] or "None")
    assert stranger.receive() == {}
    stranger.close()
    two = join(2)
    hub.share(False)
    assert two.receive() == {"shared": False}
    assert said == []


def test_a_process_that_ends_before_its_hello_is_a_failure(
    hub: RankHub, join: Callable[[int], Peer], said: list[str]
) -> None:
    two = join(2)
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    hub.watch_processes([process])
    assert two.receive() == {"end": True}
    process.wait()
    assert said == [LOST]


def test_a_hub_that_is_not_there_is_named() -> None:
    with socket.create_server((HOST, 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(WorkError, match=f"cannot be reached at {HOST}, port {port}; let the machines reach"):
        RankMember(HubAddress((HOST,), port, "token"), 1, 2, print, speaks=True, patience_seconds=0)


@pytest.mark.parametrize(("ends", "speaks", "status", "expected"), [
    ("fail", True, 1, ""),
    ("die", True, 1, "process 1 of 2 was killed (by hand, or for lack of memory), and the others were stopped"),
    ("die", False, 1, ""),
    ("leave", True, 0, ""),
])  # fmt: skip
def test_a_member_ends_with_the_first_rank(ends: str, speaks: bool, status: int, expected: str) -> None:
    hub = RankHub(2, lambda _: None, host=HOST, grace_seconds=60)
    code = (
        "import sys, time\n"
        "from talkies.runtime import HubAddress, RankMember\n"
        f"member = RankMember(HubAddress.from_text(sys.argv[1]), 1, 2, print, speaks={speaks})\n"
        "member.share(False)\n"
        "print('shared', flush=True)\n"
        f"time.sleep(0.5 if {ends == 'leave'} else 60)\n"
        "member.leave()\n"
    )
    command = [sys.executable, "-u", "-c", code, hub.get_address(HOST).to_text()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as member:
        assert member.stdout
        hub.share(True)
        assert member.stdout.readline() == "shared\n"
        if ends == "fail":
            hub.fail(Failure("it"))
        elif ends == "leave":
            hub.leave()
        else:  # as the system closes the connections of a process that is killed
            hub._stop()
            hub._close_peers()
        out, _ = member.communicate(timeout=20)
    assert member.returncode == status
    assert out.partition(";")[0].strip() == expected
