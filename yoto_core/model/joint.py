"""What two classes would lose without a gene while all others stay: the evidence for tasks that have one pair of classes.

Where there are many pairs, a gene earns what it adds for pairs still mixed up (`separation`). One pair alone cannot tell genes
that repeat one another from genes that complete one another, so they are judged together: with mean difference d and
within-class covariance S the classes lie dᵀS⁻¹d apart (Mahalanobis 1936), and leaving gene g out takes away exactly
(S⁻¹d)_g² / (S⁻¹)_gg.

Shapes: N cells, P genes.
"""

import numpy as np
from scipy import sparse

RIDGE = 1.0  # added to the variance of each gene, in units of it: as many genes as cells cannot be judged without
GENES = 800  # at most, those that separate best by themselves: more take time and gained nothing
CELLS = 1_000  # at most, of each class
SMALLEST = 1e-12  # distance: two classes alike in every gene leave nothing to share out


def jointly(training: sparse.csr_matrix, codes: np.ndarray, alone_1P: np.ndarray, size: int) -> np.ndarray:
    """(1, P) the part of each gene in the distance of two classes; zero for genes that are not among the best alone.

    Args:
        training: Expression of training cells × P genes.
        codes: 0 or 1 per cell, -1 where unlabelled.
        alone_1P: The distance by each gene alone.
        size: So many of the best genes promise as much together as they did alone, which keeps tasks in proportion.
    """
    genes = np.sort(np.argsort(-alone_1P[0], kind="stable")[:GENES])
    rng = np.random.default_rng(0)  # the same cells whatever the run's seed, so that the start does not wander with it
    cells = [rng.permutation(np.flatnonzero(codes == code))[:CELLS] for code in (0, 1)]
    blocks = [training[np.sort(rows)][:, genes].toarray() for rows in cells]
    gap = blocks[0].mean(axis=0) - blocks[1].mean(axis=0)
    within = sum(np.cov(block, rowvar=False, bias=True) for block in blocks) / 2
    scale = np.sqrt(within.diagonal() + 1e-3)
    correlation = within / np.outer(scale, scale)
    correlation[np.diag_indices_from(correlation)] = 1.0 + RIDGE
    inverse = np.linalg.inv(correlation)
    lost = (inverse @ (gap / scale)) ** 2 / inverse.diagonal()
    found = np.zeros_like(alone_1P)
    found[0, genes] = lost * np.sort(alone_1P[0])[-size:].sum() / max(np.sort(lost)[-size:].sum(), SMALLEST)
    return found
