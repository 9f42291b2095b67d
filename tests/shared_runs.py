"""What several test files share: one finished toy run, its folder, and waiting for a run in another process."""

import contextlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import psutil

from tests.conftest import make_toy
from yoto_core import pipeline
from yoto_core.config import EvaluationConfig, RunConfig, SelectorConfig, TaskConfig, TrainingConfig
from yoto_core.data.reading import Dataset, read_dataset
from yoto_core.files import write_json
from yoto_core.pipeline import Chosen, Run
from yoto_core.store import runs
from yoto_core.store.status import Status, read_status

PATIENCE = 120.0  # seconds until a wait is given up as a failure
MEDIUM = TrainingConfig(steps=200, fit_steps=200)
SHORT = TrainingConfig(steps=100, fit_steps=80, replicas=2)
LIGHT = EvaluationConfig(random_panels=1, bootstrap=200, maps="no")
TYPE, CONDITION, AGE = (
    TaskConfig(obs="cell_type"),
    TaskConfig(obs="condition"),
    TaskConfig(obs="age", kind="regression"),
)


def config_for(*tasks: TaskConfig, panel_size: int = 6, **sections: object) -> RunConfig:
    """A config on the toy with a short training and few comparisons."""
    short = {"evaluation": LIGHT, "training": SHORT, "threads": 1}
    return RunConfig(tasks=tasks or (TYPE,), selector=SelectorConfig(panel_size=panel_size), **{**short, **sections})


@cache
def toy_on_disk() -> Path:
    """The toy as a file; read only."""
    path = Path(tempfile.mkdtemp(prefix="yoto-tests-")) / "toy.h5ad"
    make_toy().write_h5ad(path)
    return path


@cache
def toy_dataset() -> Dataset:
    """The toy as read; read only."""
    return read_dataset(toy_on_disk())


@cache
def chosen(config: RunConfig) -> Chosen:
    """The panel of a config on the toy, not yet compared; read only."""
    return pipeline.choose_panel(toy_dataset(), config)


@cache
def finished(config: RunConfig | None = None) -> Run:
    """A finished run on the toy: all three tasks, eight genes; read only."""
    found = chosen(config or config_for(TYPE, CONDITION, AGE, panel_size=8, training=MEDIUM))
    return replace(found.run, evaluation=pipeline.compare(found))


def save(run: Run, *, scored: bool = True) -> Path:
    """A finished run of the toy as a folder of this test's own home."""
    folder = runs.create_run(
        run.config, data_path=toy_on_disk(), data_name=run.summary["name"], data_digest=run.summary["digest"]
    )
    runs.save_panel(folder, run)
    if scored:
        runs.save_evaluation(folder, run)
    state = "done" if scored else "stopped"
    done = replace(read_status(folder), state=state, message="Finished", has_panel=True, started=1.0, finished=3.0)
    write_json(folder / "status.json", done.__dict__)
    return folder


def wait_for(folder: Path, ready: Callable[[Status], bool]) -> Status:
    """The first status of a run that is ready; fails with the log where it does not come in time."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        status = read_status(folder)
        if ready(status):
            return status
        time.sleep(0.02)
    log = folder / "log.txt"
    raise AssertionError(f"still {status} after {PATIENCE} s; log: {log.read_text() if log.exists() else 'none'}")


def wait_for_end(folder: Path) -> Status:
    """The last word of a run."""
    return wait_for(folder, lambda status: not status.live)


def wait_until_gone(pid: int) -> None:
    """Wait for a process to end."""
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(PATIENCE)
