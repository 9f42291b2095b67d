"""How many genes are enough? The score of every size from one training, and the smallest size that does as well.

One training orders more genes than asked for and fits one model to every prefix, so the curve costs no further training.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.isotonic import IsotonicRegression

CURVE_METHODS = ("yoto", "wilcoxon", "logistic", "forest")
EVERY_SIZE_UP_TO = 64  # genes; beyond, sizes grow by a tenth
COARSE = (4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)
TOLERANCE = 0.02  # of a task's headline score


@dataclass(frozen=True)
class Suggestion:
    """The smallest size within the tolerance of the best, and the reasoning in one sentence."""

    size: int
    sentence: str


def fine_sizes(largest: int) -> tuple[int, ...]:
    """Sizes of YOTO's own curve: each up to 64 genes, then about every tenth more, and the largest."""
    sizes = list(range(1, min(EVERY_SIZE_UP_TO, largest) + 1))
    while sizes[-1] < largest:
        sizes.append(min(largest, round(sizes[-1] * 1.1)))
    return tuple(sizes)


def coarse_sizes(largest: int) -> tuple[int, ...]:
    """Sizes at which panels are judged by a fresh classifier: doublings, and the largest."""
    return (*(size for size in COARSE if size < largest), largest)


def suggest(sizes: pd.DataFrame, panel_size: int) -> Suggestion:
    """The smallest size at which every task predicts as well as at `panel_size`, judged on validation cells alone.

    The curve of each task is smoothed by the best non-decreasing fit (scikit-learn's isotonic regression), as single sizes
    move with the few validation cells. Tasks are not averaged: their scores may be of different kinds.
    """
    curve = sizes[(sizes["part"] == "validation") & (sizes["size"] <= panel_size)]
    enough = [_enough(found.set_index("size")["value"].dropna()) for _, found in curve.groupby("task")]
    if not any(enough):
        return Suggestion(panel_size, "There are too few labelled validation cells to compare sizes.")
    size = max(enough)
    each = "" if len(enough) == 1 else " for every task"
    within = f"{size:,} genes come within {TOLERANCE:g} of the score of {panel_size:,}{each} on validation cells."
    if size >= panel_size:
        sentence = f"The score still rises at {panel_size:,} genes: a larger panel may predict better."
    elif size > panel_size / 2:
        sentence = within
    else:
        sentence = f"The curve is flat: {within} Fewer genes than asked for do as well."
    return Suggestion(size, sentence.replace("1 genes come", "1 gene comes", 1) if size == 1 else sentence)


def _enough(scores: pd.Series) -> int:
    """The smallest size within the tolerance of the largest size's smoothed score; 0 where there is none."""
    if scores.empty:
        return 0
    smooth = IsotonicRegression().fit_transform(scores.index.to_numpy(dtype=float), scores.to_numpy())
    return int(scores.index[np.flatnonzero(smooth >= smooth[-1] - TOLERANCE)[0]])
