"""Label new cells with a trained panel: find the panel's genes in the new data, normalise alike, ask the model."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from yoto_core.data.checks import Finding
from yoto_core.data.matrices import Verdict
from yoto_core.data.scales import PER_CELL
from yoto_core.evaluation.reference import MAX_CELLS, Reference
from yoto_core.model.calibration import DEFAULT_THRESHOLD
from yoto_core.model.panel_model import PanelModel, Prediction
from yoto_core.prediction.cells import Cells, open_cells
from yoto_core.prediction.matching import Matching, averaged_findings, match_panel, refuse_missing
from yoto_core.prediction.shift import Shift, compare_cells
from yoto_core.progress import OnProgress, Progress, silent

KINDS = {
    "counts": "counts",
    "log-normalised": "log-normalised values",
    "normalised": "normalised values that were not logged",
    "binary": "whether a gene was seen",
}


@dataclass(frozen=True)
class Look:
    """New data before they are labelled: the matrix that would be read, and where the panel's genes are in it."""

    name: str
    cells: int
    chosen: Verdict
    verdicts: tuple[Verdict, ...]
    matching: Matching


@dataclass(frozen=True)
class Labelled:
    """New cells with the model's answers, and all that should be known before they are believed.

    `table` has one row per cell; per class task its label, probability, second-best label with probability, and whether the
    model is not sure (the probability is below the threshold); per number the number. `obs` is that of the new cells.
    """

    name: str
    tasks: tuple[str, ...]
    table: pd.DataFrame = field(repr=False)
    obs: pd.DataFrame = field(repr=False)
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

    def sentence(self, task: str, threshold: float) -> str:
        """What the cells were labelled as, in words: how many are unsure, or the range of the numbers."""
        cells = f"{len(self.table):,} cells"
        if f"{task} probability" not in self.table:
            numbers = self.table[task]
            return f"{cells}: mean {numbers.mean():.4g}, from {numbers.min():.4g} to {numbers.max():.4g}."
        unsure = int((self.table[f"{task} probability"] < threshold).sum())
        return f"{unsure:,} of {cells} ({unsure / len(self.table):.1%}) are marked not sure: their probability is below {threshold:.2f}."

    def at_threshold(self, threshold: float) -> pd.DataFrame:
        """The table with “not sure” flags at another threshold; nothing is predicted again."""
        flags = {
            f"{task} not sure": self.table[f"{task} probability"] < threshold
            for task in self.tasks
            if f"{task} not sure" in self.table
        }
        return self.table.assign(**flags)


def look(model: PanelModel, data: AnnData | str | Path, *, matrix: str = "auto", name: str = "") -> Look:
    """Find the panel's genes in new data (DataError where they cannot be read, or hold none of them)."""
    with open_cells(data, matrix=matrix, name=name) as cells:
        matching = match_panel(model.genes, model.gene_ids, cells.genes, name=cells.name)
        return Look(cells.name, len(cells.obs), cells.chosen, cells.verdicts, matching)


def label(
    model: PanelModel,
    data: AnnData | str | Path,
    *,
    reference: Reference | None = None,
    impute: bool = False,
    threshold: float = DEFAULT_THRESHOLD,
    matrix: str = "auto",
    name: str = "",
    on_progress: OnProgress = silent,
) -> Labelled:
    """Label every new cell; a file is read a block of rows at a time.

    Args:
        model: A trained model.
        data: The new cells: an AnnData (`n_obs` × `n_vars`, rows are cells) or a file that the Data page takes.
        reference: What is known of the training cells; with it the new cells are held against them.
        impute: Take missing panel genes as average (their training mean) instead of refusing the data.
        threshold: Probability below which a label is marked “not sure”.
        matrix: "auto", "X", "raw.X" or "layers/<name>".
        name: What to call the data; the file's name where empty.
        on_progress: Told after every block.

    Raises:
        DataError: The data cannot be read; panel genes are missing and averages were not asked for, or fewer than half of
            them are there.
    """
    with open_cells(data, matrix=matrix, name=name) as cells:
        return _label(model, cells, reference, impute=impute, threshold=threshold, on_progress=on_progress)


def _label(
    model: PanelModel,
    cells: Cells,
    reference: Reference | None,
    *,
    impute: bool,
    threshold: float,
    on_progress: OnProgress,
) -> Labelled:
    matching = match_panel(model.genes, model.gene_ids, cells.genes, name=cells.name)
    refuse_missing(matching, impute=impute, name=cells.name)
    total, tables, sample, blank = len(cells.obs), [], [], 0
    every = max(1, -(-total // MAX_CELLS))
    for start, block in cells.blocks(matching.places):
        tables.append(_table(model.predict(block, absent=matching.absent), threshold))
        blank += int((~block.any(axis=1)).sum())
        if reference is not None:
            sample.append(block[-start % every :: every])
        done = start + len(block)
        on_progress(Progress("predicting", done, total, f"{done:,} of {total:,} cells labelled"))
    table = pd.concat(tables, ignore_index=True).set_index(cells.obs.index)
    findings = [
        *matching.findings,
        *averaged_findings(matching),
        *_kind_findings(cells, reference),
        *_blank_findings(cells.name, blank),
    ]
    shift = None
    if reference is not None:
        raw = np.concatenate(sample)
        shift = compare_cells(model, reference, raw, cells.chosen.scale.unit, absent=matching.absent, name=cells.name)
        findings += shift.findings
    return Labelled(
        cells.name,
        tuple(head.task for head in model.heads),
        table,
        cells.obs,
        matching,
        shift,
        tuple(findings),
        threshold,
    )


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
    """How values of another kind than the training data's are read; a doubt wherever the kind was not sure."""
    chosen, findings = cells.chosen, []
    if not chosen.sure:
        said = f"{chosen.name} of {cells.name} is read as {KINDS[chosen.kind]} ({chosen.evidence})."
        hint = f"If that is wrong, say how to read it, as in “{chosen.name} as counts”."
        findings.append(Finding("note" if chosen.kind == "counts" else "warning", said, hint))
    if reference is None or (chosen.kind == reference.kind and chosen.scale.unit == reference.unit):
        return findings
    here, there = KINDS[chosen.kind], KINDS[reference.kind]
    if chosen.scale.unit == reference.unit:
        done = f"Both are read as {reference.unit}."
    else:
        here, there = f"{here} (read as {chosen.scale.unit})", f"{there} (read as {reference.unit})"
        done = "Give counts of all genes if the file holds them, and trust the labels less."
    found = f"{chosen.name} of {cells.name} holds {here}, but the model was trained on {there}."
    level = "note" if chosen.scale.unit == reference.unit == PER_CELL else "warning"
    return [*findings, Finding(level, found, done)]


def _blank_findings(name: str, blank: int) -> list[Finding]:
    if not blank:
        return []
    what = "1 cell" if blank == 1 else f"{blank:,} cells"
    return [Finding("warning", f"{what} of {name} show none of the panel's genes.", "Their labels mean nothing.")]
