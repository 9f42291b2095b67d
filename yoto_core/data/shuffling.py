"""Labels shuffled as a null model: what is found in them is found without any signal."""

from dataclasses import replace

import numpy as np

from yoto_core.data.targets import Target


def shuffled(values: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """(cells,) the same labels in an order that keeps nothing but chance (a restricted permutation: Good 2005, chapter 3).

    Without `groups` (a code per cell) all cells swap labels. With groups, cells swap within their group, so that a
    difference between donors is never taken for signal; labels that are the same in every cell of a group (a donor's sex)
    move as a whole from group to group instead.
    """
    if groups is None:
        return rng.permutation(values)
    codes = np.unique(groups, return_inverse=True)[1]
    members = [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]
    if all((values[cells] == values[cells[0]]).all() for cells in members):
        return rng.permutation([values[cells[0]] for cells in members])[codes]
    moved = np.empty_like(values)
    for cells in members:
        moved[cells] = rng.permutation(values[cells])
    return moved


def with_shuffled_labels(
    target: Target, cells: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator
) -> Target:
    """The same task with the labels of its labelled cells among `cells` (indices) shuffled; other cells keep theirs.

    `groups` holds a code per cell of the data.
    """
    labelled = cells[target.labelled[cells]]
    values = target.values.copy()
    values[labelled] = shuffled(values[labelled], None if groups is None else groups[labelled], rng)
    return replace(target, values=values)
