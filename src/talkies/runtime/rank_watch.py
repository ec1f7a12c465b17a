"""Processes that work together (ranks) end together: each keeps a connection to the first, which hears of failures.

    rank 0 (RankHub)                             ranks 1, 2, … (RankMember)
    ◀── hello: token, rank ───────────────────
    ─── welcome ────────────────────────────▶
    ◀── failed: sentence, status ─────────────   the first failure counts, and a connection that breaks is one
    ─── end ────────────────────────────────▶    the process ends, whatever it waits for
    ─── done ───────────────────────────────▶    the work is done: from now on a rank may end

The system closes the connections of a process that is killed, so no rank waits for one that is gone. Messages are
lines of JSON.
"""

import os
import secrets
import selectors
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from talkies.runtime.rank_connections import HubAddress, connect, keep_alive, listen, parse, send

_POLL_SECONDS = 0.1
_CAUSE_SECONDS = 3.0  # how long a failure that may follow from another waits for that other
_ANSWER_SECONDS = 10.0
_LONGEST_LINE = 1 << 20


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a rank fails.

    Attributes:
        sentence: the sentence for the user.
        status: the exit status of the process.
        is_consequence: whether it may only follow from the failure of another rank: a connection that broke.
    """

    sentence: str
    status: int = 1
    is_consequence: bool = False


class RankWatch(Protocol):
    """A rank's end of the connections."""

    def share(self, value: bool) -> bool:
        """Return the value that the first rank passes; every rank must call it, once."""

    def fail(self, failure: Failure) -> Failure:
        """Tell the others that this rank fails, and return the failure that counts, which has been reported."""

    def leave(self) -> None:
        """Tell the others that this rank has done its work."""


@dataclass(slots=True, eq=False)
class _Peer:
    """The connection of one rank, as the hub sees it."""

    connection: socket.socket
    rank: int | None = None  # not known before its hello
    has_left: bool = False
    received: bytearray = field(default_factory=bytearray)

    def send(self, **message: Any) -> None:
        with suppress(OSError):  # it is gone, which its connection also tells
            send(self.connection, message)


class RankHub:
    """The first rank's end: hears the failure of any rank, reports the first one, and lets all others end.

    This process ends, too: `grace_seconds` after the report, unless its main thread called `fail` meanwhile.
    """

    def __init__(
        self,
        ranks: int,
        on_failure: Callable[[str], None],
        *,
        host: str = "",
        grace_seconds: float = 3.0,
        processes: Sequence[subprocess.Popen[bytes]] = (),
    ) -> None:
        """Listen for the other ranks.

        Args:
            ranks: how many processes work together.
            on_failure: reports the sentence of the first failure; called once, from a thread.
            host: the address to listen at; empty for all of this machine's.
            grace_seconds: how long the main thread has to end by itself after the failure of another rank.
            processes: the processes of ranks 1, 2, …, if this one started them.
        """
        self._ranks, self._on_failure, self._grace_seconds = ranks, on_failure, grace_seconds
        self._processes = processes
        self._token = secrets.token_hex(16)
        self._listener = listen(host)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._peers: list[_Peer] = []
        self._met: set[int] = set()
        self._deadline = float("inf")
        self._failures: list[tuple[float, Failure]] = []
        self._first: Failure | None = None
        self._shared: bool | None = None
        self._reported, self._main_fails, self._stopped = threading.Event(), threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="rank-hub", daemon=True)
        self._thread.start()

    def get_address(self, *hosts: str) -> HubAddress:
        """Return where the hub listens, for ranks that reach this machine under these names."""
        return HubAddress(hosts, self._listener.getsockname()[1], self._token)

    def watch_processes(self, processes: Sequence[subprocess.Popen[bytes]]) -> None:
        """Also watch the processes of ranks 1, 2, …, which may end before they say hello."""
        self._processes = processes

    def share(self, value: bool) -> bool:
        """Let every rank have this value."""
        with self._lock:
            self._shared = value
            for peer in self._peers:
                if peer.rank is not None:
                    peer.send(shared=value)
        return value

    def fail(self, failure: Failure) -> Failure:
        """Report the failure of this rank, unless another one failed first, and let all others end."""
        self._main_fails.set()
        with self._lock:
            self._failures.append((time.monotonic(), failure))
        self._reported.wait(_CAUSE_SECONDS + _ANSWER_SECONDS)
        self._stop()
        self._close_peers()
        return self._first or failure

    def leave(self) -> None:
        """Tell all ranks that the work is done."""
        self._stop()
        for peer in self._peers:
            peer.send(done=True)
        self._close_peers()

    def _stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        self._selector.close()
        self._listener.close()

    def _close_peers(self) -> None:
        for peer in self._peers:
            peer.connection.close()

    def _run(self) -> None:
        while not self._stopped.is_set():
            for key, _ in self._selector.select(_POLL_SECONDS):
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._read(key.data)
            if self._first is None:
                self._check_processes()
                self._decide()
            if self._reported.is_set():
                self._end_if_main_hangs()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        keep_alive(connection)
        connection.settimeout(_ANSWER_SECONDS)
        peer = _Peer(connection)
        self._selector.register(connection, selectors.EVENT_READ, peer)
        with self._lock:
            self._peers.append(peer)

    def _read(self, peer: _Peer) -> None:
        data = b""
        with suppress(OSError):  # a broken connection counts as closed
            data = peer.connection.recv(1 << 16)
        peer.received += data
        *lines, rest = bytes(peer.received).split(b"\n")
        peer.received = bytearray(rest)
        accepted = len(rest) < _LONGEST_LINE and all(self._receive(peer, line) for line in lines)
        if not data or not accepted:
            self._forget(peer)

    def _forget(self, peer: _Peer) -> None:
        """Close a connection; that of a rank that still has work to do is a failure."""
        self._selector.unregister(peer.connection)
        peer.connection.close()
        with self._lock:
            self._peers.remove(peer)
            if peer.rank is not None and not peer.has_left:
                self._failures.append((time.monotonic(), self._describe_lost(peer.rank)))

    def _receive(self, peer: _Peer, line: bytes) -> bool:
        """Handle a message, and return whether it is one of ours."""
        message = parse(line)
        with self._lock:
            if peer.rank is None:
                rank = message.get("rank")
                if message.get("token") != self._token or not isinstance(rank, int):
                    return False
                peer.rank = rank
                self._met.add(rank)
                peer.send(welcome=True)
                if self._shared is not None:
                    peer.send(shared=self._shared)
            elif "failed" in message:
                peer.has_left = True
                failure = Failure(str(message["failed"]), int(message["status"]), bool(message["is_consequence"]))
                self._failures.append((time.monotonic(), failure))
            elif message.get("done"):
                peer.has_left = True
        return True

    def _check_processes(self) -> None:
        """Check that no process that this one started has ended before its hello."""
        for rank, process in enumerate(self._processes, start=1):
            if rank not in self._met and process.poll() and not self._failures:
                self._failures.append((time.monotonic(), self._describe_lost(rank)))

    def _decide(self) -> None:
        """Choose the failure that counts, report it, and let all ranks end."""
        with self._lock:
            causes = [failure for _, failure in self._failures if not failure.is_consequence]
            if not causes and self._failures and time.monotonic() - self._failures[0][0] > _CAUSE_SECONDS:
                causes = [self._failures[0][1]]
            if not causes:
                return
            self._first = causes[0]
        try:
            self._on_failure(self._first.sentence)
        finally:
            self._deadline = time.monotonic() + self._grace_seconds
            for peer in self._peers:
                peer.send(end=True)
            self._reported.set()

    def _end_if_main_hangs(self) -> None:
        """End this process if its main thread has not ended by itself: it may wait for a rank that is gone."""
        if self._first and not self._main_fails.is_set() and time.monotonic() > self._deadline:
            for process in self._processes:
                process.kill()
            os._exit(self._first.status)

    def _describe_lost(self, rank: int) -> Failure:
        return Failure(_describe_killed(rank, self._ranks))


