"""A few whole cells of a matrix, wherever and however it is stored: what a matrix is, is told from them.

Totals of cells need whole rows, so rows are what is sampled: blocks of neighbouring cells, spread over the matrix. No more is
read than the sample, except of a matrix that is stored by columns (CSC), where the rows of a sample lie everywhere: up to
`MAX_SCAN` stored values it is looked through a piece at a time, and of a larger one only values are seen, no cells.
"""

from dataclasses import dataclass, field

import h5py
import numpy as np
from scipy import sparse

from yoto_core.data.layout import stored_form, stored_shape

BLOCKS = 20  # places in the matrix that are looked at
BLOCK_VALUES = 10_000  # stored values read at each, if as many rows hold them …
BLOCK_ROWS = 20  # … and as many rows as this where fewer would do
BLOCK_DENSE_ROWS = 5  # the same where zeros are stored too
MAX_BLOCK = 250_000  # stored values: no file makes us read more at one place
MAX_SCAN = 50_000_000
PIECE = 1_000_000  # stored values of a scan in memory at once


@dataclass(frozen=True)
class Sample:
    """Stored values that are not zero, cell after cell; `lengths` counts them per whole cell, none where cells are not known."""

    values: np.ndarray = field(repr=False)  # float64
    lengths: np.ndarray = field(
        repr=False
    )  # (sampled cells,), 0 for an empty one; () where values are of no whole cells

    def of_cells(self, how: np.ufunc, values: np.ndarray | None = None) -> np.ndarray:
        """np.add or np.minimum over the values (or as many others) of each cell that is not empty."""
        values = self.values if values is None else values
        lengths = self.lengths[self.lengths > 0]
        if not lengths.size:
            return np.empty(0)
        return how.reduceat(values, np.concatenate([[0], np.cumsum(lengths)[:-1]]))


def sample_cells(matrix: object) -> Sample:
    """The sample of a matrix of cells × genes: dense or sparse, in memory or in an open HDF5 file; indices are not trusted."""
    if sparse.issparse(matrix):
        matrix = matrix if matrix.format in ("csr", "csc") else matrix.tocsr()
        parts = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}
        return _of_sparse(parts, matrix.format, matrix.shape)
    if isinstance(matrix, h5py.Group):
        return _of_sparse(matrix, stored_form(matrix), stored_shape(matrix))
    return _of_dense(matrix)


def _of_dense(matrix: np.ndarray | h5py.Dataset) -> Sample:
    cells, width = matrix.shape[0], int(np.prod(matrix.shape[1:])) or 1
    at_least = max(1, min(BLOCK_DENSE_ROWS, MAX_BLOCK // width))
    rows = [
        np.asarray(matrix[start:stop], dtype=np.float64).reshape(stop - start, -1)
        for start, stop in _blocks(cells, max(BLOCK_VALUES // width, at_least))
    ]
    values = np.concatenate(rows) if rows else np.empty((0, width))
    return Sample(values[values != 0], (values != 0).sum(1))


def _of_sparse(parts: object, form: str, shape: object) -> Sample:
    data, total = parts["data"], parts["data"].shape[0]
    if form == "csr":
        cells = parts["indptr"].shape[0] - 1
        found = _rows(data, parts["indptr"], _blocks(cells, max(BLOCK_VALUES * cells // max(total, 1), BLOCK_ROWS)))
        if found.lengths.size:
            return found
    elif form == "csc" and shape is not None and 0 < total <= MAX_SCAN:
        cells = int(shape[0])
        blocks = _blocks(cells, max(BLOCK_VALUES * cells // total, BLOCK_ROWS))
        found = _scanned(data, parts["indices"], np.concatenate([np.arange(*block) for block in blocks]), cells)
        if found is not None:
            return found
    pieces = [np.asarray(data[start:stop], dtype=np.float64) for start, stop in _blocks(total, BLOCK_VALUES)]
    values = np.concatenate(pieces) if pieces else np.empty(0)
    return Sample(values[values != 0], np.empty(0, dtype=int))


def _rows(data: object, pointers: object, blocks: list[tuple[int, int]]) -> Sample:
    values, lengths = [np.empty(0)], [np.empty(0, dtype=int)]
    for start, stop in blocks:
        here = np.asarray(pointers[start : stop + 1], dtype=np.int64)
        sane = (here >= 0) & (here <= data.shape[0]) & (here >= here[0]) & (here - here[0] <= MAX_BLOCK)
        here = here[: len(here) if sane.all() else int(np.argmin(sane))]
        if len(here) < 2 or (np.diff(here) < 0).any():
            continue
        block = np.asarray(data[int(here[0]) : int(here[-1])], dtype=np.float64)
        seen = np.concatenate([[0], np.cumsum(block != 0)])  # a stored zero is no value
        values.append(block[block != 0])
        lengths.append(np.diff(seen[here - here[0]]))
    return Sample(np.concatenate(values), np.concatenate(lengths))


def _scanned(data: object, indices: object, rows: np.ndarray, cells: int) -> Sample | None:
    """The whole rows from a matrix stored by columns; None where they hold more than can be kept or point outside."""
    wanted = np.zeros(cells, dtype=bool)
    wanted[rows] = True
    kept, owners, size = [], [], 0
    for start in range(0, data.shape[0], PIECE):
        owner = np.asarray(indices[start : start + PIECE])
        if owner.size and (owner.min() < 0 or owner.max() >= cells):
            return None
        here = wanted[owner]
        kept.append(np.asarray(data[start : start + PIECE], dtype=np.float64)[here])
        owners.append(owner[here])
        size += len(owners[-1])
        if size > BLOCKS * MAX_BLOCK:
            return None
    values, owner = np.concatenate(kept), np.concatenate(owners)
    values, owner = values[values != 0], owner[values != 0]
    order = np.argsort(owner, kind="stable")
    return Sample(values[order], np.bincount(owner, minlength=cells)[rows])


def _blocks(length: int, size: int) -> list[tuple[int, int]]:
    """Up to `BLOCKS` stretches of `size` from 0 to `length`, spread evenly and apart; one of everything where that is as much."""
    if length <= BLOCKS * size:
        return [(0, length)] if length else []
    return [(int(start), int(start) + size) for start in np.linspace(0, length - size, BLOCKS)]
