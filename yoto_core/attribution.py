"""Why is this gene in the panel? What the model loses without it, and where it is expressed.

Measured on validation cells: the held-out cells keep judging only the finished panel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from yoto_core import metrics
from yoto_core.panel_model import PanelModel
from yoto_core.targets import Target

NOTICEABLE = 0.005  # a smaller loss of the headline score is within the noise of the validation cells


@dataclass(frozen=True)
class Reason:
    """Which tasks need a gene, and one sentence that says why it was chosen."""

    tasks: tuple[str, ...]
    sentence: str


def explain(model: PanelModel, x_BK: np.ndarray, targets: Sequence[Target], cells: np.ndarray) -> tuple[Reason, ...]:
    """One reason per panel gene, from cells × panel genes (log-normalised) and their indices in the data.

    A gene is taken away by setting it to its training mean; the loss is measured in macro-F1 or R².
    """
    whole = _scores(model, x_BK, targets, cells)
    mean_K = model.tensors["mean"].numpy()
    reasons = []
    for place, gene in enumerate(model.genes):
        without = x_BK.copy()
        without[:, place] = mean_K[place]
        losses = {task: whole[task] - score for task, score in _scores(model, without, targets, cells).items()}
        reasons.append(_reason(gene, x_BK[:, place], losses, targets, cells))
    return tuple(reasons)


def _scores(model: PanelModel, x_BK: np.ndarray, targets: Sequence[Target], cells: np.ndarray) -> dict[str, float]:
    answers = model.predict(x_BK)
    return {t.task: metrics.headline(t, cells, answer.values) for t, answer in zip(targets, answers, strict=True)}


def _reason(
    gene: str, expression_B: np.ndarray, losses: dict[str, float], targets: Sequence[Target], cells: np.ndarray
) -> Reason:
    needed = [t for t in targets if losses[t.task] >= NOTICEABLE]
    needed.sort(key=lambda t: -losses[t.task])
    parts = [_place(expression_B, target, cells) for target in (needed or targets)[:1]]
    parts += [
        f"without it {'macro-F1' if t.classes else 'R²'} of {t.task} falls by {losses[t.task]:.3f}" for t in needed
    ]
    if not needed:
        parts.append("shares its information with other panel genes: alone it can be missed")
    return Reason(tuple(t.task for t in needed), f"{gene}: {'; '.join(parts)}.")


def _place(expression_B: np.ndarray, target: Target, cells: np.ndarray) -> str:
    """Where the gene is high: the class with the highest mean, or its correlation with the number."""
    labels, labelled = target.values[cells], target.labelled[cells]
    if not labelled.any():
        return f"no validation cell has a {target.task}"
    if not target.classes:
        if np.ptp(expression_B[labelled]) == 0 or np.ptp(labels[labelled]) == 0:
            return "constant here"
        both = pd.Series(expression_B[labelled]).corr(pd.Series(labels[labelled]), method="spearman")
        return f"rank correlation {both:.2f} with {target.task}"
    present = [code for code in range(len(target.classes)) if (labels == code).any()]
    best = max(present, key=lambda code: expression_B[labels == code].mean())
    inside, outside = expression_B[labels == best], expression_B[labels != best]
    return (
        f"highest in {target.classes[best]} ({np.mean(inside > 0):.0%} of cells express it,"
        f" {np.mean(outside > 0) if outside.size else 0:.0%} elsewhere)"
    )
