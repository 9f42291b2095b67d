"""What there is to know about each gene of a panel: where it is expressed, what it shares with others, what could replace it.

Everything is described on training cells, as the panel's reasons are. Expression is log-normalised, in the unit that the
run's summary names (`scales.unit_of`).
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import sparse

from yoto_core.data.genes import families_of
from yoto_core.data.problem import Problem
from yoto_core.data.targets import Target
from yoto_core.evaluation.attribution import marked_by

REPLACEMENTS = 5  # candidates named per gene
REDUNDANT = 0.7  # correlation from which two panel genes are called alike


@dataclass(frozen=True)
class Profiles:
    """Tables about the panel's genes.

    `genes`: one row per gene: gene, best_task, best_class, best_mean, best_percent, highest_mean, detection, families.
    `classes`: one row per gene × class of every task: gene, task, class, mean, percent, cells.
    `correlations`: (K, K) Pearson correlations, genes in panel order.
    `replacements`: one row per gene and near candidate outside the panel: gene, other, other_id, correlation.
    `candidates`: every gene the panel was chosen from: gene, gene_id.
    """

    genes: pd.DataFrame = field(repr=False)
    classes: pd.DataFrame = field(repr=False)
    correlations: pd.DataFrame = field(repr=False)
    replacements: pd.DataFrame = field(repr=False)
    candidates: pd.DataFrame = field(repr=False)


def profile(problem: Problem, order: np.ndarray) -> Profiles:
    """Describe the panel whose positions among the candidates are `order` (K,), best first."""
    cells = problem.split.train
    every, columns = problem.expression[cells], problem.panel_columns(cells, order)
    names = [problem.candidates.symbols[gene] for gene in order]
    classes = _classes(columns, names, problem.targets, cells)
    against = correlations(every, columns)
    return Profiles(
        genes=_genes(columns, names, classes, problem.targets, cells),
        classes=classes,
        correlations=pd.DataFrame(against[order], index=names, columns=names),
        replacements=_replacements(against, order, problem),
        candidates=pd.DataFrame({"gene": problem.candidates.symbols, "gene_id": problem.candidates.ids}),
    )


def correlations(every: sparse.csr_matrix, columns: np.ndarray) -> np.ndarray:
    """(G, K) Pearson correlations of sparse genes (cells, G) with dense ones (cells, K); 0 where a gene is constant."""
    n = every.shape[0]
    mean_G, mean_K = np.asarray(every.mean(axis=0)).ravel(), columns.mean(axis=0, dtype=np.float64)
    square_G = np.asarray(every.multiply(every).mean(axis=0)).ravel()
    spread_G = np.sqrt(np.maximum(square_G - mean_G**2, 0))
    spread_K = columns.std(axis=0, dtype=np.float64)
    shared = (every.T @ columns) / n - np.outer(mean_G, mean_K)
    scale = np.outer(spread_G, spread_K)
    return np.clip(np.divide(shared, scale, out=np.zeros(scale.shape), where=scale > 1e-9), -1, 1)


def redundant_pairs(table: pd.DataFrame, threshold: float = REDUNDANT) -> pd.DataFrame:
    """Pairs of panel genes that say nearly the same: keep, drop (the lower ranked), correlation; the most alike first."""
    values = table.to_numpy()
    first, second = np.nonzero(np.triu(values >= threshold, k=1))
    pairs = pd.DataFrame(
        {"keep": table.index[first], "drop": table.index[second], "correlation": values[first, second]}
    )
    return pairs.sort_values("correlation", ascending=False, kind="stable", ignore_index=True)


def _classes(columns: np.ndarray, names: list[str], targets: tuple[Target, ...], cells: np.ndarray) -> pd.DataFrame:
    tables = [pd.DataFrame(columns=["gene", "task", "class", "mean", "percent", "cells"])]
    for target in targets:
        codes = target.values[cells]
        for code, name in enumerate(target.classes):
            inside = columns[codes == code]
            if len(inside):
                figures = {"mean": inside.mean(axis=0), "percent": 100 * (inside > 0).mean(axis=0)}
                tables.append(
                    pd.DataFrame({"gene": names, "task": target.task, "class": name, **figures, "cells": len(inside)})
                )
    return pd.concat(tables[1:] or tables, ignore_index=True)


def _genes(
    columns: np.ndarray, names: list[str], classes: pd.DataFrame, targets: tuple[Target, ...], cells: np.ndarray
) -> pd.DataFrame:
    """Per gene the class in which it is highest (`attribution.marked_by`), and its highest mean in any class."""
    rows = []
    for place, (name, best) in enumerate(zip(names, marked_by(columns, targets, cells), strict=True)):
        found = {"best_task": "", "best_class": "", "best_mean": np.nan, "best_percent": np.nan, "highest_mean": np.nan}
        if best.name:
            found = {
                "best_task": best.task,
                "best_class": best.name,
                "best_mean": best.mean,
                "best_percent": 100 * best.inside,
                "highest_mean": classes.loc[classes["gene"] == name, "mean"].max(),
            }
        detection = 100 * float(np.mean(columns[:, place] > 0))
        rows.append({"gene": name, **found, "detection": detection, "families": ", ".join(families_of(name))})
    return pd.DataFrame(rows)


def _replacements(against: np.ndarray, order: np.ndarray, problem: Problem) -> pd.DataFrame:
    outside = np.setdiff1d(np.arange(len(against)), order)
    symbols, ids = problem.candidates.symbols, problem.candidates.ids
    rows = [
        {"gene": symbols[gene], "other": symbols[other], "other_id": ids[other], "correlation": against[other, place]}
        for place, gene in enumerate(order)
        for other in outside[np.argsort(-against[outside, place], kind="stable")[:REPLACEMENTS]]
    ]
    return pd.DataFrame(rows, columns=["gene", "other", "other_id", "correlation"])
