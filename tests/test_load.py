"""Sessions come and go on a real server, several at once: it ends as it began, and nobody meets an error."""

import asyncio
import time
from dataclasses import replace

import pytest

from pages.ui import sidebar
from tests.benchmarks.soak import AT_ONCE, come_and_go, held, made_files
from tests.shared_app import app, fine, go, visited_server
from tests.shared_browser import Server
from tests.shared_runs import PATIENCE, TYPE, config_for, drawn_maps, save_explored, toy_on_disk
from tests.shared_sessions import opened
from yoto_core.store import library, runs
from yoto_core.store.history import history, leftovers
from yoto_core.store.status import last_word, of_this_process, write_status

WARMING, ROUNDS = 1, 3
ALLOWANCE = 40  # megabytes that allocators and caches with bounds may still take


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("YOTO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("YOTO_MAX_RUNS", "2")
    monkeypatch.setenv("STREAMLIT_SERVER_DISCONNECTED_SESSION_TTL", "0")
    running = Server(tmp_path / "home")
    yield running
    running.close()
    assert "Traceback" not in running.said()


async def settled(server, quiet):
    """What the server holds once it is quiet, or what it still holds when patience ends."""
    deadline = time.monotonic() + PATIENCE
    while not quiet(now := held(server)) and time.monotonic() < deadline:
        async with opened(server.url, "runs"):  # what has left is forgotten when another one comes
            pass
    return now


async def soaked(server, run_id, files):
    errors = await come_and_go(server.url, run_id, files, WARMING)
    first = await settled(server, lambda now: (now.sessions, now.children) == (0, 0))
    errors += await come_and_go(server.url, run_id, files, ROUNDS)
    last = await settled(
        server,
        lambda now: (
            (now.sessions, now.children) == (0, 0) and now.files <= first.files and now.threads <= first.threads
        ),
    )
    return first, last, errors


def test_what_sessions_open_is_closed_when_they_have_left(server, tmp_path):
    run_id = save_explored(drawn_maps()).name
    first, last, errors = asyncio.run(soaked(server, run_id, made_files(tmp_path)))
    assert errors == []
    assert (last.sessions, last.children) == (0, 0)
    assert last.files <= first.files
    assert last.threads <= first.threads
    assert last.megabytes - first.megabytes < ALLOWANCE
    assert len(history()) == 1 + (WARMING + ROUNDS) * AT_ONCE
    assert {row.status.state for row in history()} <= {"done", "stopped"}
    assert leftovers() == []


def at_work(**changes):
    """A run that this very process works on, or that stands in the queue."""
    folder = runs.create_run(config_for(TYPE), data_path=toy_on_disk(), data_name="toy", data_digest="")
    write_status(folder, replace(of_this_process(last_word(folder)), **changes))
    return folder


@pytest.mark.parametrize("news", ["a run has begun", "a run has ended"])
def test_a_click_is_heard_although_the_queue_has_changed_while_it_was_made(news, monkeypatch):
    visited_server(monkeypatch)
    monkeypatch.setenv("YOTO_MAX_RUNS", "1")
    with toy_on_disk().open("rb") as file:
        data = library.keep(file, "toy.h5ad")
    at_work()  # there is no room for another one
    changing = at_work(state="queued", submitted=1.0) if news == "a run has begun" else at_work()
    at, announce = go(app(data=data), "Design"), sidebar._announce

    def and_then_it_changes():
        announce()
        ended = "running" if news == "a run has begun" else "done"
        write_status(changing, replace(last_word(changing), state=ended))
        sidebar._all_work.clear()

    monkeypatch.setattr(sidebar, "_announce", and_then_it_changes)
    fine(at.button(key="train").click().run())
    assert len(history()) == 3
