"""Drills with real servers and sessions: a server that is killed, and two on one home, lose no run and start none twice."""

import asyncio
import itertools
import os
import re
import signal
from dataclasses import replace

import pytest

from tests.shared_browser import Server
from tests.shared_runs import (
    CONDITION,
    config_for,
    toy_dataset,
    toy_on_disk,
    wait_for,
    wait_for_end,
    wait_until_gone,
)
from tests.shared_sessions import opened
from yoto_core.config import EvaluationConfig, TrainingConfig
from yoto_core.store import runs
from yoto_core.store.folders import run_folder, runs_folder
from yoto_core.store.status import last_word, read_status, write_status

SHORT = config_for(
    CONDITION,
    panel_size=4,
    training=TrainingConfig(steps=100, fit_steps=80, replicas=1, batch_size=64),
    evaluation=EvaluationConfig(random_panels=1, bootstrap=50, maps="no", stability="no"),
)
# Long enough that what waits behind it still waits when something is done to it.
LONG = replace(SHORT, training=TrainingConfig(steps=800, fit_steps=80, replicas=2, batch_size=64))


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Start servers on this test's home with room for one run at a time; all are ended with the test."""
    monkeypatch.setenv("YOTO_MAX_RUNS", "1")
    monkeypatch.setenv("YOTO_HOME", str(tmp_path / "home"))
    servers = []

    def started():
        servers.append(Server(tmp_path / "home"))
        return servers[-1]

    yield started
    for server in servers:
        server.close()
        assert "Traceback" not in server.said()


def stopped_run(config=SHORT):
    """A run that its page offers to run again."""
    folder = runs.create_run(config, data_path=toy_on_disk(), data_name="toy", data_digest=toy_dataset().digest)
    write_status(folder, replace(last_word(folder), state="stopped", message="Stopped on request."))
    return folder


async def run_again(url, folder, *, times=1):
    """Press “Run again” on the run's page so often, in a tab each, and return the new runs."""
    found = []
    for _ in range(times):
        async with opened(url, "train", run=folder.name) as tab:
            await tab.until(lambda tab: tab.offers("Run again"))
            await tab.press("Run again")
            await tab.until(lambda tab: f"run={folder.name}" not in tab.query)
            found.append(run_folder(re.search("run=([0-9a-f]{32})", tab.query)[1]))
            assert not tab.errors
    return found


async def says(url, folder, words):
    async with opened(url, "train", run=folder.name) as tab:
        await tab.until(lambda tab: words in tab.words())
        assert not tab.errors


def starts(folder):
    """How often a worker began with a run, as its log tells."""
    return (folder / "log.txt").read_text().count("reading: Reading the data")


def test_a_killed_server_takes_no_run_with_it_and_what_waits_starts_without_one(start):
    server = start()
    (first,) = asyncio.run(run_again(server.url, stopped_run(LONG)))
    second, third = asyncio.run(run_again(server.url, stopped_run(), times=2))
    worker = wait_for(first, lambda status: bool(status.phase)).pid
    assert [read_status(folder).state for folder in (second, third)] == ["queued", "queued"]
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    status = wait_for_end(first)
    assert (status.state, status.pid) == ("done", worker), status
    # Its own end looks through the queue: the next run is started by the worker that has done.
    for folder in (second, third):
        assert wait_for_end(folder).state == "done"
    again = start()
    for folder in (first, second, third):
        asyncio.run(says(again.url, folder, "Finished."))
    for folder in (first, second, third):
        assert starts(folder) == 1
        assert runs.load_run(folder).evaluation is not None
        wait_until_gone(read_status(folder).pid)


def test_two_servers_on_one_home_have_one_queue_and_start_no_run_twice(start):
    servers, old = [start(), start()], [stopped_run(), stopped_run(replace(SHORT, seed=1))]

    async def from_both():
        pressed = [run_again(server.url, folder, times=2) for server, folder in zip(servers, old, strict=True)]
        return [folder for found in await asyncio.gather(*pressed) for folder in found]

    folders = asyncio.run(from_both())
    assert len({*folders}) == 4

    async def watched_on_both():
        """Both look at the queue as often as pages do, until all runs have ended."""
        async with opened(servers[0].url, "runs") as left, opened(servers[1].url, "runs") as right:
            for folder in folders:
                await asyncio.to_thread(wait_for_end, folder)
            assert not left.errors + right.errors

    asyncio.run(watched_on_both())
    assert [read_status(folder).state for folder in folders] == ["done"] * 4
    assert [starts(folder) for folder in folders] == [1] * 4
    in_turn = sorted((read_status(folder) for folder in folders), key=lambda status: status.started)
    for earlier, later in itertools.pairwise(in_turn):
        assert earlier.finished <= later.started  # there is room for one
    for status in in_turn:
        wait_until_gone(status.pid)
    assert len([path for path in runs_folder().iterdir() if not path.name.startswith(".")]) == 6
