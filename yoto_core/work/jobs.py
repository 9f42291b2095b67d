"""Start and stop runs as processes of their own, so that no browser tab and no server restart can lose one."""

import contextlib
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil

from yoto_core.errors import RunError
from yoto_core.files import PROJECT, append_to, home, locked, saving
from yoto_core.store.labels import refuse_strangers
from yoto_core.store.status import (
    Status,
    ask_to_stop,
    has_process,
    last_word,
    lost,
    of_process,
    read_status,
    write_status,
)

GRACE = 3.0  # seconds in which a worker that was asked to end does so, twice what it allows itself
LAST_GRACE = 1.0  # seconds in which it does so once it was told to terminate


def launch(folder: Path) -> int:
    """Start the worker of a run at once, whatever the queue says, and return its process id."""
    with locked(folder.parent):
        return start(folder, then=settle)


def start(folder: Path, *, then: Callable[[Path, int], None]) -> int:
    """Start the worker and write that it runs; the caller holds the lock, which the worker waits for.

    `then` is called with the folder and the exit code when the process has ended, if this process still lives.
    """
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1", "YOTO_HOME": str(home())}
    with saving(), append_to(folder / "log.txt") as log, _holding_back(signal.SIGTERM):
        process = subprocess.Popen(
            [sys.executable, "-m", "yoto_core.worker", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment,
            cwd=PROJECT,
        )
    with contextlib.suppress(RunError):  # what is wrong with the folder, the worker says in the log
        write_status(folder, of_process(last_word(folder), process.pid))
    # Take note of its end, so that no zombie is left and the reason is known.
    threading.Thread(target=lambda: then(folder, process.wait()), daemon=True).start()
    return process.pid


def settle(folder: Path, exit_code: int | None = None) -> None:
    """Write down how a run ended, and why, where its process went without a last word."""
    with contextlib.suppress(RunError), locked(folder.parent, within=math.inf):
        status = last_word(folder)
        gone = status.state == "running" and not has_process(status)
        if gone or (status.state == "interrupted" and exit_code is not None and status.pid is not None):
            write_status(folder, lost(folder, status, exit_code))


def stop(folder: Path, *, owner: str | None = None) -> None:
    """End a run: one that waits, here; one that works ends itself within two seconds, or is made to soon after.

    RunError where it is not this owner's to end (`labels.may_change`).
    """
    refuse_strangers(folder, owner)
    with locked(folder.parent):
        status = read_status(folder)
        if status.state == "queued":
            write_status(folder, replace(status, state="stopped", message="Stopped before it started.", hint=""))
        elif status.state == "running":
            ask_to_stop(folder)
            threading.Thread(target=_see_it_end, args=(status,), daemon=True).start()


def _see_it_end(status: Status) -> None:
    """End the process of a run that does not answer: first by request, then by force."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(status.pid)
        for grace, end in ((GRACE, process.terminate), (LAST_GRACE, process.kill)):
            deadline = time.monotonic() + grace
            while time.monotonic() < deadline:
                if not has_process(status):
                    return
                time.sleep(0.05)
            end()


@contextlib.contextmanager
def _holding_back(number: signal.Signals) -> Iterator[None]:
    """A process started here gets this signal only when it is ready for it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
