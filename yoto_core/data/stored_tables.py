"""Read a table of an .h5ad (obs, var, raw/var), column by column, so that a column which holds no labels is named.

The layouts are those that anndata writes: “dataframe” of version 0.2.0, and of 0.1.0, in which the codes of a column refer to their
categories. Columns that are groups are read by anndata; lists are read here, as they may have come from other programs: text as bytes,
numbers of either byte order, names under numbers (an enumeration).
"""

from collections import Counter
from dataclasses import dataclass

import h5py
import numpy as np
import pandas as pd
from anndata.io import read_elem

from yoto_core.data.hdf5 import SAVE_AGAIN, damaged, mended, refuse_long_attributes, refuse_more_than_it_holds
from yoto_core.errors import DataError
from yoto_core.quiet import ignored
from yoto_core.words import one_line

VERSIONS = ("0.1.0", "0.2.0")
VALUES = ("values", "mask")
# The kinds of columns that are groups, and their parts, the first with one value for each row.
GROUPS = {
    "categorical": ("codes", "categories"), "nullable-integer": VALUES, "nullable-boolean": VALUES,
    "nullable-string-array": VALUES,
}  # fmt: skip
SHOWN = 80  # characters of a name in a sentence


@dataclass(frozen=True)
class _Column:
    """Where a column lies: what is read of the file for it, the first part with one value for each row."""

    said: str  # as a sentence names it
    item: h5py.Group | h5py.Dataset
    parts: list[h5py.Dataset]

    @property
    def rows(self) -> int:
        return len(self.parts[0])


def read_table(file: h5py.File, place: str, name: str) -> pd.DataFrame:
    """The table at `place` of an open file that is called `name`: a row for each cell or gene, whose names are the index.

    Raises:
        DataError: It is no table, a column does not hold one label for each row, or the file cannot hold what they declare.
        MachineError: They need more memory than is free.
    """
    with mended(name, place):
        group = file[place]
        order, index = column_order(group, name), _text(group.attrs.get("_index"))
        if not index:
            raise ValueError("which of its columns names the rows is not said")
    rows = _find(group, index, f"{place} index", name)
    columns = {key: _find(group, key, f"{place} column “{_shown(key)}”", name) for key in order}
    for column in columns.values():
        if column.rows != rows.rows:
            raise damaged(name, ValueError(f"{column.rows:,} values for {rows.rows:,} rows"), column.said)
    with mended(name, place):
        refuse_more_than_it_holds([part for column in (rows, *columns.values()) for part in column.parts], name)
        index = pd.Index(_read(rows, name))
        return pd.DataFrame({key: _read(column, name) for key, column in columns.items()}, index=index, columns=order)


def column_order(table: h5py.Group | h5py.Dataset, name: str) -> list[str]:
    """The names of a table's columns, in their order (DataError where it is no table, or a column is named twice or not at all)."""
    place = str(table.name).strip("/")
    refuse_long_attributes(table, name)
    if not isinstance(table, h5py.Group) or _text(table.attrs.get("encoding-type")) != "dataframe":
        raise DataError(f"{name} is HDF5 but not an .h5ad: its {place} is no table.", hint=SAVE_AGAIN)
    version, order = _text(table.attrs.get("encoding-version")), table.attrs.get("column-order")
    if version not in VERSIONS:
        raise damaged(name, ValueError(f"tables of version {version} are not known"), place)
    names = [_text(key) for key in order] if isinstance(order, np.ndarray) and order.ndim == 1 else [None]
    if None in names:
        raise damaged(name, ValueError("which columns it has is not said"), place)
    for key, times in Counter(names).items():
        if not key:
            raise DataError(f"A column in {place} of {name} has no name.", hint="Name it or drop it and save again.")
        if times > 1:
            raise DataError(
                f"The {place} column “{_shown(key)}” occurs more than once.", hint="Rename or drop one and save again."
            )
    return names


