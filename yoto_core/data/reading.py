"""Read a file into one `Dataset`: a sparse matrix of cells × genes, their names, and the labels of the cells.

Only the chosen matrix is read, and a dense one is turned sparse a few thousand rows at a time.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
from anndata.io import read_elem
from scipy import sparse

from yoto_core.data.genes import GeneNames, name_genes, unique_names
from yoto_core.data.matrices import MatrixKind, Verdict, choose, classify
from yoto_core.data.scales import Scale
from yoto_core.data.whole_cells import sample_cells
from yoto_core.errors import DataError, YotoError, limit_of
from yoto_core.quiet import ignored

DENSE_ROWS = 2_000
SAVE_AGAIN = "Save it again with adata.write_h5ad(...) and load the new file."
FOREIGN_FILTER = re.compile(r"required filter .* is not registered|can't open directory .*plugin")  # HDF5's words


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
    if not path.is_file():
        raise DataError(f"There is no file {path.name}.", hint="Check the path.")
    if path.stat().st_size == 0:
        raise DataError(f"{name} is empty (0 bytes).", hint="Copy or download the file again.")
    try:
        with path.open("rb"):  # h5py would only say that it is no HDF5
            pass
    except OSError as error:
        raise damaged(name, error) from error
    if not h5py.is_hdf5(path):
        raise DataError(f"{name} is not an .h5ad file.", hint="Save the data with adata.write_h5ad(...).")
    try:
        with h5py.File(path, "r") as file:
            return _whole(h5ad_contents(file, matrix=matrix, name=name))
    except (MemoryError, OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise damaged(name, error) from error


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
    obs, var = _read(file["obs"], name), _read(file["var"], name)
    if not isinstance(obs, pd.DataFrame) or not isinstance(var, pd.DataFrame):
        raise DataError(f"{name} is HDF5 but not an .h5ad: its obs or var is no table.", hint=SAVE_AGAIN)
    found: dict[str, tuple[Any, pd.DataFrame]] = {
        f"layers/{key}": (file["layers"][key], var) for key in file.get("layers", ())
    }
    if "raw/X" in file:
        found["raw.X"] = (file["raw/X"], _read(file["raw/var"], name))
    if "X" in file:
        found["X"] = (file["X"], var)
    return _look(found, obs=obs, wanted=matrix, name=name)


def _read(element: h5py.Group | h5py.Dataset, name: str) -> Any:
    try:
        with ignored(
            ".*was written without encoding metadata"
        ):  # whether the form is old is said by us, where it matters
            return read_elem(element)
    except Exception as error:  # whatever anndata says to these bytes, they cannot be read
        raise damaged(name, error) from error


def damaged(name: str, error: Exception) -> YotoError:
    """The sentence for a file that cannot be read: the machine is the reason, or a filter, or else its bytes."""
    if limit := limit_of(error, name):
        return limit
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    if FOREIGN_FILTER.search(reason):
        return DataError(f"{name} is compressed in a way that cannot be read here ({reason}).", hint=SAVE_AGAIN)
    return DataError(f"{name} is cut short or damaged ({reason}).", hint="Copy or save the file again.")


def _look(found: Mapping[str, tuple[Any, pd.DataFrame]], *, obs: pd.DataFrame, wanted: str, name: str) -> Contents:
    if not len(obs):
        raise DataError(f"{name} holds 0 cells.", hint="Check the filter that made it.")
    if not found:
        raise DataError(f"{name} holds no expression matrix.", hint="Save raw counts in X or in layers['counts'].")
    if not any(len(var) for _, var in found.values()):
        raise DataError(f"{name} holds 0 genes.", hint="Check the filter that made it.")
    order = sorted(found, key=lambda key: (key != "layers/counts", key != "raw.X", key != "X", key))
    verdicts = tuple(classify(key, sample_cells(found[key][0]), genes=len(found[key][1])) for key in order)
    chosen = choose(verdicts, wanted)
    verdicts = tuple(chosen if verdict.name == chosen.name else verdict for verdict in verdicts)
    values, var = found[chosen.name]
    shape = values.attrs.get("shape") if isinstance(values, h5py.Group) else values.shape
    if shape is not None and tuple(shape) != (len(obs), len(var)):
        raise DataError(
            f"{chosen.name} is {' × '.join(f'{n:,}' for n in shape)} but there are {len(obs):,} cells and {len(var):,} genes.",
            hint=SAVE_AGAIN,
        )
    cells = pd.Index(obs.index.astype(str))
    repeated = tuple(cells[cells.duplicated()].unique())
    columns = pd.Index(obs.columns.astype(str))
    if columns.has_duplicates:
        twice = columns[columns.duplicated()][0]
        raise DataError(f"The obs column “{twice}” occurs more than once.", hint="Rename or drop one and save again.")
    obs = obs.set_axis(unique_names(list(cells)), axis=0).set_axis(columns, axis=1)
    return Contents(name, obs, name_genes(var), chosen, verdicts, repeated, values)


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
        values = _read(values, name)
    if sparse.issparse(values):
        _check_pointers(values, name)
        matrix = sparse.csr_matrix(values).astype(np.float32, copy=False)
    else:
        starts = range(0, values.shape[0], DENSE_ROWS)
        blocks = [sparse.csr_matrix(np.asarray(values[i : i + DENSE_ROWS], dtype=np.float32)) for i in starts]
        matrix = sparse.vstack(blocks, format="csr")
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    if not matrix.data.all():  # a stored zero is not a detected gene
        matrix = matrix.copy()
        matrix.eliminate_zeros()
    return matrix


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


def _digest(matrix: sparse.csr_matrix, genes: GeneNames, obs: pd.DataFrame) -> str:
    digest = hashlib.sha256(repr(matrix.shape).encode())
    for array in (matrix.data, matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)):
        digest.update(np.ascontiguousarray(array).data)
    digest.update("\n".join((*genes.symbols, *genes.ids)).encode())
    for column in obs.columns:
        digest.update(f"{column}:".encode())
        digest.update(pd.util.hash_pandas_object(obs[column].astype(str), index=True).to_numpy().data)
    return digest.hexdigest()
