"""`talkies serve`."""

import os
import sys
import threading
from typing import Annotated

import typer

from talkies.cli.output import Json, LibraryFolder, TrustCode, print_json, print_text, say

_LEAVING_SECONDS = 1.0

Host = Annotated[str, typer.Option("--host", help="Address to listen on; the default serves only this machine.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 picks a free one.")]
Limit = Annotated[int, typer.Option("--upload-limit-mb", min=1, max=10_000, help="The largest file to search by.")]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(serve)


def serve(
    library: LibraryFolder,
    host: Host = "127.0.0.1",
    port: Port = 8017,
    *,
    upload_limit_mb: Limit = 64,
    _trust: TrustCode = False,
    json: Json = False,
) -> None:
    """Serve a library as a web page: films, timelines, search by picture and by sound."""
    from talkies.cli.documents import serve_document
    from talkies.web import is_local
    from talkies.web import serve as run_server

    local = is_local(host)

    def on_ready(url: str) -> None:
        if json:
            print_json(serve_document(url, library, local, upload_limit_mb * 1_000_000))
        else:
            print_text(f"{library} is shown at {url} until Ctrl-C")
        if sys.stdout:
            sys.stdout.flush()
        if not local:
            say(f"anyone who reaches {host} over the network can watch and search these films without a password")

    run_server(library, host, port, upload_limit_mb * 1_000_000, on_ready)
    _end_process()


def _end_process() -> None:
    """End the process at once if a thread still works on an answer that nobody waits for."""
    others = [thread for thread in threading.enumerate() if thread.name.startswith("AnyIO worker")]
    for thread in others:
        thread.join(_LEAVING_SECONDS / len(others))
    if any(thread.is_alive() for thread in others):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
