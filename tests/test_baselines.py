"""Every rival ranks the planted genes high, from training cells alone, and always gives exactly k genes."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from tests.conftest import AGE_GENES, CONDITION_GENES, GENES, TYPE_GENES
from tests.shared_runs import AGE, CONDITION, TYPE, config_for, toy_dataset
from yoto_core import pipeline
from yoto_core.data.preprocess import expression_of
from yoto_core.data.targets import Target
from yoto_core.scores.baselines import BASELINES, LearningCells, panel_of

BY_NAME = {baseline.name: baseline for baseline in BASELINES}
INFORMED = ("wilcoxon", "logistic", "forest")
N = len(GENES)


@pytest.fixture(scope="module")
def learning():
    data = toy_dataset()
    fitted = pipeline.design(data, config_for(TYPE, CONDITION, AGE))
    cells = np.concatenate([fitted.split.train, fitted.split.validation])
    return LearningCells(expression_of(data, fitted.candidates)[cells], cells, seed=0)


@pytest.fixture(scope="module")
def targets():
    return {target.task: target for target in pipeline.design(toy_dataset(), config_for(TYPE, CONDITION, AGE)).targets}


def genes_of(name, learning, targets, k):
    return [GENES[i] for i in panel_of(BY_NAME[name], learning, targets, k)]


@pytest.mark.parametrize("k", [1, 2, 7, N])
@pytest.mark.parametrize("name", BY_NAME)
def test_every_method_gives_exactly_k_distinct_genes(name, k, learning, targets):
    panel = panel_of(BY_NAME[name], learning, [targets["cell_type"], targets["age"]], k)
    assert panel.shape == (k,)
    assert len(set(panel.tolist())) == k
    assert set(panel.tolist()) <= set(range(N))


@given(k=st.integers(1, 30), n=st.integers(30, 60), rankings=st.integers(1, 5), seed=st.integers(0, 9999))
@settings(max_examples=40)
def test_a_panel_is_dealt_in_turn_from_all_rankings(k, n, rankings, seed):
    rng = np.random.default_rng(seed)
    lists = [rng.permutation(n) for _ in range(rankings)]
    dealer = replace(BASELINES[0], rank=lambda _learning, _target, _k: lists)
    panel = panel_of(dealer, None, [None], k).tolist()
    dealt = [ranking[place] for place in range(n) for ranking in lists]
    assert panel == list(dict.fromkeys(dealt))[:k]


def test_a_task_of_one_ranking_gets_as_many_genes_as_a_task_of_many():
    lists = {"many": [np.arange(start, 60, 6) for start in range(5)], "one": [np.arange(5, 60, 6)]}
    dealer = replace(BASELINES[0], rank=lambda _learning, task, _k: lists[task])
    panel = panel_of(dealer, None, ["many", "one"], 10)
    assert np.isin(panel, lists["one"][0]).sum() == 5


def test_markers_by_wilcoxon_and_logistic_give_every_class_its_own_gene(learning, targets):
    for name in ("wilcoxon", "logistic"):
        panel = genes_of(name, learning, [targets["cell_type"]], 4)
        assert all(len(set(panel) & set(markers)) == 1 for markers in TYPE_GENES.values())


def test_forest_importance_puts_markers_first(learning, targets):
    markers = {gene for genes in TYPE_GENES.values() for gene in genes}
    assert len(markers & set(genes_of("forest", learning, [targets["cell_type"]], 12))) >= 10


@pytest.mark.parametrize("name", INFORMED)
def test_two_classes_are_told_apart_by_their_planted_genes(name, learning, targets):
    # One ranking by strength: a class without markers of its own must not fill every other place with noise.
    assert set(CONDITION_GENES) <= set(genes_of(name, learning, [targets["condition"]], 3))


@pytest.mark.parametrize("name", INFORMED)
def test_a_number_is_followed_by_its_planted_genes(name, learning, targets):
    assert set(genes_of(name, learning, [targets["age"]], 2)) == set(AGE_GENES)


@pytest.mark.parametrize("name", INFORMED)
def test_every_task_gets_its_share_of_one_panel(name, learning, targets):
    panel = set(genes_of(name, learning, list(targets.values()), 12))
    assert panel & set(AGE_GENES)
    assert panel & set(CONDITION_GENES)
    assert len([markers for markers in TYPE_GENES.values() if panel & set(markers)]) >= 3


@pytest.mark.parametrize("name", BY_NAME)
def test_one_seed_gives_one_answer(name, learning, targets):
    first, again = (panel_of(BY_NAME[name], learning, [targets["condition"]], 5) for _ in range(2))
    assert np.array_equal(first, again)


def test_another_seed_draws_other_random_genes(learning, targets):
    other = replace(learning, seed=1)
    assert genes_of("random", learning, [targets["age"]], 20) != genes_of("random", other, [targets["age"]], 20)


def test_labels_of_cells_outside_the_learning_cells_change_nothing(learning, targets):
    target = targets["cell_type"]
    values = target.values.copy()
    outside = np.setdiff1d(np.arange(len(values)), learning.cells)
    values[outside] = 0
    for name in INFORMED:
        assert genes_of(name, learning, [target], 8) == genes_of(name, learning, [replace(target, values=values)], 8)


def test_cells_without_a_label_are_left_out_of_the_ranking(learning, targets):
    target = targets["condition"]
    values = target.values.copy()
    values[learning.cells[:150]] = -1
    matrix, labels = learning.labelled(replace(target, values=values))
    assert matrix.shape[0] == len(labels) == len(learning.cells) - 150
    assert (labels >= 0).all()


@pytest.mark.parametrize("name", BY_NAME)
def test_a_gene_without_any_count_is_ranked_and_disturbs_nobody(name, learning, targets):
    matrix = learning.matrix.tolil()
    matrix[:, 0] = 0
    silent = LearningCells(sparse.csr_matrix(matrix.tocsr()), learning.cells, 0)
    for task in ("cell_type", "age"):
        assert sorted(panel_of(BY_NAME[name], silent, [targets[task]], N).tolist()) == list(range(N))


@pytest.mark.parametrize("name", BY_NAME)
def test_a_class_with_a_single_learning_cell_does_not_end_the_comparison(name, learning):
    codes = np.arange(300) % 2
    codes[learning.cells[0]] = 2
    target = Target("rare", "classification", 1.0, ("a", "b", "c"), codes)
    assert len(panel_of(BY_NAME[name], learning, [target], 4)) == 4


def test_many_classes_leave_no_remarks_of_pandas_on_speed_in_the_log(recwarn):
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(120), 3)
    matrix = sparse.csr_matrix(rng.poisson(1.0, (360, N)).astype(np.float32))
    target = Target("many", "classification", 1.0, tuple(map(str, range(120))), codes)
    assert len(panel_of(BY_NAME["wilcoxon"], LearningCells(matrix, np.arange(360), seed=0), [target], 8)) == 8
    assert [str(w.message) for w in recwarn if issubclass(w.category, pd.errors.PerformanceWarning)] == []
