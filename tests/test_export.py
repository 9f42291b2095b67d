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
