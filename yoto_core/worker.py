"""Carry out one run in a process of its own: `python -m yoto_core.worker RUN_DIR`.

The folder holds everything: what to do (config.json, data.json), how far it is (status.json, history.csv), whether to
end (STOP), and at last the result. Nothing else passes between this process and whoever started it.
"""

import contextlib
import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from yoto_core.errors import DataError, MachineError, RunError, YotoError, limit_of, out_of_memory
from yoto_core.files import append_to, locked, read_json
from yoto_core.progress import OnProgress, Progress, Stopped, silent
from yoto_core.store.status import (
    Scores,
    Status,
    of_this_process,
    read_status,
    stop_asked,
    stopped_message,
    write_status,
)
from yoto_core.words import one_line
from yoto_core.work import queue
from yoto_core.work.reporting import Reporter, drop_parts, watch_over

if TYPE_CHECKING:
    from yoto_core.pipeline import Run

NICENESS = 2  # of a worker: beside a page that wants the same processor it gets about four tenths of it


def carry_out(
    folder: Path,
    *,
    on_progress: OnProgress = silent,
    should_stop: Callable[[], bool] | None = None,
    own_process: bool = False,
) -> Status:
    """Do the run in this folder to its end, and return how it ended; errors of ours are kept in log.txt.

    With `own_process` a request to end that the work does not hear in time ends the process.
    """
    report = Reporter(folder, _claim(folder), on_progress)

    def stop() -> bool:
        return stop_asked(folder) or (should_stop is not None and should_stop())

    if own_process:
        watch_over(report, stop, lambda: _end_at_once(folder, report))
    try:
        scores = _work(folder, report, stop)
        return report.end(state="done", message="Finished.", scores=scores)
    except Stopped:
        return report.end(state="stopped", message=stopped_message(folder, report.status))
    except Exception as error:
        return report.end(state="failed", **_failure(error, folder))


def _failure(error: Exception, folder: Path) -> dict[str, str]:
    """What a failed run says, and whose fault it was; a defect of ours is kept in log.txt."""
    if not isinstance(error, YotoError) and out_of_memory(error):
        error = limit_of(error, "The run")
    if isinstance(error, YotoError):
        fault = "machine" if isinstance(error, MachineError) else "input"
        return {"message": str(error.args[0]), "hint": error.hint, "fault": fault}
    with contextlib.suppress(OSError), append_to(folder / "log.txt") as log:
        log.write("".join(traceback.format_exception(error)).encode(errors="backslashreplace"))
    return {
        "message": f"Something unexpected went wrong ({type(error).__name__}).",
        "hint": "The run's log.txt says where; run it again or report it with that file.",
        "fault": "ours",
    }


def _claim(folder: Path) -> Status:
    """The status of a run that is this process's from now on (RunError where another process works on it)."""
    with locked(folder.parent, within=math.inf):
        status = read_status(folder)
        if status.state == "running" and status.pid != os.getpid():
            raise RunError("Another process works on this run.", hint="Wait for its end, or stop it.")
        status = of_this_process(status)
        write_status(folder, status)
        return status


def _end_at_once(folder: Path, report: Reporter) -> None:
    """End this process although its work did not listen; what is saved stays."""
    report.end(state="stopped", message=stopped_message(folder, report.status))
    queue.tend(folder.parent, within=math.inf)
    drop_parts(folder)  # last, as the work goes on until the next line
    os._exit(0)


