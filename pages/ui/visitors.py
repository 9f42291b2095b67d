"""Whom a server answers, and what it tells browsers with every answer."""

from ipaddress import ip_address
from urllib.parse import urlsplit

import streamlit as st
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from yoto_core.limits import shared

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),  # the address names data and runs
    (b"content-security-policy", b"frame-ancestors 'self'"),
)
LOCAL = ("localhost", "127.0.0.1", "0.0.0.0")  # pages from here may use any server, as Streamlit has it


class Front:
    """The outermost middleware: it turns away what the page of another site sends.

    A site may let a name of its own lead to this machine, and its page then speaks to a server here as if it were its own. On
    one's own machine a server therefore answers only to localhost, to addresses in numbers, and to the names in Streamlit's
    `server.allowedHosts`; a shared one stands behind a proxy, which knows its name.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a connection on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
        elif refusal := _refusal(scope):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                await PlainTextResponse(refusal, status_code=403)(scope, receive, _with_headers(send))
        else:
            await self.app(scope, receive, _with_headers(send) if scope["type"] == "http" else send)


def _refusal(scope: Scope) -> str:
    """Why a connection is not served; empty where it is."""
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    host, origin = headers.get(b"host", ""), headers.get(b"origin", "")
    name = _hostname(f"//{host}")
    if not shared() and not st.get_option("server.allowedHosts") and not _is_here(name):
        return (
            f"This server is not known as {name[:100]}. Open it as localhost, or start it with"
            " STREAMLIT_SERVER_ALLOWED_HOSTS set to that name."
        )
    own = not origin or origin.partition("//")[2] == host or _hostname(origin) in LOCAL
    # Streamlit refuses other sites too, but would first ask a host on the internet for the address of this machine.
    trusting = st.get_option("server.corsAllowedOrigins") or not st.get_option("server.enableCORS")
    if scope["type"] == "websocket" and not own and not trusting:
        return "The page of another site may not use this server."
    return ""


def _hostname(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _is_here(hostname: str) -> bool:
    """Whether no site can call itself so: localhost, or an address in numbers."""
    if hostname == "localhost" or hostname.endswith(".localhost"):
        return True
    try:
        ip_address(hostname)
    except ValueError:
        return False
    return True


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message.get("headers", ())}
            more = [(name, value) for name, value in HEADERS if name not in given]
            message = {**message, "headers": [*message.get("headers", ()), *more]}
        await send(message)

    return sent
