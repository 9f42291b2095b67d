"""When the new cells carry labels of their own: the same scores for them, beside those of the held-out cells."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from yoto_core import runtime
from yoto_core.data.checks import Finding
from yoto_core.data.targets import UNLABELLED, Target, class_codes, class_names
from yoto_core.errors import DataError
from yoto_core.model.network import Head
from yoto_core.model.panel_model import PanelModel
from yoto_core.prediction.predict import Labelled
from yoto_core.scores import metrics

DRAWS = 500
OWN_COLUMNS = ["task", "metric", "value", "low", "high", "cells", "groups"]
CLASS_COLUMNS = ["task", "class", "precision", "recall", "f1", "cells"]


@dataclass(frozen=True)
class CrossStudy:
    """Scores of the model on new cells that carry labels, in the form of an `Evaluation` of held-out cells."""

    scores: pd.DataFrame = field(repr=False)  # task, metric, value, low, high, cells
    classes: pd.DataFrame = field(repr=False)  # task, class, precision, recall, f1, cells
    confusion: dict[str, pd.DataFrame] = field(repr=False)  # per class task: true × predicted
    predictions: pd.DataFrame = field(repr=False)  # cell_index; per task true, predicted and, for classes, probability
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


def judge(
    model: PanelModel, labelled: Labelled, truth: Mapping[str, str] | None = None, *, group: str = ""
) -> CrossStudy:
    """Score the answers for new cells against labels of their own.

    Args:
        model: The model that answered.
        labelled: Its answers, with the new cells' obs.
        truth: Task -> the obs column that holds its true labels; the columns named like the tasks where None.
        group: The obs column whose groups (donors) were held out whole in training: intervals are over the new cells' groups
            of it. Where the new cells do not name theirs there is no interval: one over cells would say less than it seems to.

    Raises:
        DataError: There is no such task or column, or no label of it is one the model knows.
    """
    heads, obs = {head.task: head for head in model.heads}, labelled.obs
    rows, classes, confusion, findings = [], [], {}, []
    predictions: dict[str, object] = {"cell_index": np.arange(len(obs))}
    groups = _groups(obs, group)
    for task, column in (comparable_tasks(model, obs) if truth is None else truth).items():
        if task not in heads:
            raise DataError(f"The model has no task “{task}”.", hint=f"Its tasks are {', '.join(heads)}.")
        if column not in obs:
            raise DataError(
                f"{labelled.name} has no obs column “{column}”.", hint=f"It has {', '.join(obs.columns) or 'none'}."
            )
        target, found = _target(heads[task], obs[column], column)
        findings += found
        answer = labelled.table[task]
        predicted = answer.cat.codes.to_numpy() if target.classes else answer.to_numpy(dtype=float)
        rng = runtime.random_state(0, f"new {task}")
        scored = metrics.score_rows(target, predictions["cell_index"], predicted, groups, draws=DRAWS, rng=rng)
        rows += [{"task": task, **row} for row in scored]
        predictions[f"{task} predicted"] = answer.to_numpy()
        if not target.classes:
            predictions[f"{task} true"] = target.values
            continue
        predictions[f"{task} true"] = np.array([*target.classes, None], dtype=object)[target.values]
        predictions[f"{task} probability"] = labelled.table[f"{task} probability"].to_numpy()
        here = target.labelled
        per_class = metrics.per_class(target.values[here], predicted[here], target.classes)
        classes.append(per_class.assign(task=task)[CLASS_COLUMNS])
        counts = metrics.confusion(target.values[here], predicted[here], len(target.classes))
        confusion[task] = pd.DataFrame(counts, index=list(target.classes), columns=list(target.classes))
    if rows and group and group not in obs:
        said = f"{labelled.name} has no obs column “{group}”, whose groups were held out in training."
        findings.append(Finding("note", said, "Without it there is no interval that holds for other groups."))
    return CrossStudy(
        pd.DataFrame(rows, columns=OWN_COLUMNS),
        pd.concat(classes, ignore_index=True) if classes else pd.DataFrame(columns=CLASS_COLUMNS),
        confusion,
        pd.DataFrame(predictions),
        tuple(findings),
    )


def _groups(obs: pd.DataFrame, group: str) -> np.ndarray | None:
    """A code per cell for the groups of that column: all one where it is not there or has gaps; None where none is asked for."""
    if not group:
        return None
    if group not in obs or obs[group].isna().any():
        return np.zeros(len(obs), dtype=np.int64)
    return pd.factorize(obs[group])[0]


def own_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores of the model itself among those of an evaluation: what new cells are compared with."""
    return scores[scores["method"] == "own"][OWN_COLUMNS].reset_index(drop=True)


def scores_side_by_side(held_out: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Every score of the new cells beside that of the held-out cells: value, interval, cells and groups of both, the change."""
    both = _side_by_side(held_out, new, ["task", "metric"], ["value", "low", "high", "cells", "groups"])
    return both.assign(change=both["new value"] - both["held-out value"])


def classes_side_by_side(held_out: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Recall, precision and cells of every class on held-out and on new cells, and the change of recall."""
    both = _side_by_side(held_out, new, ["task", "class"], ["recall", "precision", "cells"])
    return both.assign(change=both["new recall"] - both["held-out recall"])


def _side_by_side(held_out: pd.DataFrame, new: pd.DataFrame, keys: list[str], figures: list[str]) -> pd.DataFrame:
    parts = [
        table.set_index(keys)[figures].add_prefix(f"{part} ") for part, table in (("held-out", held_out), ("new", new))
    ]
    both = parts[1].join(parts[0])
    return both[[f"{part} {figure}" for figure in figures for part in ("held-out", "new")]].reset_index()


def _target(head: Head, column: pd.Series, name: str) -> tuple[Target, list[Finding]]:
    if not head.classes:
        numbers = pd.to_numeric(column.astype(object), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isfinite(numbers).sum() < 2:
            raise DataError(
                f"Column “{name}” holds no numbers to compare {head.task} with.", hint="Name another column."
            )
        return Target(head.task, "regression", 1.0, (), np.where(np.isfinite(numbers), numbers, np.nan)), []
    names = class_names(column)
    codes = class_codes(names, head.classes)
    strange = names[(codes == UNLABELLED) & names.notna().to_numpy()]
    if (codes != UNLABELLED).sum() < 2:
        raise DataError(
            f"Column “{name}” holds none of the model's labels for {head.task}.",
            hint=f"The model knows {', '.join(head.classes[:5])}; rename the labels of the new data to match.",
        )
    findings = []
    if len(strange):
        few = strange.unique()
        rest = f" and {len(few) - 3:,} more" if len(few) > 3 else ""
        said = f"{len(strange):,} cells are labelled {', '.join(few[:3])}{rest}, which the model of {head.task} does not know."
        findings.append(Finding("warning", said, "They take no part in the scores."))
    return Target(head.task, "classification", 1.0, head.classes, codes), findings
