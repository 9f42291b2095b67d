"""How far a stated probability can be trusted: a temperature per task from validation cells, and what a threshold costs.

Temperature scaling (Guo et al., ICML 2017) changes no label: it only brings the stated probability close to the share of
cells that are labelled rightly. Validation cells set it; held-out cells show what each threshold on it gives.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from yoto_core.data.problem import Problem
from yoto_core.model.panel_model import PanelModel, tempered

MIN_CELLS = 20  # labelled validation cells; with fewer the probabilities are left as they are
COLDEST, HOTTEST = 0.2, 10.0
THRESHOLDS = tuple(np.round(np.arange(0, 1, 0.01), 2))
DEFAULT_THRESHOLD = 0.5
TRADE_OFF_COLUMNS = ("threshold", "coverage", "accuracy", "cells")


def calibrated(model: PanelModel, problem: Problem, order: np.ndarray) -> PanelModel:
    """The same model with the temperature of each class task set on validation cells; no label changes.

    `order` holds the positions of the model's genes among the candidates.
    """
    cells = problem.split.validation
    answers = model.predict(problem.panel_columns(cells, order))
    heads = []
    for head, target, answer in zip(model.heads, problem.targets, answers, strict=True):
        labelled = target.labelled[cells]
        if head.classes and labelled.sum() >= MIN_CELLS:
            found = fit_temperature(answer.probabilities[labelled], target.values[cells][labelled])
            head = replace(head, temperature=found)
        heads.append(head)
    return replace(model, heads=tuple(heads))


def fit_temperature(probabilities_BC: np.ndarray, true_B: np.ndarray) -> float:
    """The temperature under which the true class codes are most likely."""

    def loss(log_temperature: float) -> float:
        chance = tempered(probabilities_BC, float(np.exp(log_temperature)))[np.arange(len(true_B)), true_B]
        return float(-np.log(np.maximum(chance, 1e-12)).mean())

    found = minimize_scalar(loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded")
    return float(np.exp(found.x))


def trade_off(predictions: pd.DataFrame, task: str) -> pd.DataFrame:
    """What a threshold on the probability gives on held-out cells: threshold, coverage, accuracy, cells.

    Coverage is the share of labelled held-out cells whose probability reaches the threshold, accuracy the share of those
    that is right (NaN where none is left). `predictions` is that of an evaluation; a task of numbers has no rows.
    """
    if f"{task} probability" not in predictions:
        return pd.DataFrame(columns=list(TRADE_OFF_COLUMNS), dtype=float)
    table = predictions[predictions[f"{task} true"].notna()]
    probability = table[f"{task} probability"].to_numpy(dtype=float)
    right = (table[f"{task} true"] == table[f"{task} predicted"]).to_numpy()
    kept = probability[None, :] >= np.array(THRESHOLDS)[:, None]
    cells = kept.sum(1)
    accuracy = np.divide((kept & right).sum(1), cells, out=np.full(len(cells), np.nan), where=cells > 0)
    share = cells / max(len(table), 1)
    return pd.DataFrame(dict(zip(TRADE_OFF_COLUMNS, (THRESHOLDS, share, accuracy, cells), strict=True)))


def trade_off_sentence(table: pd.DataFrame, threshold: float, *, cells: str = "held-out cells") -> str:
    """What a threshold means on these cells, in words; empty where it was not measured."""
    if table.empty:
        return ""
    row = table.iloc[int(np.argmin(np.abs(table["threshold"] - threshold)))]
    everything = table.iloc[0]
    if not row["cells"]:
        return f"None of the {cells} reaches a probability of {threshold:.2f}."
    return (
        f"On {cells} a threshold of {threshold:.2f} labels {row['coverage']:.0%} of the cells, of which"
        f" {row['accuracy']:.1%} are right; labelling every cell gives {everything['accuracy']:.1%}."
    )
