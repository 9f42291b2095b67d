"""A trained model with all that is known of it: what the Predict page, the shell and a colleague's notebook work with.

It comes from a run folder or from one portable file (`portable`), and behaves the same from both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from anndata import AnnData

from yoto_core.data.scales import unit_of
from yoto_core.evaluation.losses import missing_sentence
from yoto_core.evaluation.reference import Reference
from yoto_core.model.calibration import DEFAULT_THRESHOLD, trade_off
from yoto_core.model.panel_model import PanelModel
from yoto_core.pipeline import Run
from yoto_core.prediction.crossstudy import CLASS_COLUMNS, OWN_COLUMNS, CrossStudy, judge, own_scores
from yoto_core.prediction.matching import Matching
from yoto_core.prediction.predict import Labelled, Look, label, look
from yoto_core.progress import OnProgress, silent


@dataclass(frozen=True)
class SavedModel:
    """The model, the training cells in numbers, and what held-out cells showed (empty where that was not measured)."""

    model: PanelModel
    reference: Reference | None
    about: Mapping[str, object]  # data, digest, cells, genes, matrix, split, groups, seed, versions
    scores: pd.DataFrame = field(repr=False)  # task, metric, value, low, high, cells of the model on held-out cells
    classes: pd.DataFrame = field(repr=False)
    confusion: Mapping[str, pd.DataFrame] = field(repr=False)
    losses: pd.DataFrame = field(repr=False)  # what each gene is needed for (`evaluation.losses`)
    trade_offs: Mapping[str, pd.DataFrame] = field(repr=False)

    def look(self, data: AnnData | str | Path, *, matrix: str = "auto", name: str = "") -> Look:
        """Which of the panel's genes new data hold, before they are labelled (`predict.look`)."""
        return look(self.model, data, matrix=matrix, name=name)

    def missing_costs(self, matching: Matching) -> pd.DataFrame:
        """One row per panel gene that new data lack: gene, and in words what that costs on held-out cells."""
        costs = [missing_sentence(self.losses, gene) for gene in matching.missing]
        return pd.DataFrame({"gene": matching.missing, "cost": costs})

    def predict(
        self,
        data: AnnData | str | Path,
        *,
        impute: bool = False,
        threshold: float = DEFAULT_THRESHOLD,
        matrix: str = "auto",
    ) -> pd.DataFrame:
        """The answers of `label` alone: one row per cell, columns per task."""
        return self.label(data, impute=impute, threshold=threshold, matrix=matrix).table

    def label(
        self,
        data: AnnData | str | Path,
        *,
        impute: bool = False,
        threshold: float = DEFAULT_THRESHOLD,
        matrix: str = "auto",
        name: str = "",
        on_progress: OnProgress = silent,
    ) -> Labelled:
        """Label new cells and say how far the labels can be believed; the arguments are those of `predict.label`.

        Raises:
            DataError: The data cannot be read; panel genes are missing and `impute` is False, or fewer than half of them
                are there.
        """
        return label(
            self.model,
            data,
            reference=self.reference,
            impute=impute,
            threshold=threshold,
            matrix=matrix,
            name=name,
            on_progress=on_progress,
        )

    def judge(self, labelled: Labelled, truth: Mapping[str, str] | None = None) -> CrossStudy:
        """Score the answers against labels that the new cells carry themselves (`crossstudy.judge`)."""
        return judge(self.model, labelled, truth, group=str(self.about.get("group") or ""))


def saved_model(run: Run) -> SavedModel:
    """What a run hands on for labelling new cells."""
    scores = run.evaluation
    summary = run.summary
    about = {
        "data": summary["name"],
        "digest": summary["digest"],
        "cells": summary["cells"],
        "genes": summary["genes"],
        "candidate_genes": summary["candidate_genes"],
        "matrix": summary["matrix"],
        "unit": unit_of(summary),
        "split": summary["split"],
        "group": run.config.split.group,
        "held_out_groups": tuple(summary["held_out_groups"]),
        "seed": run.config.seed,
        "versions": dict(run.versions),
    }
    tasks = [head.task for head in run.model.heads]
    return SavedModel(
        model=run.model,
        reference=run.reference,
        about=about,
        scores=own_scores(scores.scores) if scores else pd.DataFrame(columns=OWN_COLUMNS),
        classes=scores.classes if scores else pd.DataFrame(columns=CLASS_COLUMNS),
        confusion=scores.confusion if scores else {},
        losses=run.losses,
        trade_offs={task: trade_off(scores.predictions, task) for task in tasks} if scores else {},
    )
