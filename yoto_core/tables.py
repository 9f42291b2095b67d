"""Tables as CSV that a spreadsheet opens without running any of it, and that is read back unchanged.

Excel, LibreOffice and Google Sheets take a cell for a formula where it begins with one of `= + - @`, their full-width
forms, a tab or a line break; quotes around the cell do not help, an apostrophe before it does (OWASP, "CSV Injection").
Texts that begin so get one on writing; so do those that begin with apostrophes before such a sign, so that reading can
take exactly one away again. Numbers are never touched: −1.5 stays a number.
"""

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from yoto_core.files import read_bytes

LARGEST_TABLE = 1 << 29  # bytes of a table that is read
FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")


def csv_text(table: pd.DataFrame, *, index_label: str = "") -> str:
    """The table as CSV text; its index is left out unless it is given a name."""
    safe = table.apply(_each_text, change=_guarded).rename(columns=_guarded)
    if index_label:
        safe.index = _each_text(safe.index.to_series(), change=_guarded)
    how = {"index": bool(index_label), "index_label": _guarded(index_label) or None}
    text = safe.to_csv(**how)
    # A carriage return alone is left unquoted, and then read as the end of the line.
    return safe.to_csv(**how, quoting=csv.QUOTE_NONNUMERIC) if "\r" in text else text


def read_csv(path: Path, **how: Any) -> pd.DataFrame:
    """The table that `csv_text` wrote; `how` is what `pandas.read_csv` takes."""
    return (
        pd.read_csv(io.BytesIO(read_bytes(path, largest=LARGEST_TABLE)), **how)
        .apply(_each_text, change=_unguarded)
        .rename(columns=_unguarded)
    )


def read_parquet(path: Path) -> pd.DataFrame:
    """The table in a Parquet file (OSError or ValueError where there is none)."""
    return pd.read_parquet(io.BytesIO(read_bytes(path, largest=LARGEST_TABLE)))


def _each_text(column: pd.Series, *, change: Callable[[Any], Any]) -> pd.Series:
    """The column with every text in it changed."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.rename_categories(change)
    if pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_datetime64_any_dtype(column.dtype):
        return column
    return pd.Series([change(value) for value in column], index=column.index, dtype=column.dtype, name=column.name)


def _guarded(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def _unguarded(value: Any) -> Any:
    return value[1:] if isinstance(value, str) and value.startswith("'") and FORMULA.match(value) else value
