"""On which scale stored values are, and the one way from there to what a model reads: log(1 + transcripts per 10,000)."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

TARGET_SUM = 10_000.0  # transcripts per cell after scaling; scanpy's and Seurat's habit
# Beyond these nothing was measured, and single precision, in which all is computed, cannot add, square or divide.
LARGEST, SMALLEST = 1e30, 1e-30
PER_CELL = "log(1 + transcripts per 10,000)"
UNKNOWN = "log(1 + normalised expression)"


@dataclass(frozen=True)
class Scale:
    """What was done to stored values before they were stored.

    `base` is that of the logarithm of 1 + value that was taken (e, 2, 10), None where none was. `total` is what a cell's values
    over all genes summed to before it: a number, the same for every cell; "own" where every cell has a total of its own,
    as counts have; None where it is not known, as of a few genes out of normalised values.
    """

    base: float | None = None
    total: float | Literal["own"] | None = None

    @property
    def as_read(self) -> bool:
        """Whether the stored values are what a model reads: nothing is left to do, or nothing that could be known."""
        return self.base == math.e and self.total in (None, TARGET_SUM)

    @property
    def unit(self) -> str:
        """The unit of the values after conversion, for labels and captions."""
        return UNKNOWN if self.total is None else PER_CELL


COUNTS = Scale(total="own")


def unlogged(values: np.ndarray, scale: Scale) -> np.ndarray:
    """Stored values of any shape without their logarithm, in their own precision; the same array where that changes nothing."""
    if scale.base is None or scale.as_read:
        return values
    return undo_log(values, scale.base)


def undo_log(values: np.ndarray, base: float) -> np.ndarray:
    """base^x - 1, without loss for small x."""
    return np.expm1(values if base == math.e else values * values.dtype.type(math.log(base)))


def factors(totals: np.ndarray, scale: Scale) -> np.ndarray | float:
    """What unlogged values are multiplied by: one number per cell (in the precision of `totals`, 0 for an empty cell), or 1."""
    if scale.total == "own":
        return np.divide(TARGET_SUM, totals, out=np.zeros_like(totals), where=totals > 0)
    return 1.0 if scale.total is None else TARGET_SUM / scale.total


def logged(
    values: np.ndarray, factor: np.ndarray | float, scale: Scale, *, out: np.ndarray | None = None
) -> np.ndarray:
    """log(1 + factor × value) of unlogged values; values that are stored as a model reads them come back as they are.

    `factor` is that of `factors`, spread to the shape of `values`; `out` may be `values` itself.
    """
    if scale.as_read:
        return values
    if not (np.isscalar(factor) and factor == 1.0):
        values = np.multiply(values, factor, out=out)
        out = values
    return np.log1p(values, out=out)


def unit_of(summary: dict[str, object]) -> str:
    """The unit of the expression that a run read, from its summary (data.json); runs of older versions name only the kind."""
    if "unit" in summary:
        return known_unit(summary["unit"])
    kinds = {matrix["name"]: matrix["kind"] for matrix in summary.get("matrices", ())}
    return unit_of_kind(kinds.get(summary.get("matrix"), ""))


def known_unit(said: object) -> str:
    """A unit that a file names, where it is the one that says how much; any other text in its place says nothing."""
    return PER_CELL if said == PER_CELL else UNKNOWN


def unit_of_kind(kind: str) -> str:
    """The unit where only the kind of the matrix was written down: sure for counts alone."""
    return PER_CELL if kind == "counts" else UNKNOWN
