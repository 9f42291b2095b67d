"""What each obs column is likely good for: something to predict, groups to hold out, or neither, with the reason."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from yoto_core.config import TaskKind
from yoto_core.data.targets import class_names

Role = Literal["task", "group", "neither"]

MAX_CLASSES = 100
MIN_NUMBERS = 20  # fewer distinct values of a number are painted as classes
MIN_QUANTITIES = 5  # fewer distinct values are classes whatever the column is called
DOMINANT = 0.99
BINS = 20  # of a number's profile; a profile of classes shows as many of the largest

# Names in the order in which people mean them; earlier ones are offered first.
TASK_NAMES = (
    r"cell_?type", r"bulk_labels", r"annot", r"cell_?class", r"cell_ontology_class", r"(sub)?class", r"lineage",
    r"leiden", r"louvain", r"seurat_clusters", r"cluster",
    r"condition", r"disease", r"treatment", r"stim", r"status", r"stage", r"phase", r"region", r"tissue", r"sex", r"age",
)  # fmt: skip
GROUP_NAME = re.compile(
    r"(donor|patient|individual|subject|sample|batch|library|replicate|mouse|animal|orig\.ident|lane|chip|plate)"
    r"(_?id|_?name|_?no)?$",
    re.IGNORECASE,
)
# Whole words of a name that stand for an amount; a bin or group of one is a class.
QUANTITY_WORDS = {
    "age", "time", "timepoint", "timepoints", "pseudotime", "second", "seconds", "minute", "minutes", "min", "hour", "hours",
    "hr", "hrs", "day", "days", "week", "weeks", "month", "months", "year", "years", "dose", "dosage", "concentration",
    "score", "weight", "height", "length", "bmi", "distance", "depth", "temperature", "pressure",
}  # fmt: skip
CLASS_WORDS = {"group", "bin", "bins", "category", "class", "cluster", "range", "stage", "label"}
QC_NAME = re.compile(
    r"(n_?genes|n_?counts|n_?umi|n_?features?|nCount|nFeature|total_|log1p_|pct_|percent|size_?factor|doublet|demuxlet"
    r"|scrublet|S_?score|G2M_?score|soma_joinid|observation_joinid|barcode|cell_?id$|index$)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Column:
    """One obs column and the advice on it."""

    name: str
    role: Role
    kind: TaskKind
    reason: str
    levels: int  # distinct values, missing ones apart
    missing: int  # cells without a value
    smallest: int  # cells in the smallest class; 0 for numbers
    rank: int  # smaller is offered earlier
    profile: tuple[int, ...]  # cells per class, largest first, or per bin of a number from low to high


def describe_columns(obs: pd.DataFrame) -> tuple[Column, ...]:
    """Advice on every column of obs (cells × columns): likely tasks first, then groups, then the rest."""
    columns = [_describe(str(name), obs[name]) for name in obs.columns]
    return tuple(sorted(columns, key=lambda c: (("task", "group", "neither").index(c.role), c.rank)))


def likely_kind(values: pd.Series, name: str = "") -> TaskKind:
    """Numbers are predicted as numbers where they are fractions, many, or named like a quantity; all else as classes."""
    if not _is_number(values) or values.nunique() < MIN_QUANTITIES:
        return "classification"
    whole = not np.mod(_numbers(values), 1).any()
    few = values.nunique() <= MAX_CLASSES
    return "classification" if whole and few and not _names_quantity(name) else "regression"


def _is_number(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _numbers(values: pd.Series) -> np.ndarray:
    numbers = np.real(values.dropna().to_numpy()).astype(
        float
    )  # real: nothing keeps a file from holding complex numbers
    return numbers[np.isfinite(numbers)]


def _names_quantity(name: str) -> bool:
    words = {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}
    return bool(words & QUANTITY_WORDS) and not words & CLASS_WORDS


def _describe(name: str, values: pd.Series) -> Column:
    counts = values.value_counts()
    counts = counts[counts > 0]
    levels, missing, cells = len(counts), int(values.isna().sum()), int(values.notna().sum())
    kind = likely_kind(values, name)
    smallest = int(counts.min()) if levels and kind == "classification" else 0

    def advise(role: Role, reason: str, rank: int = 1_000) -> Column:
        return Column(name, role, kind, reason, levels, missing, smallest, rank, _profile(values, kind))

    if levels == 0:
        return advise("neither", "no cell has a value")
    if levels == 1:
        return advise("neither", "every cell has the same value")
    if name.endswith("_ontology_term_id"):
        return advise("neither", "repeats another column as ontology ids")
    if QC_NAME.match(name):
        return advise("neither", "describes the measurement of the cell, not the cell")
    if kind == "classification" and levels > cells // 2:
        return advise("neither", "almost every cell has a value of its own")
    if GROUP_NAME.search(name):
        return advise("group", f"{levels:,} groups of cells measured together: hold whole ones out")
    if kind == "classification" and levels > MAX_CLASSES:
        return advise("neither", f"{levels:,} classes are more than {MAX_CLASSES}")
    if counts.iloc[0] > DOMINANT * cells:
        return advise("neither", f"{counts.iloc[0] / cells:.1%} of cells share one value")
    rank = next((i for i, pattern in enumerate(TASK_NAMES) if re.match(pattern, name, re.IGNORECASE)), len(TASK_NAMES))
    return advise("task", _task_reason(values, kind, levels, smallest), rank)


def _task_reason(values: pd.Series, kind: TaskKind, levels: int, smallest: int) -> str:
    if kind == "regression":
        taken = f"numbers {_span(values, 'from')}, taken as a number"
        other = "; choose classification on the Design page to predict them as classes"
        return f"{levels} {taken}{other}" if levels <= MAX_CLASSES else taken
    reason = f"{levels} classes, the smallest with {smallest:,} cell{'s' if smallest != 1 else ''}"
    if levels < 3 or not _is_number(values):
        return reason
    taken = f"numbers {_span(values)}, taken as classes"
    return f"{reason}: {taken}; choose regression on the Design page to predict a number"


def _span(values: pd.Series, first: str = "") -> str:
    """The least and the greatest of a column of numbers, infinite ones apart."""
    numbers = _numbers(values)
    return f"{first} {numbers.min():g} to {numbers.max():g}".strip() if numbers.size else "without end"


def _profile(values: pd.Series, kind: TaskKind) -> tuple[int, ...]:
    if kind == "classification":
        counts = values.value_counts().head(BINS)
        return tuple(int(count) for count in counts if count > 0)
    numbers = _numbers(values) / 2  # so that the distance of the two farthest is a number too
    try:
        return tuple(int(count) for count in np.histogram(numbers, BINS)[0])
    except ValueError:  # too near one another for as many bins
        return (len(numbers),)


def values_to_paint(column: pd.Series) -> pd.Series:
    """A column as a map shows it: numbers with many values stay numbers (float), all else becomes text; gaps stay gaps."""
    column = column.reset_index(drop=True)
    if _is_number(column) and column.nunique() > MIN_NUMBERS:
        return column.astype(float)
    return class_names(column)
