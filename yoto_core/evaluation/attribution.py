"""Why is this gene in the panel? Where it is expressed, and what the model loses without it.

Expression is described on training cells; losses are measured on validation cells: the held-out cells keep judging only
the finished panel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from yoto_core.data.problem import Problem
from yoto_core.data.targets import Target
from yoto_core.model.panel_model import PanelModel, Prediction
from yoto_core.scores import metrics

NOTICEABLE = 0.005  # of the headline score; a smaller loss is within the noise of the validation cells
NOTICEABLE_RECALL = 0.05
MIN_CLASS_CELLS = 5  # validation cells; the recall of a smaller class moves in leaps


@dataclass(frozen=True)
class Reason:
    """Which tasks need a gene, and one sentence that says why it was chosen."""

    tasks: tuple[str, ...]
    sentence: str


def explain(model: PanelModel, problem: Problem, order: np.ndarray) -> tuple[Reason, ...]:
    """One reason per panel gene; `order` holds the panel's positions among the candidates, as in the model.

    A gene is taken away by setting it to its training mean; the loss is measured in macro-F1 or R², and in the recall of
    the class that suffers most.
    """
    training, validation = problem.split.train, problem.split.validation
    described, tried = problem.panel_columns(training, order), problem.panel_columns(validation, order)
    whole = model.predict(tried)
    reasons = []
    for place in range(len(order)):
        answers = model.predict(tried, absent=(place,))
        losses = [_Loss.measure(t, validation, a, b) for t, a, b in zip(problem.targets, whole, answers, strict=True)]
        reasons.append(_reason(described[:, place], losses, problem.targets, training))
    return tuple(reasons)


@dataclass(frozen=True)
class _Loss:
    """What one task loses: its headline score, and in words the recall of the class that suffers most."""

    target: Target
    headline: float
    recall: str

    @classmethod
    def measure(cls, target: Target, cells: np.ndarray, whole: Prediction, without: Prediction) -> "_Loss":
        before, after = (metrics.headline(target, cells, answer.values) for answer in (whole, without))
        return cls(target, before - after, _worst_recall(target, cells, whole, without))

    @property
    def words(self) -> str:
        score = f"{'macro-F1' if self.target.classes else 'R²'} of {self.target.task} falls by {self.headline:.3f}"
        return f"without it {score}{self.recall}"


def _worst_recall(target: Target, cells: np.ndarray, whole: Prediction, without: Prediction) -> str:
    if not target.classes:
        return ""
    true = target.values[cells]
    frequent = np.flatnonzero(target.counts(cells) >= MIN_CLASS_CELLS)
    if not frequent.size:
        return ""
    before = np.array([np.mean(whole.values[true == code] == code) for code in frequent])
    after = np.array([np.mean(without.values[true == code] == code) for code in frequent])
    worst = int(np.argmax(before - after))
    if before[worst] - after[worst] < NOTICEABLE_RECALL:
        return ""
    return f" (recall of {target.classes[frequent[worst]]} from {before[worst]:.2f} to {after[worst]:.2f})"


def _reason(
    expression_N: np.ndarray, losses: Sequence[_Loss], targets: Sequence[Target], training: np.ndarray
) -> Reason:
    needed = sorted((loss for loss in losses if loss.headline >= NOTICEABLE), key=lambda loss: -loss.headline)
    parts = [_place(expression_N, needed[0].target if needed else targets[0], training)]
    parts += [loss.words for loss in needed]
    if not needed:
        parts.append("shares its information with other panel genes: alone it can be missed")
    sentence = "; ".join(parts)
    return Reason(tuple(loss.target.task for loss in needed), f"{sentence[0].upper()}{sentence[1:]}.")


def _place(expression_N: np.ndarray, target: Target, cells: np.ndarray) -> str:
    """Where the gene is high: the class with the highest mean, or its correlation with the number."""
    labels, labelled = target.values[cells], target.labelled[cells]
    if not target.classes:
        if np.ptp(expression_N[labelled]) == 0:
            return "constant here"
        both = pd.Series(expression_N[labelled]).corr(pd.Series(labels[labelled]), method="spearman")
        return f"rank correlation {both:.2f} with {target.task}"
    present = [code for code in range(len(target.classes)) if (labels == code).any()]
    best = max(present, key=lambda code: expression_N[labels == code].mean())
    inside, outside = expression_N[labels == best], expression_N[labelled & (labels != best)]
    return (
        f"highest in {target.classes[best]} ({np.mean(inside > 0):.0%} of cells express it,"
        f" {np.mean(outside > 0) if outside.size else 0:.0%} elsewhere)"
    )
