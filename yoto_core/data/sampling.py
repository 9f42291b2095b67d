"""Fewer cells that still show every class: a draw in which rare classes keep their cells."""

import numpy as np

FLOOR = 50  # cells that a class keeps, where it has them


def stratified(codes: np.ndarray, limit: int, *, seed: int = 0, floor: int = FLOOR) -> np.ndarray:
    """Sorted positions of at most `limit` cells; every code keeps up to `floor` cells, the rest is drawn in proportion.

    Where even the floors do not fit, each code keeps an equal share of the limit.
    """
    if len(codes) <= limit:
        return np.arange(len(codes))
    rng = np.random.default_rng(seed)
    _, strata = np.unique(codes, return_inverse=True)
    shuffled = rng.permutation(len(codes))
    # The place of every cell within its own class, in the shuffled order.
    by_class = shuffled[np.argsort(strata[shuffled], kind="stable")]
    counts = np.bincount(strata)
    place = np.empty(len(codes), dtype=np.int64)
    place[by_class] = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    first = place < min(floor, max(1, limit // len(counts)))
    keep = np.concatenate([np.flatnonzero(first), shuffled[~first[shuffled]]])[:limit]
    return np.sort(keep)
