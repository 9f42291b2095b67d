"""Pages through Streamlit's AppTest, started from app.py as a server does."""

from pathlib import Path

from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from pages.ui import nav
from tests.shared_runs import PATIENCE

APP = str(Path(__file__).resolve().parent.parent / "app.py")
PAGES = {step.title: step.file for step in nav.STEPS}


def visited_server(monkeypatch):
    """AppTest forgets before every run that `st.navigation` was called, which a server does not.

    Use it as a fixture of every test; the first visit to a fresh server is tested in test_browser.py.
    """
    begin = PagesManager.__init__

    def begin_visited(self, *arguments, **options):
        begin(self, *arguments, **options)
        PagesManager.uses_pages_directory = False

    monkeypatch.setattr(PagesManager, "__init__", begin_visited)


def app(**link):
    """The first page, opened with these query parameters."""
    at = AppTest.from_file(APP, default_timeout=PATIENCE)
    at.query_params.update(link)
    return at.run()


def go(at, page):
    """Another page of the menu."""
    return fine(at.switch_page(PAGES[page]).run())


def fine(at):
    """No page may ever show an exception."""
    assert not at.exception, [error.value for error in at.exception]
    return at


def words(elements):
    """What these elements say, without the marks that make text plain."""
    return " ".join(str(element.value) for element in elements).replace("\\", "")


def messages(at):
    """Errors, warnings and infos, without the marks that make them plain."""
    return [str(element.value).replace("\\", "") for element in (*at.error, *at.warning, *at.info)]
