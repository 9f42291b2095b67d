"""Who starts when: room, turns between users, positions, stops, and a queue that needs no keeper."""

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.shared_runs import CONDITION, config_for, toy_dataset, toy_on_disk, wait_for, wait_for_end, wait_until_gone
from yoto_core.errors import PlaceError, RunError
from yoto_core.files import locked
from yoto_core.store import labels, runs
from yoto_core.store.folders import runs_folder
from yoto_core.store.labels import Label
from yoto_core.store.status import (
    Status,
    ask_to_stop,
    last_word,
    of_this_process,
    read_status,
    stop_asked,
    write_status,
)
from yoto_core.work import jobs, queue

PROJECT = Path(__file__).resolve().parent.parent


def new_run(owner="", **changes):
    folder = runs.create_run(
        config_for(CONDITION, panel_size=3), data_path=toy_on_disk(), data_name="toy",
        data_digest=toy_dataset().digest, label=Label(owner=owner),
    )  # fmt: skip
    if changes:
        write_status(folder, replace(last_word(folder), **changes))
    return folder


@pytest.fixture
def started(monkeypatch):
    """Runs that the queue starts, without a process: they are worked on by this one."""
    found = []

    def start(folder, *, then):
        found.append(folder)
        write_status(folder, of_this_process(last_word(folder)))
        return os.getpid()

    monkeypatch.setattr(jobs, "start", start)
    return found


@pytest.fixture
def _one_at_once(monkeypatch):
    monkeypatch.setenv("YOTO_MAX_RUNS", "1")


def end(folder):
    write_status(folder, replace(last_word(folder), state="done"))


@pytest.mark.parametrize(
    ("asked", "processors", "room"),
    [("", 2, 1), ("", 1, 1), ("", 8, 4), ("3", 2, 3), ("0", 4, 2), ("many", 4, 2), ("-1", 4, 2)],
)
def test_room_is_what_is_asked_for_or_one_run_per_two_processors(asked, processors, room, monkeypatch):
    monkeypatch.setenv("YOTO_MAX_RUNS", asked)
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    assert queue.max_runs() == room


@pytest.mark.usefixtures("_one_at_once")
def test_runs_start_in_the_order_they_came(started):
    folders = [new_run() for _ in range(3)]
    queue.submit(*folders)
    assert started == folders[:1]
    assert [queue.position(folder) for folder in folders] == [None, 1, 2]
    end(folders[0])
    queue.tend()
    assert started == folders[:2]
    assert [queue.position(folder) for folder in folders] == [None, None, 1]


def test_as_many_work_at_once_as_there_is_room(started, monkeypatch):
    monkeypatch.setenv("YOTO_MAX_RUNS", "2")
    folders = [new_run() for _ in range(4)]
    queue.submit(*folders)
    assert started == folders[:2]


@pytest.mark.usefixtures("_one_at_once")
def test_users_take_turns(started):
    many = [new_run("anna") for _ in range(4)]
    queue.submit(*many)
    few = [new_run("bert") for _ in range(2)]
    queue.submit(*few)
    order = [*started]
    for _ in range(5):
        end(order[-1])
        queue.tend()
        order.append(started[-1])
    assert order == [many[0], few[0], many[1], few[1], many[2], many[3]]


@pytest.mark.usefixtures("_one_at_once")
def test_a_run_that_was_only_created_is_not_started(started):
    new_run()
    queue.tend()
    assert started == []


@pytest.mark.usefixtures("_one_at_once", "started")
def test_a_run_that_waits_can_wait_for_days():
    queue.submit(first := new_run(), second := new_run())
    write_status(second, replace(last_word(second), submitted=1.0, created=1.0))
    assert read_status(first).state == "running"
    assert read_status(second).state == "queued"


@pytest.mark.usefixtures("_one_at_once")
def test_a_run_that_waits_is_stopped_at_once_and_leaves_the_queue(started):
    queue.submit(first := new_run(), second := new_run(), third := new_run())
    jobs.stop(second)
    assert (read_status(second).state, read_status(second).message) == ("stopped", "Stopped before it started.")
    end(first)
    queue.tend()
    assert started == [first, third]


@pytest.mark.usefixtures("_one_at_once")
def test_a_lost_run_makes_room_and_is_written_down(started):
    lost = new_run(state="running", pid=2**22 + 1, identity="another boot 1")
    queue.submit(waiting := new_run())
    assert last_word(lost).state == "interrupted"
    assert "The machine was restarted." in last_word(lost).message
    assert started == [waiting]


@pytest.mark.usefixtures("_one_at_once", "started")
def test_a_run_that_ended_early_can_be_resumed_and_a_finished_one_cannot():
    folder = new_run(state="stopped", has_panel=True, message="Stopped on request.")
    ask_to_stop(folder)
    queue.resume(folder)
    status = read_status(folder)
    assert (status.state, status.has_panel) == ("running", True)
    assert not stop_asked(folder)
    with pytest.raises(RunError, match="The run is not one that ended early"):
        queue.resume(folder)
    with pytest.raises(RunError, match="The run is not one that ended early"):
        queue.resume(new_run(state="done"))


