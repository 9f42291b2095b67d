"""The cells cut down to the panel, as a file for other tools."""

import anndata
import numpy as np
import pandas as pd
import pytest

from tests.conftest import make_toy
from tests.shared_runs import finished, save, toy_dataset
from yoto_core.errors import DataError
from yoto_core.files import read_json, write_json
from yoto_core.store import export
from yoto_core.store.saved import saved_model


def test_the_file_holds_the_stored_values_of_the_panel_genes_in_panel_order(tmp_path):
    run = finished()
    path = tmp_path / "panel.h5ad"
    path.write_bytes(export.panel_h5ad(run, save(run)))
    adata = anndata.read_h5ad(path)
    assert list(adata.var_names) == list(run.panel.genes)
    toy = make_toy()
    assert np.array_equal(adata.X.toarray(), toy[:, list(run.panel.genes)].X.toarray())
    assert list(adata.obs_names) == list(toy.obs_names)
    assert (adata.obs["cell_type"].astype(str) == toy.obs["cell_type"].astype(str)).all()
    assert list(adata.var["gene_id"]) == list(run.panel.gene_ids)
    assert list(adata.var["rank"]) == list(range(1, 9))
    assert list(adata.var["reason"]) == list(run.panel_table["reason"])


def test_data_that_have_changed_since_are_refused(tmp_path):
    run = finished()
    folder = save(run)
    adata = make_toy()
    adata.obs["condition"] = adata.obs["condition"].to_numpy()[::-1]
    adata.write_h5ad(tmp_path / "other.h5ad")
    write_json(folder / "data.json", {**read_json(folder / "data.json"), "path": str(tmp_path / "other.h5ad")})
    with pytest.raises(
        DataError, match=r"^toy\.h5ad has changed since this run\. Load the file again and start anew\.$"
    ):
        export.panel_h5ad(run, folder)


def test_data_that_are_gone_are_named(tmp_path):
    run = finished()
    folder = save(run)
    write_json(folder / "data.json", {**read_json(folder / "data.json"), "path": str(tmp_path / "gone.h5ad")})
    with pytest.raises(DataError, match=r"There is no file gone\.h5ad\."):
        export.panel_h5ad(run, folder)


def test_exporting_leaves_the_data_and_the_panel_table_as_they_were():
    run, data = finished(), toy_dataset()
    table, obs = run.panel_table.copy(), data.obs.copy()
    adata = export.panel_anndata(run, data)
    adata.obs["new"] = 1
    adata.var["new"] = 1
    pd.testing.assert_frame_equal(run.panel_table, table)
    pd.testing.assert_frame_equal(data.obs, obs)


# --- predictions beside the data


def predicted(adata, tmp_path):
    adata.write_h5ad(tmp_path / "new.h5ad")
    table = finished().predict(tmp_path / "new.h5ad")
    (tmp_path / "out.h5ad").write_bytes(export.predictions_h5ad(table, tmp_path / "new.h5ad"))
    return table, anndata.read_h5ad(tmp_path / "out.h5ad")


def test_the_file_with_predictions_holds_all_that_the_new_data_do(tmp_path):
    new = make_toy(cells=40, seed=3)
    new.layers["logs"] = new.X.log1p()
    new.obsm["X_umap"] = np.zeros((40, 2))
    new.uns["note"] = "kept"
    table, back = predicted(new, tmp_path)
    assert (back.layers["logs"] != new.layers["logs"]).nnz == 0
    assert back.obsm["X_umap"].shape == (40, 2)
    assert back.uns["note"] == "kept"
    pd.testing.assert_frame_equal(back.obs[list(new.obs)], new.obs)
    assert list(back.obs.columns) == [*new.obs, *(f"yoto {name}" for name in table)]
    for name in table:
        assert (back.obs[f"yoto {name}"].to_numpy() == table[name].to_numpy()).all()


def test_cells_that_are_labelled_again_carry_the_new_answers_only(tmp_path):
    _, once = predicted(make_toy(cells=40, seed=3), tmp_path)
    once.obs["yoto cell_type"] = "old"
    table, twice = predicted(once, tmp_path)
    assert list(twice.obs.columns) == list(once.obs.columns)
    assert (twice.obs["yoto cell_type"].astype(str) == table["cell_type"].astype(str).to_numpy()).all()


def test_a_task_with_a_slash_in_its_name_becomes_a_column_not_a_folder(tmp_path):
    make_toy(cells=4).write_h5ad(tmp_path / "new.h5ad")
    export.write_predictions(tmp_path / "out.h5ad", pd.DataFrame({"a/b": [1.0, 2, 3, 4]}), tmp_path / "new.h5ad")
    assert list(anndata.read_h5ad(tmp_path / "out.h5ad").obs["yoto a_b"]) == [1, 2, 3, 4]


def test_a_panel_designed_with_the_defaults_labels_its_own_cells_cut_down_to_the_panel(tmp_path):
    # The file is what a targeted assay gives: the panel's genes and no others.
    run = finished()
    path = tmp_path / "panel.h5ad"
    path.write_bytes(export.panel_h5ad(run, save(run)))
    saved = saved_model(run)
    cut, whole = saved.label(path), saved.label(make_toy())
    assert (cut.table["cell_type"] == whole.table["cell_type"]).mean() > 0.99
    assert cut.shift.out_of_range < 0.10
    assert not [finding for finding in cut.findings if finding.level == "warning"]
    held_out = run.evaluation.predictions.set_index("cell_index")
    right = cut.table["cell_type"].astype(str).to_numpy()[held_out.index] == held_out["cell_type true"].to_numpy()
    assert right.mean() == pytest.approx(
        (held_out["cell_type predicted"] == held_out["cell_type true"]).mean(), abs=0.02
    )
