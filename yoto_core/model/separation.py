"""How far each gene sets classes apart, and an order of genes by what each adds to the earlier ones.

Shapes: G candidate genes, P genes of the pool, C classes, Q pairs of classes over all tasks.

For classes i and j with means m and a common within-class variance v, gene g separates them by the Bhattacharyya distance
of two normal distributions of equal variance, D = (m_i - m_j)² / 8v, and independent genes by the sum of theirs
(Kailath 1967, doi:10.1109/TCOM.1967.1089532). exp(-D) bounds the error of telling the pair apart. Genes are taken one by
one such that the mean of exp(-D) over pairs falls fastest: a gene earns what it adds for pairs still mixed up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

FLOOR = 1e-3  # added to variances, in squared log units: genes that never vary within classes are not infinitely good
# Genes are not independent: k of them count as k / (1 + k / DILUTION). Found on search splits: without it panels of 32 and
# more fill up for pairs that are told apart already.
DILUTION = 10.0


@dataclass(frozen=True)
class Moments:
    """Class means and the within-class variance of genes, for one task; every class counts alike."""

    mean: np.ndarray = field(repr=False)  # (C, G)
    within: np.ndarray = field(repr=False)  # (G,)

    def of(self, genes: np.ndarray) -> "Moments":
        """The same for some genes only."""
        return Moments(self.mean[:, genes], self.within[genes])


def class_moments(training: sparse.csr_matrix, codes: np.ndarray, n_classes: int) -> Moments:
    """Moments from cells × genes and a class code per cell (-1 where unlabelled): two sparse products."""
    labelled = np.flatnonzero(codes >= 0)
    weights = 1.0 / np.bincount(codes[labelled], minlength=n_classes)[codes[labelled]]
    average = sparse.csr_matrix((weights, (codes[labelled], labelled)), shape=(n_classes, len(codes)))
    squares = sparse.csr_matrix((training.data**2, training.indices, training.indptr), shape=training.shape)
    mean_CG = (average @ training).toarray()
    square_CG = (average @ squares).toarray()
    return Moments(mean_CG, np.maximum(square_CG - mean_CG**2, 0.0).mean(axis=0))


def best_alone(moments: Sequence[Moments], size: int) -> np.ndarray:
    """(size,) sorted genes that separate best by themselves: half over all classes of each task, half class by class."""
    n_genes = moments[0].mean.shape[1]
    if size >= n_genes:
        return np.arange(n_genes)
    chosen: dict[int, None] = {}
    by_class = []
    for found in moments:
        deviation_CG = (found.mean - found.mean.mean(axis=0)) ** 2
        total_G = found.within + deviation_CG.mean(axis=0)
        overall = np.argsort(-deviation_CG.mean(axis=0) / (total_G + 1e-3 * total_G.mean()), kind="stable")
        chosen.update(dict.fromkeys(overall[: size // (2 * len(moments))].tolist()))
        by_class.append(np.argsort(-deviation_CG / (total_G + 1e-2 * total_G.mean()), axis=1, kind="stable"))
    for gene in np.concatenate(by_class).T.ravel():  # the best of every class, then the second best, …
        if len(chosen) >= size:
            break
        chosen.setdefault(int(gene))
    return np.sort(np.fromiter(chosen, dtype=np.int64))


def pair_distances(found: Moments) -> np.ndarray:
    """(Q, P) by how much each gene by itself sets each pair of classes apart."""
    one, other = np.triu_indices(len(found.mean), 1)
    gap_QP = found.mean[one] - found.mean[other]
    return (gap_QP**2 / (8 * (found.within + FLOOR))).astype(np.float32)


def separation_order(
    distances: Sequence[np.ndarray], weights: Sequence[float], size: int, *, first: np.ndarray
) -> np.ndarray:
    """(size,) positions of genes: those of `first`, then the ones that lower the mean error bound fastest.

    Args:
        distances: Per task (Q, P), over the same P genes.
        weights: Per task, how much its pairs count.
        size: How many to order, at most P.
        first: Positions taken already, in their order.
    """
    distance_QP = np.concatenate(distances)
    shares = [np.full(len(found), weight / len(found)) for found, weight in zip(distances, weights, strict=True)]
    share_Q = np.concatenate(shares).astype(np.float32)
    order = list(first[:size])
    evidence_Q = distance_QP[:, order].sum(axis=1)
    counted, factor_QP = np.inf, distance_QP
    while len(order) < size:
        dilution = 1.0 / (1.0 + len(order) / DILUTION)
        if dilution < 0.9 * counted:  # the exponentials cost most: renew them only when the dilution has moved
            counted, factor_QP = dilution, np.exp(-dilution * distance_QP)
        left_P = (share_Q * np.exp(-counted * evidence_Q)) @ factor_QP
        left_P[order] = np.inf
        order.append(int(left_P.argmin()))
        evidence_Q += distance_QP[:, order[-1]]
    return np.array(order, dtype=np.int64)
