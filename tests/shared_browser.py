"""What tests in a real browser share: a real server, a tab in which nothing may throw, and waiting until the page stands."""

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pages.ui import nav
from tests.shared_runs import PATIENCE
from yoto_core.files import PROJECT

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
PAGES = {step.path: step.title for step in nav.STEPS}
LONG = PATIENCE * 1000  # milliseconds


def browser_path(driver):
    """The machine's own Chromium, or Playwright's."""
    own = next(filter(None, map(shutil.which, NAMES)), None)
    return own or (path if Path(path := driver.chromium.executable_path).exists() else None)


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        path = browser_path(driver)
        if path is None:
            pytest.skip("no Chromium was found: install one, or run `python -m playwright install chromium`")
        chromium = driver.chromium.launch(executable_path=path, args=FLAGS, timeout=LONG)
        yield chromium
        chromium.close()


class Server:
    """A server of its own with its own home, at a port that it takes from the system itself: nobody can come between."""

    def __init__(self, home):
        home.mkdir(exist_ok=True)
        self.home, self.log = home, (home / "server.log").open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", "0"],
            cwd=PROJECT, env=os.environ | {"YOTO_HOME": str(home)}, stdout=self.log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(r"URL: (http://127\.0\.0\.1:(\d+))\s", self.said())) or not self.healthy(
            found[1]
        ):
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)
        self.url, self.port = found[1], int(found[2])

    def healthy(self, url):
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=PATIENCE) as answer:
                return answer.read() == b"ok"
        except OSError:
            return False

    def said(self):
        return (self.home / "server.log").read_text()

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for most tests; at its end nothing may have been thrown in it."""
    running = Server(tmp_path_factory.mktemp("browser") / "home")
    yield running
    running.close()
    assert "Traceback" not in running.said(), running.said()


@pytest.fixture
def home(server, monkeypatch):
    """Make this process see the server's runs."""
    monkeypatch.setenv("YOTO_HOME", str(server.home))
    return server.home


@pytest.fixture
def context(browser):
    """A browser profile of its own, every request of which must go to this machine."""
    asked = []
    profile = browser.new_context(viewport={"width": 1400, "height": 1000}, accept_downloads=True)
    profile.on("request", lambda request: asked.append(request.url))
    profile.set_default_timeout(LONG)
    yield profile
    profile.close()
    hosts = {urlsplit(url).hostname for url in asked if not url.startswith(("data:", "blob:"))}
    assert hosts <= {"127.0.0.1"}, [url for url in asked if urlsplit(url).hostname not in {"127.0.0.1", None}]


@pytest.fixture
def page(context):
    return opened(context)


def opened(context):
    """A tab that fails the test where the app's own code throws in it."""
    tab = context.new_page()
    tab.thrown = []
    tab.on("pageerror", lambda error: tab.thrown.append(str(error)))
    return tab


def settled(page):
    """Wait until the app has drawn what it has to say."""
    page.wait_for_selector("[data-testid='stApp'][data-test-connection-state='CONNECTED']")
    page.wait_for_selector("[data-testid='stApp'][data-test-script-state='notRunning']")
    page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')")
    assert page.locator("[data-testid='stException']").count() == 0, page.locator(
        "[data-testid='stException']"
    ).inner_text()
    assert not page.thrown
    return page


def visit(page, url):
    page.goto(url)
    return settled(page)


def title(page, text):
    page.get_by_role("heading", name=text, exact=True, level=2).wait_for()
    return settled(page)


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def badge(page, state):
    """Wait until the Train page shows that the run is in this state."""
    page.locator(".stMarkdownBadge", has_text=state).first.wait_for(timeout=LONG)


def messages(page):
    return page.locator("[data-testid='stAlertContainer']").all_inner_texts()


def send(page, path):
    page.locator("input[type=file]").set_input_files(path)