class RankMember:
    """The end of any other rank: ends this process when another rank has failed.

    If the first rank is gone, nobody else can report it: then a member that `speaks` does.
    """

    def __init__(
        self,
        address: HubAddress,
        rank: int,
        ranks: int,
        on_failure: Callable[[str], None],
        *,
        speaks: bool,
        patience_seconds: float = 60.0,
    ) -> None:
        """Connect to the first rank.

        Raises:
            WorkError: if it cannot be reached.
        """
        self._on_failure, self._ranks, self._speaks = on_failure, ranks, speaks
        self._own: Failure | None = None
        self._shared: bool | None = None
        self._has_shared, self._answered, self._done = threading.Event(), threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._connection = connect(address, {"token": address.token, "rank": rank}, patience_seconds)
        self._thread = threading.Thread(target=self._run, name="rank-member", daemon=True)
        self._thread.start()

    def share(self, value: bool) -> bool:  # noqa: ARG002  # the first rank's counts
        """Return the value that the first rank shares."""
        self._has_shared.wait()
        assert self._shared is not None
        return self._shared

    def fail(self, failure: Failure) -> Failure:
        """Tell the first rank, and return when it has reported this failure or an earlier one."""
        with self._lock:
            self._own = failure
        with suppress(OSError):  # it is gone, which the other thread notices
            told = {"failed": failure.sentence, "status": failure.status, "is_consequence": failure.is_consequence}
            send(self._connection, told)
        if not self._answered.wait(_CAUSE_SECONDS + _ANSWER_SECONDS) or self._done.is_set():
            self._on_failure(failure.sentence)
        return failure

    def leave(self) -> None:
        """Tell the first rank that this one has done its work."""
        self._done.set()
        with suppress(OSError):  # the first rank may have left before
            send(self._connection, {"done": True})

    def _run(self) -> None:
        with suppress(OSError), self._connection.makefile("rb") as lines:
            for line in lines:
                message = parse(line)
                if "shared" in message:
                    self._shared = bool(message["shared"])
                    self._has_shared.set()
                elif message.get("done"):
                    self._done.set()
                elif message.get("end"):
                    self._end()
                    return
        self._connection.close()
        if not self._done.is_set():
            self._end_without_hub()

    def _end(self) -> None:
        """End this process, unless its main thread has failed and ends by itself."""
        with self._lock:
            if self._own is None and not self._done.is_set():
                os._exit(1)
        self._answered.set()

    def _end_without_hub(self) -> None:
        """Report that the first rank is gone, or this rank's own failure if there is one, and end."""
        with self._lock:
            failure = self._own
        if self._speaks or (failure and not failure.is_consequence):
            cause = failure if failure and not failure.is_consequence else Failure(_describe_killed(0, self._ranks))
            self._on_failure(cause.sentence)
        self._end()


def _describe_killed(rank: int, ranks: int) -> str:
    return (
        f"process {rank + 1} of {ranks} was killed (by hand, or for lack of memory), and the others were stopped; "
        f"continue with --resume"
    )
