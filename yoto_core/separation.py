"""An informed start: how far each gene sets the classes of every task apart, and a first order of genes by that.

Shapes: G candidate genes, P genes of the pool, Q pairs of classes over all tasks.

For classes i and j with means m and a common within-class variance v, gene g separates them by the Bhattacharyya distance
of two normal distributions of equal variance, D = (m_i - m_j)² / 8v, and the distance of a set of independent genes is the
sum (Bhattacharyya 1943; Kailath 1967, doi:10.1109/TCOM.1967.1089532). exp(-D) bounds the error of telling the pair apart,
so genes are taken one by one such that the mean of exp(-D) over pairs falls fastest: a gene that separates pairs already
far apart is worth little, which keeps the order free of redundant markers.
"""

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from yoto_core.targets import Target

NUMBER_CLASSES = 5  # a number is cut into fifths
FLOOR = 1e-3  # added to variances, in squared log units: genes that never vary within classes are not infinitely good


def informed_order(
    expression: sparse.csr_matrix, targets: Sequence[Target], cells: np.ndarray, *, size: int, screen: int
) -> np.ndarray:
    """(size,) candidates in the order in which they separate the classes of all tasks fastest.

    Args:
        expression: (cells, candidates) log-normalised, for all cells of the data.
        targets: The tasks; their weights count.
        cells: Indices of the training cells.
        size: How many genes to order.
        screen: How many genes, best by themselves, take part (at least `size`).
    """
    tables = [_class_table(target, cells) for target in targets]
    training = expression[cells]
    moments = [_moments(training, codes, n) for codes, n in tables]
    pool = _screen(moments, max(screen, size))
    distances, shares = [], []
    for target, (mean_CG, variance_G) in zip(targets, moments, strict=True):
        first, second = np.triu_indices(len(mean_CG), 1)
        gap = mean_CG[first][:, pool] - mean_CG[second][:, pool]
        distances.append((gap**2 / (8 * (variance_G[pool] + FLOOR))).T)
        shares.append(np.full(len(first), target.weight / len(first)))
    return pool[_greedy(np.concatenate(distances, axis=1), np.concatenate(shares), size)]


def _greedy(distance_PQ: np.ndarray, share_Q: np.ndarray, size: int) -> np.ndarray:
    """Take the gene that leaves the least weighted error bound, again and again."""
    factor_PQ = np.exp(-distance_PQ)
    error_Q, taken = share_Q.copy(), []
    for _ in range(size):
        left_P = factor_PQ @ error_Q
        left_P[taken] = np.inf
        best = int(left_P.argmin())
        taken.append(best)
        # The floor keeps pairs that are all but separated from vanishing for good: later genes still widen their margin.
        error_Q = np.maximum(error_Q * factor_PQ[best], share_Q * 1e-30)
    return np.array(taken)


def _class_table(target: Target, cells: np.ndarray) -> tuple[np.ndarray, int]:
    """Class code per training cell (-1 where unlabelled) and the number of classes; numbers are cut into fifths."""
    values = target.values[cells]
    if target.classes:
        return values, len(target.classes)
    labelled = ~np.isnan(values)
    edges = np.unique(np.quantile(values[labelled], np.linspace(0, 1, NUMBER_CLASSES + 1)[1:-1]))
    codes = np.full(len(values), -1)
    codes[labelled] = np.searchsorted(edges, values[labelled], side="left")
    present = np.unique(codes[labelled])
    codes[labelled] = np.searchsorted(present, codes[labelled])
    return codes, len(present)


def _moments(training: sparse.csr_matrix, codes: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """(C, G) class means and the (G,) within-class variance, each class counting alike."""
    labelled = np.flatnonzero(codes >= 0)
    counts = np.bincount(codes[labelled], minlength=n)
    weights = 1.0 / counts[codes[labelled]]
    average = sparse.csr_matrix((weights, (codes[labelled], labelled)), shape=(n, len(codes)))
    mean_CG = np.asarray((average @ training).todense())
    squares = sparse.csr_matrix((training.data**2, training.indices, training.indptr), shape=training.shape)
    square_CG = np.asarray((average @ squares).todense())
    return mean_CG, np.maximum(square_CG - mean_CG**2, 0.0).mean(axis=0)


def _screen(moments: Sequence[tuple[np.ndarray, np.ndarray]], size: int) -> np.ndarray:
    """Candidates (sorted) that are best by themselves: half by the share of variance between classes, half class by class."""
    ratios = []
    for mean_CG, within_G in moments:
        deviation_CG = (mean_CG - mean_CG.mean(axis=0)) ** 2
        total_G = within_G + deviation_CG.mean(axis=0)
        ratios.append(deviation_CG / (total_G + 1e-2 * total_G.mean()))
    n_genes = ratios[0].shape[1]
    if size >= n_genes:
        return np.arange(n_genes)
    overall = np.argsort(-sum(ratio.mean(axis=0) for ratio in ratios), kind="stable")
    chosen = dict.fromkeys(overall[: size // 2].tolist())
    ranked = np.argsort(-np.concatenate(ratios), axis=1, kind="stable")
    for gene in ranked.T.ravel():  # the best of every class, then the second best, …
        if len(chosen) == size:
            break
        chosen.setdefault(int(gene))
    return np.sort(np.fromiter(chosen, dtype=np.int64))
