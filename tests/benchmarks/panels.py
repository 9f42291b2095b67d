"""What the benchmarks share: a learning problem from a file, and the headline answers on any genes of it."""

import numpy as np

from yoto_core import pipeline
from yoto_core.config import RunConfig
from yoto_core.data.preprocess import expression_of
from yoto_core.data.problem import Problem
from yoto_core.data.reading import Dataset
from yoto_core.data.targets import Target
from yoto_core.evaluation.answers import learning_cells
from yoto_core.model.forms import pair_as_read
from yoto_core.scores import metrics
from yoto_core.scores.judges import HEADLINE_JUDGE


def problem_of(data: Dataset, config: RunConfig) -> Problem:
    """What training reads."""
    fitted = pipeline.design(data, config)
    return Problem(expression_of(data, fitted.candidates), fitted.candidates, fitted.targets, fitted.split)


def headline_answer(
    problem: Problem, config: RunConfig, target: Target, genes: np.ndarray, cells: np.ndarray
) -> np.ndarray:
    """The answers of the headline classifier, trained on these genes of the training cells, for `cells` (indices)."""
    train_x, train_y = learning_cells(problem, config).labelled(target)
    pair = pair_as_read(train_x[:, genes].toarray(), problem.panel_columns(cells, genes), config.genes.normalize)
    return HEADLINE_JUDGE.answer(target, pair[0], train_y, pair[1], seed=0)


def headline_score(problem: Problem, config: RunConfig, target: Target, genes: np.ndarray) -> float:
    """Macro-F1 (or R²) of these genes on held-out cells."""
    test = problem.split.test
    return metrics.headline(target, test, headline_answer(problem, config, target, genes, test))
