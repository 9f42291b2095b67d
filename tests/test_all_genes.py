"""What all genes can do: two models, tuned on validation cells, neither of which ever sees a held-out label."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score, r2_score

from yoto_core.data.targets import Target
from yoto_core.scores import all_genes
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


def test_both_models_are_named_by_what_they_read():
    assert all_genes.LABELS == {
        "all_best": "Best of the two",
        "all_variable": "On the 2,000 most variable genes",
        "all_components": "On 50 principal components of all genes",
    }
    assert all_genes.PENALTIES == (0.001, 0.01, 0.1, 1.0)
    assert all_genes.RIDGES == (1, 10, 100, 1_000, 10_000, 100_000)


@pytest.mark.parametrize(("classes", "penalty"), [(True, 0.1), (False, 1_000.0)])
@pytest.mark.parametrize("labelled", [0, 1])
def test_fewer_than_two_validation_cells_choose_nothing_and_the_middle_penalty_is_taken(classes, penalty, labelled):
    part = cells(40, np.random.default_rng(0), classes=classes)
    few = Part(part.matrix[:labelled], part.labels[:labelled])
    target = Target(
        "t", "classification" if classes else "regression", 1.0, ("a", "b", "c") if classes else (), part.labels
    )
    assert all_genes._tuned(target, all_genes._standardised, part, few) == (penalty, 0.0)
    assert all_genes._learner(target, penalty).get_params()["C" if classes else "alpha"] == penalty


@pytest.mark.parametrize("classes", [True, False])
def test_the_penalty_is_the_one_that_does_best_on_validation_cells(classes):
    rng = np.random.default_rng(1)
    train, validation = (cells(n, rng, classes=classes) for n in (90, 60))
    target = Target(
        "t", "classification" if classes else "regression", 1.0, ("a", "b", "c") if classes else (), train.labels
    )
    learn, judge = all_genes._standardised(train.matrix, (train.matrix, validation.matrix))
    reached = {}
    for penalty in all_genes.PENALTIES if classes else all_genes.RIDGES:
        learner = (
            LogisticRegression(C=penalty, class_weight="balanced", max_iter=2_000, tol=1e-3)
            if classes
            else Ridge(penalty)
        )
        answer = learner.fit(learn, train.labels).predict(judge)
        reached[penalty] = (
            f1_score(validation.labels, answer, average="macro") if classes else r2_score(validation.labels, answer)
        )
    best = max(reached, key=reached.get)
    assert len(set(reached.values())) > 2
    assert all_genes._tuned(target, all_genes._standardised, train, validation) == (best, pytest.approx(reached[best]))


def test_validation_cells_that_score_nothing_at_all_still_choose_a_penalty():
    part = cells(40, np.random.default_rng(0), classes=False)
    equal = Part(part.matrix[:5], np.full(5, 2.0))  # numbers that do not differ have no R²
    target = Target("t", "regression", 1.0, (), part.labels)
    assert all_genes._tuned(target, all_genes._standardised, part, equal) == (1.0, -np.inf)


def test_genes_are_read_in_standard_deviations_of_training_cells_and_outliers_are_cut_at_ten():
    learn, test = (
        sparse.csr_matrix(np.array(x, dtype=np.float32)) for x in ([[0, 1], [2, 1], [4, 1]], [[2, 1], [90, 1], [0, 0]])
    )
    (block,) = all_genes._standardised(learn, (test,))
    np.testing.assert_allclose(block, [[0, 0], [10, 0], [-2 / np.std([0, 2, 4]), -1]], rtol=1e-6)
    (below,) = all_genes._standardised(sparse.csr_matrix(90 - learn.toarray()), (learn,))
    assert below.min() == -10


@pytest.mark.parametrize(
    ("shape", "components"), [((80, 70), 50), ((20, 70), 19), ((80, 9), 8), ((2, 5), 1), ((1, 5), 1)]
)
def test_as_many_components_are_read_as_cells_and_genes_allow(shape, components):
    learn = sparse.csr_matrix(np.random.default_rng(0).normal(size=shape).astype(np.float32))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a single cell nothing varies
        blocks = all_genes._components(learn, (learn, learn[:1]))
    assert [block.shape for block in blocks] == [(shape[0], components), (1, components)]


def test_without_validation_cells_a_middle_penalty_serves():
    rng = np.random.default_rng(0)
    train, test = cells(200, rng), cells(50, rng)
    empty = Part(train.matrix[:0], train.labels[:0])
    target = Target("t", "classification", 1.0, ("a", "b", "c"), train.labels)
    assert np.mean(all_genes_answers(target, train, empty, test.matrix).answers[BEST] == test.labels) > 0.7
