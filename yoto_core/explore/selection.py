"""A group of cells drawn on a map: which they are, and how they differ from the rest."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from matplotlib.path import Path as Polygon

from yoto_core.explore.embedding import Maps

MIN_SCORED = 5  # held-out cells below which no share is given


@dataclass(frozen=True)
class Outline:
    """A closed line on a map, which is named: corners (x, y) in the units of that map."""

    map: str
    corners: tuple[tuple[float, float], ...]

    def holds(self, places: np.ndarray) -> np.ndarray:
        """Which of the places (cells, 2) lie inside."""
        if len(self.corners) < 3:
            return np.zeros(len(places), dtype=bool)
        return Polygon(self.corners).contains_points(places)


@dataclass(frozen=True)
class Selected:
    """The selection beside all other mapped cells.

    `shares`: class, cells, selected (share of the selection), rest (share of the others). `genes`: gene, selected, rest,
    difference (means, largest difference first). `accuracy`: of held-out cells, None where fewer than five.
    """

    cells: int
    shares: pd.DataFrame = field(repr=False)
    genes: pd.DataFrame = field(repr=False)
    accuracy: tuple[float | None, float | None]
    held_out: tuple[int, int]


def describe(maps: Maps, inside: np.ndarray, task: str, classes: Sequence[str]) -> Selected:
    """Describe the mapped cells marked in `inside` (bool per mapped cell) by the labels of one task."""
    true, predicted = maps.cells[f"{task} true"], maps.cells[f"{task} predicted"]
    held_out = (maps.cells["part"] == "held-out") & true.notna()
    groups = [held_out & inside, held_out & ~inside]
    right = [float((true[g] == predicted[g]).mean()) if classes and g.sum() >= MIN_SCORED else None for g in groups]
    return Selected(
        cells=int(inside.sum()),
        shares=_shares(true, inside) if classes else pd.DataFrame(columns=["class", "cells", "selected", "rest"]),
        genes=_genes(maps.expression, inside),
        accuracy=(right[0], right[1]),
        held_out=(int(groups[0].sum()), int(groups[1].sum())),
    )


def _shares(true: pd.Series, inside: np.ndarray) -> pd.DataFrame:
    counts = pd.crosstab(true.fillna("(missing)").astype(str), inside).reindex(columns=[True, False], fill_value=0)
    shares = counts / counts.sum().replace(0, 1)
    table = pd.DataFrame({"cells": counts[True], "selected": shares[True], "rest": shares[False]})
    table = table[table["cells"] > 0].sort_values("cells", ascending=False, kind="stable")
    return table.rename_axis("class").reset_index()


def _genes(expression: pd.DataFrame, inside: np.ndarray) -> pd.DataFrame:
    values = expression.to_numpy()
    means = [values[mask].mean(axis=0) if mask.any() else np.zeros(values.shape[1]) for mask in (inside, ~inside)]
    table = pd.DataFrame({"gene": expression.columns, "selected": means[0], "rest": means[1]})
    table["difference"] = table["selected"] - table["rest"]
    order = table["difference"].abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)
