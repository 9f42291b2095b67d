"""New cells are labelled from the panel's genes alone, whatever else, and in whatever order, the new data hold."""

import re

import anndata
import numpy as np
import pandas as pd
import pytest

from tests.conftest import make_toy
from tests.shared_runs import AGE, CONDITION, TYPE, config_for, finished, toy_dataset, toy_on_disk
from yoto_core import pipeline
from yoto_core.data.preprocess import log_normalise
from yoto_core.data.reading import from_anndata
from yoto_core.errors import DataError
from yoto_core.prediction.predict import label


@pytest.fixture(scope="module")
def run():
    return finished()


def test_new_cells_of_the_same_kind_are_labelled_rightly(run):
    new = make_toy(cells=200, seed=7)
    table = run.predict(new)
    assert list(table.index) == list(new.obs_names)
    tasks = ("cell_type", "condition")
    assert {*tasks, *(f"{task} probability" for task in tasks), "age"} <= set(table)
    assert (table["cell_type"] == new.obs["cell_type"].astype(str)).mean() > 0.85
    assert (table["condition"] == new.obs["condition"].astype(str)).mean() > 0.85
    assert np.corrcoef(table["age"], new.obs["age"])[0, 1] > 0.6
    assert table["cell_type probability"].between(0.25, 1).all()


def test_the_order_of_genes_and_cells_does_not_matter(run, toy):
    shuffled = toy[np.random.default_rng(0).permutation(300)][:, np.random.default_rng(1).permutation(60)].copy()
    table = run.predict(shuffled).loc[toy.obs_names]
    pd.testing.assert_frame_equal(table, run.predict(toy), rtol=1e-5)


def test_genes_are_found_by_id_where_the_symbols_differ(run, toy):
    renamed = toy.copy()
    renamed.var_names = [f"alias{i}" for i in range(60)]
    pd.testing.assert_frame_equal(run.predict(renamed), run.predict(toy))


def test_genes_are_found_by_symbol_where_there_are_no_ids(run, toy):
    bare = toy.copy()
    bare.var = bare.var.drop(columns="gene_ids")
    bare.var_names = bare.var_names.str.lower()
    pd.testing.assert_frame_equal(run.predict(bare), run.predict(toy))


def test_labels_are_not_needed(run, toy):
    bare = anndata.AnnData(toy.X, obs=pd.DataFrame(index=toy.obs_names), var=toy.var)
    pd.testing.assert_frame_equal(run.predict(bare), run.predict(toy))


def test_a_model_of_logged_data_reads_data_with_the_panel_genes_alone():
    data = toy_dataset()
    logged = anndata.AnnData(
        log_normalise(data.matrix, data.scale), obs=data.obs, var=pd.DataFrame(index=list(data.genes.symbols))
    )
    run = pipeline.choose_panel(from_anndata(logged), config_for(TYPE, panel_size=4)).run
    panel_only = logged[:, list(run.panel.genes)].copy()
    pd.testing.assert_frame_equal(run.predict(panel_only), run.predict(logged))


def test_a_dense_matrix_gives_the_same_labels(run, toy):
    dense = toy.copy()
    dense.X = dense.X.toarray()
    pd.testing.assert_frame_equal(run.predict(dense), run.predict(toy))


@pytest.mark.parametrize("lost", [1, 3])
def test_missing_panel_genes_are_counted_and_the_first_is_named(lost, run, toy):
    gone = run.panel.genes[:lost]
    lacking = toy[:, ~toy.var_names.isin(gone)].copy()
    sentence = f"AnnData lacks {lost} of the 8 panel genes (first: {gone[0]}). Use data in which all were measured"
    with pytest.raises(DataError, match=re.escape(sentence)):
        run.predict(lacking)


def test_one_cell_can_be_labelled(run, toy):
    assert len(run.predict(toy[:1].copy())) == 1


def test_predicting_held_out_cells_gives_what_was_scored(run):
    table = label(run.model, toy_on_disk()).table
    scored = run.evaluation.predictions
    held_out = scored["cell_index"].to_numpy()
    assert (table["cell_type"].to_numpy()[held_out] == scored["cell_type predicted"]).all()
    assert np.allclose(table["age"].to_numpy()[held_out], scored["age predicted"])


def test_a_number_is_given_in_its_own_unit(run):
    ages = label(run.model, toy_on_disk()).table["age"]
    assert 25 < ages.mean() < 75
    assert {task.obs for task in (TYPE, CONDITION, AGE)} <= set(label(run.model, toy_on_disk()).table)
