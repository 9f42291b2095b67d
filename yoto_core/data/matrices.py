"""Which matrix of a file to use: each candidate is judged by a sample of its values, with the evidence stated."""

from dataclasses import dataclass
from typing import Literal

import h5py
import numpy as np
from scipy import sparse

from yoto_core.errors import DataError

MatrixKind = Literal["counts", "log-normalised", "normalised", "scaled", "unreadable"]

SAMPLE_VALUES = 200_000
SAMPLE_BLOCKS = 20
# log1p of 10,000 transcripts, all of one gene, is 9.2; of 100 million 18.4: above this nothing was logged.
LOG_CEILING = 20.0
PREFERENCE: tuple[MatrixKind, ...] = ("counts", "log-normalised", "normalised")
# Other layers (spliced, imputed, binary, …) hold something else than expression and are used only where these fail.
USUAL_NAMES = ("layers/counts", "raw.X", "X")


@dataclass(frozen=True)
class Verdict:
    """What one matrix of a file holds, and how we know."""

    name: str
    kind: MatrixKind
    evidence: str

    @property
    def usable(self) -> bool:
        """Whether a panel can be chosen from it."""
        return self.kind in PREFERENCE


def classify(name: str, values: np.ndarray) -> Verdict:
    """Judge a matrix by a sample of its non-zero values (1-D, any length)."""
    if values.size == 0:
        return Verdict(name, "unreadable", "every sampled value is zero")
    if not np.isfinite(values).all():
        return Verdict(name, "unreadable", f"{np.mean(~np.isfinite(values)):.1%} of sampled values are NaN or infinite")
    low, high = float(values.min()), float(values.max())
    span = f"{values.size:,} sampled values from {low:.4g} to {high:.4g}"
    if low < 0:
        return Verdict(name, "scaled", f"{span}: negative values, so the genes were centred")
    if np.array_equal(values, np.round(values)):
        return Verdict(name, "counts", f"{span}: all whole numbers")
    if high < LOG_CEILING:
        return Verdict(name, "log-normalised", f"{span}: fractions below {LOG_CEILING:g}")
    return Verdict(name, "normalised", f"{span}: fractions too large for logarithms")


def choose(verdicts: tuple[Verdict, ...], wanted: str) -> Verdict:
    """The named matrix, or for "auto" the first usual one that holds counts, then logs, then normalised values."""
    if wanted != "auto":
        named = next((verdict for verdict in verdicts if verdict.name == wanted), None)
        if named is None:
            raise DataError(
                f"The file has no matrix “{wanted}”.", hint=f"It has {', '.join(verdict.name for verdict in verdicts)}."
            )
        if not named.usable:
            raise DataError(
                f"{named.name} is {named.kind}: {named.evidence}.", hint="Choose a matrix of counts or logs."
            )
        return named
    usable = [verdict for verdict in verdicts if verdict.usable]
    if usable:
        return min(usable, key=lambda verdict: (verdict.name not in USUAL_NAMES, PREFERENCE.index(verdict.kind)))
    found = "; ".join(f"{verdict.name}: {verdict.evidence}" for verdict in verdicts)
    raise DataError(f"No usable expression matrix ({found}).", hint="Save raw counts in X or in layers['counts'].")


def sample_values(matrix: object) -> np.ndarray:
    """Up to 200,000 stored non-zero values (or 20 dense rows) of a matrix, in memory or on disk, spread over its length."""
    if isinstance(matrix, h5py.Group):
        matrix = matrix["data"]
    if sparse.issparse(matrix):
        matrix = matrix.tocsr().data if matrix.format not in ("csr", "csc") else matrix.data
    length = matrix.shape[0]
    width = int(np.prod(matrix.shape[1:])) or 1
    size = max(1, min(length, SAMPLE_VALUES // SAMPLE_BLOCKS // width))
    starts = np.unique(np.linspace(0, length - size, SAMPLE_BLOCKS, dtype=int))
    if length * width <= SAMPLE_VALUES:  # small enough to look at all of it, once
        starts, size = np.array([0]), length
    values = np.concatenate([np.asarray(matrix[start : start + size], dtype=np.float64).ravel() for start in starts])
    return values[values != 0]
