"""The history of runs as the Runs page shows it: one row per run from small files alone, and what can be done with one."""

import contextlib
import os
import time
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import pandas as pd
import psutil

from yoto_core.errors import RunError
from yoto_core.files import home, locked, read_json, reading, saving, writer_of
from yoto_core.records import Count, checked
from yoto_core.scores.metrics import HEADLINE
from yoto_core.store.folders import RUN_ID, delete_folder, remove_folder, runs_folder
from yoto_core.store.labels import Label, read_label, refuse_strangers
from yoto_core.store.shelves import ENDINGS
from yoto_core.store.status import Scores, Status, read_status
from yoto_core.words import number_text

METRIC_NAMES = {HEADLINE["classification"]: "", HEADLINE["regression"]: "R² "}
OLD = 3600.0  # seconds after which an unfinished file without an owner is a leftover
CLOCK = 60.0  # seconds by which a file may seem older than the process that writes it


@dataclass(frozen=True)
class Row:
    """One run of the history; fields that its files do not tell are empty."""

    run_id: str
    status: Status
    label: Label
    data: str = ""
    tasks: tuple[str, ...] = ()
    panel_size: int | None = None
    seed: int | None = None  # of the training
    split_seed: int | None = None
    disk: int = 0  # bytes

    @property
    def name(self) -> str:
        """What it is called: the user's name, or its size and tasks."""
        return self.label.name or f"{self.panel_size or '?'} genes for {', '.join(self.tasks) or '?'}"


@dataclass(frozen=True)
class Leftover:
    """A file or folder that an interrupted save or upload left behind."""

    path: Path
    disk: int  # bytes


def history(owner: str | None = None) -> list[Row]:
    """Runs of this machine, newest first; with an owner only theirs."""
    folders = [Path(entry.path) for entry in _entries(runs_folder()) if RUN_ID.fullmatch(entry.name)]
    rows = [history_row(folder) for folder in folders if owner is None or read_label(folder).owner == owner]
    return sorted(rows, key=lambda row: (-row.status.created, row.run_id))


def headline_scores(scores: pd.DataFrame) -> Scores:
    """What a run's status says of its scores (`Evaluation.scores`): task, headline metric and value, task by task."""
    from yoto_core.scores.methods import headline_rows  # brings torch, which a list of runs does without

    mine = headline_rows(scores[scores["method"] == "yoto"]).dropna(subset="value")
    return tuple((str(row.task), str(row.metric), float(row.value)) for row in mine.itertuples())


def scores_text(scores: Scores) -> str:
    """Scores of several tasks in one line: cell_type 0.84 · age R² 0.18; macro-F1, the usual one, is not named."""
    return " · ".join(
        f"{task} {METRIC_NAMES.get(metric, metric)}{number_text(value)}" for task, metric, value in scores
    )


def history_table(rows: list[Row]) -> pd.DataFrame:
    """One line per run for the screen, in the order of the rows."""
    return pd.DataFrame(
        {
            "name": [row.name for row in rows],
            "data": [row.data for row in rows],
            "tasks": [", ".join(row.tasks) for row in rows],
            "genes": pd.array([row.panel_size for row in rows], dtype="Int64"),
            "seed": pd.array([row.seed for row in rows], dtype="Int64"),
            "split_seed": pd.array([row.split_seed for row in rows], dtype="Int64"),
            "scores": [scores_text(row.status.scores) for row in rows],
            "state": [row.status.state for row in rows],
            "created": pd.Series([datetime.fromtimestamp(row.status.created) for row in rows], dtype="datetime64[s]"),
            "minutes": pd.array([_minutes(row.status) for row in rows], dtype="Float64"),
            "megabytes": [row.disk / 1e6 for row in rows],
        }
    )


def delete_run(folder: Path, *, owner: str | None = None) -> None:
    """Remove a run for good (RunError where it still works or waits, or is not this owner's: see `may_change`)."""
    refuse_strangers(folder, owner)
    with locked(folder.parent):
        if _works(folder):
            raise RunError("A run that waits or works cannot be deleted.", hint="Stop it first.")
        delete_folder(folder)


