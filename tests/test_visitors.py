"""A server on one's own machine answers its owner's browser, and no page of another site that found a way to it."""

import asyncio

import pytest
from starlette.responses import PlainTextResponse

from pages.ui.visitors import Front


def asked(host, *, origin="", kind="http"):
    """What a server says to whoever asks for it under this name, from a page of this origin: status and text."""
    said = []

    async def receive():
        return {"type": f"{kind}.connect" if kind == "websocket" else "http.request"}

    async def send(message):
        said.append(message)

    async def app(scope, receive, send):
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
        else:
            await PlainTextResponse("the app")(scope, receive, send)

    headers = [(b"host", host.encode("latin-1")), *([(b"origin", origin.encode())] if origin else [])]
    scope = {"type": kind, "method": "GET", "path": "/", "headers": headers}
    asyncio.run(Front(app)(scope, receive, send))
    if kind == "websocket":
        return said[0]["type"]
    return said[0]["status"], said[1]["body"].decode(), dict(said[0]["headers"])


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "192.168.1.5", "[::1]", "yoto.localhost"])
def test_a_server_of_ones_own_answers_to_localhost_and_addresses_in_numbers(name):
    status, text, headers = asked(f"{name}:8501")
    assert (status, text) == (200, "the app")
    assert headers[b"referrer-policy"] == b"same-origin"


@pytest.mark.parametrize("name", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[", "é"])
def test_a_name_that_somebody_else_lets_lead_here_is_not_answered(name):
    status, text, headers = asked(f"{name}:8501")
    assert status == 403
    assert text.startswith("This server is not known as ")
    assert text.endswith("Open it as localhost, or start it with STREAMLIT_SERVER_ALLOWED_HOSTS set to that name.")
    assert headers[b"x-content-type-options"] == b"nosniff"


def test_a_shared_server_leaves_its_name_to_the_proxy(monkeypatch):
    monkeypatch.setenv("YOTO_SHARED", "1")
    assert asked("yoto.example.org")[0] == 200


@pytest.mark.parametrize(
    ("host", "origin", "answer"),
    [
        ("127.0.0.1:8501", "", "websocket.accept"),
        ("127.0.0.1:8501", "http://127.0.0.1:8501", "websocket.accept"),
        ("127.0.0.1:8501", "http://localhost:3000", "websocket.accept"),
        ("127.0.0.1:8501", "https://evil.example", "websocket.close"),
        ("127.0.0.1:8501", "http://192.0.2.1", "websocket.close"),
        ("127.0.0.1:8501", "null", "websocket.close"),
        ("evil.example:8501", "http://evil.example:8501", "websocket.close"),
    ],
)
def test_the_page_of_another_site_gets_no_session(host, origin, answer):
    assert asked(host, origin=origin, kind="websocket") == answer
