"""What a user takes away from a run beside its own files."""

import tempfile
from pathlib import Path

import pandas as pd
from anndata import AnnData

from yoto_core.errors import DataError
from yoto_core.folders import read_json
from yoto_core.pipeline import Run
from yoto_core.reading import Dataset, read_dataset


def panel_h5ad(run: Run, folder: Path) -> bytes:
    """The run's cells × panel genes as an .h5ad: the stored values, all of obs, and the panel's table in var.

    Raises:
        DataError: The data of the run are gone or have changed.
    """
    about = read_json(folder / "data.json")
    data = read_dataset(about["path"], matrix=run.config.genes.matrix, name=about["name"])
    if data.digest != run.summary["digest"]:
        raise DataError(f"{about['name']} has changed since this run.", hint="Load the file again and start anew.")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "panel.h5ad"
        panel_anndata(run, data).write_h5ad(path, compression="gzip")
        return path.read_bytes()


def panel_anndata(run: Run, data: Dataset) -> AnnData:
    """The same as an object (shape cells × panel genes)."""
    position = {symbol: i for i, symbol in enumerate(data.genes.symbols)}
    var = run.panel_table.set_index("gene")
    var.index.name = None
    obs = data.obs.copy()
    obs.columns = obs.columns.map(str)
    return AnnData(data.matrix[:, [position[gene] for gene in run.panel.genes]], obs=obs, var=pd.DataFrame(var))
