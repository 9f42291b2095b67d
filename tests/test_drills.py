"""Drills: what is killed, filled up, crowded or set back in time loses nothing and claims nothing."""

import contextlib
import itertools
import json
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from tests.shared_app import app, go, visited_server
from tests.shared_runs import (
    CONDITION,
    LIGHT,
    PATIENCE,
    config_for,
    toy_dataset,
    toy_on_disk,
    wait_for,
    wait_for_end,
    wait_until_gone,
)
from yoto_core import pipeline
from yoto_core.config import EvaluationConfig, TrainingConfig
from yoto_core.files import home, part_of, parts_of
from yoto_core.model import checkpoint
from yoto_core.store import process, runs
from yoto_core.store.folders import runs_folder
from yoto_core.store.history import history, history_table, leftovers, sweep_leftovers
from yoto_core.store.labels import Label, read_label
from yoto_core.store.status import ask_to_stop, last_word, of_this_process, queued, read_status, write_status
from yoto_core.work import jobs, queue
from yoto_core.worker import NICENESS, carry_out

PROJECT = Path(__file__).resolve().parent.parent
KILLS = 20
# Long enough to be killed in the middle, small enough for twenty beginnings.
CONFIG = config_for(
    CONDITION,
    panel_size=4,
    training=TrainingConfig(steps=300, fit_steps=200, replicas=2, batch_size=64),
    evaluation=EvaluationConfig(random_panels=1, bootstrap=50, maps="no"),
)


def new_run(config=CONFIG, **label):
    return runs.create_run(
        config, data_path=toy_on_disk(), data_name="toy", data_digest=toy_dataset().digest, label=Label(**label)
    )


