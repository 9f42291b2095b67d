"""How a worker speaks through its run's folder: status, history, log, a pulse, and an ear for requests to end."""

import contextlib
import csv
import io
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from yoto_core.errors import RunError
from yoto_core.files import append_to, parts_of, saving
from yoto_core.progress import OnProgress, Progress
from yoto_core.store.status import Status, write_status

WRITE_EVERY = 0.25  # seconds between status files: often enough to watch, rare enough to cost nothing
PULSE = 2.0  # seconds between signs of life where there is nothing to report
ANSWER_WITHIN = 1.5  # seconds in which a run that was asked to end does so by itself
LISTEN = 0.1  # seconds between two looks for such a request


class Reporter:
    """Writes progress into the run's folder and passes it on; one thread at a time."""

    def __init__(self, folder: Path, status: Status, also: OnProgress) -> None:
        self.folder, self.status, self.also = folder, status, also
        self.last_written = self.phase_started = 0.0
        self.phase_done = 0  # units that an earlier process had done when this one entered the phase
        self.writing = threading.RLock()  # held where the folder must not be left as it is

    def __call__(self, progress: Progress) -> None:
        """Take one report."""
        now = time.monotonic()
        with self.writing:
            changed = progress.phase != self.status.phase
            if changed:
                self.phase_started, self.phase_done = now, max(0, progress.done - 1)
            done = progress.done - self.phase_done
            left = (now - self.phase_started) * (progress.total - progress.done) / done if done > 0 else None
            self.status = replace(
                self.status,
                phase=progress.phase,
                done=progress.done,
                total=progress.total,
                message=progress.message,
                eta=left,
            )
            if progress.row:
                self._append(progress.row)
            if changed or now - self.last_written > WRITE_EVERY:
                self.write()
        self.also(progress)

    def begin_history(self, rows: Sequence[dict[str, float]]) -> None:
        """Begin the history with what an earlier process is known to have done, and nothing after it."""
        (self.folder / "history.csv").unlink(missing_ok=True)
        for row in rows:
            self._append(row)

    def write(self) -> None:
        """Write the status as it stands."""
        with self.writing:
            self.last_written = time.monotonic()
            write_status(self.folder, self.status)

    def end(self, **changes: object) -> Status:
        """Write the final word."""
        with self.writing:
            self.status = replace(self.status, finished=time.time(), eta=None, **changes)
            self.write()
        return self.status

    def _append(self, row: dict[str, float]) -> None:
        path = self.folder / "history.csv"
        new = not path.exists()
        with saving(), io.TextIOWrapper(append_to(path), encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)


def watch_over(report: Reporter, asked: Callable[[], bool], end: Callable[[], None]) -> None:
    """In a thread of its own: give signs of life, and call `end` where a request to end is not answered in time.

    `end` is called while nothing is being written, so that no file and no status is left half done.
    """

    def watch() -> None:
        since = None
        while report.status.live:
            time.sleep(LISTEN)
            since = (since or time.monotonic()) if asked() else None
            with report.writing:
                if not report.status.live:
                    return
                if since and time.monotonic() - since > ANSWER_WITHIN:
                    end()
                if time.monotonic() - report.last_written > PULSE:
                    with contextlib.suppress(RunError):  # of no use on a full disk, which the work itself will meet
                        report.write()

    threading.Thread(target=watch, daemon=True).start()


def drop_parts(folder: Path) -> None:
    """Remove the unfinished files of this process."""
    for part in parts_of(folder, os.getpid()):
        part.unlink(missing_ok=True)
