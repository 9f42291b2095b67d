"""What else a file holds for the eye: colours of its classes and embeddings of its cells."""

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from yoto_core.data.hdf5 import mended, opened, refuse_a_matrix_it_cannot_hold, refuse_more_than_it_holds
from yoto_core.errors import YotoError

COLOR = re.compile(r"#[0-9a-fA-F]{6}([0-9a-fA-F]{2})?")


def stored_colors(path: Path, column: str, obs: pd.DataFrame) -> dict[str, str]:
    """Class -> colour as scanpy leaves it in `uns["<column>_colors"]`, in the order of the categories; else nothing."""
    if column not in obs or not isinstance(obs[column].dtype, pd.CategoricalDtype):
        return {}
    place = f"uns/{column}_colors"
    with contextlib.suppress(YotoError), opened(path, path.name) as file, mended(path.name):
        if place in file:
            refuse_more_than_it_holds([file[place]], path.name)
            values = file[place].asstr()[:]
            return _one_each([str(name) for name in obs[column].cat.categories], values)
    return {}


def _one_each(names: list[str], values: Iterable[object]) -> dict[str, str]:
    """Name -> colour where every name has one."""
    found = {name: str(color)[:7] for name, color in zip(names, values, strict=False) if COLOR.fullmatch(str(color))}
    return found if len(found) == len(names) else {}


def embedding_names(path: Path, n_cells: int) -> tuple[str, ...]:
    """The embeddings in `obsm` that have a place for every cell in at least two dimensions."""
    with contextlib.suppress(YotoError), opened(path, path.name) as file, mended(path.name):
        return tuple(name for name, item in file.get("obsm", {}).items() if _is_embedding(item, n_cells))
    return ()


def read_embedding(path: Path, name: str) -> np.ndarray:
    """(cells, 2) the first two dimensions of an embedding named by `embedding_names` (DataError where it is gone)."""
    with opened(path, path.name) as file, mended(path.name):
        refuse_a_matrix_it_cannot_hold(file["obsm"][name], path.name)
        return np.asarray(file["obsm"][name][:, :2], dtype=np.float64)


def _is_embedding(item: object, n_cells: int) -> bool:
    return (
        isinstance(item, h5py.Dataset)
        and item.ndim == 2
        and item.shape[0] == n_cells
        and item.shape[1] >= 2
        and item.dtype.kind in "fiu"
    )
