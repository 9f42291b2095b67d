"""New cells to be labelled: their names and labels in memory, their expression read a few thousand rows at a time.

Only the panel's columns of a block of rows are ever turned dense, so the size of the file does not matter. Rows on disk
must be CSR or dense; a file stored by columns (CSC) is read whole.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata.io import read_elem
from scipy import sparse

from yoto_core.data.genes import GeneNames, name_genes, unique_names
from yoto_core.data.matrices import MatrixKind, choose, classify, sample_values
from yoto_core.data.preprocess import TARGET_SUM
from yoto_core.data.reading import Dataset, read_dataset
from yoto_core.errors import DataError

ROWS = 20_000  # cells read at once
DAMAGED = "Copy or save the file again."
Block = tuple[np.ndarray, np.ndarray]  # (B, K) values of the wanted genes, (B,) total over all genes


@dataclass(frozen=True)
class Cells:
    """New cells; `read(start, stop, places)` gives their stored values at these genes, and each cell's total."""

    name: str
    obs: pd.DataFrame = field(repr=False)
    genes: GeneNames = field(repr=False)
    kind: MatrixKind
    chosen: str
    read: Callable[[int, int, np.ndarray], Block] = field(repr=False)

    def blocks(self, places: Sequence[int], *, rows: int = ROWS) -> Iterator[tuple[int, np.ndarray]]:
        """(first row, (B, K) log-normalised values) block by block; columns at place -1 are zero."""
        wanted = np.asarray(places)
        for start in range(0, len(self.obs), rows):
            values, total = self.read(start, min(start + rows, len(self.obs)), wanted)
            if self.kind == "counts":
                values *= np.divide(TARGET_SUM, total, out=np.zeros_like(total), where=total > 0)[:, None]
            yield start, values if self.kind == "log-normalised" else np.log1p(values, out=values)


def cells_of(data: Dataset) -> Cells:
    """The same view of data that are in memory already."""

    def read(start: int, stop: int, places: np.ndarray) -> Block:
        rows = data.matrix[start:stop]
        return _pick(rows.data, rows.indices, rows.indptr, places, data.n_genes)

    return Cells(data.name, data.obs, data.genes, data.kind, data.chosen, read)


@contextmanager
def open_cells(path: str | Path, *, matrix: str = "auto", name: str = "") -> Iterator[Cells]:
    """Open an .h5ad for labelling; the file stays open inside the block.

    Raises:
        DataError: The file is missing, damaged, not an .h5ad, or holds no usable matrix.
    """
    path = Path(path)
    name = name or path.name
    if not path.is_file() or not h5py.is_hdf5(path):
        yield cells_of(read_dataset(path, matrix=matrix, name=name))  # the reader says what is wrong with it
        return
    try:
        with h5py.File(path, "r") as file:
            found = _matrices(file)
            if found is None:
                yield cells_of(read_dataset(path, matrix=matrix, name=name))
            else:
                yield _cells(file, found, matrix=matrix, name=name)
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, IndexError) as error:
        raise DataError(f"{name} is cut short or damaged ({type(error).__name__}).", hint=DAMAGED) from error


def _matrices(file: h5py.File) -> dict[str, tuple[h5py.Group | h5py.Dataset, str]] | None:
    """Name -> (matrix, its var table); None where the file is none of ours to stream (the whole reader then speaks)."""
    if not isinstance(file.get("obs"), h5py.Group) or not isinstance(file.get("var"), h5py.Group):
        return None
    found = {f"layers/{key}": (value, "var") for key, value in file.get("layers", {}).items()}
    if "raw/X" in file and "raw/var" in file:
        found["raw.X"] = (file["raw/X"], "raw/var")
    if "X" in file:
        found["X"] = (file["X"], "var")
    by_rows = all(
        isinstance(m, h5py.Dataset) or m.attrs.get("encoding-type") == "csr_matrix" for m, _ in found.values()
    )
    return found if found and by_rows else None


def _cells(file: h5py.File, found: dict[str, tuple[object, str]], *, matrix: str, name: str) -> Cells:
    order = sorted(found, key=lambda key: (key != "layers/counts", key != "raw.X", key != "X", key))
    chosen = choose(tuple(classify(key, sample_values(found[key][0])) for key in order), matrix)
    values, var = found[chosen.name]
    obs, genes = read_elem(file["obs"]), name_genes(read_elem(file[var]))
    if not len(obs) or not genes.symbols:
        raise DataError(f"{name} holds {len(obs):,} cells and {len(genes.symbols):,} genes.", hint="Check the filter.")
    obs = obs.set_axis(unique_names(list(obs.index.astype(str))), axis=0)
    read = _dense_reader(values) if isinstance(values, h5py.Dataset) else _csr_reader(values, len(genes.symbols))

    def checked(start: int, stop: int, places: np.ndarray) -> Block:
        block, total = read(start, stop, places)
        if not np.isfinite(total).all() or (block.size and block.min() < 0):
            raise DataError(
                f"{chosen.name} of {name} holds values that are NaN, infinite or negative.",
                hint="Choose a matrix of counts or logs, before scaling.",
            )
        return block, total

    return Cells(name, obs, genes, chosen.kind, chosen.name, checked)


def _dense_reader(values: h5py.Dataset) -> Callable[[int, int, np.ndarray], Block]:
    def read(start: int, stop: int, places: np.ndarray) -> Block:
        rows = np.asarray(values[start:stop], dtype=np.float32)
        block = rows[:, np.maximum(places, 0)]
        block[:, places < 0] = 0.0
        return block, rows.sum(1)

    return read


def _csr_reader(values: h5py.Group, n_genes: int) -> Callable[[int, int, np.ndarray], Block]:
    pointers = values["indptr"][:]
    if (np.diff(pointers) < 0).any() or pointers[-1] > values["data"].shape[0]:
        raise ValueError("row pointers leave the matrix")

    def read(start: int, stop: int, places: np.ndarray) -> Block:
        here = slice(int(pointers[start]), int(pointers[stop]))
        data, indices = values["data"][here].astype(np.float32, copy=False), values["indices"][here]
        if indices.size and (indices.max() >= n_genes or indices.min() < 0):
            raise ValueError("a column points outside the matrix")
        return _pick(data, indices, pointers[start : stop + 1] - pointers[start], places, n_genes)

    return read


def _pick(data: np.ndarray, indices: np.ndarray, pointers: np.ndarray, places: np.ndarray, n_genes: int) -> Block:
    """The wanted columns of CSR rows as a dense block, and the total of every row."""
    rows = sparse.csr_matrix((data, indices, pointers), shape=(len(pointers) - 1, n_genes))
    total = np.asarray(rows.sum(axis=1), dtype=np.float32).ravel()
    present = np.flatnonzero(places >= 0)
    block = np.zeros((rows.shape[0], len(places)), dtype=np.float32)
    block[:, present] = rows[:, places[present]].toarray()
    return block, total
