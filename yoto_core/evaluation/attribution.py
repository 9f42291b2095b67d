"""Why is this gene in the panel? Where it is highest (training cells), and what is lost without it (held-out cells)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from yoto_core.data.problem import Problem
from yoto_core.data.targets import Target
from yoto_core.evaluation.losses import MIN_CELLS, loss_words, needed
from yoto_core.words import counted

FILLER = "Filler: no class loses measurably without it"
UNTESTED = "What it is needed for cannot be told: no task is predicted better than chance"


@dataclass(frozen=True)
class Highest:
    """The class in which a gene is highest, of the task whose classes explain most of the gene's spread."""

    task: str
    name: str
    mean: float  # log expression in the class
    inside: float  # share (0 to 1) of the class's cells that express it
    outside: float  # the same of all other labelled cells


@dataclass(frozen=True)
class Reason:
    """What needs a gene, in order of loss, and one sentence that says why it was chosen."""

    needed_for: tuple[str, ...]
    sentence: str


def explain(problem: Problem, order: np.ndarray, losses: pd.DataFrame) -> tuple[Reason, ...]:
    """One reason per panel gene; `order` holds the panel's positions among the candidates, `losses` is `gene_losses`'."""
    cells = problem.split.train
    places = highest_in(problem.panel_columns(cells, order), problem.targets, cells)
    several = len(problem.targets) > 1
    reasons = []
    for gene, place in zip(order, places, strict=True):
        symbol = problem.candidates.symbols[gene]
        rows = needed(losses, symbol)
        parts = [place_words(place)] if place else []
        if len(rows):
            parts.append(f"Without it {loss_words(rows.iloc[0])}")
        elif losses["p"].notna().any():
            parts.append(_untold(losses, symbol, place) or FILLER)
        else:
            parts.append(UNTESTED)
        names = tuple(_name(row, several=several) for _, row in rows.iterrows())
        reasons.append(Reason(names, f"{'. '.join(parts)}."))
    return tuple(reasons)


def _untold(losses: pd.DataFrame, gene: str, place: Highest | None) -> str:
    """Why a gene that nothing is known to need may be needed all the same: its own class has too few held-out cells."""
    if place is None:
        return ""
    own = losses[(losses["gene"] == gene) & (losses["task"] == place.task) & (losses["class"] == place.name)]
    cells = int(own["cells"].iloc[0]) if len(own) else 0
    if cells >= MIN_CELLS:
        return ""
    return f"What {place.name} loses without it cannot be told from {counted(cells, 'held-out cell')}; no other class loses measurably"


def highest_in(columns: np.ndarray, targets: Sequence[Target], cells: np.ndarray) -> list[Highest | None]:
    """Per gene of (cells, K) log expression the class in which it is highest; None where no task has classes.

    Where several tasks have classes, the one whose classes explain most of the gene's variance (eta squared) is named.
    """
    tasks = [target for target in targets if target.classes]
    if not tasks:
        return [None] * columns.shape[1]
    explained = np.stack([_explained(columns, target.values[cells]) for target in tasks])
    found: list[Highest | None] = []
    for place, column in enumerate(columns.T):
        target = tasks[int(np.argmax(explained[:, place]))]
        labels = target.values[cells]
        present = np.flatnonzero(target.counts(cells))
        best = max(present, key=lambda code, labels=labels, column=column: column[labels == code].mean())
        inside, outside = column[labels == best], column[(labels >= 0) & (labels != best)]
        elsewhere = float(np.mean(outside > 0)) if outside.size else 0.0
        found.append(
            Highest(target.task, target.classes[best], float(inside.mean()), float(np.mean(inside > 0)), elsewhere)
        )
    return found


def place_words(place: Highest) -> str:
    """“Highest in B (cell_type): 95 % of its cells express it, 3 % elsewhere”."""
    return f"Highest in {place.name} ({place.task}): {place.inside:.0%} of its cells express it, {place.outside:.0%} elsewhere"


def _name(row: pd.Series, *, several: bool) -> str:
    if not row["class"]:
        return str(row["task"])
    return f"{row['class']} ({row['task']})" if several else str(row["class"])


def _explained(columns: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """(K,) share of each gene's variance that lies between the classes (eta squared), over labelled cells."""
    columns, codes = columns[codes >= 0].astype(np.float64), codes[codes >= 0]
    counts = np.bincount(codes)
    sums = np.stack([np.bincount(codes, weights=column) for column in columns.T], axis=1)
    present = counts > 0
    means = sums[present] / counts[present, None]
    between = (counts[present, None] * (means - columns.mean(axis=0)) ** 2).sum(axis=0)
    total = ((columns - columns.mean(axis=0)) ** 2).sum(axis=0)
    return np.divide(between, total, out=np.zeros(len(total)), where=total > 0)
