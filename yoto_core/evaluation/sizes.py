"""How many genes are enough? The score of every size from one training, and the smallest size that does as well.

One training orders more genes than asked for and fits one model to every prefix, so the curve costs no further training.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.isotonic import IsotonicRegression

from yoto_core import runtime
from yoto_core.config import RunConfig
from yoto_core.data.problem import Problem
from yoto_core.model.training import TrainResult
from yoto_core.scores import metrics
from yoto_core.scores.judges import JUDGES

CURVE_METHODS = ("yoto", "wilcoxon", "logistic", "forest")
CURVE_JUDGE = JUDGES[0]
EVERY_SIZE_UP_TO = 64  # genes; beyond, sizes grow by a tenth
COARSE = (4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)
TOLERANCE = 0.02  # of the headline score, averaged over tasks


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


def own_curve(problem: Problem, trained: TrainResult, config: RunConfig) -> list[dict[str, object]]:
    """Headline score of YOTO's own model for every size, on validation and on held-out cells."""
    rows = []
    for part, cells in (("validation", problem.split.validation), ("held-out", problem.split.test)):
        columns = problem.panel_columns(cells, trained.order)
        for size in fine_sizes(len(trained.order)):
            answers = trained.model.at_size(size).predict(columns[:, :size])
            for target, answer in zip(problem.targets, answers, strict=True):
                rng = runtime.random_state(config.seed, f"{part} {size} {target.task}")
                found = metrics.score_rows(
                    target, cells, answer.values, problem.split.groups, draws=config.evaluation.bootstrap, rng=rng
                )
                tags = {"part": part, "size": size, "task": target.task, "method": "yoto", "judge": "yoto"}
                rows += [{**tags, **row} for row in headline_only(found)]
    return rows


def headline_only(rows: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    """The rows of macro-F1 and R²."""
    return [row for row in rows if row["metric"] in metrics.HEADLINE.values()]


def suggest(sizes: pd.DataFrame, panel_size: int) -> Suggestion:
    """The smallest size that predicts as well as the best up to `panel_size`, judged on validation cells alone.

    The curve is averaged over tasks and smoothed by the best non-decreasing fit (scikit-learn's isotonic regression), as
    single sizes move with the few validation cells.
    """
    curve = sizes[(sizes["part"] == "validation") & (sizes["size"] <= panel_size)]
    mean = curve.groupby("size")["value"].mean().dropna()
    if mean.empty:
        return Suggestion(panel_size, "There are too few labelled validation cells to compare sizes.")
    smooth = IsotonicRegression().fit_transform(mean.index.to_numpy(dtype=float), mean.to_numpy())
    enough = int(mean.index[np.flatnonzero(smooth >= smooth[-1] - TOLERANCE)[0]])
    if enough >= panel_size:
        sentence = f"The score still rises at {panel_size:,} genes: a larger panel may predict better."
    elif enough > panel_size / 2:
        sentence = f"{enough:,} genes come within {TOLERANCE:g} of the score of {panel_size:,} on validation cells."
    else:
        sentence = (
            f"The curve is flat: {enough:,} genes come within {TOLERANCE:g} of the score of {panel_size:,} on validation"
            " cells. Fewer genes than asked for do as well."
        )
    return Suggestion(enough, sentence)
