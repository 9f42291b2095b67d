"""The form in which a model reads expression: normalised over all genes, over the panel alone, or only on and off.

A targeted assay measures the panel and nothing else, so a cell's total over all genes does not exist there. While genes are
still being chosen the panel is not known, and nothing can be normalised over it. The rule is therefore: genes are chosen on
the ordinary log-normalised values; once they are settled, the model is fitted on, and predicts from, the chosen form of the
settled genes, and independent classifiers judge every panel in that form too.

all genes  log(1 + transcripts per 10,000 of the cell), as given.
panel      the same after scaling the cell's total over the panel's genes to its mean among training cells, so that it no
           longer matters what else was measured, nor what the values were scaled to before the logarithm.
binary     1 where the gene was seen, else 0: robust to a change of technology (PERSIST: Covert et al., Nat Commun 2023).

Shapes: B cells, A genes, R masks.
"""

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from yoto_core.config import Normalize

ROWS = 8_192  # cells turned dense at once
SMALLEST_TOTAL, LARGEST = 1e-6, 1e30


def level_of(columns: sparse.csr_matrix | np.ndarray) -> np.ndarray:
    """(A,) mean expression of log-normalised cells × genes before the logarithm: what a panel's total is made of."""
    linear = columns.expm1() if sparse.issparse(columns) else np.expm1(columns)
    return np.asarray(linear.mean(axis=0), dtype=np.float32).ravel()


def as_read(x_BA: Tensor, normalize: Normalize, level_A: Tensor, mask_RA: Tensor) -> Tensor:
    """Log-normalised values in the form that a model reads: (B, A), or (R, B, A) where each mask is a panel of its own."""
    if normalize == "binary":
        return (x_BA > 0).to(x_BA.dtype)
    if normalize == "all genes":
        return x_BA
    linear_BA = torch.expm1(x_BA).clamp_max(LARGEST)  # infinity times nought would be no number
    total_RB = (mask_RA @ linear_BA.T).clamp_min(SMALLEST_TOTAL)
    scale_RB = (mask_RA @ level_A)[:, None] / total_RB
    return torch.log1p(linear_BA * scale_RB[..., None])


def mean_and_spread(
    columns: sparse.csr_matrix, normalize: Normalize, level_A: Tensor, panel_A: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """(A,) mean and standard deviation of log-normalised cells × genes in the form of one panel (a mask)."""
    if normalize == "all genes":
        mean = np.asarray(columns.mean(axis=0)).ravel()
        square = np.asarray(columns.multiply(columns).mean(axis=0)).ravel()
    else:
        total, squares = np.zeros(columns.shape[1]), np.zeros(columns.shape[1])
        for start in range(0, columns.shape[0], ROWS):
            block = torch.from_numpy(columns[start : start + ROWS].toarray())
            formed = as_read(block, normalize, level_A, panel_A[None]).reshape(block.shape).double().numpy()
            total += formed.sum(0)
            squares += (formed**2).sum(0)
        mean, square = total / columns.shape[0], squares / columns.shape[0]
    return mean, np.sqrt(np.maximum(square - mean**2, 0.0))


def pair_as_read(learn: np.ndarray, judge: np.ndarray, normalize: Normalize) -> tuple[np.ndarray, np.ndarray]:
    """Training and held-out cells × genes of one panel in the chosen form; only training cells set its level."""
    level = torch.from_numpy(level_of(learn))
    ones = torch.ones(1, learn.shape[1])
    return tuple(
        as_read(torch.from_numpy(block), normalize, level, ones).reshape(block.shape).numpy()
        for block in (learn, judge)
    )
