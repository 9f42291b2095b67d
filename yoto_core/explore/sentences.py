"""What a figure shows for this run, in plain sentences."""

import numpy as np
import pandas as pd

from yoto_core.explore.embedding import NEIGHBOURS, Maps
from yoto_core.explore.profiles import Profiles
from yoto_core.words import number_text

MERGES = 0.1  # of its own kind nearby that a class must lose before it is said to merge
CONFUSED = 0.05  # share of a class that must be called another before it is worth a sentence
WORST = 3
FEW = 10  # held-out cells below which a share of them is rough


def chance_kept(cells: int) -> float:
    """Share (0 to 1) of a cell's nearest cells that any map keeps by chance."""
    return min(NEIGHBOURS, cells - 1) / max(1, cells - 1)


def map_sentences(maps: Maps, task: str) -> tuple[str, ...]:
    """How much of each cell's neighbourhood the panel keeps, and which classes merge."""
    overall = maps.overall[maps.overall["measure"] == "neighbours"]
    kept, chance = float(overall["panel"].iloc[0]), chance_kept(len(maps.cells))
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
            f"{row[2]} merges with {row.mixes_with}: {row.purity_all:.0%} of its nearest cells are of its own kind by all"
            f" genes, {row.purity_panel:.0%} by the panel, where {row.mixes_share:.0%} are {row.mixes_with}."
        )
    return tuple(found)


def outside_sentence(profiles: Profiles, name: str) -> str:
    """Why a search for a symbol or id found nothing in the panel: not chosen, or never a candidate."""
    candidates = profiles.candidates
    wanted = name.strip().casefold()
    rows = candidates[(candidates["gene"].str.casefold() == wanted) | (candidates["gene_id"].str.casefold() == wanted)]
    if rows.empty:
        return f"“{name.strip()}” is neither in the panel nor among its {len(candidates):,} candidate genes."
    gene = rows["gene"].iloc[0]
    near = profiles.replacements[profiles.replacements["other"] == gene].nlargest(1, "correlation")
    like = "".join(
        f" It could replace {row.gene} (correlation {number_text(row.correlation)})." for row in near.itertuples()
    )
    return f"{gene} was a candidate and was not chosen.{like}"


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
    """The worst classes and what they are mistaken for; classes of few held-out cells only where there are no others."""
    table = mistakes(confusion)
    if table.empty:
        return ("No held-out cell has a label of this task.",)
    if len(table) == 1:
        return (f"The held-out cells hold one class only, {table['class'][0]}: there is nothing to mistake it for.",)
    rough = table["cells"] < FEW
    known = table if rough.all() else table[~rough]
    found = [
        f"{row[1]}: {row.recall:.0%} of its {row.cells:,} held-out cells are found; {row.share:.0%} are taken for {row.mistaken_for}."
        for row in known[known["share"] >= CONFUSED].head(WORST).itertuples()
    ]
    found = found or ["No class is often taken for another."]
    if rough.any():
        classes = "1 class has" if rough.sum() == 1 else f"{rough.sum()} classes have"
        found.append(f"{classes} fewer than {FEW} held-out cells: shares of so few are rough.")
    return tuple(found)


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
