"""Closed-form choices by hand: class moments, distances, the error bound of a few genes, and discriminant analysis by linear algebra."""

import math

import numpy as np
import pytest
from scipy import sparse

from yoto_core.model import discriminant
from yoto_core.model.discriminant import RIDGE, discriminant_order
from yoto_core.model.separation import (
    DILUTION,
    FLOOR,
    Moments,
    best_alone,
    class_moments,
    pair_distances,
    separation_order,
)

NONE = np.array([], dtype=np.int64)


def some_cells(classes=3, genes=5, seed=0):
    """Cells × genes of classes of different size, some of them unlabelled."""
    rng = np.random.default_rng(seed)
    codes = np.concatenate([np.full(20 * (code + 1), code) for code in range(classes)] + [np.full(7, -1)])
    x = rng.poisson(1 + rng.uniform(0, 3, (classes + 1, genes))[codes]).astype(np.float32)
    return x, codes


# --- moments and distances


def test_moments_are_means_and_the_mean_variance_of_classes_that_count_alike():
    x, codes = some_cells()
    found = class_moments(sparse.csr_matrix(x), codes, 3)
    np.testing.assert_allclose(found.mean, [x[codes == code].mean(0) for code in range(3)], rtol=1e-5)
    np.testing.assert_allclose(found.within, np.mean([x[codes == code].var(0) for code in range(3)], axis=0), rtol=1e-4)
    some = found.of(np.array([4, 1]))
    np.testing.assert_array_equal(some.mean, found.mean[:, [4, 1]])
    np.testing.assert_array_equal(some.within, found.within[[4, 1]])


def test_a_gene_that_never_varies_within_classes_has_no_variance_below_nought():
    x = np.full((30, 1), 0.1, dtype=np.float32)
    found = class_moments(sparse.csr_matrix(x), np.repeat([0, 1], 15), 2)
    assert 0 <= found.within[0] < 1e-6


def test_two_classes_are_as_far_apart_as_bhattacharyya_says():
    found = pair_distances(Moments(np.array([[0.0, 1], [2, 1], [3, 5]]), np.array([0.5, 2.0])))
    wanted = np.array([[4, 0], [9, 16], [1, 16]]) / (8 * (np.array([0.5, 2.0]) + FLOOR))  # pairs 01, 02, 12
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert found.dtype == np.float32


# --- the pool


def marked(genes, *, within=1.0):
    """Moments of three classes: gene i is high in one class by what is given for it."""
    mean = np.zeros((3, len(genes)))
    for place, (code, height) in enumerate(genes):
        mean[code, place] = height
    return Moments(mean, np.full(len(genes), within))


def test_half_of_the_pool_separates_over_all_classes_and_half_class_by_class():
    found = marked([(0, 9), (0, 8), (0, 7), (0, 6), (1, 3), (2, 2), (1, 0.1), (2, 0.1)])
    assert best_alone([found], 4).tolist() == [0, 1, 4, 5]  # the two best overall, then the best of classes 1 and 2
    assert best_alone([found], 6).tolist()[:3] == [0, 1, 2]
    assert set(best_alone([found], 6).tolist()) >= {4, 5}


def test_a_clear_gene_comes_before_a_strong_one_that_varies_within_classes():
    noisy = Moments(np.array([[1.0, 2.0], [-1.0, -2.0]]), np.array([0.0, 60.0]))
    assert best_alone([noisy], 1).tolist() == [0]  # class by class
    faint = Moments(np.array([[2.0, 1.0, 0.001], [-2.0, -1.0, -0.001]]), np.array([60.0, 0.0, 0.0]))
    assert best_alone([faint], 2).tolist() == [0, 1]  # over all classes, then class by class


def test_every_task_has_a_like_part_of_the_pool():
    one, other = (
        marked([(0, 9), (0, 8), (0, 7), (0, 0.1), (0, 0.1), (0, 0.1)]),
        marked([(0, 0.1)] * 3 + [(1, 9), (1, 8), (1, 7)]),
    )
    pool = best_alone([one, other], 4)
    assert (pool < 3).sum() == (pool >= 3).sum() == 2
    assert pool.tolist() == sorted(pool.tolist())


