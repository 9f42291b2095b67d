"""Scores of predictions on cells that training never saw, with bootstrap intervals.

Point values come from scikit-learn and scipy. Classes absent from the scored cells take no part in any average.
"""

import numpy as np
import pandas as pd
from scipy import stats
from sklearn import metrics

from yoto_core.data.targets import Target

HEADLINE = {"classification": "macro_f1", "regression": "r2"}
LEVEL = 0.95  # of every interval
MIN_GROUPS = 5  # fewer donors say too little of other donors for an interval
BLOCK_VALUES = 20_000_000  # resampled weights held at once


def class_scores(true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Accuracy, balanced accuracy and macro-F1 (0 to 1) of class codes, over the classes among the true ones."""
    present = np.unique(true)
    recall = metrics.recall_score(true, predicted, labels=present, average="macro", zero_division=0)
    return {
        "accuracy": float(metrics.accuracy_score(true, predicted)),
        "balanced_accuracy": float(recall),
        "macro_f1": float(metrics.f1_score(true, predicted, labels=present, average="macro", zero_division=0)),
    }


def number_scores(true: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """R², mean absolute error (in the number's unit) and Spearman's rank correlation.

    Where all true numbers are equal nothing can be explained: R² and Spearman are NaN, the latter for a constant answer too.
    """
    same = np.ptp(true) == 0
    constant = same or np.ptp(predicted) == 0
    return {
        "r2": float("nan") if same else float(metrics.r2_score(true, predicted)),
        "mae": float(metrics.mean_absolute_error(true, predicted)),
        "spearman": float("nan") if constant else float(stats.spearmanr(true, predicted).statistic),
    }


def headline(target: Target, cells: np.ndarray, predicted: np.ndarray) -> float:
    """Macro-F1 or R² of predictions for `cells` (indices), over those labelled; NaN where fewer than two are."""
    labelled = target.labelled[cells]
    if labelled.sum() < 2:
        return float("nan")
    true, predicted = target.values[cells][labelled], predicted[labelled]
    if not target.classes:
        return number_scores(true, predicted)[HEADLINE[target.kind]]
    # Training asks for this dozens of times: scikit-learn's checks of its input would take a quarter of it.
    n = len(target.classes)
    return float(macro_f1_from_confusion(np.bincount(true * n + predicted, minlength=n * n).reshape(n, n)))


def per_class(true: np.ndarray, predicted: np.ndarray, classes: tuple[str, ...]) -> pd.DataFrame:
    """Precision, recall, F1 and held-out cells of every class, one row each; 0 cells give NaN recall."""
    precision, recall, f1, cells = metrics.precision_recall_fscore_support(
        true, predicted, labels=range(len(classes)), zero_division=np.nan
    )
    return pd.DataFrame({"class": classes, "precision": precision, "recall": recall, "f1": f1, "cells": cells})


def confusion(true: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """(n_classes, n_classes) counts: rows are true classes, columns predicted ones."""
    return metrics.confusion_matrix(true, predicted, labels=range(n_classes))


def interval(
    target: Target,
    true: np.ndarray,
    predicted: np.ndarray,
    groups: np.ndarray | None,
    *,
    draws: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """95 % bootstrap interval of the headline score; whole groups are drawn where `groups` (code per cell) is given.

    NaN where there is nothing to draw from: fewer than two cells, fewer than five groups, or numbers that are all equal.
    """
    units = len(true) if groups is None else int(np.unique(groups).size)
    if units < (2 if groups is None else MIN_GROUPS):
        return float("nan"), float("nan")
    if target.classes:
        values = _macro_f1_draws(true, predicted, len(target.classes), groups, draws, rng)
    else:
        values = _r2_draws(true, predicted, groups, draws, rng)
    return percentiles(values, units)


def percentiles(values: np.ndarray, units: int) -> tuple[float, float]:
    """The 95 % interval of bootstrap draws over that many units (cells or groups); NaN where no draw is a number.

    With few units the ordinary percentiles are too narrow: they miss the factor √(n/(n-1)) of the standard error and the
    heavier tails of Student's t. These are the expanded percentiles of Hesterberg (The American Statistician 2015, 69:371,
    section 3.6), which become the ordinary ones as n grows.
    """
    values = values[~np.isnan(values)]
    if not values.size:
        return float("nan"), float("nan")
    reach = stats.t.ppf((1 + LEVEL) / 2, units - 1) * np.sqrt(units / (units - 1))
    tail = 100 * stats.norm.sf(reach)
    low, high = np.percentile(values, (tail, 100 - tail))
    return float(low), float(high)


def score_rows(
    target: Target,
    cells: np.ndarray,
    answer: np.ndarray,
    groups: np.ndarray | None,
    *,
    draws: int,
    rng: np.random.Generator,
) -> list[dict[str, float | str | int]]:
    """Every score of a task's answers for `cells` (indices; `groups`: a code per cell of the data), a row per metric.

    Rows hold metric, value, low, high (the interval of the headline metric, else NaN), cells (labelled ones) and groups
    (0 where cells were not held out in groups); none where fewer than two cells are labelled.
    """
    labelled = target.labelled[cells]
    if labelled.sum() < 2:
        return []
    true, predicted = target.values[cells][labelled], answer[labelled]
    values = (class_scores if target.classes else number_scores)(true, predicted)
    drawn = None if groups is None else groups[cells][labelled]
    low, high = interval(target, true, predicted, drawn, draws=draws, rng=rng)
    main = HEADLINE[target.kind]
    counts = {"cells": int(labelled.sum()), "groups": 0 if drawn is None else int(np.unique(drawn).size)}
    bounds = {metric: (low, high) if metric == main else (np.nan, np.nan) for metric in values}
    return [
        {"metric": metric, "value": value, "low": bounds[metric][0], "high": bounds[metric][1], **counts}
        for metric, value in values.items()
    ]


def macro_f1_from_confusion(counts: np.ndarray) -> np.ndarray:
    """(…,) macro-F1 of confusion counts (…, C, C), over classes with a true cell; equals scikit-learn's (tested)."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    true, predicted = counts.sum(-1), counts.sum(-2)
    f1 = np.divide(2 * hits, true + predicted, out=np.zeros(hits.shape), where=(true + predicted) > 0)
    present = true > 0
    return (f1 * present).sum(-1) / np.maximum(present.sum(-1), 1)


def _macro_f1_draws(
    true: np.ndarray, predicted: np.ndarray, n: int, groups: np.ndarray | None, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Drawing cells with replacement is a multinomial draw over the confusion counts: no cell need be touched twice."""
    if groups is None:
        counts = confusion(true, predicted, n).ravel()
        drawn = rng.multinomial(len(true), counts / counts.sum(), size=draws)
    else:
        names = np.unique(groups)
        by_group = np.stack([confusion(true[groups == g], predicted[groups == g], n).ravel() for g in names])
        times = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
        drawn = times @ by_group
    return macro_f1_from_confusion(drawn.reshape(draws, n, n))


def _r2_draws(
    true: np.ndarray, predicted: np.ndarray, groups: np.ndarray | None, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Each draw only weighs units (cells, or whole groups), so their sums are all it needs; NaN where no number varies."""
    centred = true - true.mean()  # else the squares of large numbers swallow their spread
    terms = np.stack([np.ones(len(true)), centred, centred**2, (true - predicted) ** 2], axis=1)
    if groups is not None:
        code = np.unique(groups, return_inverse=True)[1]
        terms = np.stack([np.bincount(code, weights=term) for term in terms.T], axis=1)
    units, block = len(terms), max(1, BLOCK_VALUES // len(terms))
    sizes = [min(block, draws - start) for start in range(0, draws, block)]
    chance = np.full(units, 1 / units)
    sums = np.concatenate([rng.multinomial(units, chance, size=size) @ terms for size in sizes])
    total, first, second, residual = sums.T
    spread = second - first**2 / total
    varies = spread > 1e-9 * second  # less is rounding
    return 1 - np.divide(residual, spread, out=np.full(draws, np.nan), where=varies)
