"""What a figure shows for this run, in plain sentences."""

import numpy as np
import pandas as pd

from yoto_core.explore.embedding import NEIGHBOURS, Maps

MERGES = 0.1  # of its own kind nearby that a class must lose before it is said to merge
CONFUSED = 0.05  # share of a class that must be called another before it is worth a sentence
WORST = 3


def map_sentences(maps: Maps, task: str) -> tuple[str, ...]:
    """How much of each cell's neighbourhood the panel keeps, and which classes merge."""
    overall = maps.overall[maps.overall["measure"] == "neighbours"]
    kept, cells = float(overall["panel"].iloc[0]), len(maps.cells)
    chance = min(NEIGHBOURS, cells - 1) / max(1, cells - 1)
    found = [f"By the panel alone a cell keeps {kept:.0%} of its nearest cells; by chance it would be {chance:.1%}."]
    classes = maps.classes[maps.classes["task"] == task]
    if classes.empty:
        return tuple(found)
    lost = (classes["purity_all"] - classes["purity_panel"]).sort_values(ascending=False)
    merging = classes.loc[lost[lost >= MERGES].index[:WORST]]
    if merging.empty:
        found.append(f"No class of {task} loses more than {MERGES:.0%} of its own kind nearby: none merges.")
    for row in merging.itertuples():
        found.append(
            f"{row[2]} merges: {row.purity_all:.0%} of its nearest cells are of its own kind by all genes,"
            f" {row.purity_panel:.0%} by the panel, where {row.mixes_share:.0%} are {row.mixes_with}."
        )
    return tuple(found)


def mistakes(confusion: pd.DataFrame) -> pd.DataFrame:
    """Per class with a held-out cell, the worst recall first: class, recall, cells, mistaken_for, share (of its cells)."""
    counts = confusion.to_numpy(dtype=float)
    totals = counts.sum(axis=1)
    rows = []
    for code in np.flatnonzero(totals):
        others = counts[code].copy()
        others[code] = 0
        worst = int(np.argmax(others))
        rows.append(
            {
                "class": confusion.index[code],
                "recall": counts[code, code] / totals[code],
                "cells": int(totals[code]),
                "mistaken_for": confusion.columns[worst] if others[worst] else "",
                "share": others[worst] / totals[code],
            }
        )
    table = pd.DataFrame(rows, columns=["class", "recall", "cells", "mistaken_for", "share"])
    return table.sort_values(["recall", "class"], kind="stable", ignore_index=True)


def mistake_sentences(confusion: pd.DataFrame) -> tuple[str, ...]:
    """The worst classes and what they are mistaken for."""
    table = mistakes(confusion)
    if table.empty:
        return ("No held-out cell has a label of this task.",)
    if len(table) == 1:
        return (f"The held-out cells hold one class only, {table['class'][0]}: there is nothing to mistake it for.",)
    worst = table[table["share"] >= CONFUSED].head(WORST)
    if worst.empty:
        return ("No class is often taken for another.",)
    return tuple(
        f"{row[1]}: {row.recall:.0%} of its {row.cells:,} held-out cells are found; {row.share:.0%} are taken for {row.mistaken_for}."
        for row in worst.itertuples()
    )


def number_sentence(table: pd.DataFrame, task: str) -> str:
    """How far predicted numbers are from the true ones, and whether extremes are drawn to the middle."""
    if len(table) < 2 or np.ptp(table["true"]) == 0:
        return f"Too few different values of {task} among the held-out cells to compare."
    typical = float((table["predicted"] - table["true"]).abs().median())
    slope = float(np.polyfit(table["true"], table["predicted"], 1)[0])
    drawn = (
        f"; high and low values are drawn towards the middle (predictions span {max(slope, 0):.0%} of the true range)"
        if slope < 0.7
        else ""
    )
    return f"Half of the held-out cells are predicted within {typical:.3g} of their true {task}{drawn}."
