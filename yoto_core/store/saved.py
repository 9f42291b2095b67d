"""A trained model with all that is known of it: what the Predict page, the shell and a colleague's notebook work with.

It comes from a run folder or from one portable file (`portable`), and behaves the same from both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from anndata import AnnData

from yoto_core.data.reading import from_anndata
from yoto_core.evaluation.reference import COST_COLUMNS, Reference
from yoto_core.model.calibration import DEFAULT_THRESHOLD, trade_off
from yoto_core.model.panel_model import PanelModel
from yoto_core.pipeline import Run
from yoto_core.prediction.cells import cells_of, open_cells
from yoto_core.prediction.crossstudy import OWN_COLUMNS, own_scores
from yoto_core.prediction.matching import Matching, match_panel
from yoto_core.prediction.predict import Labelled, label_cells
from yoto_core.progress import OnProgress, silent

CLASS_COLUMNS = ["task", "class", "precision", "recall", "f1", "cells"]


@dataclass(frozen=True)
class SavedModel:
    """The model, the training cells in numbers, and what held-out cells showed (empty tables where not measured)."""

    model: PanelModel
    reference: Reference | None
    about: Mapping[str, object]  # data, cells, candidate_genes, split, groups, versions, seed, matrix
    scores: pd.DataFrame = field(repr=False)  # task, metric, value, low, high, cells of the model on held-out cells
    classes: pd.DataFrame = field(repr=False)
    costs: pd.DataFrame = field(repr=False)
    trade_offs: Mapping[str, pd.DataFrame] = field(repr=False)

    def predict(
        self, adata: AnnData, *, impute: bool = False, threshold: float = DEFAULT_THRESHOLD, matrix: str = "auto"
    ) -> pd.DataFrame:
        """Label new cells (shape `n_obs` × `n_vars`, rows are cells): one row per cell, columns per task.

        Raises:
            DataError: Panel genes are missing and `impute` is False, or fewer than half of them are there.
        """
        cells = cells_of(from_anndata(adata, matrix=matrix))
        return label_cells(self.model, cells, reference=None, impute=impute, threshold=threshold).table

    def match_file(self, path: str | Path, *, name: str = "") -> Matching:
        """Which panel genes an .h5ad holds (DataError where it cannot be read or holds none)."""
        with open_cells(path, name=name) as cells:
            return match_panel(self.model.genes, self.model.gene_ids, cells.genes, name=cells.name)

    def label_file(
        self,
        path: str | Path,
        *,
        impute: bool = False,
        threshold: float = DEFAULT_THRESHOLD,
        matrix: str = "auto",
        name: str = "",
        on_progress: OnProgress = silent,
    ) -> tuple[Labelled, pd.DataFrame]:
        """Label the cells of an .h5ad without holding its matrix; also gives the file's obs."""
        with open_cells(path, matrix=matrix, name=name) as cells:
            labelled = label_cells(
                self.model,
                cells,
                reference=self.reference,
                impute=impute,
                threshold=threshold,
                on_progress=on_progress,
            )
            return labelled, cells.obs


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
        "split": summary["split"],
        "group": run.config.split.group,
        "held_out_groups": summary["held_out_groups"],
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
        costs=scores.costs if scores else pd.DataFrame(columns=list(COST_COLUMNS)),
        trade_offs={task: trade_off(scores.predictions, task) for task in tasks} if scores else {},
    )
