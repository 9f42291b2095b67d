"""A sweep: one design trained for several panel sizes, repeats and sets of tasks, through the same queue, compared in one table.

A sweep has no file of its own: it is the runs whose label carries its id. One training scores every smaller size, so only
the largest size is trained unless each is to be trained separately.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pandas as pd

from yoto_core.config import RunConfig
from yoto_core.errors import ConfigError, RunError
from yoto_core.files import reading
from yoto_core.store import runs
from yoto_core.store.folders import run_folder
from yoto_core.store.history import Row, history_row
from yoto_core.store.labels import Label
from yoto_core.tables import read_csv
from yoto_core.work import jobs, queue

MOST = 100  # runs of one sweep

Vary = Literal["training", "split", "both"]


@dataclass(frozen=True)
class Sweep:
    """What is varied; task sets name obs columns of the design."""

    sizes: tuple[int, ...]
    repeats: int
    task_sets: tuple[tuple[str, ...], ...]
    each_size: bool = False  # train every size separately
    vary: Vary = "training"  # which seed the repeats count up from the design's

    def plan(self, config: RunConfig) -> tuple[RunConfig, ...]:
        """The configs to train (ConfigError where there are none, or too many)."""
        if not (self.sizes and self.repeats > 0 and self.task_sets):
            raise ConfigError(
                "The comparison is empty.", hint="Give at least one size, one repeat and one set of tasks."
            )
        sizes = sorted(set(self.sizes)) if self.each_size else [max(self.sizes)]
        planned = tuple(
            replace(
                config,
                tasks=tuple(task for task in config.tasks if task.obs in names),
                selector=replace(config.selector, panel_size=size),
                split=replace(config.split, seed=config.split.seed + (repeat if self.vary != "training" else 0)),
                seed=config.seed + (repeat if self.vary != "split" else 0),
            )
            for names in self.task_sets
            for size in sizes
            for repeat in range(self.repeats)
        )
        if len(planned) > MOST:
            raise ConfigError(f"The comparison needs {len(planned)} trainings.", hint=f"Vary less: at most {MOST}.")
        return planned


@dataclass(frozen=True)
class Standing:
    """How far a sweep is, as one job."""

    done: float  # share of all its runs, 0 to 1
    ended: int
    total: int
    live: bool


def start_sweep(
    sweep: Sweep, config: RunConfig, *, data_path: Path, data_name: str, data_digest: str, owner: str = ""
) -> str:
    """Hand in every run of a sweep and return the sweep's id."""
    sweep_id = secrets.token_hex(16)
    folders = []
    for planned in sweep.plan(config):
        own = (planned.selector.panel_size,) if sweep.each_size else tuple(sorted(set(sweep.sizes)))
        folders.append(
            runs.create_run(
                planned, data_path=data_path, data_name=data_name, data_digest=data_digest,
                label=Label(owner=owner, sweep=sweep_id, sizes=own),
            )
        )  # fmt: skip
    queue.submit(*folders)
    return sweep_id


def sweep_rows(sweep_id: str) -> list[Row]:
    """The runs of a sweep as rows of the history; none where there is no such sweep."""
    return [history_row(job.folder) for job in _jobs_of(sweep_id)]


def standing(sweep_id: str) -> Standing:
    """One progress bar for all runs of a sweep."""
    found = [job.status for job in _jobs_of(sweep_id)]
    ended = sum(not status.live for status in found)
    return Standing(sum(status.share for status in found) / max(1, len(found)), ended, len(found), ended < len(found))


def stop_sweep(sweep_id: str) -> None:
    """Stop every run of a sweep that waits or works."""
    # The waiting ones first, so that none starts meanwhile.
    for job in sorted(_jobs_of(sweep_id), key=lambda job: job.status.state == "running"):
        jobs.stop(job.folder)


def comparison(rows: Sequence[Row]) -> pd.DataFrame:
    """One row per run, size and task: tasks, genes, seed, split_seed, trained_for, task, metric, value, low, high, state.

    The score is that of YOTO's own model on held-out cells; runs without scores have one row without a value.
    """
    found = []
    for row in sorted(rows, key=lambda row: (row.tasks, row.panel_size or 0, row.seed or 0, row.split_seed or 0)):
        tags = {"run": row.run_id, "tasks": ", ".join(row.tasks), "seed": row.seed, "split_seed": row.split_seed}
        curve = _own_curve(run_folder(row.run_id)) if row.status.scores else pd.DataFrame()
        for size in row.label.sizes or (row.panel_size,):
            scores = curve[curve["size"] == size].to_dict("records") if len(curve) else []
            for score in scores or [{"task": "", "metric": "", "value": None, "low": None, "high": None}]:
                kept = {name: score[name] for name in ("task", "metric", "value", "low", "high")}
                found.append({**tags, "trained_for": row.panel_size, "genes": size, **kept, "state": row.status.state})
    columns = [
        "run",
        "tasks",
        "genes",
        "seed",
        "split_seed",
        "trained_for",
        "task",
        "metric",
        "value",
        "low",
        "high",
        "state",
    ]
    return pd.DataFrame(found, columns=columns).astype({"value": float, "low": float, "high": float})


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Over repeats: one row per tasks, genes, trained_for and task with mean, lowest, highest and the number of repeats.

    What the repeats vary is `varied`'s to say.
    """
    scored = table[table["value"].notna()]
    keys = ["tasks", "genes", "trained_for", "task", "metric"]
    grouped = scored.groupby(keys, sort=True)["value"]
    return grouped.agg(mean="mean", lowest="min", highest="max", repeats="count").reset_index()


def varied(table: pd.DataFrame) -> Vary | None:
    """What the repeats of a `comparison` differ in, as their seeds tell; None where nothing is repeated."""
    training, split = (table[name].nunique() > 1 for name in ("seed", "split_seed"))
    if training and split:
        return "both"
    return "training" if training else "split" if split else None


def _jobs_of(sweep_id: str) -> list[queue.Job]:
    return [job for job in queue.all_jobs() if job.sweep == sweep_id]


def _own_curve(folder: Path) -> pd.DataFrame:
    """Held-out scores of YOTO's own model at every size; empty where the run has none."""
    try:
        with reading("sizes.csv"):
            sizes = read_csv(folder / "sizes.csv")
            return sizes[(sizes["part"] == "held-out") & sizes["judge"].isin(["own", "yoto"])]
    except RunError:
        return pd.DataFrame()
