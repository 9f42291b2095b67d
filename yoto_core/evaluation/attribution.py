"""Why is this gene in the panel? Where it is highest (training cells), and what is lost without it (held-out cells)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from yoto_core.data.problem import Problem
from yoto_core.data.targets import Target
from yoto_core.evaluation.losses import MIN_CELLS, loss_words, needed
from yoto_core.words import counted, number_text

FILLER = "Filler: no class loses measurably without it"
UNTESTED = "What it is needed for cannot be told: no task is predicted better than chance"


@dataclass(frozen=True)
class Marks:
    """What a gene tells best: the class in which it is highest, or (where `name` is "") a number that it follows."""

    task: str
    name: str = ""
    mean: float = math.nan  # log expression in the class
    inside: float = math.nan  # share (0 to 1) of the class's cells that express it
    outside: float = math.nan  # the same of all other labelled cells
    correlation: float = math.nan  # Spearman's, with a number


@dataclass(frozen=True)
class Reason:
    """What needs a gene, in order of loss, and one sentence that says why it was chosen."""

    needed_for: tuple[str, ...]
    sentence: str


def explain(problem: Problem, order: np.ndarray, losses: pd.DataFrame) -> tuple[Reason, ...]:
    """One reason per panel gene; `order` holds the panel's positions among the candidates, `losses` is `gene_losses`'."""
    cells = problem.split.train
    places = marked_by(problem.panel_columns(cells, order), problem.targets, cells)
    several = len(problem.targets) > 1
    reasons = []
    for gene, place in zip(order, places, strict=True):
        symbol = problem.candidates.symbols[gene]
        rows = needed(losses, symbol)
        parts = [place_words(place)]
        if len(rows):
            parts.append(f"Without it {loss_words(rows.iloc[0])}")
        elif losses["p"].notna().any():
            parts.append(_untold(losses, symbol, place) or FILLER)
        else:
            parts.append(UNTESTED)
        names = tuple(_name(row, several=several) for _, row in rows.iterrows())
        reasons.append(Reason(names, f"{'. '.join(parts)}."))
    return tuple(reasons)


def _untold(losses: pd.DataFrame, gene: str, place: Marks) -> str:
    """Why a gene that nothing is known to need may be needed all the same: its own class has too few held-out cells."""
    if not place.name:
        return ""
    own = losses[(losses["gene"] == gene) & (losses["task"] == place.task) & (losses["class"] == place.name)]
    cells = int(own["cells"].iloc[0]) if len(own) else 0
    if cells >= MIN_CELLS:
        return ""
    return f"What {place.name} loses without it cannot be told from {counted(cells, 'held-out cell')}; no other class loses measurably"


def marked_by(columns: np.ndarray, targets: Sequence[Target], cells: np.ndarray) -> list[Marks]:
    """Per gene of (cells, K) log expression what it tells best, of the tasks whichever explains most of its spread.

    Classes explain the share of a gene's variance that lies between them (eta squared), a number the square of its rank
    correlation.
    """
    explained = np.stack([_explained(columns, target, cells) for target in targets])
    found = []
    for place, column in enumerate(columns.T):
        target = targets[int(np.argmax(explained[:, place]))]
        found.append(_highest(column, target, cells) if target.classes else _follows(column, target, cells))
    return found


def place_words(place: Marks) -> str:
    """“Highest in B (cell_type): 95 % of its cells express it, 3 % elsewhere” or “Follows age (rank correlation 0.62)”."""
    if not place.name:
        return f"Follows {place.task} (rank correlation {number_text(place.correlation)})"
    return f"Highest in {place.name} ({place.task}): {place.inside:.0%} of its cells express it, {place.outside:.0%} elsewhere"


def _highest(column: np.ndarray, target: Target, cells: np.ndarray) -> Marks:
    labels = target.values[cells]
    best = max(np.flatnonzero(target.counts(cells)), key=lambda code: column[labels == code].mean())
    inside, outside = column[labels == best], column[(labels >= 0) & (labels != best)]
    elsewhere = float(np.mean(outside > 0)) if outside.size else 0.0
    return Marks(target.task, target.classes[best], float(inside.mean()), float(np.mean(inside > 0)), elsewhere)


def _follows(column: np.ndarray, target: Target, cells: np.ndarray) -> Marks:
    return Marks(target.task, correlation=_rank_correlation(column, target.values[cells]))


def _rank_correlation(column: np.ndarray, numbers: np.ndarray) -> float:
    """Spearman's over labelled cells; 0 where either is constant."""
    here = ~np.isnan(numbers)
    if here.sum() < 2 or np.ptp(column[here]) == 0 or np.ptp(numbers[here]) == 0:
        return 0.0
    return float(stats.spearmanr(column[here], numbers[here]).statistic)


def _name(row: pd.Series, *, several: bool) -> str:
    if not row["class"]:
        return str(row["task"])
    return f"{row['class']} ({row['task']})" if several else str(row["class"])


def _explained(columns: np.ndarray, target: Target, cells: np.ndarray) -> np.ndarray:
    """(K,) share (0 to 1) of each gene's spread that a task explains, over labelled cells."""
    values = target.values[cells]
    if not target.classes:
        return np.array([_rank_correlation(column, values) ** 2 for column in columns.T])
    columns, codes = columns[values >= 0].astype(np.float64), values[values >= 0]
    counts = np.bincount(codes)
    sums = np.stack([np.bincount(codes, weights=column) for column in columns.T], axis=1)
    present = counts > 0
    means = sums[present] / counts[present, None]
    between = (counts[present, None] * (means - columns.mean(axis=0)) ** 2).sum(axis=0)
    total = ((columns - columns.mean(axis=0)) ** 2).sum(axis=0)
    return np.divide(between, total, out=np.zeros(len(total)), where=total > 0)
