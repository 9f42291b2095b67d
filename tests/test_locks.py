"""Nobody waits for ever: whoever holds the lock of the runs folder may be stopped, and pages and the queue go on."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from tests.shared_app import app, fine, go, messages, visited_server
from tests.shared_runs import CONDITION, PATIENCE, config_for, finished, save, toy_dataset, toy_on_disk, wait_for_end
from yoto_core import files
from yoto_core.errors import HeldError
from yoto_core.files import PROJECT, locked
from yoto_core.store import runs
from yoto_core.store.folders import runs_folder
from yoto_core.store.history import delete_run
from yoto_core.store.status import last_word, read_status, write_status
from yoto_core.work import jobs, queue
from yoto_core.worker import carry_out

HELD = r"runs is held by another process\. Try again; if it stays so, a worker hangs: end it, or restart the machine\.$"
HOLD = (
    "import sys; from pathlib import Path; from yoto_core.files import locked\n"
    "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
)


@pytest.fixture(autouse=True)
def _visited(monkeypatch):
    visited_server(monkeypatch)


@contextlib.contextmanager
def held_by_a_stopped_process(folder):
    """Another process takes the lock and is stopped (SIGSTOP) while it holds it."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, folder], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        os.kill(holder.pid, signal.SIGSTOP)
        yield holder
    finally:
        os.kill(holder.pid, signal.SIGCONT)
        holder.communicate()


@pytest.fixture
def _no_patience(monkeypatch):
    monkeypatch.setattr(files, "LOCK_WITHIN", 0.05)


def new_run(**changes):
    folder = runs.create_run(
        config_for(CONDITION, panel_size=3), data_path=toy_on_disk(), data_name="toy", data_digest=toy_dataset().digest
    )
    write_status(folder, replace(last_word(folder), **changes))
    return folder


@pytest.mark.usefixtures("_no_patience")
@pytest.mark.parametrize(
    "act",
    [queue.submit, queue.resume, jobs.stop, jobs.launch, delete_run],
    ids=lambda act: act.__name__,
)
def test_what_a_user_asks_for_is_refused_in_one_sentence_while_the_lock_is_held(act):
    folder = new_run(state="stopped")
    before = (folder / "status.json").read_bytes()
    with held_by_a_stopped_process(runs_folder()), pytest.raises(HeldError, match=HELD):
        act(folder)
    assert (folder / "status.json").read_bytes() == before
    with locked(runs_folder()):
        pass


@pytest.mark.usefixtures("_no_patience")
def test_every_page_stands_while_the_lock_is_held_and_what_waits_starts_at_the_next_look():
    done = save(finished())
    waiting = new_run(state="queued", submitted=1.0)
    with held_by_a_stopped_process(runs_folder()):
        at = app(run=done.name)
        for page in ("Train", "Panel", "Metrics", "Runs", "Data", "Design"):
            fine(go(at, page))
            assert not [said for said in messages(at) if "held" in said]
        assert read_status(waiting).state == "queued"
    fine(go(at, "Runs"))
    assert wait_for_end(waiting).state == "done"


def test_a_worker_waits_for_the_lock_for_as_long_as_it_takes(monkeypatch):
    monkeypatch.setattr(files, "LOCK_WITHIN", 0.0)
    folder, flock, asked, ends = new_run(), fcntl.flock, threading.Event(), []

    def noticed(descriptor, how):
        asked.set()
        flock(descriptor, how)

    with locked(folder.parent):
        monkeypatch.setattr(fcntl, "flock", noticed)
        worker = threading.Thread(target=lambda: ends.append(carry_out(folder).state))
        worker.start()
        assert asked.wait(PATIENCE)
        assert read_status(folder).state == "queued"
    worker.join()
    assert ends == ["done"]
