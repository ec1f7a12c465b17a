"""The web server: one process that listens on one port until it is stopped."""

import errno
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
_MAX_CONNECTIONS = 1000
_BACKLOG = 256
_SHUTDOWN_SECONDS = 2  # time that unfinished answers get
_IDLE_SECONDS = 15


class Server(uvicorn.Server):
    """Uvicorn's server that reports when it is ready, and stops without a traceback at SIGINT and SIGTERM."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self.on_ready: Callable[[], None] = self.ready.set

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop, without logging that unfinished answers were cut off."""
        logging.getLogger("uvicorn.error").disabled = True
        await super().shutdown(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then call `on_ready`."""
        await super().startup(sockets)
        self.on_ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let signals stop the server while the block runs."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def serve(
    library: str | Path,
    host: str = HOST,
    port: int = PORT,
    upload_limit_bytes: int = UPLOAD_LIMIT_BYTES,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve a library until the process is stopped.

    Args:
        library: Folder or URL of the library.
        host: Name or address of this machine to listen on.
        port: Port to listen on; 0 for any free one.
        upload_limit_bytes: Largest file that can be uploaded to search with.
        on_ready: Called with the page's URL once the server answers.

    Raises:
        LibraryError: If there is no such library.
        UsageError: If the host or the port cannot be listened on.
    """
    app = create_app(library, (host,), upload_limit_bytes)
    with open_socket(host, port) as listener:
        with suppress(LibraryError):  # there are no embeddings yet: the page says so
            # Load now what the first search would otherwise wait for.
            searcher = app.state.models.get_searcher(None)
            searcher.compute_score_threshold(searcher.entry.modalities[0], searcher.entry.modalities[0])
        server = create_server(app)
        if on_ready:
            server.on_ready = lambda: on_ready(build_url(host, listener.getsockname()[1]))
        try:
            server.run(sockets=[listener])
        finally:
            logging.getLogger("uvicorn.error").disabled = False


def create_server(app: FastAPI) -> Server:
    """Return a server of an application."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MAX_CONNECTIONS,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )
    return Server(config)


@contextmanager
def open_socket(host: str, port: int) -> Iterator[socket.socket]:
    """Yield a socket that listens on a host and a port; it is closed at the end.

    Raises:
        UsageError: If the host or the port cannot be listened on.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        reason = describe_os_error(error) if isinstance(error, OSError) else "it is not a host name"
        raise UsageError(f"cannot listen on {host}: {reason}; name an address of this machine with --host") from error

    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError as error:
            raise _build_bind_error(host, port, error) from error
        listener.setblocking(False)
        yield listener


def _build_bind_error(host: str, port: int, error: OSError) -> UsageError:
    if error.errno == errno.EADDRINUSE:
        return UsageError(f"cannot listen on port {port}: it is in use; choose another with --port")
    reason = describe_os_error(error)
    if error.errno == errno.EADDRNOTAVAIL:
        return UsageError(f"cannot listen on {host}: {reason}; name an address of this machine with --host")
    return UsageError(f"cannot listen on port {port}: {reason}; choose another with --port")


def build_url(host: str, port: int) -> str:
    """Return the URL by which a person at this machine opens the page."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"http://{host}:{port}/"
    if address.is_unspecified:
        return f"http://localhost:{port}/"
    return f"http://[{host}]:{port}/" if address.version == 6 else f"http://{host}:{port}/"


def is_local(host: str) -> bool:
    """Return whether only this machine can reach what listens on a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
