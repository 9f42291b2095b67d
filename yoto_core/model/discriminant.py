"""The first genes of a panel, chosen by the cells themselves: forward linear discriminant analysis.

Shapes: N cells, P genes, C classes.

In a small panel every gene counts for many pairs of classes at once, and the error bound of `separation` is loose. Here each
gene is tried by the cross-entropy of the cells' classes under normal distributions with a common within-class covariance
(linear discriminant analysis: Fisher 1936); after a gene is taken, all others are made uncorrelated with it within classes
(one step of Gram–Schmidt, equal to one of Cholesky on the covariance). Evidence is tempered, as genes are not normal.
"""

import math
from collections.abc import Sequence

import numpy as np

RIDGE = 0.1  # added to the variance of each gene, in units of it
LEAST_VARIANCE = 0.05  # what counts as left of a gene that the earlier ones explain
CELLS = 2_000  # at most about this many judge each gene, alike from every class
TEMPER, FADING = 0.5, 24.0  # the evidence of k genes counts by TEMPER / (1 + (k / FADING)²)


def discriminant_order(
    block_NP: np.ndarray,
    codes: Sequence[np.ndarray],
    weights: Sequence[float],
    size: int,
    *,
    first: np.ndarray,
) -> np.ndarray:
    """(size,) positions of genes: those of `first`, then the ones that lower the tasks' cross-entropy most.

    Args:
        block_NP: Expression of the training cells.
        codes: Per task a class code for each cell, -1 where unlabelled.
        weights: Per task, how much it counts.
        size: How many to order, at most P.
        first: Positions taken already, in their order.
    """
    models = [_Discriminant(block_NP, task_codes) for task_codes in codes]
    order = list(first[:size])
    for gene in order:
        for model in models:
            model.take(gene)
    left = [gene for gene in range(block_NP.shape[1]) if gene not in set(order)]
    while len(order) < size:
        temper = TEMPER / (1 + (len(order) / FADING) ** 2)
        losses = [sum(w * m.loss_with(gene, temper) for w, m in zip(weights, models, strict=True)) for gene in left]
        order.append(left.pop(int(np.argmin(losses))))
        for model in models:
            model.take(order[-1])
    return np.array(order, dtype=np.int64)


class _Discriminant:
    """One task: the genes not yet explained by those taken, and each cell's log-likelihood under each class.

    The likelihood leaves out what is the same for all classes of a cell. Cells lie along the last axis, which numpy walks fast.
    """

    def __init__(self, block_NP: np.ndarray, codes: np.ndarray) -> None:
        labelled = np.flatnonzero(codes >= 0)
        x_NP, codes = block_NP[labelled], codes[labelled]
        n_classes = int(codes.max()) + 1
        mean_CP = np.stack([x_NP[codes == code].mean(axis=0) for code in range(n_classes)])
        residual_NP = x_NP - mean_CP[codes]
        within_PP = (residual_NP * _balanced(codes)[:, None]).T @ residual_NP
        scale_P = np.sqrt(within_PP.diagonal() + 1e-3)
        self.within_PP = within_PP / np.outer(scale_P, scale_P)
        self.within_PP[np.diag_indices_from(self.within_PP)] = 1.0 + RIDGE
        # The same cells whatever the run's seed, so that the start does not wander with it.
        rng = np.random.default_rng(0)
        room = max(CELLS // n_classes, 20)
        kept = [rng.permutation(np.flatnonzero(codes == code))[:room] for code in range(n_classes)]
        judges = np.sort(np.concatenate(kept))
        self.x_PN, self.mean_CP = (x_NP[judges] / scale_P).T.copy(), mean_CP / scale_P
        self.weights_N = _balanced(codes[judges])
        self.own = (codes[judges], np.arange(len(judges)))
        self.likelihood_CN = np.zeros((n_classes, len(judges)), dtype=np.float32)

    def loss_with(self, gene: int, temper: float) -> float:
        """Cross-entropy if the gene joined, each class counting alike, as a share of that of guessing."""
        logits_CN = self._evidence(gene)
        logits_CN += self.likelihood_CN
        logits_CN *= temper
        logits_CN -= logits_CN[self.own]
        # The exponent is bounded so that a cell far from its class costs much but never infinitely much.
        np.minimum(logits_CN, 80.0, out=logits_CN)
        loss = self.weights_N @ np.log(np.exp(logits_CN, out=logits_CN).sum(axis=0))
        return float(loss) / math.log(len(logits_CN))

    def take(self, gene: int) -> None:
        """Let the gene join: count its evidence, and make the others uncorrelated with it within classes."""
        self.likelihood_CN += self._evidence(gene)
        share_P = self.within_PP[gene] / max(self.within_PP[gene, gene], LEAST_VARIANCE)
        self.x_PN = self.x_PN - np.outer(share_P, self.x_PN[gene])
        self.mean_CP = self.mean_CP - np.outer(self.mean_CP[:, gene], share_P)
        self.within_PP = self.within_PP - np.outer(share_P, self.within_PP[gene])

    def _evidence(self, gene: int) -> np.ndarray:
        """-(x - m)² / 2v without x² / 2v, which is the same for every class of a cell."""
        mean_C = self.mean_CP[:, gene] / max(self.within_PP[gene, gene], LEAST_VARIANCE)
        return np.multiply.outer(mean_C, self.x_PN[gene]) - (0.5 * self.mean_CP[:, gene] * mean_C)[:, None]


def _balanced(codes: np.ndarray) -> np.ndarray:
    """(N,) weights of cells that sum to one, each class counting alike."""
    weights = 1.0 / np.bincount(codes)[codes]
    return (weights / weights.sum()).astype(np.float32)
