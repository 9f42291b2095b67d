"""Uploads between the browser and the disk: how much of them may wait in memory, and how they leave it.

Streamlit holds an upload in memory from its arrival until its session is forgotten, minutes after the tab was closed, whether
or not a page ever asks for it. Here a file leaves memory as soon as it is on the disk or its tab is gone, and one that would
take more than its share is refused before it is read. All of it goes through what Streamlit makes public: the middleware of
`st.App`, and the manager of uploaded files, whose `file_storage` is looked at but changed only by its own functions.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from yoto_core.limits import MB, Limits

PLACE = re.compile(r".*/_stcore/upload_file/(?P<session>[^/]+)/[^/]+")
STREAM = "/_stcore/stream"  # the websocket of a tab
FRAMING = 64 * 1024  # bytes of a request around the file in it
FILES = 200  # of one tab, however small
DIGITS = 20  # of a length: more than any file has bytes
_log = logging.getLogger("yoto")


class Guard:
    """Middleware around the app: a budget for uploads, and no file without its tab."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.coming: dict[object, tuple[str, int]] = {}  # request -> session and bytes, said or so far

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        place = PLACE.fullmatch(scope.get("path", ""))
        if scope["type"] == "websocket" and scope["path"].endswith(STREAM):
            try:
                await self.app(scope, receive, send)
            finally:
                drop_gone()
        elif scope["type"] == "http" and place and scope["method"] == "PUT":
            await self._upload(place["session"], scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _upload(self, session: str, scope: Scope, receive: Receive, send: Send) -> None:
        said = dict(scope["headers"]).get(b"content-length", b"0")[:DIGITS]
        size, arrived = int(said) if said.isdigit() else 0, 0
        request = object()

        async def counted() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > self.coming[request][1]:  # more than was said, or nothing was said
                self._make_room(request, session, arrived)
            return message

        with self._released(request, session):
            try:
                self._make_room(request, session, size)
            except HTTPException as refusal:
                await _answer(send, refusal)
            else:
                await self.app(scope, counted, send)

    def _make_room(self, request: object, session: str, size: int) -> None:
        """Count a request that is under way, or refuse it (HTTPException)."""
        limits = Limits.from_environment()
        others = [(of, bytes_) for key, (of, bytes_) in self.coming.items() if key is not request]
        mine = [held for of, held in (*held_files(), *others) if of == session]
        everybodys = sum(held for _, held in (*held_files(), *others))
        if size > limits.upload * MB + FRAMING:
            raise HTTPException(413, f"At most {limits.upload:,} MB per file.")
        if sum(mine) + size > limits.upload * MB + FRAMING or len(mine) >= FILES:
            raise HTTPException(429, "This tab has sent as much as may wait: let the page read it, or reload the page.")
        if everybodys + size > limits.waiting * MB + FRAMING:
            raise HTTPException(503, "Other uploads take all the memory there is for them: try again in a minute.")
        self.coming[request] = (session, size)

    @contextmanager
    def _released(self, request: object, session: str) -> Iterator[None]:
        self.coming[request] = (session, 0)
        try:
            yield
        finally:
            del self.coming[request]
            drop_gone()  # the tab may have been closed meanwhile


def held_files() -> list[tuple[str, int]]:
    """Session and bytes of every upload that Streamlit holds in memory."""
    return [(session, len(record.data)) for session, files in _storage().items() for record in list(files.values())]


def drop_gone() -> None:
    """Let go of the uploads of tabs that are closed."""
    for session in _storage():
        if not runtime.get_instance().is_active_session(session):
            runtime.get_instance().uploaded_file_mgr.remove_session_files(session)


def let_go(file: UploadedFile, *copies: UploadedFile | None) -> None:
    """Empty an upload that is on the disk, or of no use; its name stays in the upload box until the user takes it away."""
    for copy in (file, *copies):
        if copy is not None and copy.file_id == file.file_id:
            copy.seek(0)
            copy.truncate()
    context = get_script_run_ctx()
    try:
        manager = context.uploaded_file_mgr
        for record in manager.get_files(context.session_id, [file.file_id]):
            manager.add_file(context.session_id, record._replace(data=b""))
    except AttributeError:
        _unknown_streamlit()


def _storage() -> Mapping[str, Mapping[str, Any]]:
    """Session -> uploads in memory, as they are now; none where there is no server or Streamlit keeps them elsewhere."""
    if not runtime.exists():
        return {}
    try:
        return dict(runtime.get_instance().uploaded_file_mgr.file_storage)
    except AttributeError:
        _unknown_streamlit()
        return {}


@cache
def _unknown_streamlit() -> None:
    """Said once."""
    _log.warning(
        "This version of Streamlit keeps uploads in another way: they stay in memory until their tab is forgotten."
    )


async def _answer(send: Send, refusal: HTTPException) -> None:
    body = refusal.detail.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": refusal.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": body})
