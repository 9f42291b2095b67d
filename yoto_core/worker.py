"""Carry out one run in a process of its own: `python -m yoto_core.worker RUN_DIR`.

The folder holds everything: what to do (config.json, data.json), how far it is (status.json, history.csv), whether to
end (STOP), and at last the result. Nothing else passes between this process and whoever started it.
"""

import csv
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from yoto_core.errors import DataError, YotoError
from yoto_core.folders import read_json, saving
from yoto_core.progress import OnProgress, Progress, Stopped, silent
from yoto_core.status import Status, of_this_process, read_status, stop_asked, write_status

WRITE_EVERY = 0.25  # seconds between status files: often enough to watch, rare enough to cost nothing


class Reporter:
    """Writes progress into the run's folder and passes it on."""

    def __init__(self, folder: Path, status: Status, also: OnProgress) -> None:
        self.folder, self.status, self.also = folder, status, also
        self.last_written = self.phase_started = 0.0

    def __call__(self, progress: Progress) -> None:
        """Take one report."""
        now = time.monotonic()
        changed = progress.phase != self.status.phase
        if changed:
            self.phase_started = now
        left = (now - self.phase_started) * (progress.total - progress.done) / progress.done if progress.done else None
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
            self.last_written = now
            write_status(self.folder, self.status)
        self.also(progress)

    def end(self, **changes: object) -> Status:
        """Write the final word."""
        self.status = replace(self.status, finished=time.time(), eta=None, **changes)
        write_status(self.folder, self.status)
        return self.status

    def _append(self, row: dict[str, float]) -> None:
        path = self.folder / "history.csv"
        new = not path.exists()
        with saving(), path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)


def carry_out(
    folder: Path, *, on_progress: OnProgress = silent, should_stop: Callable[[], bool] | None = None
) -> Status:
    """Do the run in this folder to its end, and return how it ended; errors of ours are kept in log.txt."""
    report = Reporter(folder, of_this_process(read_status(folder)), on_progress)
    write_status(folder, report.status)

    def stop() -> bool:
        return stop_asked(folder) or (should_stop is not None and should_stop())

    try:
        _work(folder, report, stop)
        return report.end(state="done", message="Finished")
    except Stopped:
        kept = (
            "The panel is kept; its scores are not complete." if report.status.has_panel else "No panel was chosen yet."
        )
        return report.end(state="stopped", message=f"Stopped on request. {kept}")
    except YotoError as error:
        return report.end(state="failed", message=str(error.args[0]), hint=error.hint)
    except MemoryError:
        return report.end(
            state="failed",
            message="The machine ran out of memory.",
            hint="Use fewer cells or genes, or a larger machine.",
        )
    except Exception as error:
        with (folder / "log.txt").open("a", encoding="utf-8") as log:
            log.write(traceback.format_exc())
        return report.end(
            state="failed",
            message=f"Something unexpected went wrong ({type(error).__name__}).",
            hint="The run's log.txt says where; run it again or report it with that file.",
        )


def _work(folder: Path, report: Reporter, stop: Callable[[], bool]) -> None:
    report(Progress("reading", 0, 1, "Reading the data"))
    # Loading torch takes seconds: the watcher already sees that the run has begun.
    from yoto_core import pipeline, runs
    from yoto_core.reading import read_dataset

    config, about = runs.read_config(folder), read_json(folder / "data.json")
    data = read_dataset(about["path"], matrix=config.genes.matrix, name=about["name"])
    if data.digest != about["digest"]:
        raise DataError(
            f"{about['name']} has changed since the run was designed.", hint="Load it again and start anew."
        )
    if stop():
        raise Stopped
    chosen = pipeline.choose_panel(data, config, on_progress=report, should_stop=stop)
    runs.save_panel(folder, chosen.run)
    report.status = replace(report.status, has_panel=True)
    evaluation = pipeline.compare(chosen, on_progress=report, should_stop=stop)
    report(Progress("saving", 0, 1, "Saving the scores"))
    runs.save_evaluation(folder, replace(chosen.run, evaluation=evaluation))


def main() -> int:
    """Run the folder named on the command line; exit 0 whatever the run's own ending, which its status tells."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: asked.append(number))
    carry_out(Path(sys.argv[1]), should_stop=lambda: bool(asked))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
