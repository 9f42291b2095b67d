"""The closed-form order that a training starts from: planted answers, brute force, and what copies of a gene are worth."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from tests.conftest import GENES, TYPE_GENES
from tests.shared_runs import AGE, CONDITION, TYPE, config_for, toy_dataset
from yoto_core import pipeline
from yoto_core.data.preprocess import expression_of
from yoto_core.data.problem import Problem
from yoto_core.model import joint
from yoto_core.model.discriminant import discriminant_order
from yoto_core.model.joint import jointly
from yoto_core.model.separation import DILUTION, class_moments, pair_distances, separation_order
from yoto_core.model.start import informed_order

NONE = np.array([], dtype=np.int64)


def two_classes(seed, n_genes=6, cells=120):
    """Cells × genes of two classes with correlated genes, and their codes."""
    rng = np.random.default_rng(seed)
    codes = np.repeat([0, 1], cells // 2)
    x = rng.normal(size=(cells, n_genes)) @ rng.normal(size=(n_genes, n_genes))
    return (x + codes[:, None] * rng.normal(size=n_genes)).astype(np.float32), codes


def alone(x, codes):
    return pair_distances(class_moments(sparse.csr_matrix(x), codes, codes.max() + 1))


def problem_of(*tasks, **more):
    data = toy_dataset()
    fitted = pipeline.design(data, config_for(*tasks, panel_size=8, **more))
    return Problem(expression_of(data, fitted.candidates), fitted.candidates, fitted.targets, fitted.split)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_a_gene_is_worth_what_the_distance_of_two_classes_loses_without_it(seed):
    x, codes = two_classes(seed)
    found = jointly(sparse.csr_matrix(x), codes, alone(x, codes), size=3)[0]
    within = sum(np.cov(x[codes == code], rowvar=False, bias=True) for code in (0, 1)) / 2
    scale = np.sqrt(within.diagonal() + 1e-3)
    correlation = within / np.outer(scale, scale)
    correlation[np.diag_indices(6)] = 1 + joint.RIDGE
    gap = (x[codes == 0].mean(0) - x[codes == 1].mean(0)) / scale

    def distance(genes):
        return gap[genes] @ np.linalg.solve(correlation[np.ix_(genes, genes)], gap[genes])

    every = list(range(6))
    lost = np.array([distance(every) - distance([g for g in every if g != gene]) for gene in every])
    np.testing.assert_allclose(found / found.max(), lost / lost.max(), rtol=1e-3, atol=1e-5)


def test_two_classes_prefer_a_gene_that_completes_to_one_that_repeats():
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1], 500)
    strong, weak = codes + rng.normal(0, 0.5, 1_000), 0.6 * codes + rng.normal(0, 0.5, 1_000)
    x = np.column_stack([strong, strong + rng.normal(0, 0.05, 1_000), strong + rng.normal(0, 0.05, 1_000), weak])
    by_itself = alone(x, codes)
    assert by_itself[0].argmin() == 3
    assert jointly(sparse.csr_matrix(x), codes, by_itself, size=2)[0].argmax() == 3


def test_the_best_genes_promise_as_much_together_as_they_did_alone():
    x, codes = two_classes(3, n_genes=20)
    before = alone(x, codes)
    after = jointly(sparse.csr_matrix(x), codes, before, size=5)
    assert after.shape == before.shape
    assert np.sort(after[0])[-5:].sum() == pytest.approx(np.sort(before[0])[-5:].sum(), rel=1e-4)


def test_cells_without_a_label_do_not_count_for_the_two_classes():
    x, codes = two_classes(1)
    hidden = codes.copy()
    hidden[::5] = -1
    kept = hidden >= 0
    distances = alone(x[kept], codes[kept])
    np.testing.assert_allclose(
        jointly(sparse.csr_matrix(x), hidden, distances, size=3),
        jointly(sparse.csr_matrix(x[kept]), codes[kept], distances, size=3),
        rtol=1e-5,
    )


def test_a_class_of_one_cell_or_classes_that_are_alike_leave_every_worth_finite():
    x, codes = two_classes(2)
    lonely = np.where(np.arange(len(codes)) == 0, 0, 1)
    assert np.isfinite(jointly(sparse.csr_matrix(x), lonely, alone(x, lonely), size=3)).all()
    same = np.tile(x[:60], (2, 1))
    found = jointly(sparse.csr_matrix(same), codes, alone(same, codes), size=3)
    assert np.isfinite(found).all()
    assert found.max() < 1e-3


@given(seed=st.integers(0, 10_000), size=st.integers(1, 12), given_first=st.integers(0, 4))
@settings(max_examples=40, deadline=None)
def test_the_error_bound_orders_distinct_genes_after_those_given(seed, size, given_first):
    rng = np.random.default_rng(seed)
    distances = [rng.exponential(size=(q, 12)).astype(np.float32) for q in (1, 6)]
    first = rng.permutation(12)[:given_first]
    order = separation_order(distances, [1.0, 2.0], size, first=first)
    assert len(order) == len(set(order.tolist())) == size
    assert order[: len(first)].tolist() == first[:size].tolist()


def test_the_next_gene_is_the_one_that_lowers_the_mean_bound_most():
    distances = np.random.default_rng(5).exponential(size=(10, 8)).astype(np.float32)
    first, second = separation_order([distances], [1.0], 2, first=NONE)
    assert first == np.exp(-distances).mean(0).argmin()
    diluted = distances / (1 + 1 / DILUTION)
    bound = np.exp(-(diluted[:, [first]] + diluted)).mean(0)
    bound[first] = np.inf
    assert bound[second] <= bound.min() * 1.02  # exponentials are renewed only when the dilution has moved


def test_cells_choose_a_gene_for_the_classes_that_are_still_mixed_up():
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1, 2], 100)
    first = 4.0 * (codes == 0) + rng.normal(size=300)
    copy, other = first + rng.normal(0, 0.1, 300), 2.0 * (codes == 1) + rng.normal(size=300)
    block = np.column_stack([rng.normal(size=300), copy, first, other]).astype(np.float32)
    order = discriminant_order(block, [codes], [1.0], 2, first=NONE)
    assert order[0] in (1, 2)
    assert order[1] == 3


@pytest.mark.parametrize("tasks", [(TYPE,), (CONDITION,), (AGE,), (TYPE, CONDITION, AGE)])
@pytest.mark.parametrize("size", [3, 20, len(GENES)])
def test_the_start_orders_exactly_as_many_distinct_candidates_as_asked(tasks, size):
    order = informed_order(problem_of(*tasks), panel_size=8, size=size)
    assert len(order) == len(set(order.tolist())) == size
    assert set(order.tolist()) <= set(range(len(GENES)))


def test_the_start_begins_with_planted_genes_and_what_must_be_in():
    plain = informed_order(problem_of(TYPE), panel_size=8, size=8)
    assert sorted(GENES[gene][:-1] for gene in plain[:4]) == sorted(
        name.upper() for name in TYPE_GENES
    )  # one per class
    problem = problem_of(TYPE)
    wanted = GENES.index("NOISE3")
    asked = replace(problem, candidates=replace(problem.candidates, included=(wanted,)))
    assert informed_order(asked, panel_size=8, size=8)[0] == wanted
