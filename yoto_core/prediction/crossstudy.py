"""When the new cells carry labels of their own: the same scores for them, beside those of the held-out cells."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from yoto_core import runtime
from yoto_core.data.checks import Finding
from yoto_core.data.targets import UNLABELLED, Target
from yoto_core.errors import DataError
from yoto_core.model.network import Head
from yoto_core.model.panel_model import PanelModel
from yoto_core.scores import metrics

DRAWS = 500
OWN_COLUMNS = ["task", "metric", "value", "low", "high", "cells"]


@dataclass(frozen=True)
class CrossStudy:
    """Scores of new cells: `scores` and `classes` as in an evaluation (of the model itself), `confusion` per class task."""

    scores: pd.DataFrame = field(repr=False)  # task, metric, value, low, high, cells
    classes: pd.DataFrame = field(repr=False)  # task, class, precision, recall, f1, cells
    confusion: dict[str, pd.DataFrame] = field(repr=False)
    findings: tuple[Finding, ...]


def comparable_tasks(model: PanelModel, obs: pd.DataFrame) -> dict[str, str]:
    """Task -> obs column of the same name, where it is there and holds labels that the model knows."""
    found = {}
    for head in model.heads:
        if head.task in obs:
            with suppress(DataError):
                _target(head, obs[head.task], head.task)
                found[head.task] = head.task
    return found


def judge(model: PanelModel, table: pd.DataFrame, obs: pd.DataFrame, columns: Mapping[str, str]) -> CrossStudy:
    """Score predictions (`predict.Labelled.table`) against labels of the new cells.

    Args:
        model: The model that answered.
        table: Its answers, one row per cell.
        obs: The new cells' columns, in the same order.
        columns: Task -> the obs column that holds its true labels.

    Raises:
        DataError: There is no such task or column, or no label of it is one the model knows.
    """
    heads = {head.task: head for head in model.heads}
    rows, classes, counts, findings = [], [], {}, []
    everyone = np.arange(len(obs))
    for task, column in columns.items():
        if task not in heads or column not in obs:
            raise DataError(
                f"There is no {'task' if task not in heads else 'obs column'} “{task if task not in heads else column}”.",
                hint=f"Tasks are {', '.join(heads)}.",
            )
        target, found = _target(heads[task], obs[column], column)
        findings += found
        answer = table[task].cat.codes.to_numpy() if target.classes else table[task].to_numpy(dtype=float)
        rng = runtime.random_state(0, f"new {task}")
        scored = metrics.score_rows(target, everyone, answer, None, draws=DRAWS, rng=rng)
        rows += [{"task": task, **row} for row in scored]
        if target.classes:
            here = target.labelled
            per_class = metrics.per_class(target.values[here], answer[here], target.classes)
            per_class.insert(0, "task", task)
            classes.append(per_class)
            matrix = metrics.confusion(target.values[here], answer[here], len(target.classes))
            counts[task] = pd.DataFrame(matrix, index=list(target.classes), columns=list(target.classes))
    empty = pd.DataFrame(columns=["task", "class", "precision", "recall", "f1", "cells"])
    return CrossStudy(
        pd.DataFrame(rows, columns=OWN_COLUMNS),
        pd.concat(classes, ignore_index=True) if classes else empty,
        counts,
        tuple(findings),
    )


def own_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores of the model itself among those of an evaluation: what new cells are compared with."""
    return scores[(scores["method"] == "yoto") & (scores["judge"] == "yoto")][OWN_COLUMNS].reset_index(drop=True)


def side_by_side(held_out: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """task, metric, held-out, new and their difference; one row per score of the new cells."""
    both = new.merge(
        held_out[["task", "metric", "value"]], on=["task", "metric"], how="left", suffixes=("", " held-out")
    )
    both = both.rename(columns={"value": "new cells", "value held-out": "held-out cells"})
    both["change"] = both["new cells"] - both["held-out cells"]
    return both[["task", "metric", "held-out cells", "new cells", "low", "high", "change", "cells"]]


def _target(head: Head, column: pd.Series, name: str) -> tuple[Target, list[Finding]]:
    if not head.classes:
        numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isfinite(numbers).sum() < 2:
            raise DataError(
                f"Column “{name}” holds no numbers to compare {head.task} with.", hint="Name another column."
            )
        return Target(head.task, "regression", 1.0, (), np.where(np.isfinite(numbers), numbers, np.nan)), []
    names = column.astype(object).where(column.notna(), None).map(lambda value: None if value is None else str(value))
    codes = pd.Categorical(names, categories=list(head.classes)).codes.astype(np.int64)
    strange = names[(codes == UNLABELLED) & names.notna().to_numpy()]
    if (codes != UNLABELLED).sum() < 2:
        raise DataError(
            f"Column “{name}” holds none of the model's labels for {head.task}.",
            hint=f"The model knows {', '.join(head.classes[:5])}; rename the labels of the new data to match.",
        )
    findings = []
    if len(strange):
        findings.append(
            Finding(
                "warning",
                f"{len(strange):,} cells carry {strange.nunique()} labels of {head.task} that the model does not know"
                f" (first: {strange.iloc[0]}).",
                "They take no part in the scores.",
            )
        )
    return Target(head.task, "classification", 1.0, head.classes, codes), findings
