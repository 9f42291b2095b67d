"""Label new cells with a trained panel: find the panel's genes in the new data, normalise alike, ask the model."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from yoto_core.data.checks import Finding
from yoto_core.data.reading import Dataset
from yoto_core.evaluation.reference import MAX_CELLS, Reference
from yoto_core.model.calibration import DEFAULT_THRESHOLD
from yoto_core.model.panel_model import PanelModel, Prediction
from yoto_core.prediction.cells import ROWS, Cells, cells_of
from yoto_core.prediction.matching import Matching, match_panel, refuse_missing
from yoto_core.prediction.shift import Shift, compare_cells
from yoto_core.progress import OnProgress, Progress, silent


@dataclass(frozen=True)
class Labelled:
    """New cells with the model's answers, and all that should be known before they are believed.

    `table` has one row per cell; per class task its label, probability, second-best label with probability, and whether the
    model is not sure (the probability is below the threshold); per number the number.
    """

    name: str
    table: pd.DataFrame = field(repr=False)
    matching: Matching
    shift: Shift | None  # None where the model knows nothing of its training cells (older runs)
    findings: tuple[Finding, ...]
    threshold: float

    def summary(self, task: str, threshold: float) -> pd.DataFrame:
        """Per label of a class task, the most frequent first: cells, mean probability, and cells the model is not sure of."""
        best = self.table[f"{task} probability"]
        rows = pd.DataFrame({"label": self.table[task].astype(str), "probability": best, "not sure": best < threshold})
        found = rows.groupby("label").agg(**{
            "cells": ("probability", "size"), "mean probability": ("probability", "mean"), "not sure": ("not sure", "sum"),
        })  # fmt: skip
        return found.sort_values("cells", ascending=False).reset_index()

    def at_threshold(self, threshold: float) -> pd.DataFrame:
        """The table with “not sure” flags at another threshold; nothing is predicted again."""
        flags = {
            f"{name} not sure": self.table[f"{name} probability"] < threshold
            for name in (column.removesuffix(" not sure") for column in self.table if column.endswith(" not sure"))
        }
        return self.table.assign(**flags)


def predict(
    model: PanelModel, data: Dataset, *, impute: bool = False, threshold: float = DEFAULT_THRESHOLD
) -> pd.DataFrame:
    """The table of `label_cells` for data in memory.

    Raises:
        DataError: A panel gene is not in the data and averages were not asked for, or too few are.
    """
    return label_cells(model, cells_of(data), impute=impute, threshold=threshold).table


def label_cells(
    model: PanelModel,
    cells: Cells,
    *,
    reference: Reference | None = None,
    impute: bool = False,
    threshold: float = DEFAULT_THRESHOLD,
    on_progress: OnProgress = silent,
) -> Labelled:
    """Label every cell, a block of rows at a time.

    Args:
        model: A trained model.
        cells: The new cells.
        reference: What is known of the training cells; with it the new cells are held against them.
        impute: Take missing panel genes as average (their training mean) instead of refusing the data.
        threshold: Probability below which a label is marked “not sure”.
        on_progress: Told after every block.

    Raises:
        DataError: Panel genes are missing and averages were not asked for, or fewer than half of them are there.
    """
    matching = match_panel(model.genes, model.gene_ids, cells.genes, name=cells.name)
    refuse_missing(matching, impute=impute, name=cells.name)
    total, tables, sample = len(cells.obs), [], []
    every = max(1, -(-total // MAX_CELLS))
    for start, block in cells.blocks(matching.places, rows=ROWS):
        tables.append(_table(model.predict(block, absent=matching.absent), threshold))
        if reference is not None:
            sample.append(block[-start % every :: every])
        done = start + len(block)
        on_progress(Progress("predicting", done, total, f"{done:,} of {total:,} cells labelled"))
    table = pd.concat(tables, ignore_index=True).set_index(cells.obs.index)
    findings = [*matching.findings, *_kind_findings(cells, reference)]
    shift = None
    if reference is not None:
        raw = np.concatenate(sample)
        shift = compare_cells(model, reference, raw, absent=matching.absent, name=cells.name)
        findings += shift.findings
    return Labelled(cells.name, table, matching, shift, tuple(findings), threshold)


def _table(answers: Sequence[Prediction], threshold: float) -> pd.DataFrame:
    columns: dict[str, object] = {}
    for answer in answers:
        if answer.probabilities is None:
            columns[answer.task] = answer.values
            continue
        rows = np.arange(len(answer.values))
        others = answer.probabilities.copy()
        others[rows, answer.values] = -1.0
        second = others.argmax(1)
        best = answer.probabilities[rows, answer.values]
        columns[answer.task] = pd.Categorical.from_codes(answer.values, list(answer.classes))
        columns[f"{answer.task} probability"] = best
        columns[f"{answer.task} second"] = pd.Categorical.from_codes(second, list(answer.classes))
        columns[f"{answer.task} second probability"] = answer.probabilities[rows, second]
        columns[f"{answer.task} not sure"] = best < threshold
    return pd.DataFrame(columns)


def _kind_findings(cells: Cells, reference: Reference | None) -> list[Finding]:
    """Counts where logs were expected, and the reverse."""
    if reference is None or cells.kind == reference.kind:
        return []
    done = {
        "counts": "They are normalised to 10,000 per cell and logged here; check that training was scaled alike.",
        "log-normalised": "They are used as they are; give counts if the file holds them.",
        "normalised": "Their logarithm is taken; give counts if the file holds them.",
    }[cells.kind]
    return [
        Finding(
            "warning",
            f"{cells.chosen} of {cells.name} is {cells.kind}, but the model was trained on {reference.kind} values.",
            done,
        )
    ]
