"""What a user takes away from a run beside its own files."""

import shutil
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.io import write_elem

from yoto_core.data.hdf5 import opened
from yoto_core.data.reading import Dataset, read_dataset
from yoto_core.data.stored_tables import column_order
from yoto_core.errors import DataError
from yoto_core.files import keep_apart, read_json, write_whole
from yoto_core.pipeline import Run
from yoto_core.tables import csv_text


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


def write_predictions(out: Path, table: pd.DataFrame, source: str | Path) -> None:
    """Predictions of a file's cells as .csv, or as a copy of the file with the predictions in obs (.h5ad).

    The copy holds everything that the file does, and in obs each prediction under “yoto ” and its name, in place of what an
    earlier labelling left there.

    Raises:
        ConfigError: `out` is the file itself.
        RunError: The place cannot be written to.
    """
    keep_apart(out, {"the cells that were labelled": source})

    def write(part: Path) -> None:
        part.touch()  # a folder that is not there is named here, before a library says so in words of its own
        if out.suffix == ".csv":
            part.write_text(csv_text(table, index_label="cell"), encoding="utf-8")
        else:
            shutil.copyfile(source, part)
            _add_to_obs(part, table)

    write_whole(out, write)


def predictions_h5ad(table: pd.DataFrame, source: str | Path) -> bytes:
    """The bytes of the same .h5ad."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "predictions.h5ad"
        write_predictions(path, table, source)
        return path.read_bytes()


def _add_to_obs(path: Path, table: pd.DataFrame) -> None:
    """Add (or replace) columns of obs where they lie; what else the file holds is not touched."""
    with opened(path, path.name, writing=True) as file:
        obs = file["obs"]
        order = column_order(obs, path.name)
        for name, values in table.items():
            column = f"yoto {name}".replace("/", "_")  # a slash would open a folder inside the file
            write_elem(obs, column, values.array if values.dtype == "category" else values.to_numpy())
            order += [column] if column not in order else []
        obs.attrs["column-order"] = np.array(order, dtype=h5py.string_dtype())


def panel_anndata(run: Run, data: Dataset) -> AnnData:
    """The same as an object (shape cells × panel genes)."""
    position = {symbol: i for i, symbol in enumerate(data.genes.symbols)}
    var = run.panel_table.set_index("gene")
    var.index.name = None
    obs = data.obs.copy()
    obs.columns = obs.columns.map(str)
    return AnnData(data.matrix[:, [position[gene] for gene in run.panel.genes]], obs=obs, var=pd.DataFrame(var))
