"""The informed start of a training: an order of candidates, in closed form, from two passes over the training cells."""

from collections.abc import Sequence

import numpy as np

from yoto_core.data.problem import Problem
from yoto_core.data.targets import Target
from yoto_core.model.discriminant import discriminant_order
from yoto_core.model.joint import jointly
from yoto_core.model.separation import best_alone, class_moments, pair_distances, separation_order

SCREEN = 1_500  # genes, best by themselves, that take part in the order
FRONT = 150  # of them, those that the cells themselves choose the first genes from
FIRST = 16  # genes chosen by the cells; where more are ordered, the error bound is the better guide
NUMBER_CLASSES = 4  # a number is cut into quarters


def informed_order(problem: Problem, *, panel_size: int, size: int) -> np.ndarray:
    """(size,) positions among the candidates, best first; genes that the panel must hold come before all others.

    The first genes are those by which a discriminant analysis tells the training cells apart, the rest follow by how much
    they lower the error bound of the pairs of classes that are still mixed up. Every task counts by its weight.
    """
    training = problem.expression[problem.split.train]
    tables = [_class_table(target, problem.split.train) for target in problem.targets]
    weights = [target.weight for target in problem.targets]
    moments = [class_moments(training, codes, n_classes) for codes, n_classes in tables]
    included = np.array(problem.candidates.included, dtype=np.int64)
    pool = np.union1d(best_alone(moments, max(SCREEN, size)), included)
    alone = [pair_distances(found.of(pool)) for found in moments]
    given = np.searchsorted(pool, included)

    front = separation_order(alone, weights, min(FRONT + len(given), len(pool)), first=given)
    n_first = min(max(FIRST, len(given)), max(panel_size, len(given)), len(front))
    block = training[:, pool[front]].toarray()
    codes = [task_codes for task_codes, _ in tables]
    first = front[discriminant_order(block, codes, weights, n_first, first=np.arange(len(given)))]

    together = [
        jointly(training[:, pool], task_codes, found, size) if n_classes == 2 else found
        for (task_codes, n_classes), found in zip(tables, alone, strict=True)
    ]
    return pool[separation_order(together, weights, min(size, len(pool)), first=first)]


def _class_table(target: Target, cells: Sequence[int] | np.ndarray) -> tuple[np.ndarray, int]:
    """Class code per cell (-1 where unlabelled) and the number of classes; numbers are cut into quarters."""
    values = target.values[cells]
    if target.classes:
        return values, len(target.classes)
    labelled = ~np.isnan(values)
    edges = np.unique(np.quantile(values[labelled], np.linspace(0, 1, NUMBER_CLASSES + 1)[1:-1]))
    codes = np.searchsorted(edges, values[labelled], side="right")
    present, compact = np.unique(codes, return_inverse=True)
    found = np.full(len(values), -1, dtype=np.int64)
    found[labelled] = compact
    return found, len(present)
