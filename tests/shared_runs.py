"""What several test files share: one finished toy run, its folder, and waiting for a run in another process."""

import contextlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from tests.conftest import CLASSES, make_toy
from yoto_core import files, pipeline
from yoto_core.config import EvaluationConfig, RunConfig, SelectorConfig, TaskConfig, TrainingConfig
from yoto_core.data.reading import Dataset, read_dataset
from yoto_core.explore.embedding import CLASS_COLUMNS, Maps, draw_maps
from yoto_core.explore.profiles import profile
from yoto_core.files import write_json
from yoto_core.pipeline import Chosen, Run
from yoto_core.progress import never, silent
from yoto_core.store import exploration, runs
from yoto_core.store.status import Status, read_status

PATIENCE = 600.0  # seconds until a wait is given up as a failure; generous, as machines are busy
MEDIUM = TrainingConfig(steps=200, fit_steps=200)
SHORT = TrainingConfig(steps=100, fit_steps=80, replicas=2)
LIGHT = EvaluationConfig(random_panels=1, bootstrap=200, maps="no", stability="no")
TYPE, CONDITION, AGE = (
    TaskConfig(obs="cell_type"),
    TaskConfig(obs="condition"),
    TaskConfig(obs="age", kind="regression"),
)


def config_for(*tasks: TaskConfig, panel_size: int = 6, **sections: object) -> RunConfig:
    """A config on the toy with a short training and few comparisons."""
    short = {"evaluation": LIGHT, "training": SHORT, "threads": 1}
    return RunConfig(tasks=tasks or (TYPE,), selector=SelectorConfig(panel_size=panel_size), **{**short, **sections})


def fill_the_disk(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let every byte written on the way to a file of this name meet a device that is really full."""
    full, part_of = Path("/dev/full"), files.part_of
    if not full.exists():
        pytest.skip("this system has no /dev/full")

    def onto_the_full_device(path: Path) -> Path:
        part = part_of(path)
        if path.name == name:
            part.symlink_to(full)
        return part

    monkeypatch.setattr(files, "part_of", onto_the_full_device)


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
    return replace(pipeline.explained(found).run, evaluation=pipeline.compare(found))


def save(run: Run, *, scored: bool = True) -> Path:
    """A finished run of the toy as a folder of this test's own home."""
    folder = runs.create_run(
        run.config, data_path=toy_on_disk(), data_name=run.summary["name"], data_digest=run.summary["digest"]
    )
    runs.save_panel(folder, run)
    if scored:
        runs.save_evaluation(folder, run)
    state = "done" if scored else "stopped"
    done = replace(read_status(folder), state=state, message="Finished.", has_panel=True, started=1.0, finished=3.0)
    write_json(folder / "status.json", done.__dict__)
    return folder


@cache
def drawn_maps() -> Maps:
    """The maps of the finished run, really drawn; read only."""
    found = chosen(finished().config)
    return draw_maps(found.problem, found.run.model, found.order, seed=0, on_progress=silent, should_stop=never)


def planted_maps() -> Maps:
    """Maps with a known answer: four islands 10 apart on the left, of which NK and T lie on one place on the right."""
    found, rng = chosen(finished().config), np.random.default_rng(0)
    codes = found.problem.targets[0].values
    left = 10.0 * np.column_stack([codes % 2, codes // 2]) + rng.uniform(-1, 1, (len(codes), 2))
    right = left - np.outer(codes == CLASSES.index("T"), [10.0, 0.0])  # NK is at (0, 10), T at (10, 10)
    columns = found.problem.expression[:, found.order].toarray()
    answers = found.run.model.predict(columns)
    cells = pd.DataFrame({"cell_index": np.arange(len(codes)), "part": "train"})
    cells.loc[found.problem.split.test, "part"] = "held-out"
    cells[["all_x", "all_y"]], cells[["panel_x", "panel_y"]] = left, right
    for target, answer in zip(found.problem.targets, answers, strict=True):
        cells[f"{target.task} true"] = np.array(target.classes)[target.values] if target.classes else target.values
        cells[f"{target.task} predicted"] = answer.labels
        if target.classes:
            cells[f"{target.task} probability"] = answer.probabilities.max(axis=1)
    overall = pd.DataFrame({"measure": ["neighbours"], "task": [""], "all": [1.0], "panel": [0.5]})
    expression = pd.DataFrame(columns, columns=list(found.run.panel.genes))
    return Maps(cells, expression, overall, pd.DataFrame(columns=CLASS_COLUMNS), len(cells), 60)


def save_explored(maps: Maps) -> Path:
    """The finished run with all that the Explore pages read."""
    found, folder = chosen(finished().config), save(finished())
    exploration.save_profiles(folder, profile(found.problem, found.order))
    exploration.save_maps(folder, maps)
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
