"""Into how many parts the cells are dealt for the scores: the one place that says what “automatic” means."""

from yoto_core.config import SplitConfig

FEW_GROUPS = 8  # with fewer donors than this one held-out part is one or two of them, so each is held out in turn


def fold_count(n_groups: int | None, config: SplitConfig) -> int:
    """How many times a part of the cells is held out; 1 means one split.

    With whole groups held out and fewer than 8 of them, "auto" and "cross-validation" leave out one group at a time.
    Otherwise "auto" is one split, and "cross-validation" takes the folds asked for, never more than there are groups.

    Args:
        n_groups: the groups (donors) among the cells in use, or None where cells are split one by one.
        config: the settings of the split; its scheme and folds are read.
    """
    if config.scheme == "one split":
        return 1
    if n_groups is not None and n_groups < FEW_GROUPS:
        return max(1, n_groups)
    if config.scheme == "auto":
        return 1
    return config.folds if n_groups is None else min(config.folds, n_groups)