@pytest.fixture(scope="module")
def forks():
    """Processes that begin with everything loaded, so that twenty of them cost little."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["yoto_core.pipeline", "yoto_core.explore.embedding", "yoto_core.worker", "tests.test_drills"]
    )
    return context


def work(folder, home):
    os.environ["YOTO_HOME"] = home
    checkpoint.EVERY = 0.02
    carry_out(Path(folder))


def test_a_worker_killed_again_and_again_is_always_interrupted_and_ends_with_the_same_panel(forks):
    wanted = pipeline.choose_panel(toy_dataset(), CONFIG).run
    chance, folder, killed = random.Random(4), new_run(), 0
    while killed < KILLS:
        child = forks.Process(target=work, args=(str(folder), os.environ["YOTO_HOME"]))
        child.start()
        wait_for(folder, lambda status, pid=child.pid: status.pid == pid or not psutil.pid_exists(pid))
        child.join(chance.uniform(0.0, 0.6))
        child.kill()
        child.join()
        status = read_status(folder)
        if status.state == "done":  # it was quicker than the kill: begin another
            assert runs.load_run(folder).evaluation is not None
            folder = new_run()
            continue
        killed += 1
        assert status.state == "interrupted"
        assert status.message.startswith("The process that ran it is gone.")
        if status.has_panel:
            assert runs.load_run(folder).panel == wanted.panel
    status = carry_out(folder)
    assert status.state == "done", status
    found = runs.load_run(folder)
    assert found.panel == wanted.panel
    for name, tensor in wanted.model.tensors.items():
        np.testing.assert_array_equal(found.model.tensors[name].numpy(), tensor.numpy())
    assert list(found.history["step"]) == list(wanted.history["step"])
    sweep_leftovers()
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
    assert not (folder / checkpoint.FILE).exists()


def test_a_killed_run_is_resumed_through_the_queue():
    folder = new_run()
    queue.submit(folder)
    wait_for(folder, lambda status: status.phase == "training")
    os.kill(read_status(folder).pid, signal.SIGKILL)
    status = wait_for(folder, lambda status: "SIGKILL" in status.message)
    assert status.state == "interrupted"
    queue.resume(folder)
    status = wait_for_end(folder)
    assert (status.state, bool(status.scores)) == ("done", True), status
    wait_until_gone(status.pid)
    assert runs.load_run(folder).panel == pipeline.choose_panel(toy_dataset(), CONFIG).run.panel


def test_a_killed_server_takes_no_run_with_it():
    folder = new_run()
    code = "import sys, time; from pathlib import Path; from yoto_core.work import queue; queue.submit(Path(sys.argv[1])); time.sleep(600)"
    server = subprocess.Popen([sys.executable, "-c", code, str(folder)], cwd=PROJECT, start_new_session=True)
    worker = wait_for(folder, lambda status: bool(status.phase)).pid
    os.killpg(server.pid, signal.SIGKILL)  # the whole group, as a terminal that is closed would
    server.wait()
    assert psutil.pid_exists(worker)
    assert read_status(folder).state == "running"
    assert wait_for_end(folder).state == "done"
    wait_until_gone(worker)
    assert runs.load_run(folder).evaluation is not None


def test_a_full_disk_fails_the_run_and_leaves_earlier_ones_untouched(tmp_path, monkeypatch):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "yoto", small], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        monkeypatch.setenv("YOTO_HOME", str(small / "home"))
        earlier = new_run()
        assert carry_out(earlier).state == "done"
        before = {path.name: path.read_bytes() for path in earlier.iterdir()}
        folder = new_run()
        with (small / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(4096))
        status = carry_out(folder)
        assert (status.state, status.hint) == ("failed", "Free some space, then run again.")
        assert status.message.endswith(" is full.")
        assert {path.name: path.read_bytes() for path in earlier.iterdir()} == before
        assert runs.load_run(earlier).evaluation is not None
        (small / "filler").unlink()
        assert carry_out(folder).state == "done"
    finally:
        subprocess.run(["umount", small], check=True)


def test_two_users_who_start_at_once_get_two_runs_without_cross_talk(monkeypatch):
    monkeypatch.setenv("YOTO_MAX_RUNS", "2")
    configs = [CONFIG, replace(CONFIG, seed=1)]
    folders = [new_run(config, owner=name) for config, name in zip(configs, ("anna", "bert"), strict=True)]
    code = "import sys; from pathlib import Path; from yoto_core.work import queue; queue.submit(Path(sys.argv[1]))"
    users = [subprocess.Popen([sys.executable, "-c", code, str(folder)], cwd=PROJECT) for folder in folders]
    assert [user.wait() for user in users] == [0, 0]
    ends = [wait_for(folder, lambda status: status.state not in ("queued", "running")) for folder in folders]
    assert [status.state for status in ends] == ["done", "done"]
    assert ends[0].pid != ends[1].pid
    for status in ends:
        wait_until_gone(status.pid)
    for folder, config, name in zip(folders, configs, ("anna", "bert"), strict=True):
        assert runs.load_run(folder).panel == pipeline.choose_panel(toy_dataset(), config).run.panel
        assert read_label(folder).owner == name


@pytest.mark.parametrize("jump", [-86_400.0, -3.0, 3.0, 86_400.0, 10 * 365 * 86_400.0])
def test_a_jump_of_the_clock_is_no_interruption(jump, monkeypatch):
    folder = new_run()
    write_status(folder, of_this_process(queued()))
    now, created = time.time, psutil.Process.create_time
    monkeypatch.setattr(time, "time", lambda: now() + jump)
    # What the system says of a process's start moves with the clock, too.
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: created(self) + jump)
    assert read_status(folder).state == "running"
    queue.tend()
    assert last_word(folder).state == "running"


def test_a_stale_heartbeat_is_no_interruption_while_the_process_lives():
    folder = new_run()
    (folder / "status.json").write_text(json.dumps({**of_this_process(queued()).__dict__, "heartbeat": 1.0}))
    assert read_status(folder).state == "running"


def test_a_worker_that_does_not_listen_ends_all_the_same_by_itself():
    folder = new_run()
    code = (
        "import time; from pathlib import Path; from yoto_core import worker;"
        f"worker._work = lambda *_: time.sleep({PATIENCE}); worker.carry_out(Path({str(folder)!r}), own_process=True)"
    )
    child = subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT)
    wait_for(folder, lambda status: status.state == "running")
    ask_to_stop(folder)  # nobody beside it is there to end it by force
    status = wait_for_end(folder)
    assert (status.state, status.message) == ("stopped", "Stopped on request. No panel was chosen yet.")
    assert child.wait() == 0


def test_memory_that_ran_out_is_named(monkeypatch, tmp_path):
    counters = tmp_path / "vmstat"
    counters.write_text("nr_free 1\noom_kill 3\n")
    monkeypatch.setattr(process, "COUNTERS", counters)
    folder = new_run()
    write_status(folder, replace(of_this_process(queued()), pid=2**22 + 1))
    assert read_status(folder).message.endswith("It was killed or the machine went down.")
    counters.write_text("nr_free 1\noom_kill 4\n")
    status = read_status(folder)
    assert status.message == "The process that ran it is gone. The machine ran out of memory and the system ended it."
    assert "fewer cells or genes" in status.hint


def test_memory_that_torch_cannot_get_is_named(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(pipeline, "choose_panel", refuse)
    status = carry_out(new_run())
    assert (status.state, status.fault, status.message, status.hint) == (
        "failed", "machine", "The run needs more memory than this machine has.",
        "Close other programs or use fewer cells.",
    )  # fmt: skip


def test_leftovers_of_crashed_saves_are_found_and_nothing_else():
    folder = new_run()
    lost, written = folder / f".panel.csv.0a1b2c.{2**22 + 1}.part", part_of(folder / "model.json")
    earlier = folder / f".panel.csv.{2**22 + 1}.part"  # as earlier versions called them
    for path in (lost, earlier, written):
        path.write_text("half")
    young, old = runs_folder() / ".new-a", runs_folder() / ".new-b"
    deleted = runs_folder() / ".old-c"
    for path in (young, old, deleted):
        path.mkdir()
    os.utime(old, (1.0, 1.0))
    assert {leftover.path for leftover in leftovers()} == {lost, earlier, old, deleted}
    assert sweep_leftovers() == 8
    assert leftovers() == []
    assert written.exists()
    assert young.exists()


def test_unfinished_uploads_of_dead_servers_are_leftovers_at_once_and_those_of_living_ones_never():
    shelves = [home() / name for name in ("data", "models")]
    for shelf in shelves:
        shelf.mkdir(parents=True)
    dead = [shelf / f".upload.0a1b2c.{2**22 + 1}.part" for shelf in shelves]
    dead.append(shelves[0] / f".{'a' * 64}.names.json.0a1b2c.{2**22 + 1}.part")
    before = part_of(shelves[0] / "upload")  # of another process with the number of this one, before it began
    nameless_old, nameless_young = shelves[0] / ".0a.part", shelves[0] / ".0b.part"  # of an earlier version
    written, kept = part_of(shelves[0] / "upload"), shelves[0] / f"{'a' * 64}.h5ad"
    for path in (*dead, before, nameless_old, nameless_young, written, kept):
        path.write_text("half")
    for path in (before, nameless_old, kept):
        os.utime(path, (1.0, 1.0))
    assert {leftover.path for leftover in leftovers()} == {*dead, before, nameless_old}
    with ThreadPoolExecutor(4) as several:  # as servers that start together on one home
        freed = list(several.map(lambda _: sweep_leftovers(), range(4)))
    assert sum(freed) == 4 * 5
    assert leftovers() == []
    assert all(path.exists() for path in (nameless_young, written, kept))


def test_a_worker_lets_everybody_else_on_the_machine_go_first():
    folder, own = new_run(), psutil.Process().nice()
    jobs.launch(folder)
    pid = wait_for(folder, lambda status: bool(status.phase)).pid
    assert psutil.Process(pid).nice() == min(19, own + NICENESS)
    group = Path(f"/proc/{pid}/autogroup")  # by which Linux shares processors out between sessions
    if group.exists():
        assert group.read_text().endswith(f" nice {NICENESS}\n")
    jobs.stop(folder)
    wait_until_gone(pid)


def test_a_worker_that_is_held_up_is_at_work_and_silent_and_goes_on_where_it_was(monkeypatch):
    visited_server(monkeypatch)
    config = replace(CONFIG, evaluation=LIGHT)
    wanted, folder = pipeline.choose_panel(toy_dataset(), config).run.panel, new_run(config)
    jobs.launch(folder)
    pid = wait_for(folder, lambda status: status.phase == "training").pid
    os.kill(pid, signal.SIGSTOP)
    wait_for_state(pid, psutil.STATUS_STOPPED)
    # As if it had been held up for a minute and a half: it cannot write meanwhile.
    silent = json.loads((folder / "status.json").read_text())
    (folder / "status.json").write_text(json.dumps({**silent, "heartbeat": silent["heartbeat"] - 90.0}))
    queue.tend()
    assert read_status(folder).state == "running"
    at = go(app(run=folder.name), "Train")
    said = " ".join(bar.proto.text for bar in at.get("progress"))
    os.kill(pid, signal.SIGCONT)
    assert re.search(r"no word for 1 min \d+ s: the machine is busy or asleep", said), said
    assert wait_for_end(folder).state == "done"
    wait_until_gone(pid)
    assert runs.load_run(folder).panel == wanted


def test_a_worker_that_is_held_up_is_stopped_by_force():
    folder = new_run()
    jobs.launch(folder)
    pid = wait_for(folder, lambda status: status.phase == "training").pid
    os.kill(pid, signal.SIGSTOP)
    wait_for_state(pid, psutil.STATUS_STOPPED)
    jobs.stop(folder)
    status = wait_for_end(folder)
    assert (status.state, status.message) == ("stopped", "Stopped on request. No panel was chosen yet.")
    wait_until_gone(pid)
    assert sweep_leftovers() >= 0
    assert not parts_of(folder, pid)  # this process may be writing meanwhile


def wait_for_state(pid, state):
    """Wait until the system says this of a process."""
    while psutil.Process(pid).status() != state:
        os.sched_yield()


JUMPS = (-86_400.0, 10 * 365 * 86_400.0, -3.0, 86_400.0, 0.0)


def test_a_clock_that_jumps_during_a_run_makes_no_time_negative(monkeypatch):
    now, jumps, seen = time.time, itertools.cycle(JUMPS), []
    folder = new_run()

    def at_another_time(progress):
        jump = next(jumps)
        monkeypatch.setattr(time, "time", lambda: now() + jump)
        seen.append(read_status(folder))

    status = carry_out(folder, on_progress=at_another_time)
    assert status.state == "done"
    assert {one.state for one in seen} == {"running"}
    assert min(one.eta for one in seen if one.eta is not None) >= 0
    for jump in JUMPS:
        monkeypatch.setattr(time, "time", lambda jump=jump: now() + jump)
        write_status(folder, replace(status, finished=status.started + jump))
        (minutes,) = history_table(history())["minutes"]
        assert pd.isna(minutes) if jump < 0 else minutes >= 0
        assert leftovers() == []


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_jump_of_the_clock_does_not_change_the_order_of_the_queue(jump, monkeypatch):
    now = time.time
    running = new_run(owner="anna")
    write_status(running, of_this_process(queued()))
    monkeypatch.setenv("YOTO_MAX_RUNS", "1")
    first, second, third = (new_run(owner="anna") for _ in range(3))
    queue.submit(first)
    monkeypatch.setattr(time, "time", lambda: now() + jump)
    queue.submit(second)
    monkeypatch.setattr(time, "time", now)
    queue.submit(third)
    assert [queue.position(folder) for folder in (first, second, third)] == [1, 2, 3]


def test_a_user_whose_last_run_began_in_the_future_gets_a_turn(monkeypatch):
    monkeypatch.setenv("YOTO_MAX_RUNS", "1")
    for owner, begun in (("anna", time.time() + 86_400.0), ("bert", 1.0), ("bert", 2.0)):
        ended = new_run(owner=owner)
        write_status(ended, replace(queued(), state="done", started=begun, finished=begun))
    working = new_run(owner="carl")
    write_status(working, of_this_process(queued()))
    waiting = [new_run(owner="bert"), new_run(owner="anna"), new_run(owner="bert")]
    for folder in waiting:
        write_status(folder, replace(queued(), submitted=time.time()))
    assert queue.position(waiting[1]) < queue.position(waiting[2])
