"""Start the other processes of a training on this machine: each runs this process's command again."""

import os
import socket
import subprocess
import sys
from contextlib import suppress

from talkies.runtime import HubAddress

_ADDRESS = "TALKIES_FIRST_RANK"
_HOST = "127.0.0.1"
_END_SECONDS = 5.0


class LocalRanks:
    """The processes of ranks 1, 2, … on this machine, whose first rank is this process."""

    def __init__(self, ranks: int, address: HubAddress) -> None:
        """Start them.

        Args:
            ranks: how many processes train, with this one.
            address: where they connect to this one.
        """
        where = {"MASTER_ADDR": _HOST, "MASTER_PORT": str(_find_free_port()), "NODE_RANK": "0", "LOCAL_RANK": "0"}
        os.environ |= where | {"WORLD_SIZE": str(ranks)}
        command = _list_own_command()
        self.processes = [
            subprocess.Popen(  # noqa: S603  # this very program
                command, env=os.environ | {"LOCAL_RANK": str(rank), _ADDRESS: address.to_text()}
            )
            for rank in range(1, ranks)
        ]

    def end(self) -> None:
        """End those that still run."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_SECONDS)


def take_address() -> HubAddress | None:
    """Return where the first rank listens, if it started this process, once."""
    text = os.environ.pop(_ADDRESS, None)
    return HubAddress.from_text(text) if text else None


def _list_own_command() -> list[str]:
    """Return the command that started this process."""
    import __main__  # what it is depends on how Python was started

    if __main__.__spec__ is None:
        return [sys.executable, os.path.abspath(sys.argv[0]), *sys.argv[1:]]  # noqa: PTH100  # a symbolic link stays
    return [sys.executable, "-m", __main__.__spec__.name, *sys.argv[1:]]


def _find_free_port() -> int:
    with socket.socket() as found:
        found.bind((_HOST, 0))
        return int(found.getsockname()[1])