@pytest.mark.parametrize(("size", "number"), [(1, 1), (3, 3), (7, 7), (8, 8), (50, 8)])
def test_a_pool_has_as_many_genes_as_asked_or_all(size, number):
    found = marked([(place % 3, 1 + place) for place in range(8)])
    pool = best_alone([found], size)
    assert len(pool) == len(set(pool.tolist())) == number
    assert size < 8 or pool.tolist() == list(range(8))


# --- the error bound


def bound(distances, weights, genes, dilution):
    """The weighed mean over pairs of exp(-D) of these genes together."""
    return sum(w * np.exp(-dilution * d[:, genes].sum(1)).mean() for d, w in zip(distances, weights, strict=True))


@pytest.mark.parametrize("weights", [(1.0, 1.0), (5.0, 0.1), (0.1, 5.0)])
def test_each_gene_is_the_one_that_lowers_the_weighed_bound_most(weights):
    rng = np.random.default_rng(2)
    distances = [rng.exponential(size=(q, 9)).astype(np.float32) for q in (1, 6)]
    order = separation_order(distances, weights, 9, first=NONE).tolist()
    assert sorted(order) == list(range(9))
    renewed = 1.0  # exponentials are renewed only where the dilution has moved by a tenth
    for taken in range(8):
        dilution = 1 / (1 + taken / DILUTION)
        renewed = dilution if dilution < 0.9 * renewed else renewed
        left = [gene for gene in range(9) if gene not in order[:taken]]
        bounds = {gene: bound(distances, weights, [*order[:taken], gene], renewed) for gene in left}
        assert order[taken] == min(bounds, key=bounds.get)


def test_genes_taken_already_count_as_evidence():
    distances = [np.array([[9.0, 0.0, 8.0], [0.0, 1.0, 0.0]], dtype=np.float32)]
    assert separation_order(distances, [1.0], 2, first=np.array([0])).tolist() == [
        0,
        1,
    ]  # the second pair is still mixed up
    assert separation_order(distances, [1.0], 2, first=np.array([1])).tolist() == [1, 0]
    assert separation_order(distances, [1.0], 1, first=np.array([2, 0])).tolist() == [2]


# --- discriminant analysis


def linear_algebra(x, codes, genes):
    """Each cell's score under each class with these genes: x'S⁻¹m - m'S⁻¹m / 2, in units of the genes' within-class spread."""
    classes = range(codes.max() + 1)
    mean = np.stack([x[codes == code].mean(0) for code in classes])
    residual = x - mean[codes]
    within = np.mean(
        [residual[codes == code].T @ residual[codes == code] / (codes == code).sum() for code in classes], axis=0
    )
    scale = np.sqrt(within.diagonal() + 1e-3)
    common = within / np.outer(scale, scale)
    common[np.diag_indices(len(common))] = 1 + RIDGE
    inverse = np.linalg.inv(common[np.ix_(genes, genes)])
    x, mean = (x / scale)[:, genes], (mean / scale)[:, genes]
    return (mean @ inverse @ x.T) - 0.5 * np.einsum("cg,gh,ch->c", mean, inverse, mean)[:, None]


def test_genes_taken_one_by_one_are_a_discriminant_analysis_of_all_of_them():
    x, codes = some_cells(seed=4)
    labelled = codes >= 0
    model = discriminant._Discriminant(x, codes)
    for gene in (3, 0, 4):
        model.take(gene)
    np.testing.assert_allclose(
        model.likelihood_CN, linear_algebra(x[labelled], codes[labelled], [3, 0, 4]), rtol=2e-3, atol=2e-3
    )


@pytest.mark.parametrize("temper", [1.0, 0.25])
def test_the_loss_is_the_cross_entropy_of_classes_that_count_alike_as_a_share_of_guessing(temper):
    x, codes = some_cells(seed=5)
    labelled = codes >= 0
    model = discriminant._Discriminant(x, codes)
    model.take(1)
    codes = codes[labelled]
    logits = temper * linear_algebra(x[labelled], codes, [1, 2])
    chance = np.exp(logits - logits.max(0))
    chance = (chance / chance.sum(0))[codes, np.arange(len(codes))]
    loss = np.mean([-np.log(chance[codes == code]).mean() for code in range(3)]) / math.log(3)
    assert model.loss_with(2, temper) == pytest.approx(loss, rel=1e-3)


