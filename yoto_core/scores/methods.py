"""The names, in a reader's words, of everything that chooses genes and everything that judges them."""

from yoto_core.scores.baselines import BASELINES
from yoto_core.scores.judges import CHANCE, JUDGES

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
