"""New cells to be labelled: their names and labels in memory, their expression read a few thousand rows at a time.

Whatever can be loaded to choose a panel from can be labelled: an AnnData, or a file that `data.reading` takes. Only the
panel's columns of a block of rows are ever turned dense, so the size of the file does not matter. Rows on disk must be CSR
or dense; a file stored by columns (CSC) is read whole.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from yoto_core.data.genes import GeneNames
from yoto_core.data.hdf5 import mended, opened
from yoto_core.data.layout import stored_form
from yoto_core.data.matrices import Verdict
from yoto_core.data.reading import DENSE_VALUES, Contents, Dataset, from_anndata, h5ad_contents, read_dataset
from yoto_core.data.scales import Scale, factors, logged, unlogged
from yoto_core.errors import DataError

ROWS = 8_192  # cells labelled at once: larger blocks are slower, as their memory is never used again
Block = tuple[np.ndarray, np.ndarray]  # (B, K) unlogged values of the wanted genes, (B,) total over all genes


@dataclass(frozen=True)
class Cells:
    """New cells; `read(start, stop, places)` gives their values at these genes, any logarithm undone, and each cell's total."""

    name: str
    obs: pd.DataFrame = field(repr=False)
    genes: GeneNames = field(repr=False)
    chosen: Verdict
    verdicts: tuple[Verdict, ...]
    read: Callable[[int, int, np.ndarray], Block] = field(repr=False)

    def blocks(self, places: Sequence[int], *, rows: int = ROWS) -> Iterator[tuple[int, np.ndarray]]:
        """(first row, (B, K) log-normalised values) block by block; columns at place -1 are zero."""
        wanted = np.asarray(places)
        for start in range(0, len(self.obs), rows):
            values, total = self.read(start, min(start + rows, len(self.obs)), wanted)
            factor = factors(total, self.chosen.scale)
            factor = factor[:, None] if isinstance(factor, np.ndarray) else factor
            yield start, logged(values, factor, self.chosen.scale, out=values)


@contextmanager
def open_cells(source: AnnData | str | Path, *, matrix: str = "auto", name: str = "") -> Iterator[Cells]:
    """Open new cells for labelling; a file stays open inside the block.

    Raises:
        DataError: The file is missing, damaged, of no kind that can be read, or holds no usable matrix.
        MachineError: There is too little memory for it, or the system refuses to read it.
    """
    if isinstance(source, AnnData):
        yield cells_of(from_anndata(source, matrix=matrix, name=name or "AnnData"))
        return
    path = Path(source)
    name = name or path.name
    with opened(path, name) as file:
        with mended(name):
            held = h5ad_contents(file, matrix=matrix, name=name)
            by_rows = _by_rows(held.values)
            cells = _streamed(held) if by_rows else cells_of(read_dataset(path, matrix=matrix, name=name))
        yield cells


def cells_of(data: Dataset) -> Cells:
    """The same view of data that are in memory already."""

    def read(start: int, stop: int, places: np.ndarray) -> Block:
        rows = data.matrix[start:stop]
        return _pick(unlogged(rows.data, data.scale), rows.indices, rows.indptr, places, data.n_genes)

    chosen = next(verdict for verdict in data.verdicts if verdict.name == data.chosen)
    return Cells(data.name, data.obs, data.genes, chosen, data.verdicts, read)


def _by_rows(values: h5py.Group | h5py.Dataset) -> bool:
    return isinstance(values, h5py.Dataset) or stored_form(values) == "csr"


def _streamed(held: Contents) -> Cells:
    values = held.values
    scale, n_genes = held.chosen.scale, len(held.genes.symbols)
    dense = isinstance(values, h5py.Dataset)
    read = _dense_reader(values, scale) if dense else _csr_reader(values, n_genes, scale)

    def checked(start: int, stop: int, places: np.ndarray) -> Block:
        with mended(held.name):
            block, total = read(start, stop, places)
        if not np.isfinite(total).all() or (block.size and block.min() < 0):
            raise DataError(
                f"{held.chosen.name} of {held.name} holds values that are NaN, infinite or negative.",
                hint="Choose a matrix of counts or logs, before scaling.",
            )
        return block, total

    return Cells(held.name, held.obs, held.genes, held.chosen, held.verdicts, checked)


def _dense_reader(values: h5py.Dataset, scale: Scale) -> Callable[[int, int, np.ndarray], Block]:
    rows = max(1, DENSE_VALUES // values.shape[1])

    def read(start: int, stop: int, places: np.ndarray) -> Block:
        block, total = np.empty((stop - start, len(places)), np.float32), np.empty(stop - start, np.float32)
        for at in range(start, stop, rows):
            part = unlogged(np.asarray(values[at : min(at + rows, stop)], dtype=np.float32), scale)
            here = slice(at - start, at - start + len(part))
            block[here], total[here] = part[:, np.maximum(places, 0)], part.sum(1)
        block[:, places < 0] = 0.0
        return block, total

    return read


def _csr_reader(values: h5py.Group, n_genes: int, scale: Scale) -> Callable[[int, int, np.ndarray], Block]:
    pointers = values["indptr"][:].astype(np.int64)
    if (np.diff(pointers) < 0).any() or pointers[0] < 0 or pointers[-1] > values["data"].shape[0]:
        raise ValueError("row pointers leave the matrix")

    def read(start: int, stop: int, places: np.ndarray) -> Block:
        here = slice(int(pointers[start]), int(pointers[stop]))
        if here.stop - here.start > DENSE_VALUES and stop - start > 1:
            middle = (start + stop) // 2
            halves = read(start, middle, places), read(middle, stop, places)
            return np.concatenate([half[0] for half in halves]), np.concatenate([half[1] for half in halves])
        data, indices = unlogged(values["data"][here].astype(np.float32, copy=False), scale), values["indices"][here]
        if indices.size and (indices.max() >= n_genes or indices.min() < 0):
            raise ValueError("a column points outside the matrix")
        return _pick(data, indices, pointers[start : stop + 1] - pointers[start], places, n_genes)

    return read


def _pick(data: np.ndarray, indices: np.ndarray, pointers: np.ndarray, places: np.ndarray, n_genes: int) -> Block:
    """The wanted columns of CSR rows as a dense block, and the total of every row."""
    total = sparse.csr_matrix((data, indices, pointers), shape=(len(pointers) - 1, n_genes)).sum(axis=1)
    column = np.full(n_genes, -1, dtype=np.int32)
    present = np.flatnonzero(places >= 0)
    column[places[present]] = present
    moved = column[indices]  # only entries of wanted genes are kept, under their new column: far faster than slicing
    kept = moved >= 0
    starts = np.concatenate([[0], np.cumsum(kept)])[pointers]
    block = sparse.csr_matrix((data[kept], moved[kept], starts), shape=(len(pointers) - 1, len(places))).toarray()
    return block, np.asarray(total, dtype=np.float32).ravel()
