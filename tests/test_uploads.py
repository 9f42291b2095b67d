"""Uploads on a real server: a budget before anything is read, nothing left of a closed tab, and what a proxy may count on."""

import http.client
import os
import subprocess
import sys
import time
import tomllib
import urllib.request

import pytest

from pages.ui import uploads
from tests.shared_browser import LONG, Server
from tests.shared_runs import PATIENCE
from yoto_core.files import PROJECT
from yoto_core.limits import MB, OWN_MACHINE, SHARED_SERVER, VARIABLES

pytestmark = pytest.mark.browser
LIMITS = {"YOTO_UPLOAD_MB": "6", "YOTO_WAITING_MB": "8", "YOTO_SHARED": "1"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with small limits, and what a crashed one left in its home."""
    home = tmp_path_factory.mktemp("uploads") / "home"
    (home / "data").mkdir(parents=True)
    (home / "data" / f".upload.0a1b2c.{2**22 + 1}.part").write_bytes(b"half")
    before = {name: os.environ.get(name) for name in LIMITS}
    os.environ.update(LIMITS)
    try:
        running = Server(home)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    yield running
    running.close()
    assert "Traceback" not in running.said(), running.said()


class Tab:
    """A tab with the session and the token under which its uploads are sent."""

    def __init__(self, browser, server):
        self.port, sent = server.port, []
        self.profile = browser.new_context()
        self.page = self.profile.new_page()
        self.page.on("request", lambda request: sent.append(request.url) if request.method == "PUT" else None)
        self.page.goto(server.url)
        self.box = self.page.get_by_test_id("stFileUploaderDropzone").first.inner_text(timeout=LONG)
        self.send_by_hand(b"no", "bad.h5ad")
        self.page.get_by_text("bad.h5ad is not an .h5ad file.").wait_for(timeout=LONG)
        self.session = sent[0].split("/")[-2]
        self.token = next(c["value"] for c in self.profile.cookies() if c["name"] == "_streamlit_xsrf")

    def send_by_hand(self, content, name):
        file = {"name": name, "mimeType": "application/octet-stream", "buffer": content}
        self.page.locator("input[type=file]").first.set_input_files(file, timeout=LONG)

    def put(self, size, file_id, *, chunked=False):
        """Status of an upload that no widget asked for."""
        head = b'--X\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n'
        parts = [head, *[bytes(MB // 2)] * (2 * size // MB), b"\r\n--X--\r\n"]
        headers = {
            "Content-Type": "multipart/form-data; boundary=X",
            "X-Xsrftoken": self.token,
            "Cookie": f"_streamlit_xsrf={self.token}",
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        body = iter(parts) if chunked else b"".join(parts)
        connection.request(
            "PUT", f"/_stcore/upload_file/{self.session}/{file_id}", body, headers, encode_chunked=chunked
        )
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    def close(self):
        self.profile.close()


@pytest.fixture
def tab(browser, server):
    opened = Tab(browser, server)
    yield opened
    opened.close()


@pytest.mark.parametrize("chunked", [False, True])
def test_unread_uploads_of_a_tab_and_of_all_tabs_have_a_limit(tab, server, browser, chunked):
    assert tab.put(7 * MB, "large", chunked=chunked) == 413
    assert tab.put(4 * MB, "one", chunked=chunked) == 204
    assert tab.put(4 * MB, "two", chunked=chunked) == 429
    other = Tab(browser, server)
    try:
        assert other.put(5 * MB, "one", chunked=chunked) == 503
        tab.close()
        assert wait_until(lambda: other.put(5 * MB, "one", chunked=chunked) == 204)
    finally:
        other.close()


def wait_until(happens):
    """Try until it happens: the server sees the end of a tab at its own time; one that never does fails the test."""
    deadline = time.monotonic() + PATIENCE
    while not happens():
        if time.monotonic() > deadline:
            return False
    return True


def test_a_tab_that_is_gone_leaves_nothing_in_memory_and_a_session_that_never_was_nothing_either(browser, server):
    tab = Tab(browser, server)
    assert tab.put(4 * MB, "one") == 204
    tab.close()
    assert wait_until(lambda: tab.put(MB, "two") == 400)  # its session is gone
    other = Tab(browser, server)
    assert other.put(5 * MB, "one") == 204  # all of the room is there again
    other.session = "0" * 36
    assert other.put(MB, "two") == 400
    other.close()


def test_a_file_leaves_memory_once_it_is_read_and_stays_in_the_box(tab, server):
    tab.send_by_hand(os.urandom(5 * MB), "large.h5ad")
    tab.page.get_by_text("large.h5ad is not an .h5ad file.").wait_for(timeout=LONG)
    assert tab.put(5 * MB, "one") == 204  # nothing of the five is held any more
    tab.page.get_by_role("link", name="Runs").click()
    tab.page.get_by_text("There are no runs yet.").wait_for(timeout=LONG)


def test_the_box_says_the_limit_of_the_variable(tab):
    assert tab.page.get_by_text("At most 6 MB per file, 10 GB for all your files").count() == 1
    assert "6MB" in tab.box.replace(" ", "")


def test_leftovers_of_a_crash_are_gone_once_the_server_is_there(server):
    assert not list((server.home / "data").glob(".*"))


def test_every_answer_carries_its_headers(server):
    for path in ("/", "/_stcore/health", "/_stcore/host-config"):
        with urllib.request.urlopen(server.url + path, timeout=PATIENCE) as answer:
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "same-origin"
            assert answer.headers["Content-Security-Policy"] == "frame-ancestors 'self'"
            if path.endswith("host-config"):
                assert b'"allowedOrigins":[]' in answer.read()  # nobody else's page may send it messages


def test_a_length_of_more_digits_than_any_file_has_is_refused(tab):
    connection = http.client.HTTPConnection("127.0.0.1", tab.port, timeout=PATIENCE)
    connection.putrequest("PUT", f"/_stcore/upload_file/{tab.session}/one")
    connection.putheader("Content-Length", "9" * 5_000)
    connection.endheaders()
    assert connection.getresponse().status in (400, 413)
    connection.close()


def test_a_setting_that_makes_no_sense_is_one_sentence_and_starts_nothing(tmp_path):
    said = subprocess.run(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", "0"], cwd=PROJECT, capture_output=True,
        text=True, timeout=PATIENCE, check=False, env=os.environ | {"YOTO_HOME": str(tmp_path), "YOTO_KEPT_MB": "lots"},
    )  # fmt: skip
    assert said.returncode == 2
    assert "yoto: YOTO_KEPT_MB is “lots”. Give a whole number of megabytes, 0 for no limit." in said.stderr
    assert "Traceback" not in said.stderr


def test_where_streamlit_keeps_uploads_elsewhere_it_is_said_once_and_all_works(monkeypatch, caplog):
    class Other:
        """A runtime of which nothing is known but that it is there."""

        uploaded_file_mgr = object()

    monkeypatch.setattr(uploads.runtime, "exists", lambda: True)
    monkeypatch.setattr(uploads.runtime, "get_instance", Other)
    uploads._unknown_streamlit.cache_clear()
    assert uploads.held_files() == []
    uploads.drop_gone()
    assert caplog.text.count("This version of Streamlit keeps uploads in another way") == 1


def test_what_the_readme_and_the_configuration_say_is_what_holds():
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    for name, variable in VARIABLES.items():
        (row,) = [line for line in readme.splitlines() if line.startswith(f"| `{variable}`")]
        assert f"{OWN_MACHINE[name]:,}" in row or OWN_MACHINE[name] == 0, row
        assert f"{SHARED_SERVER[name]:,}" in row, row
    config = tomllib.loads((PROJECT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert config["server"]["maxUploadSize"] == OWN_MACHINE["upload"]
    assert config["server"]["enableXsrfProtection"]
    assert config["server"]["enableCORS"]
