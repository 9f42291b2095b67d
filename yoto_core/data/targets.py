"""What each task asks of each cell: obs columns turned into class codes or numbers, unlabelled cells marked."""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from yoto_core.config import TaskConfig, TaskKind
from yoto_core.data.scales import LARGEST, SMALLEST
from yoto_core.errors import ConfigError

UNLABELLED = -1
LONGEST = 1e15  # whole numbers from here on are not written out: 1e+300 has 301 digits
TELLABLE = 1e-6  # of the largest number: answers are given in single precision, which tells 1e-7 apart
MIN_LABELLED = 20  # cells; below this a number cannot be split and scored


@dataclass(frozen=True)
class Target:
    """The labels of one task.

    `values` has one entry per cell: a class code (int64, -1 where unlabelled) or a number (float64, NaN where unlabelled).
    """

    task: str
    kind: TaskKind
    weight: float
    classes: tuple[str, ...]  # sorted; empty for numbers
    values: np.ndarray = field(repr=False)
    dropped: dict[str, int] = field(default_factory=dict)  # class left out -> its cells

    @property
    def labelled(self) -> np.ndarray:
        """Which cells (bool, per cell) carry a label for this task."""
        return self.values != UNLABELLED if self.kind == "classification" else ~np.isnan(self.values)

    @property
    def n_outputs(self) -> int:
        """Outputs of the head: one per class, or one number."""
        return len(self.classes) if self.kind == "classification" else 1

    def counts(self, cells: np.ndarray) -> np.ndarray:
        """Labelled cells per class among `cells` (indices)."""
        codes = self.values[cells]
        return np.bincount(codes[codes >= 0], minlength=len(self.classes))


def encode_target(obs: pd.DataFrame, task: TaskConfig, *, min_class_cells: int) -> Target:
    """The labels of `task` from obs (cells × columns).

    Classes with fewer than `min_class_cells` cells are left out: their cells count as unlabelled for this task.

    Raises:
        ConfigError: No such column, no labels, fewer than two classes left, or numbers that are not numbers.
    """
    if task.obs not in obs:
        raise ConfigError(
            f"The data has no obs column “{task.obs}”.", hint=f"It has {', '.join(map(str, obs.columns))}."
        )
    column = obs[task.obs]
    if not column.notna().any():
        raise ConfigError(f"Column “{task.obs}” has no value in any cell.", hint="Choose another column.")
    if task.kind == "regression":
        return _encode_numbers(column, task)
    return _encode_classes(column, task, min_class_cells)


def class_names(column: pd.Series) -> pd.Series:
    """Labels as text (object, None where there is none); where all decimals are whole numbers, as in 0.0, they are named “0”."""
    values = column.astype(object).where(column.notna(), None)
    numbers = [value for value in values.unique() if isinstance(value, float | np.floating)]
    whole = all(value.is_integer() and abs(value) < LONGEST for value in numbers)

    def name(value: object) -> str | None:
        if value is None:
            return None
        return str(int(value)) if whole and isinstance(value, float | np.floating) else str(value)

    return values.map(name)


def class_codes(names: pd.Series, classes: tuple[str, ...]) -> np.ndarray:
    """(cells,) the place of each label among the classes of a model, UNLABELLED where it has none.

    What one file calls 0 and another 0.0 is one class, unless the model tells them apart.
    """
    known = pd.Index(classes)
    codes = known.get_indexer(names)
    other = names.map(lambda name: f"{name}.0" if not str(name).endswith(".0") else str(name).removesuffix(".0"))
    return np.where(codes == UNLABELLED, known.get_indexer(other), codes)


