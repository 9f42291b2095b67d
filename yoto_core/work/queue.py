"""The queue: runs that wait are started when there is room, first come first served and in turn between users.

Nobody keeps the queue: it is what the run folders say, decided anew under a file lock whenever a run is handed in, whenever
one ends, and whenever a page looks. Every change is written before the queue is looked through, so no wake-up is lost.
"""

import contextlib
import math
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from yoto_core.errors import HeldError, RunError
from yoto_core.files import locked
from yoto_core.store import labels
from yoto_core.store.folders import RUN_ID, runs_folder
from yoto_core.store.labels import refuse_strangers
from yoto_core.store.status import FILE, STOP_FILE, Status, has_process, last_word, lost, queued, write_status
from yoto_core.work import jobs


@dataclass(frozen=True)
class Job:
    """A run as the queue sees it: where it stands, whose it is, and the sweep it belongs to."""

    folder: Path
    status: Status
    owner: str = ""
    sweep: str = ""


def max_runs() -> int:
    """How many runs work at once: `$YOTO_MAX_RUNS`, or one per two processors."""
    asked = os.environ.get("YOTO_MAX_RUNS", "")
    return int(asked) if asked.isdecimal() and int(asked) else max(1, (os.cpu_count() or 1) // 2)


def submit(*folders: Path) -> None:
    """Hand runs in; each starts as soon as there is room."""
    runs = folders[0].parent
    with locked(runs):
        last = _last_handed_in(runs)
        for folder in folders:
            last = _hand_in(folder, last_word(folder), after=last)
    tend(runs)


def resume(folder: Path, *, owner: str | None = None) -> None:
    """Hand in a run that ended early: it goes on from its last checkpoint, or begins anew where there is none.

    RunError where it did not end early, or is not this owner's to resume (`labels.may_change`).
    """
    refuse_strangers(folder, owner)
    with locked(folder.parent):
        status = last_word(folder)
        if status.state == "done" or (status.state == "running" and has_process(status)) or status.waiting:
            raise RunError("The run is not one that ended early.", hint="Look at the run again.")
        (folder / STOP_FILE).unlink(missing_ok=True)
        asked = replace(queued(), created=status.created, has_panel=status.has_panel)
        _hand_in(folder, asked, after=_last_handed_in(folder.parent))
    tend(folder.parent)


def tend(runs: Path | None = None, *, within: float | None = None) -> None:
    """Write down which runs were lost, and start those whose turn it is.

    Where another process is at it and does not let go `within` these seconds (see `locked`), it is left to that one, and
    to the next look.
    """
    runs = runs or runs_folder()
    if not runs.is_dir() or not _something_to_do(live_jobs(runs)):
        return
    with contextlib.suppress(HeldError), locked(runs, within=within):
        working = []
        for job in (found := all_jobs(runs)):
            if job.status.state == "running":
                if has_process(job.status):
                    working.append(job)
                else:
                    _note(job.folder, lost(job.folder, job.status))
        room = max_runs() - len(working)
        for job in in_turn(found):
            if room <= 0:
                break
            room -= _start(job)


def live_jobs(runs: Path | None = None) -> list[Job]:
    """Every run that waits in the queue or whose last word is that it works."""
    return [job for job in all_jobs(runs) if job.status.waiting or job.status.state == "running"]


def all_jobs(runs: Path | None = None) -> list[Job]:
    """Every run whose status can be read."""
    runs = runs or runs_folder()
    folders = [Path(entry.path) for entry in os.scandir(runs) if RUN_ID.fullmatch(entry.name)] if runs.is_dir() else []
    found = [(folder, _status_of(folder)) for folder in folders]
    return [Job(folder, status, *_origin(folder)) for folder, status in found if status is not None]


def in_turn(jobs_now: Sequence[Job]) -> list[Job]:
    """The waiting runs in the order in which they will start.

    Each user's runs keep their order. Users take turns: whoever has fewest runs at work comes first, then whoever was
    served longest ago.
    """
    before = Counter(job.owner for job in jobs_now if job.status.state == "running")
    served, now = {job.owner: 0.0 for job in jobs_now}, time.time()
    for job in jobs_now:
        began = job.status.started or 0.0
        if began <= now:  # else the clock was wrong then: nobody shall wait until it has caught up
            served[job.owner] = max(served[job.owner], began)
    ranked = []
    waiting = [job for job in jobs_now if job.status.waiting]
    for job in sorted(waiting, key=lambda job: (job.status.submitted, job.folder)):
        ranked.append((before[job.owner], served[job.owner], job.status.submitted, job))
        before[job.owner] += 1
    return [job for *_, job in sorted(ranked, key=lambda found: found[:3])]


def position(folder: Path) -> int | None:
    """1 for the run that starts next, None for one that does not wait."""
    waiting = [job.folder for job in in_turn(all_jobs(folder.parent))]
    return waiting.index(folder) + 1 if folder in waiting else None


def _last_handed_in(runs: Path) -> float:
    """When the run that would come last now was handed in; 0 where none waits."""
    return max((job.status.submitted for job in all_jobs(runs) if job.status.waiting), default=0.0)


def _hand_in(folder: Path, status: Status, *, after: float) -> float:
    """Write that a run waits, behind what was handed in before although the clock may have been set back; return when."""
    moment = max(time.time(), math.nextafter(after, math.inf))
    write_status(
        folder, replace(status, state="queued", submitted=moment, message="Waiting for its turn", hint="", fault="")
    )
    return moment


def _something_to_do(jobs_now: Sequence[Job]) -> bool:
    running = [has_process(job.status) for job in jobs_now if job.status.state == "running"]
    waits = any(job.status.waiting for job in jobs_now)
    return not all(running) or (waits and len(running) < max_runs())


def _start(job: Job) -> bool:
    """Start a run, or write down why that was not possible; False where not even that could be done, so that it waits on.

    One that failed has had its turn: what the machine lacks now it may have for the next one, a little later.
    """
    try:
        jobs.start(job.folder, then=_ended)
    except (RunError, OSError) as error:
        message, hint = (
            (error.args[0], error.hint)
            if isinstance(error, RunError)
            else (error.strerror or type(error).__name__, "Run it again.")
        )
        said = {"message": f"It could not be started. {message}", "hint": hint}
        return _note(job.folder, replace(job.status, state="failed", fault="machine", **said))
    return True


def _note(folder: Path, status: Status) -> bool:
    """Write a run's status, and whether that was possible: a folder that refuses shall keep no other run waiting."""
    try:
        write_status(folder, status)
    except RunError:
        return False
    return True


def _ended(folder: Path, exit_code: int) -> None:
    """In the process that started a run: note how it ended, and let the next begin."""
    jobs.settle(folder, exit_code)
    tend(folder.parent, within=math.inf)


def _status_of(folder: Path) -> Status | None:
    """The last word of a run; None where it cannot be read."""
    try:
        return _status(folder, _version(folder / FILE))
    except RunError:
        return None


def _origin(folder: Path) -> tuple[str, str]:
    """Owner and sweep of a run."""
    label = _label(folder, _version(folder / labels.FILE))
    return label.owner, label.sweep


def _version(path: Path) -> tuple[int, ...]:
    """What changes with every change of a file, so that it is read again only then; nothing where there is none."""
    try:
        found = path.lstat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_ino, found.st_size


@lru_cache(maxsize=8192)
def _status(folder: Path, version: tuple[int, ...]) -> Status:
    return last_word(folder)


@lru_cache(maxsize=8192)
def _label(folder: Path, version: tuple[int, ...]) -> labels.Label:
    return labels.read_label(folder)
