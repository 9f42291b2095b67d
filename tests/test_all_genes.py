"""What all genes can do: two models, tuned on validation cells, neither of which ever sees a held-out label."""

import numpy as np
import pytest
from scipy import sparse

from yoto_core.data.targets import Target
from yoto_core.scores.all_genes import BEST, COMPONENT, VARIABLE, Part, all_genes_answers


def cells(n, rng, *, classes=True):
    """200 genes of which the first three carry the label."""
    labels = rng.integers(0, 3, n) if classes else rng.normal(size=n)
    matrix = rng.normal(size=(n, 200)).astype(np.float32) * rng.uniform(0.1, 5, 200)
    if classes:
        matrix[np.arange(n), labels] += 3 * 5
    else:
        matrix[:, :3] += 5 * labels[:, None]
    return Part(sparse.csr_matrix(np.maximum(matrix, 0)), labels)


@pytest.mark.parametrize("classes", [True, False])
def test_planted_labels_are_found_by_the_better_model(classes):
    rng = np.random.default_rng(0)
    train, validation, test = (cells(n, rng, classes=classes) for n in (300, 80, 200))
    names = ("a", "b", "c") if classes else ()
    target = Target("t", "classification" if classes else "regression", 1.0, names, train.labels)
    found = all_genes_answers(target, train, validation, test.matrix)
    assert set(found.answers) == {BEST, VARIABLE, COMPONENT}
    assert (found.answers[BEST] == found.answers[found.best]).all()
    if classes:
        assert np.mean(found.answers[BEST] == test.labels) > 0.85
    else:
        assert np.corrcoef(found.answers[BEST], test.labels)[0, 1] > 0.7


def test_without_validation_cells_a_middle_penalty_serves():
    rng = np.random.default_rng(0)
    train, test = cells(200, rng), cells(50, rng)
    empty = Part(train.matrix[:0], train.labels[:0])
    target = Target("t", "classification", 1.0, ("a", "b", "c"), train.labels)
    assert np.mean(all_genes_answers(target, train, empty, test.matrix).answers[BEST] == test.labels) > 0.7