def _work(folder: Path, report: Reporter, stop: Callable[[], bool]) -> Scores:
    report(Progress("reading", 0, 1, "Reading the data"))
    if stop():
        raise Stopped
    # Loading torch takes seconds: the watcher already sees that the run has begun.
    from yoto_core import pipeline
    from yoto_core.data.reading import read_dataset
    from yoto_core.explore.embedding import draw_maps
    from yoto_core.explore.profiles import profile
    from yoto_core.model.checkpoint import checkpoints_in, drop_checkpoint
    from yoto_core.store import exploration, runs
    from yoto_core.store.history import headline_scores

    config, about = runs.read_config(folder), read_json(folder / "data.json")
    data = read_dataset(about["path"], matrix=config.genes.matrix, name=about["name"])
    if data.digest != about["digest"]:
        raise DataError(
            f"{about['name']} has changed since the run was designed.", hint="Load it again and start anew."
        )
    if stop():
        raise Stopped
    checkpoints = checkpoints_in(folder)
    report.begin_history(checkpoints.last.values["history"] if checkpoints.last else [])
    chosen = pipeline.choose_panel(data, config, on_progress=report, should_stop=stop, checkpoints=checkpoints)
    profiles = profile(chosen.problem, chosen.order)
    with report.writing:
        runs.save_panel(folder, chosen.run)
        exploration.save_profiles(folder, profiles)
        report.status = replace(report.status, has_panel=True)
        report.write()  # at once: nothing else is reported while its reasons are measured
    chosen = pipeline.explained(chosen)  # the panel is on the screen before its reasons are
    with report.writing:
        runs.save_panel(folder, chosen.run)
    scores = report.status.scores
    if not (folder / "metrics.json").exists():  # an earlier process may have come as far as this
        evaluation = pipeline.compare(chosen, on_progress=report, should_stop=stop)
        report(Progress("saving", 0, 1, "Saving the scores"))
        scores = headline_scores(evaluation.scores)
        with report.writing:
            runs.save_evaluation(folder, replace(chosen.run, evaluation=evaluation))
            report.status = replace(report.status, scores=scores)
    if config.evaluation.maps == "yes" and not exploration.has_maps(folder):
        panel = (chosen.problem, chosen.run.model, chosen.order)
        exploration.save_maps(folder, draw_maps(*panel, seed=config.seed, on_progress=report, should_stop=stop))
    if config.evaluation.stability == "yes":
        found = pipeline.stability(chosen, on_progress=report, should_stop=stop)
        with report.writing:
            runs.save_stability(folder, pipeline.with_stability(chosen.run, found))
    _read_back(folder, chosen.run)
    drop_checkpoint(folder)
    return scores


class NotReadBackError(Exception):
    """What a run has saved does not come back as it was: a defect of ours."""


def _read_back(folder: Path, run: "Run") -> None:
    """See that all that was saved can be read, and is the same, before the run is called done."""
    from yoto_core.store import exploration, runs

    try:
        found = runs.load_run(folder)
        exploration.load_profiles(folder)
        if exploration.has_maps(folder):
            exploration.load_maps(folder)
    except RunError as error:
        raise NotReadBackError(str(error)) from error
    if found.panel != run.panel or found.model.heads != run.model.heads or found.evaluation is None:
        raise NotReadBackError("The panel or its model came back otherwise.")


def main() -> int:
    """Run the folder named on the command line; exit 0 whatever the run's own ending, which its status tells."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: asked.append(number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # held back by whoever started this process
    folder = Path(sys.argv[1])
    _give_way()
    try:
        carry_out(folder, on_progress=_Log(), should_stop=lambda: bool(asked), own_process=True)
    except RunError as error:
        print(one_line(f"yoto: {error}"), file=sys.stderr)
        return 1
    finally:
        queue.tend(folder.parent, within=math.inf)
    return 0


def _give_way() -> None:
    """Let pages, and everybody else on this machine, go first; where nobody else wants the processors it costs nothing."""
    os.nice(NICENESS)
    with contextlib.suppress(OSError):  # Linux may share processors out by sessions first, and this process has its own
        Path("/proc/self/autogroup").write_text(str(NICENESS), encoding="ascii")


class _Log:
    """One line of the log for every phase and every new message."""

    def __init__(self) -> None:
        self.said = ("", "")

    def __call__(self, progress: Progress) -> None:
        now = (progress.phase, progress.message)
        if now != self.said:
            with contextlib.suppress(OSError):  # a full disk, which the work itself will meet
                when = time.strftime("%Y-%m-%d %H:%M:%S")
                print(one_line(f"{when}  {progress.phase}: {progress.message}"), flush=True)
            self.said = now


if __name__ == "__main__":
    raise SystemExit(main())
