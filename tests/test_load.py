"""Sessions come and go on a real server, several at once: it ends as it began, and nobody meets an error."""

import asyncio
import time

import pytest

from tests.benchmarks.soak import AT_ONCE, come_and_go, held, made_files
from tests.shared_runs import PATIENCE, drawn_maps, save_explored
from tests.shared_sessions import opened
from tests.test_browser import Server
from yoto_core.store.history import history, leftovers

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
