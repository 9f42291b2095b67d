"""The state of a run as its folder tells it: one small file, replaced whole, read by any number of watchers."""

import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import psutil

from yoto_core.errors import RunError
from yoto_core.folders import read_json, reading, saving, write_json

State = Literal["queued", "running", "done", "stopped", "failed", "interrupted"]
LIVE: tuple[State, ...] = ("queued", "running")
FILE = "status.json"
STOP_FILE = "STOP"
STARTS_WITHIN = 60.0  # seconds after which a run that says nothing is taken for lost


@dataclass(frozen=True)
class Status:
    """Where a run stands. Times are seconds since 1970; `eta` is seconds left in this phase, where known."""

    state: State = "queued"
    phase: str = ""
    done: int = 0
    total: int = 0
    message: str = ""
    hint: str = ""
    eta: float | None = None
    created: float = 0.0
    started: float | None = None
    finished: float | None = None
    heartbeat: float = 0.0
    pid: int | None = None
    process_started: float | None = None  # tells a process from a later one with the same pid
    has_panel: bool = False

    @property
    def live(self) -> bool:
        """Whether it may still change."""
        return self.state in LIVE


def queued() -> Status:
    """The status of a run that was just created."""
    now = time.time()
    return Status(created=now, heartbeat=now, message="Waiting to start")


def of_this_process(status: Status) -> Status:
    """The status as the process that works on the run first writes it."""
    now = time.time()
    started = psutil.Process().create_time()
    return replace(
        status,
        state="running",
        started=now,
        heartbeat=now,
        pid=os.getpid(),
        process_started=started,
        message="Starting",
    )


def read_status(folder: Path) -> Status:
    """The status now; a running run whose process is gone is interrupted."""
    status = _last_word(folder)
    if status.state == "running" and not _alive(status):
        # It may have ended between the two looks: believe the file it left last.
        status = _last_word(folder)
        if status.state == "running":
            return replace(
                status,
                state="interrupted",
                message="The process that ran it is gone.",
                hint="It was killed or the machine went down. Run it again from the same design.",
            )
    if status.state == "queued" and time.time() - status.heartbeat > STARTS_WITHIN:
        return replace(
            status,
            state="interrupted",
            message="It never started.",
            hint="The log may say why. Run it again from the same design.",
        )
    return status


def write_status(folder: Path, status: Status) -> None:
    """Replace the status whole; on a full disk, where that cannot be done, in place."""
    content = asdict(replace(status, heartbeat=time.time()))
    try:
        write_json(folder / FILE, content)
    except RunError:
        with saving(), (folder / FILE).open("r+", encoding="utf-8") as file:
            file.write(json.dumps(content))
            file.truncate()


def stop_asked(folder: Path) -> bool:
    """Whether somebody asked the run to end."""
    return (folder / STOP_FILE).exists()


def ask_to_stop(folder: Path) -> None:
    """Ask the run to end at its next step."""
    (folder / STOP_FILE).touch()


def _last_word(folder: Path) -> Status:
    values = read_json(folder / FILE)
    with reading(FILE):
        return Status(**values)


def _alive(status: Status) -> bool:
    if status.pid is None:
        return False
    try:
        process = psutil.Process(status.pid)
        same = status.process_started is None or abs(process.create_time() - status.process_started) < 1.0
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
