"""One learning problem: what training, comparison and attribution all read, and never change."""

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from yoto_core.data.preprocess import Candidates
from yoto_core.data.splits import Split
from yoto_core.data.targets import Target


@dataclass(frozen=True)
class Problem:
    """Expression of the candidate genes, the labels of every task, and who trains, steers and judges."""

    expression: sparse.csr_matrix = field(repr=False)  # (cells, candidates) log-normalised
    candidates: Candidates
    targets: tuple[Target, ...]
    split: Split

    def panel_columns(self, cells: np.ndarray, order: np.ndarray) -> np.ndarray:
        """(cells, K) dense expression of a panel: `order` holds its positions among the candidates."""
        return self.expression[cells][:, order].toarray()