def without_unseen(target: Target, training_cells: np.ndarray) -> Target:
    """Leave out classes that no training cell carries: a model cannot name what it never saw.

    Raises:
        ConfigError: Fewer than two classes, or no labelled number, are left among the training cells.
    """
    if target.kind == "regression":
        if np.unique(target.values[training_cells][target.labelled[training_cells]]).size < 2:
            raise ConfigError(
                f"“{target.task}” has no two different numbers among the training cells.",
                hint="Hold out another group, or drop this task.",
            )
        return target
    unseen = np.flatnonzero(target.counts(training_cells) == 0)
    return _leave_out(target, unseen) if unseen.size else target


def _encode_numbers(column: pd.Series, task: TaskConfig) -> Target:
    if pd.api.types.is_complex_dtype(column):
        column = column.astype(str)  # refused below, by its first value
    numbers = pd.to_numeric(column.astype(object), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    numbers = np.where(np.isfinite(numbers), numbers, np.nan)
    unread = column[column.notna().to_numpy() & np.isnan(numbers)]
    if len(unread):
        raise ConfigError(
            f"Column “{task.obs}” holds “{unread.iloc[0]}”, which is not a number.",
            hint="Predict it as classes: choose classification.",
        )
    largest = np.nanmax(np.abs(numbers), initial=0.0)
    if largest > LARGEST:
        raise ConfigError(
            f"Column “{task.obs}” holds {largest:g}, which is too large to predict.",
            hint="Leave such values out, or predict them as classes.",
        )
    labelled = int((~np.isnan(numbers)).sum())
    if labelled < MIN_LABELLED:
        raise ConfigError(
            f"Column “{task.obs}” has a number in {labelled} cell{'s' if labelled != 1 else ''}.",
            hint=f"A number needs at least {MIN_LABELLED} cells.",
        )
    if np.nanmin(numbers) == np.nanmax(numbers):
        raise ConfigError(
            f"Column “{task.obs}” is {np.nanmin(numbers):g} in every cell.",
            hint="Choose a column whose numbers differ.",
        )
    if np.nanmax(numbers) - np.nanmin(numbers) < max(SMALLEST, TELLABLE * largest):
        raise ConfigError(
            f"Column “{task.obs}” runs from {np.nanmin(numbers):.17g} to {np.nanmax(numbers):.17g}:"
            " these differ by too little to predict.",
            hint="Subtract their mean, or give them in a smaller unit, and save again.",
        )
    return Target(task.obs, "regression", task.weight, (), numbers)


def _encode_classes(column: pd.Series, task: TaskConfig, min_class_cells: int) -> Target:
    names = class_names(column)
    classes = tuple(sorted(names.dropna().unique()))
    codes = pd.Categorical(names, categories=list(classes)).codes.astype(np.int64)
    target = Target(task.obs, "classification", task.weight, classes, codes)
    if len(classes) == 1:
        raise ConfigError(
            f"Column “{task.obs}” has one class, “{classes[0]}”.", hint="Choose a column with two or more."
        )
    counts = target.counts(np.arange(len(codes)))
    small = np.flatnonzero(counts < min_class_cells)
    if len(classes) - small.size < 2:
        raise ConfigError(
            f"Column “{task.obs}” has {len(classes):,} classes, of which {len(classes) - small.size} have"
            f" {min_class_cells} cells or more.",
            hint="Choose a column with at least two classes of that size, or merge its classes.",
        )
    return _leave_out(target, small) if small.size else target


def _leave_out(target: Target, codes: np.ndarray) -> Target:
    counts = target.counts(np.arange(len(target.values)))
    gone = {target.classes[code]: int(counts[code]) for code in codes}
    kept = [name for name in target.classes if name not in gone]
    if len(kept) < 2:
        left = f"one class, “{kept[0]}”," if kept else "no class"
        raise ConfigError(
            f"“{target.task}” keeps {left} among the training cells.",
            hint="Hold out another group, or drop this task.",
        )
    new_code = np.full(len(target.classes) + 1, UNLABELLED, dtype=np.int64)
    new_code[[target.classes.index(name) for name in kept]] = np.arange(len(kept))
    return replace(target, classes=tuple(kept), values=new_code[target.values], dropped={**target.dropped, **gone})
