"""What stands before every address: other hosts' names, other sites' requests, and what a browser may do with answers.

A page of some other site can make a browser of this machine ask here. It shall neither read films through a name that
it lets point here (DNS rebinding: the name is in `Host`), nor post anything, nor embed what is answered.
"""

import ipaddress
import re
import socket
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from talkies.web.errors import CLOSING, answer

_LOCAL = ("localhost", "127.0.0.1", "[::1]")
_HOST = re.compile(r"(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE = (None, "same-origin", "none")
_OTHER_NAME = (
    "this server does not answer to that name; open it by the URL that `talkies serve` says, or serve with --host and "
    "that name"
)
_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Guard:
    """ASGI middleware: lets through what the person at this machine, or at one of `hosts`, asks with this page."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str] = ()) -> None:
        """Know the names of this server: those of the loopback, and those that it was bound to."""
        self._app = app
        self._names = {*_LOCAL, *(name.lower() for host in hosts for name in _names_of(host))}
        self._any_address = any(_is_wildcard(host) for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refused request; pass on others, and add to the headers of what is answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        headers = Headers(scope=scope)
        if not self._is_ours(headers.getlist("host")):
            refusal = answer(421, _OTHER_NAME, CLOSING)
        elif sentence := _fault_of_site(scope["method"], scope["path"], headers):
            refusal = answer(403, sentence, CLOSING)
        else:
            await self._app(scope, receive, send_guarded)
            return
        await refusal(scope, receive, send_guarded)

    def _is_ours(self, hosts: list[str]) -> bool:
        """Return whether one `Host` was told, and is ours. Its port is free: it is another behind a tunnel (SSH)."""
        found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if found is None:
            return False
        name = found[1].lower()
        return name in self._names or (self._any_address and _is_address(name))


def _fault_of_site(method: str, path: str, headers: Headers) -> str | None:
    """Return what is wrong with where a request comes from."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if method not in _SAFE_METHODS:
        own = origin is None or origin.lower() in (
            f"{scheme}://{headers['host'].lower()}" for scheme in ("http", "https")
        )
        return None if own and site in _OWN_SITE else "another site may not send anything here; use the page itself"
    embedded = site not in _OWN_SITE and headers.get("sec-fetch-mode") != "navigate"
    if embedded and path.startswith(("/api/", "/media/")):
        return "another site may not show what is here; use the page itself"
    return None


def _names_of(host: str) -> list[str]:
    """Return the names by which a host that was bound may be asked for."""
    if _is_wildcard(host):
        own = socket.gethostname()
        return [own, f"{own.partition('.')[0]}.local", own.partition(".")[0]]
    return [f"[{host}]" if ":" in host and not host.startswith("[") else host]


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    """Return whether a name is an address, which no one can let point elsewhere."""
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
