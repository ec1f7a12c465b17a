"""A rank's membership of the processes that train together: if one fails, all end, and its sentence is said once."""

import atexit
import os
import socket
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import torch
import torch.distributed as dist

from talkies.core import ReportedError, WorkError, explain_failure
from talkies.runtime import DelayedTermination, Failure, HubAddress, RankHub, RankMember, RankWatch
from talkies.training.config import TrainingConfig
from talkies.training.devices import count_processes, make_fabric, select_device, were_ranks_started
from talkies.training.ranks.local import LocalRanks, take_address

_MEETING = timedelta(minutes=30)  # machines of a cluster do not start at the same time
_RETRY_SECONDS = 0.5
_KEY = "talkies/first-rank"
_GRACE_SECONDS = 3.0

# What communication with a rank that has ended fails with, where PyTorch raises no error of a class of its own.
_BROKEN_WORDS = ("connection closed", "connection reset", "broken pipe", "gloo", "nccl", "timed out waiting")

_meetings = 0  # how often this process has met the others


class RankGroup:
    """The context in which a rank trains; alone, it does nothing.

    Processes that `torchrun` or Ray started meet when it is entered, so that all that follows is watched. Otherwise
    `start` starts the processes of this machine.

    A rank that fails raises `ReportedError` when the first failure has been reported. Any other rank ends at once; the
    first one raises `ReportedError`, too, if what it waits for ends within seconds.
    """

    def __init__(self, training: TrainingConfig, on_failure: Callable[[str], None]) -> None:
        """Prepare the group.

        Args:
            training: which devices train.
            on_failure: reports the sentence of the first failure, on one rank.
        """
        self._training, self._on_failure = training, on_failure
        local_processes, machines = count_processes(training)
        self._ranks = local_processes * machines
        self._grace_seconds = 0.0 if select_device(training) == "cuda" else _GRACE_SECONDS  # a GPU's work is not ended
        self._watch: RankWatch | None = None
        self._store: Any = None
        self._token = ""  # of this meeting
        self._local: LocalRanks | None = None
        self._failed: Failure | None = None
        self._termination: DelayedTermination | None = None
        self._owns_group = not dist.is_initialized()  # Ray makes the process group, and takes it apart, itself

    def __enter__(self) -> Self:
        if self._ranks > 1 and were_ranks_started():
            self._watch = self._meet()
            self._prepare_to_end()
        return self

    def share(self, value: bool) -> bool:
        """Return the first rank's value; every rank must call it, at most once."""
        return self._watch.share(value) if self._watch else value

    def start(self) -> None:
        """Start the other processes of this machine, unless there are none, or they were started already."""
        if self._ranks == 1:
            return
        if were_ranks_started():
            self._join_process_group()
            return
        hub = RankHub(self._ranks, self._on_failure, host="127.0.0.1", grace_seconds=self._grace_seconds)
        self._watch = hub
        self._local = LocalRanks(self._ranks, hub.get_address("127.0.0.1"))
        hub.watch_processes(self._local.processes)
        self._prepare_to_end()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watch is None:
            return
        if error is None:
            self._watch.leave()
            if self._termination:
                self._termination.close()
            return
        own = Failure(*explain_failure(error), is_consequence=_is_broken_communication(error))
        self._failed = first = self._watch.fail(own)
        if self._local:
            self._local.end()
        raise ReportedError(first.sentence, first.status) from error

    def _prepare_to_end(self) -> None:
        """Prepare for a failure: `torchrun` tells all to end as soon as one has, even before anybody reported it."""
        self._termination = DelayedTermination()
        atexit.register(self._end_at_exit)

    def _end_at_exit(self) -> None:
        """Take the process group apart, or end a process that failed at once: PyTorch would wait for lost ranks.

        Left to the end of Python, a thread of the group that still runs may abort the process after its work was done.
        """
        if self._failed:
            for stream in filter(None, (sys.stdout, sys.stderr)):
                stream.flush()
            os._exit(self._failed.status)
        if self._owns_group and dist.is_initialized():
            dist.destroy_process_group()

    def _meet(self) -> RankWatch:
        """Return this rank's connection to the others, which another program started."""
        global _meetings  # a process may train several times, with the others each time
        _meetings += 1
        rank = int(os.environ.get("RANK", os.environ["LOCAL_RANK"]))
        if address := take_address():
            return self._join(address, rank, patience_seconds=_MEETING.total_seconds())

        store, host = self._open_store()
        self._store = store
        key = f"{_KEY}/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}/{_meetings}"
        if rank == 0:
            hub = RankHub(self._ranks, self._on_failure, grace_seconds=self._grace_seconds)
            address = hub.get_address(*_list_own_hosts(host))
            store.set(key, address.to_text())
            self._token = address.token
            return hub
        deadline = time.monotonic() + _MEETING.total_seconds()
        while True:
            # What is there may be left by a former group of workers: then the next one replaces it.
            address = HubAddress.from_text(store.get(key).decode())
            try:
                member = self._join(address, rank, patience_seconds=0.0)
                self._token = address.token
                return member
            except WorkError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_SECONDS)

    def _join_process_group(self) -> None:
        """Join PyTorch's process group in a part of the store of its own.

        PyTorch takes the whole store, which `torchrun` keeps when it restarts its workers: they would read where the
        former ones listened. Fabric takes a group that there is.
        """
        if self._store is None or dist.is_initialized():
            return
        is_gpu = select_device(self._training) == "cuda"
        dist.init_process_group(
            "nccl" if is_gpu else "gloo",
            store=dist.PrefixStore(self._token, self._store),  # type: ignore[attr-defined]  # as TCPStore
            rank=int(os.environ["RANK"]),
            world_size=self._ranks,
            timeout=_MEETING,
            device_id=torch.device("cuda", int(os.environ["LOCAL_RANK"])) if is_gpu else None,
        )

    def _join(self, address: HubAddress, rank: int, *, patience_seconds: float) -> RankMember:
        is_first_of_machine = os.environ.get("LOCAL_RANK") == "0"
        return RankMember(
            address,
            rank,
            self._ranks,
            self._on_failure,
            speaks=rank == 1 or is_first_of_machine,
            patience_seconds=patience_seconds,
        )

    def _open_store(self) -> tuple[Any, str]:
        """Return the store (of PyTorch) over which all ranks meet, and the machine that holds it."""
        if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True" and not dist.is_initialized():
            make_fabric(self._training).launch()  # the first rank's process group holds the store
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        store: Any = dist.TCPStore  # type: ignore[attr-defined]  # it is public, and not in `__all__`
        return store(host, port, is_master=False, wait_for_workers=False, timeout=_MEETING), host


def _list_own_hosts(store_host: str) -> tuple[str, ...]:
    """Return the addresses under which other machines may reach this one, the most probable first."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((store_host, 9))  # sends nothing, and chooses the interface
            towards_store = probe.getsockname()[0]
        except OSError:  # a name with an IPv6 address only
            towards_store = store_host
    return tuple(dict.fromkeys((towards_store, store_host, socket.gethostname())))


def _is_broken_communication(error: BaseException) -> bool:
    """Return whether an error may only say that another rank has ended."""
    if isinstance(error, dist.DistError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _BROKEN_WORDS)
