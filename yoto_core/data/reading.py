"""Read a file into one `Dataset`: a sparse matrix of cells × genes, their names, and the labels of the cells.

Only the chosen matrix is read, and a dense one is turned sparse a few thousand rows at a time.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

from yoto_core.data.genes import GeneNames, name_genes, unique_names
from yoto_core.data.hdf5 import (
    SAVE_AGAIN,
    damaged,
    mended,
    opened,
    refuse_a_matrix_it_cannot_hold,
)
from yoto_core.data.layout import PARTS, stored_form, stored_shape, why_unreadable
from yoto_core.data.matrices import MatrixKind, Verdict, choose, classify
from yoto_core.data.scales import LARGEST, SMALLEST, Scale
from yoto_core.data.stored_tables import read_table
from yoto_core.data.whole_cells import sample_cells
from yoto_core.errors import DataError
from yoto_core.memory import reckon

MOST_LAYERS = 1_000
DENSE_VALUES = 1 << 25  # of a dense matrix read at once: 128 MB


@dataclass(frozen=True)
class Dataset:
    """Labelled cells in memory; read only."""

    name: str
    matrix: sparse.csr_matrix = field(repr=False)  # (cells, genes) float32, as in the file
    kind: MatrixKind
    scale: Scale  # of the values in `matrix`
    obs: pd.DataFrame = field(repr=False)  # (cells, columns), index: cell names
    genes: GeneNames = field(repr=False)
    chosen: str  # name of the matrix that was read
    verdicts: tuple[Verdict, ...]
    repeated_cells: tuple[str, ...]
    digest: str  # SHA-256 over matrix, gene names and obs

    @property
    def n_cells(self) -> int:
        """Rows of the matrix."""
        return self.matrix.shape[0]

    @property
    def n_genes(self) -> int:
        """Columns of the matrix."""
        return self.matrix.shape[1]


@dataclass(frozen=True)
class Contents:
    """What a file or an AnnData holds, looked at but not read: `values` is the chosen matrix where it lies."""

    name: str
    obs: pd.DataFrame = field(repr=False)
    genes: GeneNames = field(repr=False)
    chosen: Verdict
    verdicts: tuple[Verdict, ...]
    repeated_cells: tuple[str, ...]
    values: Any = field(repr=False)


def read_dataset(path: str | Path, *, matrix: str = "auto", name: str = "") -> Dataset:
    """Read an .h5ad file.

    Args:
        path: The file; it is recognised by its content, not its ending.
        matrix: "auto", "X", "raw.X" or "layers/<name>", and how to read it where its values mislead: "X as counts".
        name: What to call the data; the file's name where empty.

    Raises:
        DataError: The file is missing, empty, cut short, not an .h5ad, or holds no usable matrix.
        MachineError: There is too little memory for it, or the system refuses to read it.
    """
    path = Path(path)
    name = name or path.name
    with opened(path, name) as file, mended(name):
        return _whole(h5ad_contents(file, matrix=matrix, name=name))


def from_anndata(adata: anndata.AnnData, *, matrix: str = "auto", name: str = "AnnData") -> Dataset:
    """The same record from an AnnData object (shape `n_obs` × `n_vars`, rows are cells)."""
    if adata.isbacked:
        adata = adata.to_memory()
    # From anndata 0.13 on, X is a layer too, under no name.
    found = {f"layers/{key}": (value, adata.var) for key, value in adata.layers.items() if key is not None}
    if adata.raw is not None:
        found["raw.X"] = (adata.raw.X, adata.raw.var)
    if adata.X is not None:
        found["X"] = (adata.X, adata.var)
    return _whole(_look(found, obs=adata.obs, wanted=matrix, name=name))


def h5ad_contents(file: h5py.File, *, matrix: str, name: str) -> Contents:
    """What an open .h5ad holds, its matrices not yet read (DataError where it is none, or holds nothing of use)."""
    if "obs" not in file or "var" not in file:
        raise DataError(f"{name} is HDF5 but not an .h5ad: it has no obs or var.", hint=SAVE_AGAIN)
    if not isinstance(file["obs"], h5py.Group):
        raise DataError(f"{name} was written by an anndata older than 0.7.", hint=SAVE_AGAIN)
    obs, var = read_table(file, "obs", name), read_table(file, "var", name)
    layers = file.get("layers", {})
    if len(layers) > MOST_LAYERS:
        raise DataError(f"{name} holds {len(layers):,} layers.", hint=f"Save it with at most {MOST_LAYERS}.")
    found: dict[str, tuple[Any, pd.DataFrame]] = {f"layers/{key}": (layers[key], var) for key in layers}
    if "raw/X" in file:
        found["raw.X"] = (file["raw/X"], read_table(file, "raw/var", name))
    if "X" in file:
        found["X"] = (file["X"], var)
    for values, _ in found.values():
        parts = [values] if isinstance(values, h5py.Dataset) else [values[part] for part in PARTS if part in values]
        for part in parts:
            refuse_a_matrix_it_cannot_hold(part, name)
    return _look(found, obs=obs, wanted=matrix, name=name)


def _look(found: Mapping[str, tuple[Any, pd.DataFrame]], *, obs: pd.DataFrame, wanted: str, name: str) -> Contents:
    if not len(obs):
        raise DataError(f"{name} holds 0 cells.", hint="Check the filter that made it.")
    if not found:
        raise DataError(f"{name} holds no expression matrix.", hint="Save raw counts in X or in layers['counts'].")
    if not any(len(var) for _, var in found.values()):
        raise DataError(f"{name} holds 0 genes.", hint="Check the filter that made it.")
    order = sorted(found, key=lambda key: (key != "layers/counts", key != "raw.X", key != "X", key))
    verdicts = tuple(_verdict(key, *found[key], cells=len(obs)) for key in order)
    chosen = choose(verdicts, wanted)
    verdicts = tuple(chosen if verdict.name == chosen.name else verdict for verdict in verdicts)
    values, var = found[chosen.name]
    cells = pd.Index(obs.index.astype(str))
    repeated = tuple(cells[cells.duplicated()].unique())
    columns = pd.Index(obs.columns.astype(str))
    if columns.has_duplicates:
        twice = columns[columns.duplicated()][0]
        raise DataError(f"The obs column “{twice}” occurs more than once.", hint="Rename or drop one and save again.")
    obs = obs.set_axis(unique_names(list(cells)), axis=0).set_axis(columns, axis=1)
    return Contents(name, obs, name_genes(var), chosen, verdicts, repeated, values)


def _verdict(key: str, values: Any, var: pd.DataFrame, *, cells: int) -> Verdict:
    """What one of the matrices holds; one that is no matrix of these cells and genes is not looked into."""
    if why := why_unreadable(values, cells, len(var)):
        return Verdict(key, "unreadable", why, genes=len(var))
    return classify(key, sample_cells(values), genes=len(var))


def _whole(held: Contents) -> Dataset:
    matrix = _as_csr(held.values, held.name)
    if matrix.shape != (len(held.obs), len(held.genes.symbols)):
        raise damaged(held.name, ValueError(f"{held.chosen.name} does not fit its own shape"))
    _refuse_impossible(matrix, held.chosen.name)
    return Dataset(
        name=held.name,
        matrix=matrix,
        kind=held.chosen.kind,
        scale=held.chosen.scale,
        obs=held.obs,
        genes=held.genes,
        chosen=held.chosen.name,
        verdicts=held.verdicts,
        repeated_cells=held.repeated_cells,
        digest=_digest(matrix, held.genes, held.obs),
    )


def _as_csr(values: Any, name: str) -> sparse.csr_matrix:
    """Float32 CSR from whatever the file holds; a dense matrix is never held whole beside it."""
    if isinstance(values, h5py.Group):
        values = _read_sparse(values, name)
    if sparse.issparse(values):
        _check_pointers(values, name)
        matrix = sparse.csr_matrix(values).astype(np.float32, copy=False)
    else:
        matrix = _dense_as_csr(values, name)
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    if not matrix.data.all():  # a stored zero is not a detected gene
        matrix = matrix.copy()
        matrix.eliminate_zeros()
    return matrix


def _read_sparse(group: h5py.Group, name: str) -> sparse.csr_matrix | sparse.csc_matrix:
    """A sparse matrix of a file, of any type of numbers in any byte order; each part takes its place in memory once."""
    by_rows = stored_form(group) == "csr"
    stored, shape = group["data"].shape[0], stored_shape(group)
    small = max(stored, *(shape or ())) < np.iinfo(np.int32).max
    index = np.int32 if small else np.int64
    # Values and indices, once more for the digest, and for a matrix stored by columns once more by rows.
    reckon(stored * (4 + np.dtype(index).itemsize + 8 + (0 if by_rows else 8)), name)
    lines = shape[1 if by_rows else 0] if shape else np.iinfo(index).max
    parts = (
        _in_blocks(group["data"], np.float32),
        _in_blocks(group["indices"], index, below=lines),
        _in_blocks(group["indptr"], index, below=stored + 1),
    )
    return (sparse.csr_matrix if by_rows else sparse.csc_matrix)(parts, shape=shape)


def _in_blocks(values: h5py.Dataset, dtype: type, *, below: int = 0) -> np.ndarray:
    """A list of numbers as another type; ValueError where one is not from 0 to `below`, if that is given."""
    found = np.empty(values.shape[0], dtype)
    with np.errstate(over="ignore"):  # an infinite value is found, and refused, later
        for start in range(0, len(found), DENSE_VALUES):
            block = values[start : start + DENSE_VALUES]
            if below and block.size and (block.min() < 0 or block.max() >= below):
                raise ValueError("an index points outside the matrix")
            found[start : start + DENSE_VALUES] = block
    return found


def _dense_as_csr(values: Any, name: str) -> sparse.csr_matrix:
    cells, genes = values.shape
    rows, blocks, held = max(1, DENSE_VALUES // max(1, genes)), [], 0
    for start in range(0, cells, rows):
        with np.errstate(over="ignore"):  # an infinite value is found, and refused, later
            block = sparse.csr_matrix(np.asarray(values[start : start + rows], dtype=np.float32))
        blocks.append(block)
        held += block.data.nbytes + block.indices.nbytes
        reckon(held, name)  # what they take once more when they are put together
    return sparse.vstack(blocks, format="csr")


def _check_pointers(values: Any, name: str) -> None:
    """Refuse a sparse matrix that points outside itself, as damaged files do: scipy would follow, and crash."""
    if values.format not in ("csr", "csc"):
        return
    try:
        if (np.diff(values.indptr) < 0).any():  # scipy does not look where the last pointer is 0
            raise ValueError("row pointers go backwards")
        values.check_format(full_check=True)
    except ValueError as error:
        raise damaged(name, error) from error


def _refuse_impossible(matrix: sparse.csr_matrix, name: str) -> None:
    """Look at every value once: the sample may have missed them."""
    bad = int(matrix.nnz - np.isfinite(matrix.data).sum())
    if bad:
        held = "1 value that is" if bad == 1 else f"{bad:,} values that are"
        raise DataError(f"{name} holds {held} NaN or infinite.", hint="Set or filter them and save again.")
    if matrix.nnz and float(matrix.data.min()) < 0:
        count = int((matrix.data < 0).sum())
        raise DataError(
            f"{name} holds {count:,} negative value{'s' if count > 1 else ''}.",
            hint="Choose a matrix of counts or logs, before scaling.",
        )
    if not matrix.nnz:
        raise DataError(f"{name} holds only zeros.", hint="Choose another matrix.")
    low, high = float(matrix.data.min()), float(matrix.data.max())
    if high > LARGEST or low < SMALLEST:
        raise DataError(
            f"{name} holds {high if high > LARGEST else low:.4g}: no measurement is that"
            f" {'large' if high > LARGEST else 'small'}.",
            hint="Filter such values and save again.",
        )


def _digest(matrix: sparse.csr_matrix, genes: GeneNames, obs: pd.DataFrame) -> str:
    digest = hashlib.sha256(repr(matrix.shape).encode())
    for array in (matrix.data, matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)):
        digest.update(np.ascontiguousarray(array).data)
    digest.update("\n".join((*genes.symbols, *genes.ids)).encode())
    for column in obs.columns:
        digest.update(f"{column}:".encode())
        digest.update(pd.util.hash_pandas_object(obs[column].astype(str), index=True).to_numpy().data)
    return digest.hexdigest()
