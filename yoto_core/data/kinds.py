"""Columns of numbers, which can be predicted as numbers or as classes: which of both makes sense, and how it is taken."""

import pandas as pd

from yoto_core.config import TaskKind
from yoto_core.data.columns import MAX_CLASSES

FEWEST_NUMBERS = 3  # two different numbers are two classes


def takes_both_kinds(values: pd.Series) -> bool:
    """Whether a column holds numbers (not text, not yes and no) few enough for classes and enough for a number."""
    held = values.cat.categories if isinstance(values.dtype, pd.CategoricalDtype) else values
    numeric = pd.api.types.is_numeric_dtype(held) and not pd.api.types.is_bool_dtype(held)
    if not numeric or pd.api.types.is_complex_dtype(held):
        return False
    return FEWEST_NUMBERS <= values.nunique() <= MAX_CLASSES


def kind_sentence(values: pd.Series, kind: TaskKind) -> str:
    """How a column of numbers is taken: 10 different numbers: predicted as 10 classes."""
    number = values.nunique()
    taken = "a number" if kind == "regression" else f"{number:,} classes"
    return f"{number:,} different numbers: predicted as {taken}"