def leftovers() -> list[Leftover]:
    """What crashed saves, deletions and uploads left: nothing that a living process may still be writing."""
    found = []
    for entry in _entries(runs_folder()):
        if entry.name.startswith(".old-") or (entry.name.startswith(".new-") and _age(entry) > OLD):
            found.append(Leftover(Path(entry.path), _size(Path(entry.path))))
        elif RUN_ID.fullmatch(entry.name):
            found += [Leftover(Path(e.path), _age_and_size(e)[1]) for e in _entries(Path(entry.path)) if _lost_part(e)]
    kept = [entry for shelf in ENDINGS for entry in _entries(home() / shelf)]
    # Uploads of earlier versions do not say who writes them.
    uploads = [e for e in kept if _lost_part(e) and (writer_of(e.name) is not None or _age(e) > OLD)]
    return found + [Leftover(Path(e.path), _age_and_size(e)[1]) for e in uploads]


def sweep_leftovers() -> int:
    """Remove the leftovers and return the bytes that are free now; other processes may be at it too."""
    freed = 0
    for leftover in leftovers():
        with saving(), contextlib.suppress(FileNotFoundError):
            if leftover.path.is_dir():
                remove_folder(leftover.path)
            else:
                leftover.path.unlink()
            freed += leftover.disk
    return freed


def _works(folder: Path) -> bool:
    try:
        status = read_status(folder)
    except RunError:  # a run whose status is damaged may go
        return False
    return status.state == "running" or status.waiting


def history_row(folder: Path) -> Row:
    """One run as a row of the history, whatever state its files are in."""
    label, status = read_label(folder), Status()
    try:
        status = read_status(folder)
        with reading("config.json"):
            changed = (folder / "config.json").stat().st_mtime_ns
        asked = _design(str(folder), changed)
    except RunError as error:
        broken = replace(status, state="failed", message=str(error.args[0]), hint=error.hint)
        return Row(folder.name, broken, label, disk=_size(folder))
    return Row(folder.name, status, label, *asked, disk=_size(folder))


@lru_cache(maxsize=8192)
def _design(folder: str, changed: int) -> tuple[str, tuple[str, ...], int, int, int]:
    """What a run was asked for (data, tasks, panel size, seed, split seed): it never changes, so it is read once."""
    config, about = read_json(Path(folder) / "config.json"), read_json(Path(folder) / "data.json")
    with reading("config.json"):
        tasks = tuple(checked(task["obs"], str) for task in config["tasks"])
        seed = checked(config["seed"], Count)
        split_seed = checked(config["split"].get("seed", seed), Count)  # earlier versions had one seed for both
        size = checked(config["selector"]["panel_size"], Count)
        return checked(about.get("name", ""), str), tasks, size, seed, split_seed


def _minutes(status: Status) -> float | None:
    """How long it worked; None where that is not known, as after the clock was set back meanwhile."""
    taken = status.finished - status.started if status.finished and status.started else -1.0
    return taken / 60 if taken >= 0 else None


def _lost_part(entry: os.DirEntry[str]) -> bool:
    """Whether this is an unfinished file of a process that is gone."""
    if not (entry.name.startswith(".") and entry.name.endswith(".part")):
        return False
    writer = writer_of(entry.name)
    try:  # in a container every server may have the number of the one before
        return writer is None or psutil.Process(writer).create_time() > time.time() - _age(entry) + CLOCK
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    return list(os.scandir(folder)) if folder.is_dir() else []


def _age(entry: os.DirEntry[str]) -> float:
    return _age_and_size(entry)[0]


def _age_and_size(entry: os.DirEntry[str]) -> tuple[float, int]:
    """Seconds since the last change, and bytes; none of either where it is gone meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        found = entry.stat()
        return time.time() - found.st_mtime, found.st_size
    return 0.0, 0


def _size(folder: Path) -> int:
    """Bytes of the files in a folder; those that vanish meanwhile count nothing."""
    total = 0
    for entry in _entries(folder):
        with contextlib.suppress(OSError):
            total += entry.stat(follow_symlinks=False).st_size
    return total