def test_a_cell_far_from_its_class_costs_much_but_not_infinitely_much():
    x = np.concatenate([np.zeros(50), np.full(50, 300.0), [300.0]])[:, None].astype(np.float32)
    x += np.random.default_rng(0).normal(size=x.shape).astype(np.float32)
    codes = np.concatenate([np.zeros(50), np.ones(50), [0]]).astype(int)
    loss = discriminant._Discriminant(x, codes).loss_with(0, 100.0)
    assert loss == pytest.approx(80 / 51 / 2 / math.log(2), rel=0.01)  # one of 51 cells of one of two classes


def test_a_gene_that_never_varies_within_classes_has_a_finite_loss():
    codes = np.arange(40) % 2
    x = np.column_stack([codes, np.ones(40)]).astype(np.float32)
    model = discriminant._Discriminant(x, codes)
    assert model.loss_with(0, 0.5) < 0.01  # it tells the classes
    assert model.loss_with(1, 0.5) == pytest.approx(1)  # no better than guessing


def test_a_gene_that_the_earlier_ones_explain_adds_nothing():
    x, codes = some_cells(genes=3, seed=6)
    x = np.column_stack([x, x[:, 0]])
    model = discriminant._Discriminant(x, codes)
    model.take(0)
    before = model.loss_with(3, 0.5), model.loss_with(1, 0.5)
    assert before[1] < before[0]
    assert discriminant_order(x, [codes], [1.0], 4, first=NONE).tolist()[-1] in (0, 3)


def test_the_evidence_of_many_genes_is_tempered():
    seen = []

    class Told(discriminant._Discriminant):
        def loss_with(self, gene, temper):
            seen.append(temper)
            return super().loss_with(gene, temper)

    x, codes = some_cells(genes=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(discriminant, "_Discriminant", Told)
        discriminant_order(x, [codes], [1.0], 3, first=np.array([2]))
    assert sorted(set(seen), reverse=True) == pytest.approx([0.5 / (1 + 1 / 24**2), 0.5 / (1 + 4 / 24**2)])
    assert len(seen) == 3 + 2


def test_a_heavier_task_has_its_gene_first():
    rng = np.random.default_rng(0)
    one, other = np.arange(200) % 2, np.arange(200) // 2 % 2
    x = np.column_stack([2 * one, 2 * other]).astype(np.float32) + rng.normal(size=(200, 2)).astype(np.float32)
    for weights, first in (((5.0, 1.0), 0), ((1.0, 5.0), 1)):
        assert discriminant_order(x, [one, other], weights, 2, first=NONE).tolist() == [first, 1 - first]


def test_what_is_taken_already_stays_first_and_is_never_taken_again():
    x, codes = some_cells()
    order = discriminant_order(x, [codes], [1.0], 5, first=np.array([3, 1])).tolist()
    assert order[:2] == [3, 1]
    assert sorted(order) == list(range(5))
    assert discriminant_order(x, [codes], [1.0], 1, first=np.array([3, 1])).tolist() == [3]


def test_no_more_than_two_thousand_cells_judge_alike_from_every_class():
    codes = np.concatenate([np.zeros(3_000), np.ones(1_500), np.full(12, 2)]).astype(int)
    x = np.random.default_rng(0).normal(size=(len(codes), 2)).astype(np.float32)
    model = discriminant._Discriminant(x, codes)
    assert np.bincount(model.own[0]).tolist() == [666, 666, 12]
    assert model.own[1].tolist() == list(range(1_344))
    assert [model.weights_N[model.own[0] == code].sum() for code in range(3)] == pytest.approx([1 / 3] * 3, rel=1e-4)
    many = np.repeat(np.arange(150), 30)
    few_each = discriminant._Discriminant(np.random.default_rng(0).normal(size=(4_500, 1)).astype(np.float32), many)
    assert set(np.bincount(few_each.own[0])) == {20}  # of many classes still twenty cells each


def test_weights_of_cells_sum_to_one_with_each_class_alike():
    weights = discriminant._balanced(np.array([0, 0, 0, 1]))
    assert weights.tolist() == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])
    assert weights.dtype == np.float32
