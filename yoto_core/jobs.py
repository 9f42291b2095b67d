"""Start and stop runs as processes of their own, so that no browser tab and no server restart can lose one."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import psutil

from yoto_core.folders import saving
from yoto_core.status import ask_to_stop, read_status

PROJECT = Path(__file__).resolve().parent.parent
GRACE = 1.5  # seconds to end by itself before it is told to terminate


def launch(folder: Path) -> int:
    """Start the worker for a queued run and return its process id."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1"}
    with saving(), (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "yoto_core.worker", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment,
            cwd=PROJECT,
        )
    threading.Thread(target=process.wait, daemon=True).start()  # take note of its end, so that no zombie is left
    return process.pid


def stop(folder: Path) -> None:
    """Ask a run to end; the worker answers between two steps."""
    ask_to_stop(folder)


def terminate(folder: Path) -> None:
    """End a run that does not answer: first by request, then by force."""
    status = read_status(folder)
    if status.state != "running" or status.pid is None:
        return
    try:
        process = psutil.Process(status.pid)
        process.terminate()
        process.wait(GRACE)
    except psutil.TimeoutExpired:
        process.kill()
    except psutil.NoSuchProcess:
        return
