"""The server: one process, one port, until it is told to end."""

import ipaddress
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from talkies.core import LibraryError, UsageError, describe_os_error
from talkies.web.app import UPLOAD_LIMIT_BYTES, create_app

HOST, PORT = "127.0.0.1", 8017
_MOST_CONNECTIONS = 1000
_BACKLOG = 256
_ENDING_SECONDS = 2  # that answers under way have
_IDLE_SECONDS = 15


class Server(uvicorn.Server):
    """Uvicorn's server; ends at SIGINT and SIGTERM as at an end of its own, and says when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self.on_ready: Callable[[], None] = self.ready.set

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End; that answers under way were broken off is nothing to tell."""
        logging.getLogger("uvicorn.error").disabled = True
        await super().shutdown(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.on_ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let signals end the server while the block runs."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {which: signal.signal(which, self.handle_exit) for which in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for which, handler in before.items():
                signal.signal(which, handler)


def serve(
    library: str | Path,
    host: str = HOST,
    port: int = PORT,
    upload_limit_bytes: int = UPLOAD_LIMIT_BYTES,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve a library until the process is told to end; `on_ready` is called with the page's URL.

    Port 0 is any that is free.

    Raises:
        LibraryError: if there is no such library.
        UsageError: if the host or the port cannot be had.
    """
    app = create_app(library, (host,), upload_limit_bytes)
    with listening(host, port) as opened:
        with suppress(LibraryError):  # there are no embeddings yet: the page says so
            # Load now what the first search would wait for.
            app.state.sets.searcher(None).compute_score_threshold("video", "video")
        server = server_of(app)
        if on_ready:
            server.on_ready = lambda: on_ready(url_of(host, opened.getsockname()[1]))
        try:
            server.run(sockets=[opened])
        finally:
            logging.getLogger("uvicorn.error").disabled = False


def server_of(app: FastAPI) -> Server:
    """Return a server of an application."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_ENDING_SECONDS,
    )
    return Server(config)


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Yield a socket that listens at a host and a port, closed at the end.

    Raises:
        UsageError: if it cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        why = describe_os_error(error) if isinstance(error, OSError) else "it is no name of a host"
        raise UsageError(f"{host} cannot be listened at ({why}); name an address of this machine") from error
    with opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind(address)
            opened.listen(_BACKLOG)
        except OSError as error:
            raise UsageError(
                f"port {port} of {host} cannot be had ({describe_os_error(error)}); name another one with --port (0: any)"
            ) from error
        opened.setblocking(False)
        yield opened


def url_of(host: str, port: int) -> str:
    """Return the URL of the page as a person at this machine opens it."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"http://{host}:{port}/"
    if address.is_unspecified:
        return f"http://localhost:{port}/"
    return f"http://[{host}]:{port}/" if address.version == 6 else f"http://{host}:{port}/"


def is_local(host: str) -> bool:
    """Return whether only this machine can reach what listens at a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
