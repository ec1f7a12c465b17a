"""ASGI middleware that refuses foreign host names and cross-site requests, and sets security headers.

A page of another site can make a browser on this machine send requests here. It must not read films through a name
that it points at this machine (DNS rebinding: the name is in `Host`), post anything, or embed what is answered.
"""

import ipaddress
import re
import socket
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from talkies.web.errors import CLOSE_CONNECTION, build_error_response

_LOCAL = ("localhost", "127.0.0.1", "[::1]")
_HOST = re.compile(r"(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE = (None, "same-origin", "none")
_UNKNOWN_NAME = (
    "this server does not answer to that name; open it by the URL that `talkies serve` prints, "
    "or serve with --host and that name"
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
    """Middleware that passes on only requests of this page, sent to this machine or to one of `hosts`."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str] = ()) -> None:
        """Collect the names of this server: those of the loopback interface, and those of the bound hosts."""
        self._app = app
        self._names = {*_LOCAL, *(name.lower() for host in hosts for name in _list_names(host))}
        self._any_address = any(_is_wildcard(host) for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request or pass it on; add the security headers to the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        headers = Headers(scope=scope)
        if not self._is_own_host(headers.getlist("host")):
            refusal = build_error_response(421, _UNKNOWN_NAME, CLOSE_CONNECTION)
        elif sentence := _find_site_error(scope["method"], scope["path"], headers):
            refusal = build_error_response(403, sentence, CLOSE_CONNECTION)
        else:
            await self._app(scope, receive, send_with_headers)
            return
        await refusal(scope, receive, send_with_headers)

    def _is_own_host(self, hosts: list[str]) -> bool:
        """Return whether there is exactly one `Host`, and it names this server.

        Its port may be any: behind a tunnel (SSH) it differs from the server's.
        """
        match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if match is None:
            return False
        name = match[1].lower()
        return name in self._names or (self._any_address and _is_address(name))


def _find_site_error(method: str, path: str, headers: Headers) -> str | None:
    """Return why a request from another site is refused, or `None` if it may pass."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if method not in _SAFE_METHODS:
        own_origins = {f"{scheme}://{headers['host'].lower()}" for scheme in ("http", "https")}
        is_own_origin = origin is None or origin.lower() in own_origins
        if is_own_origin and site in _OWN_SITE:
            return None
        return "another site may not send anything here; use the page itself"

    is_embedded = site not in _OWN_SITE and headers.get("sec-fetch-mode") != "navigate"
    if is_embedded and path.startswith(("/api/", "/media/")):
        return "another site may not show what is here; use the page itself"
    return None


def _list_names(host: str) -> list[str]:
    """Return the names that requests may use for a bound host."""
    if _is_wildcard(host):
        own_name = socket.gethostname()
        short_name = own_name.partition(".")[0]
        return [own_name, f"{short_name}.local", short_name]
    return [f"[{host}]" if ":" in host and not host.startswith("[") else host]


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    """Return whether a name is an IP address, which nobody can point at another machine."""
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
