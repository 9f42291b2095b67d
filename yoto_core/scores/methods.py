"""The names, in a reader's words, of everything that chooses genes and everything that judges them."""

import pandas as pd

from yoto_core.scores.baselines import BASELINES
from yoto_core.scores.judges import CHANCE, JUDGES
from yoto_core.scores.metrics import HEADLINE

METHODS = {
    "yoto": "YOTO panel",
    **{baseline.name: baseline.label for baseline in BASELINES},
    "alone": "YOTO, this task alone",
    "all": "All candidate genes",
    "chance": "Chance",
}
JUDGE_LABELS = {
    "yoto": "YOTO's own model",
    **{judge.name: judge.label for judge in (*JUDGES, CHANCE)},
    "mean": "Mean of the three classifiers",
}


def headline_rows(scores: pd.DataFrame) -> pd.DataFrame:
    """The rows of `Evaluation.scores` that speak for a run: its panel's headline score of each task, by one classifier."""
    mine = (scores["method"] == "yoto") & (scores["judge"] == "logistic") & scores["metric"].isin(HEADLINE.values())
    return scores[mine]
