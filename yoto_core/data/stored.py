"""What else a file holds for the eye: colours of its classes and embeddings of its cells."""

import re
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

COLOR = re.compile(r"#[0-9a-fA-F]{6}([0-9a-fA-F]{2})?")


def stored_colors(path: Path, column: str, obs: pd.DataFrame) -> dict[str, str]:
    """Class -> colour as scanpy leaves it in `uns["<column>_colors"]`, in the order of the categories; else nothing."""
    if column not in obs or not isinstance(obs[column].dtype, pd.CategoricalDtype):
        return {}
    try:
        with h5py.File(path, "r") as file:
            values = file[f"uns/{column}_colors"].asstr()[:]
    except (OSError, KeyError, TypeError, ValueError):
        return {}
    names = [str(name) for name in obs[column].cat.categories]
    found = {name: str(color)[:7] for name, color in zip(names, values, strict=False) if COLOR.fullmatch(str(color))}
    return found if len(found) == len(names) else {}


def embedding_names(path: Path, n_cells: int) -> tuple[str, ...]:
    """The embeddings in `obsm` that have a place for every cell in at least two dimensions."""
    try:
        with h5py.File(path, "r") as file:
            return tuple(name for name, item in file.get("obsm", {}).items() if _is_embedding(item, n_cells))
    except OSError:
        return ()


def read_embedding(path: Path, name: str) -> np.ndarray:
    """(cells, 2) the first two dimensions of an embedding named by `embedding_names`."""
    with h5py.File(path, "r") as file:
        return np.asarray(file["obsm"][name][:, :2], dtype=np.float64)


def _is_embedding(item: object, n_cells: int) -> bool:
    return (
        isinstance(item, h5py.Dataset)
        and item.ndim == 2
        and item.shape[0] == n_cells
        and item.shape[1] >= 2
        and item.dtype.kind in "fiu"
    )
