"""A shell command that is ended from outside: by the keyboard, by another program, by a closed terminal, or by force."""

import os
import pty
import signal
import subprocess
import sys
import termios

import psutil
import pytest

from tests.shared_runs import PATIENCE, toy_on_disk, wait_for, wait_for_end, wait_until_gone
from yoto_core.files import PROJECT
from yoto_core.store import runs
from yoto_core.store.folders import runs_folder
from yoto_core.store.status import read_status
from yoto_core.work import queue

# Long enough to be ended in the middle.
SELECT = (
    "select", str(toy_on_disk()), "--task", "condition", "--panel-size", "4", "--set", "training.steps=3000",
    "--set", "training.replicas=2", "--set", "evaluation.maps=no", "--set", "evaluation.stability=no",
)  # fmt: skip
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
each_way = pytest.mark.parametrize(("how", "code"), CODES.items(), ids=[way.name for way in CODES])


def shell(*arguments, **options):
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.Popen([sys.executable, "-m", "yoto_core", *arguments], cwd=PROJECT, **options)


def the_run(said):
    """The folder of the only run, once it has said its first word and is in the middle of its training."""
    assert said
    (folder,) = runs_folder().iterdir()
    wait_for(folder, lambda status: status.phase == "training" and status.done > 1)
    return folder


def whole(folder):
    """Nothing half written, and no process that still works on it."""
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
    return not psutil.pid_exists(read_status(folder).pid)


@each_way
def test_a_selection_ended_in_the_middle_is_a_stopped_run(how, code):
    child = shell(*SELECT)
    folder = the_run(child.stderr.readline())
    child.send_signal(how)
    out, err = child.communicate(timeout=PATIENCE)
    assert (child.returncode, out) == (code, ""), err
    assert err.splitlines()[-1] == f"yoto: Stopped on request. No panel was chosen yet. {folder}"
    assert "Traceback" not in err
    assert read_status(folder).state == "stopped"
    assert whole(folder)
    queue.resume(folder)
    assert wait_for_end(folder).state == "done"


def test_a_selection_whose_terminal_is_closed_is_a_stopped_run():
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(PROJECT)
        termios.tcsetwinsize(0, (24, 80))  # a terminal without a width is shown no bar
        # Not over before it was looked at, however quick the machine.
        os.execv(sys.executable, [sys.executable, "-m", "yoto_core", *SELECT, "--set", "training.steps=100000"])
    folder = the_run(os.read(terminal, 1))
    os.close(terminal)  # what it says from now on goes nowhere
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == CODES[signal.SIGHUP]
    assert read_status(folder).message == "Stopped on request. No panel was chosen yet."
    assert whole(folder)


def test_a_selection_that_shall_outlive_its_terminal_does_not_hear_that_it_is_closed():
    child = shell(*SELECT, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))  # as `nohup` does
    folder = the_run(child.stderr.readline())
    child.send_signal(signal.SIGHUP)
    out, err = child.communicate(timeout=PATIENCE)
    assert (child.returncode, read_status(folder).state) == (0, "done"), err
    assert f"Run folder: {folder}" in out


def test_a_selection_killed_in_the_middle_is_interrupted_can_be_read_and_is_resumed_through_the_queue(capfd):
    child = shell(*SELECT)
    folder = the_run(child.stderr.readline())
    child.kill()
    child.communicate()
    listed = shell("list", stderr=None).communicate(timeout=PATIENCE)[0]
    assert "interrupted" in listed
    assert folder.name in listed
    shown = shell("show", folder.name).communicate(timeout=PATIENCE)
    assert shown[0].startswith("interrupted: The process that ran it is gone. It was killed or the machine went down.")
    assert shown[1] == ""
    assert len(runs.read_history(folder)) >= 1
    queue.resume(folder)
    status = wait_for_end(folder)
    assert (status.state, bool(status.scores)) == ("done", True), status
    wait_until_gone(status.pid)
    assert runs.load_run(folder).evaluation is not None


@each_way
def test_a_command_that_is_ended_leaves_no_half_of_a_file(how, code, tmp_path):
    # A module that writing needs stops the command while the file is being written.
    (tmp_path / "stop_here.py").write_text(
        "import os, yoto_core.__main__ as shell, yoto_core.files as files\n"
        "def half(part):\n"
        f"    part.write_text('half'); os.kill(os.getpid(), {int(how)}); import time; time.sleep({PATIENCE})\n"
        "shell._list = lambda options: files.write_whole(__import__('pathlib').Path('out.csv'), half)\n"
        "raise SystemExit(shell.run(['list']))\n"
    )
    child = subprocess.Popen(
        [sys.executable, "stop_here.py"], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
    )  # fmt: skip
    assert child.communicate(timeout=PATIENCE)[1] == "yoto: stopped.\n"
    assert child.returncode == code
    assert [path.name for path in tmp_path.iterdir()] == ["stop_here.py"]


@each_way
def test_a_request_during_the_start_is_answered_at_once(how, code, tmp_path):
    (tmp_path / "tqdm.py").write_text(
        f"import os\nos.kill(os.getpid(), {int(how)})\nimport time\ntime.sleep({PATIENCE})\n"
    )
    child = shell("list", env=os.environ | {"PYTHONPATH": str(tmp_path)})
    assert child.communicate()[1] == "yoto: stopped.\n"
    assert child.returncode == code
