"""Sessions of a real server without a browser: what a browser asks over Streamlit's own socket, and nothing drawn.

A session keeps what a tab keeps: its page, its address, its inputs and what the page shows, and it asks for every timed part
as often as the server told it to. Twenty of them cost about as much as one tab.
"""

import asyncio
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import FileURLs
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.shared_runs import PATIENCE

ENDED = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)
BUTTONS = ("button", "download_button")
SAYS = {"alert": "body", "markdown": "body", "text": "body", "heading": "body", "progress": "text"}
XSRF = "_streamlit_xsrf"


class Session:
    """One open tab; made by `opened`. Anything that a page throws is kept in `errors`."""

    def __init__(self, socket: ClientConnection, url: str) -> None:
        self.socket, self.url = socket, url
        self.page, self.query, self.session_id = "", "", ""
        self.shown: dict[
            tuple[int, ...], tuple[str, Element]
        ] = {}  # place -> the timed part it belongs to, what is there
        self.inputs: dict[str, WidgetState] = {}
        self.errors: list[str] = []
        self.runs = 0  # of the script, and of a part of it, that came to their end
        self.closed = False
        self._parts: tuple[str, ...] = ()
        self._round = 0
        self._wanted: str | None = None
        self._pages: dict[str, str] = {}  # path -> what the server calls the page, once it has said so
        self._waiting: tuple[str, asyncio.Future[None]] | None = None
        self._timers: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Condition()
        self._file_urls: asyncio.Queue[FileURLs] = asyncio.Queue()

    async def visit(self, page: str, **link: str) -> float:
        """Go to a page by its path ("" for the first), perhaps with another query; seconds until its script has ended."""
        self.page = self._wanted = page
        if link:
            self.query = "&".join(f"{name}={value}" for name, value in link.items())
        self._quiet()
        return await self._ask()

    async def choose(self, label: str, value: str) -> float:
        """Choose in a select box or a segmented control; seconds until the script has ended."""
        part, element = self.found(label, ("selectbox", "button_group"))
        kind, held = element.WhichOneof("type"), WidgetState()
        held.id = getattr(element, kind).id
        if kind == "selectbox":
            held.string_value = value
        else:
            held.string_array_value.data.append(value)
        self.inputs[held.id] = held
        return await self._ask(part)

    async def press(self, label: str, *, key: str = "") -> float:
        """Press a button, where several have this label the one with this key; seconds until the script has ended."""
        part, element = self.found(label, BUTTONS, key)
        pressed = WidgetState(id=getattr(element, element.WhichOneof("type")).id, trigger_value=True)
        return await self._ask(part, pressed)

    async def upload(self, label: str, path: Path) -> float:
        """Give a file to an uploader; seconds from when the server has it until the script has ended."""
        part, element = self.found(label, ("file_uploader",))
        asked = BackMsg()
        asked.file_urls_request.request_id = label
        asked.file_urls_request.file_names.append(path.name)
        asked.file_urls_request.session_id = self.session_id
        await self.socket.send(asked.SerializeToString())
        urls = await asyncio.wait_for(self._file_urls.get(), PATIENCE)
        content = await asyncio.to_thread(path.read_bytes)
        await asyncio.to_thread(self._put, urls.upload_url, path.name, content)
        held = WidgetState(id=element.file_uploader.id)
        held.file_uploader_state_value.uploaded_file_info.add(
            file_id=urls.file_id, name=path.name, size=len(content), file_urls=urls
        )
        self.inputs[held.id] = held
        return await self._ask(part)

    async def until(self, ready: Callable[["Session"], Any]) -> None:
        """Wait until what the page shows is as wanted (AssertionError with what it says where that takes too long)."""
        try:
            async with asyncio.timeout(PATIENCE), self._changed:
                await self._changed.wait_for(lambda: self.closed or ready(self))
        except TimeoutError:
            raise AssertionError(f"after {PATIENCE} s the page {self.page} says: {self.words()}") from None
        assert not self.closed, "the server closed the connection"

    def found(self, label: str, kinds: tuple[str, ...], key: str = "") -> tuple[str, Element]:
        """The input of these kinds with this label (and key), after the timed part it belongs to."""
        for part, element, _ in self.shown.values():
            kind = element.WhichOneof("type")
            named = kind in kinds and getattr(element, kind)
            if named and named.label == label and named.id.endswith(f"-{key}" if key else ""):
                return part, element
        raise AssertionError(f"no {' or '.join(kinds)} “{label}” on the page {self.page}: {self.words()}")

    def offers(self, label: str) -> bool:
        """Whether the page has a button with this label."""
        kinds = [(element.WhichOneof("type"), element) for _, element, _ in self.shown.values()]
        return any(kind in BUTTONS and getattr(element, kind).label == label for kind, element in kinds)

    def words(self) -> str:
        """What the page says, without the marks that make text plain."""
        said = [(element.WhichOneof("type"), element) for _, element, _ in self.shown.values()]
        return " ".join(
            str(getattr(getattr(element, kind), SAYS[kind])) for kind, element in said if kind in SAYS
        ).replace("\\", "")

    async def _ask(self, part: str = "", pressed: WidgetState | None = None) -> float:
        answer = asyncio.get_running_loop().create_future()
        begun = time.perf_counter()
        self._waiting = (part, answer)
        await self.socket.send(self._request(part, pressed=pressed))
        try:
            await asyncio.wait_for(answer, PATIENCE)
        except TimeoutError:
            raise AssertionError(f"no answer in {PATIENCE} s; the page {self.page} says: {self.words()}") from None
        return time.perf_counter() - begun

    def _request(self, part: str = "", *, pressed: WidgetState | None = None, timed: bool = False) -> bytes:
        message = BackMsg()
        rerun = message.rerun_script
        rerun.query_string, rerun.fragment_id, rerun.is_auto_rerun = self.query, part, timed
        rerun.page_script_hash = self._pages.get(self.page, "")
        rerun.page_name = "" if rerun.page_script_hash else self.page
        rerun.widget_states.widgets.extend([*self.inputs.values(), *([pressed] if pressed else [])])
        return message.SerializeToString()

    def _put(self, path: str, name: str, content: bytes) -> None:
        with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=PATIENCE) as health:
            token = health.headers["Set-Cookie"].split(";")[0].partition("=")[2].strip('"')
        border = "a-border-that-no-file-holds"
        head = f'--{border}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n\r\n'
        request = urllib.request.Request(
            self.url + path, method="PUT", data=head.encode() + content + f"\r\n--{border}--\r\n".encode(),
            headers={
                "Content-Type": f"multipart/form-data; boundary={border}",
                "X-Xsrftoken": token, "Cookie": f"{XSRF}={token}",
            },
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=PATIENCE):
            pass

    async def _listen(self) -> None:
        """Take what the server says, until either side ends the connection."""
        try:
            async for content in self.socket:
                self._take(ForwardMsg.FromString(content))
                async with self._changed:
                    self._changed.notify_all()
        except ConnectionClosed:
            pass
        finally:
            self.closed = True
            self._quiet()
            if self._waiting and not self._waiting[1].done():
                self._waiting[1].set_exception(AssertionError("the server closed the connection"))
            async with self._changed:
                self._changed.notify_all()

    def _take(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self._begin(message)
        elif kind == "delta":
            self._draw(tuple(message.metadata.delta_path), message.delta)
        elif kind == "navigation":
            self._pages = {page.url_pathname: page.page_script_hash for page in message.navigation.app_pages}
            paths = {name: path for path, name in self._pages.items()}
            self.page = paths[message.navigation.page_script_hash]
        elif kind == "page_info_changed":
            self.query = message.page_info_changed.query_string
        elif kind == "auto_rerun" and message.auto_rerun.fragment_id not in self._timers:
            part, every = message.auto_rerun.fragment_id, message.auto_rerun.interval
            self._timers[part] = asyncio.create_task(self._tick(part, every))
        elif kind == "file_urls_response":
            for urls in message.file_urls_response.file_urls:
                self._file_urls.put_nowait(urls)
        elif kind == "script_finished" and message.script_finished in ENDED:
            self._end()

    def _begin(self, message: ForwardMsg) -> None:
        self._parts = tuple(message.metadata.run.fragment_ids)
        self._round += 1
        self.session_id = message.new_session.initialize.session_id or self.session_id
        if not self._parts:
            self._quiet()

    def _draw(self, place: tuple[int, ...], delta: Delta) -> None:
        if delta.WhichOneof("type") != "new_element":
            return
        element = delta.new_element
        self.shown[place] = (delta.fragment_id, element, self._round)
        if element.WhichOneof("type") == "exception":
            self.errors.append(f"{self.page}: {element.exception.type}: {element.exception.message}")

    def _end(self) -> None:
        """As a browser does: what was drawn before stays, and can be used, until the script has come to its end."""
        self.runs += 1
        self.shown = {
            place: (part, element, drawn)
            for place, (part, element, drawn) in self.shown.items()
            if drawn == self._round or (self._parts and part not in self._parts)
        }
        if not self._parts:
            there = {getattr(getattr(e, e.WhichOneof("type")), "id", "") for _, e, _ in self.shown.values()}
            self.inputs = {name: held for name, held in self.inputs.items() if name in there}
        if self._parts:
            answered = self._waiting and self._waiting[0] in self._parts
        else:
            answered = self._waiting and self._wanted in (None, self.page)  # not by a run of the page before
        if answered:
            answer = self._waiting[1]
            self._waiting = self._wanted = None
            if not answer.done():
                answer.set_result(None)

    async def _tick(self, part: str, every: float) -> None:
        with suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(every)
                await self.socket.send(self._request(part, timed=True))

    def _quiet(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()


@asynccontextmanager
async def opened(url: str, page: str = "", **link: str) -> AsyncIterator[Session]:
    """A tab on this page of the server at this address; closed at the end."""
    async with connect(f"{url.replace('http', 'ws')}/_stcore/stream", max_size=None, open_timeout=PATIENCE) as socket:
        session = Session(socket, url)
        listening = asyncio.create_task(session._listen())
        try:
            await session.visit(page, **link)
            yield session
        finally:
            session._quiet()
            await socket.close()
            await listening
