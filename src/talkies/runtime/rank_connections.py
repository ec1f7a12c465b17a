"""The connections between processes that work together: where the first listens, and lines of JSON."""

import json
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from talkies.core.errors import WorkError

_ANSWER_SECONDS = 10.0
_RETRY_SECONDS = 0.2
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 6}  # a machine that is gone is noticed in 40 s


@dataclass(frozen=True, slots=True)
class HubAddress:
    """Where the first rank listens: the names or addresses of its machine, its port, and the word that ranks say."""

    hosts: tuple[str, ...]
    port: int
    token: str

    def to_text(self) -> str:
        """Return the address as text."""
        return json.dumps([self.hosts, self.port, self.token])

    @classmethod
    def from_text(cls, text: str) -> "HubAddress":
        """Return the address that `to_text` wrote."""
        hosts, port, token = json.loads(text)
        return cls(tuple(hosts), int(port), str(token))


def listen(host: str) -> socket.socket:
    """Return a socket that listens at a free port of an address; empty for all addresses of this machine."""
    if not host and socket.has_dualstack_ipv6():
        return socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server((host, 0))


def connect(address: HubAddress, hello: dict[str, Any], patience_seconds: float) -> socket.socket:
    """Return a connection to the hub, which may only just have begun to listen, after it has answered.

    Raises:
        WorkError: if it does not answer in time.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        for host in address.hosts:
            with suppress(OSError):
                connection = socket.create_connection((host, address.port), timeout=_ANSWER_SECONDS)
                keep_alive(connection)
                send(connection, hello)
                if _receive_welcome(connection):
                    connection.settimeout(None)
                    return connection
                connection.close()
        if time.monotonic() > deadline:
            raise WorkError(
                f"the first of the processes that train together cannot be reached at {' or '.join(address.hosts)}, "
                f"port {address.port}; let the machines reach each other's ports"
            )
        time.sleep(_RETRY_SECONDS)


def _receive_welcome(connection: socket.socket) -> bool:
    """Return whether the answer is the hub's; no byte after it is taken."""
    line = b""
    while not line.endswith(b"\n") and (byte := connection.recv(1)):
        line += byte
    return bool(parse(line).get("welcome"))


def keep_alive(connection: socket.socket) -> None:
    """Let the system notice when the other machine is gone."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):  # not every system has all of them
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def send(connection: socket.socket, message: dict[str, Any]) -> None:
    """Send a message."""
    connection.sendall(json.dumps(message).encode() + b"\n")


def parse(line: bytes) -> dict[str, Any]:
    """Return a message; an empty one if it is none of ours."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}
