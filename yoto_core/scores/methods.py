"""The names, in a reader's words, of everything that chooses genes and everything that judges them; and the headline score."""

import pandas as pd

from yoto_core.scores import all_genes
from yoto_core.scores.baselines import BASELINES
from yoto_core.scores.judges import HEADLINE_JUDGE, JUDGES
from yoto_core.scores.metrics import HEADLINE

METHODS = {
    "yoto": "YOTO panel",
    "own": "YOTO's own model",
    **{baseline.name: baseline.label for baseline in BASELINES},
    "sequenced": "YOTO panel, all genes measured",
    "alone": "YOTO, this task alone",
    "all": "All candidate genes",
    "chance": "Chance",
}
JUDGE_LABELS = {
    **{judge.name: judge.label for judge in JUDGES},
    "own": "YOTO's own model",
    **all_genes.LABELS,
    "chance": "Shuffled labels",
}
# What judges a method where one number stands for it; every other method is judged by the headline classifier.
HEADLINE_JUDGES = {"own": "own", "all": all_genes.BEST, "chance": "chance"}


def headline_rows(scores: pd.DataFrame) -> pd.DataFrame:
    """One row per task and method: its headline score, macro-F1 for classes and R² for numbers, by the judge that stands for it.

    `scores` is that of an `Evaluation`.
    """
    wanted = scores["method"].map(HEADLINE_JUDGES).fillna(HEADLINE_JUDGE.name)
    return scores[(scores["judge"] == wanted) & scores["metric"].isin(HEADLINE.values())]
