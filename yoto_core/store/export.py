"""What a user takes away from a run beside its own files."""

import tempfile
from pathlib import Path

import pandas as pd
from anndata import AnnData

from yoto_core.data.reading import Dataset, read_dataset
from yoto_core.errors import DataError
from yoto_core.files import read_json, write_whole
from yoto_core.pipeline import Run


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


def write_predictions(out: Path, table: pd.DataFrame, source: str | Path, *, matrix: str = "auto") -> None:
    """Predictions of an .h5ad's cells as .csv, or as a copy of the chosen matrix with the predictions in obs (.h5ad)."""

    def write(part: Path) -> None:
        part.touch()  # a folder that is not there is named here, before a library says so in words of its own
        if out.suffix == ".csv":
            table.to_csv(part, index_label="cell")
        else:
            labelled_anndata(read_dataset(source, matrix=matrix), table).write_h5ad(part)

    write_whole(out, write)


def predictions_h5ad(table: pd.DataFrame, source: str | Path, *, matrix: str = "auto") -> bytes:
    """The bytes of the same .h5ad."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "predictions.h5ad"
        write_predictions(path, table, source, matrix=matrix)
        return path.read_bytes()


def labelled_anndata(data: Dataset, table: pd.DataFrame) -> AnnData:
    """The new cells with what was predicted in obs, each column under “yoto ” and its name."""
    obs = data.obs.copy()
    obs = obs.join(table.set_axis(obs.index, axis=0).add_prefix("yoto "))
    # A slash in a column's name would open a folder inside the file.
    obs.columns = obs.columns.map(lambda name: str(name).replace("/", "_"))
    var = pd.DataFrame({"gene_ids": list(data.genes.ids)}, index=list(data.genes.symbols))
    return AnnData(data.matrix, obs=obs, var=var)


def panel_anndata(run: Run, data: Dataset) -> AnnData:
    """The same as an object (shape cells × panel genes)."""
    position = {symbol: i for i, symbol in enumerate(data.genes.symbols)}
    var = run.panel_table.set_index("gene")
    var.index.name = None
    obs = data.obs.copy()
    obs.columns = obs.columns.map(str)
    return AnnData(data.matrix[:, [position[gene] for gene in run.panel.genes]], obs=obs, var=pd.DataFrame(var))
