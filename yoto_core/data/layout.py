"""How a matrix of cells × genes is laid out, in memory or in a file, and whether one can be read from there at all."""

from typing import Any

import h5py
import numpy as np
from scipy import sparse

PARTS = ("data", "indices", "indptr")
NUMBERS = "biuf"  # NumPy's kinds: truth values, whole numbers, real numbers


def stored_form(group: h5py.Group) -> str:
    """“csr” or “csc” for a sparse matrix in a file, under today's name or that of anndata before 0.7; else what it says."""
    form = str(group.attrs.get("encoding-type", group.attrs.get("h5sparse_format", "")))
    return form.removesuffix("_matrix")


def stored_shape(group: h5py.Group) -> tuple[int, ...] | None:
    """Its shape as the file declares it; None where it says none."""
    declared = group.attrs.get("shape", group.attrs.get("h5sparse_shape"))
    return None if declared is None else tuple(int(length) for length in np.ravel(declared))


def why_unreadable(values: Any, cells: int, genes: int) -> str:
    """Why these are no numbers for so many cells × genes; empty where they are."""
    if isinstance(values, h5py.Group):
        return _why_not_sparse(values, cells, genes)
    if sparse.issparse(values):
        values_of, shape = values.data, values.shape
    else:
        values_of, shape = values, getattr(values, "shape", None)
    return _why_no_numbers(values_of) or _why_not_fitting(shape, cells, genes)


def _why_not_sparse(group: h5py.Group, cells: int, genes: int) -> str:
    form = stored_form(group)
    if form not in ("csr", "csc"):
        return f"stored as “{form}”, not as a matrix" if form else "stored as a group, not as a matrix"
    for part in PARTS:
        values = group.get(part)
        if not isinstance(values, h5py.Dataset) or values.ndim != 1:
            return f"a sparse matrix without a list of its {part}"
        if why := _why_no_numbers(values):
            return why
        if part != "data" and values.dtype.kind not in "iu":
            return f"a sparse matrix whose {part} are no whole numbers"
    lines = cells if form == "csr" else genes
    data, indices, pointers = (group[part].shape[0] for part in PARTS)
    if data != indices or pointers != lines + 1:
        fit = f"{data:,} values, {indices:,} indices and {pointers:,} pointers"
        return f"a sparse matrix of {fit}, which do not fit {cells:,} cells × {genes:,} genes"
    return _why_not_fitting(stored_shape(group), cells, genes, unsaid=True)


def _why_no_numbers(values: Any) -> str:
    dtype = getattr(values, "dtype", None)
    if dtype is None or getattr(dtype, "kind", "") not in NUMBERS:
        what = {"c": "complex numbers", "O": "texts or objects", "S": "texts", "U": "texts", "V": "records"}
        return f"{what.get(getattr(dtype, 'kind', ''), 'no numbers')}, not the numbers of a matrix"
    if isinstance(values, h5py.Dataset) and dtype.kind != "b" and h5py.check_enum_dtype(dtype):
        return "names for numbers, not the numbers of a matrix"
    return ""


def _why_not_fitting(shape: tuple[int, ...] | None, cells: int, genes: int, *, unsaid: bool = False) -> str:
    if shape is None and unsaid:
        return ""
    if shape is None or len(shape) != 2:
        lengths = " × ".join(f"{length:,}" for length in shape or ()) or "a single value"
        return f"{lengths}, not cells × genes"
    if tuple(shape) != (cells, genes):
        return f"{shape[0]:,} × {shape[1]:,} values, but there are {cells:,} cells and {genes:,} genes"
    return ""
