"""The state of a run as its folder tells it: one small file, replaced whole, read by any number of watchers."""

import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from yoto_core.errors import RunError
from yoto_core.files import read_json, reading, saving, write_json
from yoto_core.records import Count, Moment, Within, made
from yoto_core.store import process

State = Literal["queued", "running", "done", "stopped", "failed", "interrupted"]
Scores = tuple[tuple[str, str, float], ...]  # task, headline metric, value
Fault = Literal["", "input", "machine", "ours"]  # of a failed run: what was asked, the machine's limits, or a defect
LIVE: tuple[State, ...] = ("queued", "running")
FILE = "status.json"
STOP_FILE = "STOP"
STARTS_WITHIN = 60.0  # seconds after which a run that was never handed to the queue is taken for lost
GONE = "The process that ran it is gone."
# Where in a whole run a phase begins and ends, roughly.
PHASE_SHARES = {
    "reading": (0.0, 0.03), "preparing": (0.03, 0.05), "training": (0.05, 0.2), "scoring": (0.2, 0.6),
    "saving": (0.6, 0.61), "mapping": (0.61, 0.7), "stability": (0.7, 1.0),
}  # fmt: skip


@dataclass(frozen=True)
class Status:
    """Where a run stands. Times are seconds since 1970; `eta` is seconds left in this phase, where known."""

    state: State = "queued"
    phase: str = ""
    done: Count = 0
    total: Count = 0
    message: str = ""
    hint: str = ""
    fault: Fault = ""  # empty too in runs of earlier versions
    eta: float | None = None
    created: Moment = 0.0
    submitted: Moment | None = None  # when it was handed to the queue
    started: Moment | None = None
    finished: Moment | None = None
    heartbeat: Moment = 0.0
    pid: Annotated[int, Within(1, 2**31)] | None = None
    process_started: float | None = None  # of runs of earlier versions
    identity: str | None = None  # tells the process from a later one with the same pid
    memory_kills: int | None = None  # of the whole system when the run began
    has_panel: bool = False
    scores: Scores = ()  # of the panel on held-out cells

    @property
    def live(self) -> bool:
        """Whether it may still change."""
        return self.state in LIVE

    @property
    def waiting(self) -> bool:
        """Whether it stands in the queue."""
        return self.state == "queued" and self.submitted is not None

    @property
    def share(self) -> float:
        """Roughly how much of the whole run is over, 0 to 1; it never falls from one phase to the next."""
        if not self.live:
            return 1.0
        first, last = PHASE_SHARES.get(self.phase, (0.0, 0.0))
        return first + (last - first) * (min(1.0, self.done / self.total) if self.total else 0.0)


def queued() -> Status:
    """The status of a run that was just created."""
    now = time.time()
    return Status(created=now, heartbeat=now, message="Waiting to start")


def of_process(status: Status, pid: int) -> Status:
    """The status of a run that this process has begun to work on."""
    return replace(
        status,
        state="running",
        started=time.time(),
        finished=None,
        pid=pid,
        process_started=None,
        identity=process.identity(pid),
        memory_kills=process.memory_kills(),
        message="Starting",
        hint="",
        fault="",
    )


def of_this_process(status: Status) -> Status:
    """The status as the process that works on the run first writes it."""
    return of_process(status, os.getpid())


def read_status(folder: Path) -> Status:
    """The status now; a running run whose process is gone is interrupted, or stopped where that was asked for."""
    status = last_word(folder)
    if status.state == "running" and not has_process(status):
        # It may have ended between the two looks: believe the file it left last.
        status = last_word(folder)
        if status.state == "running":
            return lost(folder, status)
    if status.state == "queued" and status.submitted is None and time.time() - status.heartbeat > STARTS_WITHIN:
        return replace(
            status,
            state="interrupted",
            message="It never started.",
            hint="The log may say why. Run it again from the same design.",
        )
    return status


def last_word(folder: Path) -> Status:
    """The status file as it stands, whether or not its process is still there."""
    values = read_json(folder / FILE)
    with reading(FILE):
        values.pop("score", None)  # of runs of earlier versions: a mean over tasks that mixed metrics
        return made(Status, values)


def has_process(status: Status) -> bool:
    """Whether the process of a running run is still there."""
    return process.alive(status.pid, status.identity, status.process_started)


def lost(folder: Path, status: Status, exit_code: int | None = None) -> Status:
    """The status of a run whose process went without a last word: stopped where that was asked for, else interrupted.

    An interrupted run says the most likely reason.
    """
    ended = replace(status, eta=None, finished=status.heartbeat or None)
    if stop_asked(folder):
        return replace(ended, state="stopped", message=stopped_message(folder, status), hint="")
    ending = process.why_gone(status.identity, status.memory_kills, exit_code)
    return replace(ended, state="interrupted", message=f"{GONE} {ending.reason}", hint=ending.hint)


def stopped_message(folder: Path, status: Status) -> str:
    """What a stopped run says: that it was asked to, and what it leaves behind."""
    if not status.has_panel:
        kept = "No panel was chosen yet."
    elif (folder / "metrics.json").exists():
        kept = "The panel and its scores are kept; maps and stability may be missing."
    else:
        kept = "The panel is kept; its scores are not complete."
    return f"Stopped on request. {kept}"


def write_status(folder: Path, status: Status) -> None:
    """Replace the status whole; on a full disk, where that cannot be done, in place."""
    content = asdict(replace(status, heartbeat=time.time()))
    try:
        write_json(folder / FILE, content, lasting=not status.live)
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