@pytest.mark.usefixtures("_one_at_once")
def test_a_run_that_cannot_be_started_fails_with_the_reason_and_the_next_one_starts(monkeypatch):
    def refuse(folder, *, then):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(jobs, "start", refuse)
    queue.submit(folder := new_run())
    status = read_status(folder)
    assert status.state == "failed"
    assert status.message == "It could not be started. Cannot allocate memory"


@pytest.mark.usefixtures("_one_at_once")
def test_a_machine_that_cannot_start_runs_now_does_not_fail_all_that_wait_at_once(monkeypatch):
    def refuse(folder, *, then):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(jobs, "start", refuse)
    queue.submit(first := new_run(), second := new_run())
    assert [read_status(folder).state for folder in (first, second)] == ["failed", "queued"]


@pytest.mark.usefixtures("_one_at_once")
def test_many_who_look_at_once_start_one_run(started):
    queue.submit(*(new_run() for _ in range(5)))
    threads = [threading.Thread(target=queue.tend) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 1


def test_the_lock_keeps_out_other_threads():
    runs_folder().mkdir(parents=True)
    inside = []

    def look():
        with locked(runs_folder()):
            inside.append(time.monotonic())

    with locked(runs_folder()):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join(0.1)
        assert inside == []
    thread.join()
    assert len(inside) == 1


@pytest.mark.usefixtures("started")
def test_a_status_that_cannot_be_read_does_not_hold_up_the_queue():
    folder = new_run()
    (folder / "status.json").write_text("{")
    queue.submit(other := new_run())
    assert read_status(other).state == "running"


def test_nothing_waits_where_there_are_no_runs():
    queue.tend()
    assert queue.live_jobs() == []


@pytest.mark.usefixtures("_one_at_once")
def test_a_worker_that_ends_starts_the_next_although_the_server_is_killed():
    first, second = new_run(), new_run()
    code = f"import os, signal; from pathlib import Path; from yoto_core.work import queue; queue.submit(Path({str(first)!r}), Path({str(second)!r}));"
    subprocess.run([sys.executable, "-c", f"{code} os.kill(os.getpid(), signal.SIGKILL)"], cwd=PROJECT, check=False)
    for folder in (first, second):
        wait_for(folder, lambda status: status.state != "queued")
        status = wait_for_end(folder)
        assert status.state == "done", status
        wait_until_gone(status.pid)
    assert read_status(first).finished <= read_status(second).started


def test_old_status_files_can_still_be_read(tmp_path):
    assert Status(state="running", process_started=1.0).identity is None


def refuse_to_write(folder, monkeypatch):
    """No status can be written into this folder."""

    def refuse(at, status):
        if at == folder:
            raise PlaceError(f"{folder} cannot be written (Permission denied).", hint="Choose another.")
        write_status(at, status)

    monkeypatch.setattr(queue, "write_status", refuse)


@pytest.mark.usefixtures("_one_at_once")
def test_a_lost_run_whose_folder_cannot_be_written_keeps_no_other_waiting(started, monkeypatch):
    lost, waiting = new_run(state="running", pid=2**30, started=1.0), new_run()
    refuse_to_write(lost, monkeypatch)
    queue.submit(waiting)
    assert started == [waiting]
    assert read_status(lost).state == "interrupted"


@pytest.mark.usefixtures("_one_at_once")
def test_a_run_that_can_neither_start_nor_say_so_lets_the_next_one_start(started, monkeypatch):
    first, second = new_run(submitted=1.0), new_run(submitted=2.0)
    refuse_to_write(first, monkeypatch)
    start = jobs.start

    def refuse(folder, *, then):
        if folder == first:
            raise PlaceError(f"{folder} cannot be written (Permission denied).", hint="Choose another.")
        return start(folder, then=then)

    monkeypatch.setattr(jobs, "start", refuse)
    queue.tend(first.parent)
    assert started == [second]


def test_a_label_that_changes_is_read_again_by_the_queue():
    folder = new_run(owner="anna", submitted=1.0)
    label = (folder / labels.FILE).read_bytes()
    (folder / labels.FILE).write_bytes(b"[")
    assert [job.owner for job in queue.all_jobs()] == [""]
    (folder / labels.FILE).write_bytes(label)
    assert [job.owner for job in queue.all_jobs()] == ["anna"]


@pytest.mark.usefixtures("_one_at_once")
def test_a_run_whose_log_is_no_file_fails_with_the_reason_and_touches_nothing_else(tmp_path):
    (elsewhere := tmp_path / "elsewhere.txt").write_text("as it was")
    piped, linked = new_run(), new_run()
    os.mkfifo(piped / "log.txt")
    (linked / "log.txt").symlink_to(elsewhere)
    queue.submit(piped, linked)
    queue.tend()  # the next has its turn
    for folder, reason in ((piped, "No such device or address"), (linked, "Too many levels of symbolic links")):
        status = read_status(folder)
        assert status.message == f"It could not be started. {folder} cannot be written ({reason})."
        assert status.state == "failed"
    assert elsewhere.read_text() == "as it was"