def _find(group: h5py.Group, key: str, said: str, name: str) -> _Column:
    with mended(name, said):
        if key not in group:
            raise ValueError("it is not there")
        return _Column(said, group[key], _parts(group[key], said, name))


def _read(column: _Column, name: str) -> object:
    """Its values: an array, or a column of pandas with classes or missing values."""
    with mended(name, column.said):
        if isinstance(column.item, h5py.Group):
            return _read_group(column.item)
        values, *named = map(_read_list, column.parts)
        if not named:
            return values
        ordered = column.parts[1].attrs.get("ordered", False)
        return pd.Categorical.from_codes(values, named[0], ordered=bool(ordered))


def _parts(item: object, said: str, name: str) -> list[h5py.Dataset]:
    """The lists that a column consists of (DataError where it is no column of labels)."""
    refuse_long_attributes(item, name)
    if isinstance(item, h5py.Dataset):
        categories = item.attrs.get("categories")
        named = [item.file[categories]] if isinstance(categories, h5py.Reference) else []
        return [_list(part, said, name) for part in (item, *named)]
    kind = _text(item.attrs.get("encoding-type")) if isinstance(item, h5py.Group) else None
    if kind not in GROUPS:
        raise _no_labels(said, name, f"stored as “{_shown(kind)}”" if kind else "a group of things")
    found = []
    for part in GROUPS[kind]:
        if part not in item:
            raise ValueError(f"it has no {part}")
        inner = item[part]  # categories may be a column with values that are missing, though none is
        found += _parts(inner, said, name) if isinstance(inner, h5py.Group) else [_list(inner, said, name)]
    return found


def _list(item: object, said: str, name: str) -> h5py.Dataset:
    """A dataset that is a list of numbers, texts, or yes and no (DataError where it is something else)."""
    if not isinstance(item, h5py.Dataset):
        raise _no_labels(said, name, "a group of things")
    if item.shape is None or item.ndim != 1:
        raise _no_labels(said, name, f"an array of {item.ndim if item.shape else 0} dimensions")
    kind = item.dtype
    if kind.names:
        raise _no_labels(said, name, "records of several fields")
    if kind.kind not in "biuf" and h5py.check_string_dtype(kind) is None:
        raise _no_labels(said, name, "things that are neither numbers nor text")
    return item


def _no_labels(said: str, name: str, what: str) -> DataError:
    return DataError(
        f"The {said} of {name} is no list of labels but {what}.",
        hint="Drop it, or keep one number or text for each row, and save again.",
    )


def _read_group(item: h5py.Group) -> object:
    try:
        # Whether the form is old is said by us, where it matters.
        with ignored(".*was written without encoding metadata"):
            return read_elem(item)
    except Exception as error:  # whatever anndata says to these bytes, they cannot be read
        raise ValueError(str(error)) from error


def _read_list(stored: h5py.Dataset) -> np.ndarray:
    """The values in memory; bytes that are no UTF-8 become the character that says so."""
    if h5py.check_string_dtype(stored.dtype) is not None:
        return np.asarray(stored.asstr("utf-8", errors="replace")[()], dtype=object)
    names = h5py.check_enum_dtype(stored.dtype)
    if names is None:
        return _native(stored[()])
    named = {code: label for label, code in names.items()}
    return np.array([named.get(code) for code in stored[()].tolist()], dtype=object)


def _native(values: object) -> object:
    """Numbers in the byte order and a precision that pandas can count."""
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf":
        return values
    fitting = {("f", 2): np.dtype(np.float32), ("f", 16): np.dtype(np.float64)}
    kind = fitting.get((values.dtype.kind, values.dtype.itemsize), values.dtype.newbyteorder("="))
    with np.errstate(over="ignore"):
        return values.astype(kind, copy=False)


def _text(value: object) -> str | None:
    """An attribute that is one text; None where it is something else, or is not there."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value) if isinstance(value, str) else None


def _shown(name: str) -> str:
    text = one_line(name)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
