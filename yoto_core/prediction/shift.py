"""Do the new cells look like the training cells? Every panel gene's range, and how many cells lie outside."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from yoto_core.data.checks import Finding
from yoto_core.evaluation.reference import HIGH, LOW, RARE, Reference, panel_share
from yoto_core.model.panel_model import PanelModel
from yoto_core.words import number_text

MANY_OUT = 0.10  # share of cells out of range from which the labels deserve doubt


@dataclass(frozen=True)
class Shift:
    """New cells against training cells.

    `genes` has one row per panel gene that was measured, the most shifted first: gene, its mean, low (5 %), high (95 %) and
    share of cells that show it in training and in the new cells, and `shift` in training standard deviations.
    """

    genes: pd.DataFrame = field(repr=False)
    cells: int
    out_of_range: float  # share of the new cells (0 to 1)
    sentence: str
    findings: tuple[Finding, ...]


def compare_cells(
    model: PanelModel, reference: Reference, raw_BK: np.ndarray, unit: str, *, absent: Sequence[int] = (), name: str
) -> Shift:
    """Hold (a sample of) new log-normalised cells × panel genes, in that unit, against the training cells."""
    there = np.setdiff1d(np.arange(len(model.genes)), absent)
    formed, seen = model.formed(raw_BK, absent=absent), (raw_BK > 0)[:, there].sum(1)
    table = pd.DataFrame(
        {
            "gene": np.array(model.genes, dtype=object)[there],
            "training mean": reference.mean[there],
            "training low": reference.low[there],
            "training high": reference.high[there],
            "training seen": reference.detected[there],
            "new mean": formed[:, there].mean(0),
            "new low": np.percentile(formed[:, there], LOW, axis=0),
            "new high": np.percentile(formed[:, there], HIGH, axis=0),
            "new seen": (raw_BK[:, there] > 0).mean(0),
        }
    )
    table["shift"] = (table["new mean"] - table["training mean"]) / (reference.spread[there] + 1e-3)
    table = table.sort_values("shift", key=abs, ascending=False, ignore_index=True)
    high = (formed > reference.extreme)[:, there].sum(1) > reference.most_extreme
    few = seen < reference.fewest_seen * len(there) / len(model.genes)
    out = float(np.mean(high | few))
    worst = table.iloc[0]
    sentence = (
        f"{out:.1%} of {len(raw_BK):,} new cells are out of the training range (about {2 * RARE:.0f} % are expected); the"
        f" gene that moved most is {worst['gene']}, by {number_text(worst['shift'], 1, signed=True)} training standard deviations."
    )
    findings = _findings(reference, raw_BK, unit, model, out, name)
    return Shift(table, len(raw_BK), out, sentence, findings)


def _findings(
    reference: Reference, raw_BK: np.ndarray, unit: str, model: PanelModel, out: float, name: str
) -> tuple[Finding, ...]:
    found = []
    if out > MANY_OUT:
        found.append(
            Finding(
                "warning",
                f"{out:.0%} of the cells of {name} are unlike the training cells.",
                "Trust their labels less, and look at the genes that moved.",
            )
        )
    if model.normalize == "all genes":
        shares = panel_share(raw_BK, unit)
        if shares is None or reference.share is None:  # a share of an unknown total is not known
            return tuple(found)
        share = float(np.median(shares))
        low, middle, high = reference.share
        if not low <= share <= high:
            found.append(
                Finding(
                    "warning",
                    f"The panel makes up {share:.1%} of a cell's transcripts in {name}, in training {middle:.1%}"
                    f" ({low:.1%} to {high:.1%}): the cells were not normalised over the same genes.",
                    "For an assay that measures only the panel, train the same design for new cells from “an imaging or other"
                    " targeted assay” (genes.normalize=panel): it chooses the same genes.",
                )
            )
    else:
        seen = float(np.median((raw_BK > 0).sum(1)))
        low, middle, high = reference.seen
        if not low <= seen <= high:
            found.append(
                Finding(
                    "warning",
                    f"A cell of {name} shows {seen:.0f} of the {len(model.genes)} panel genes, in training {middle:.0f}"
                    f" ({low:.0f} to {high:.0f}).",
                    "The assay is more or less sensitive than the training data; trust the labels less.",
                )
            )
    return tuple(found)
