"""Which cells train, which steer, which judge: split once, before anything is learned from the data."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from yoto_core.config import SplitConfig
from yoto_core.errors import ConfigError
from yoto_core.targets import UNLABELLED, Target

NUMBER_STRATA = 5


@dataclass(frozen=True)
class Split:
    """Cell indices (sorted, disjoint) of the three parts; cells without a group take no part where groups are held out."""

    train: np.ndarray = field(repr=False)
    validation: np.ndarray = field(repr=False)
    test: np.ndarray = field(repr=False)
    groups: np.ndarray | None = field(default=None, repr=False)  # group code per cell of the data, -1 where it has none
    held_out: tuple[str, ...] = ()  # names of the groups in `test`


def split_cells(obs: pd.DataFrame, targets: Sequence[Target], config: SplitConfig, *, seed: int) -> Split:
    """Split the cells of obs, keeping the shares of every task's classes as even as the cells and groups allow.

    scikit-learn's (group-)stratified folds do the work: one fold is held out for testing, one fold of the rest steers.

    Raises:
        ConfigError: The group column is missing or cannot be held out.
    """
    strata = _strata(targets)
    if not config.group:
        rest, test = _hold_out(np.arange(len(obs)), strata, None, config.test_percent, seed)
        train, validation = _hold_out(rest, strata, None, config.validation_percent, seed + 1)
        return Split(train, validation, test)
    codes, names = _groups(obs, config.group)
    usable = np.flatnonzero(codes >= 0)
    rest, test = _hold_out(usable, strata, codes, config.test_percent, seed)
    # With two groups left, steering by a whole one would cost half the training cells: then steer by single cells.
    by_group = codes if np.unique(codes[rest]).size > 2 else None
    train, validation = _hold_out(rest, strata, by_group, config.validation_percent, seed + 1)
    return Split(train, validation, test, codes, tuple(names[code] for code in np.unique(codes[test])))


def _hold_out(
    cells: np.ndarray, strata: np.ndarray, groups: np.ndarray | None, percent: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The rest and the held-out part of `cells` (indices); whole groups where `groups` (code per cell) is given."""
    folds = max(2, round(100 / percent))
    if groups is None:
        folds = min(folds, len(cells))
        splitter, group_of = StratifiedKFold(folds, shuffle=True, random_state=seed), None
    else:
        folds = min(folds, np.unique(groups[cells]).size)
        splitter, group_of = StratifiedGroupKFold(folds, shuffle=True, random_state=seed), groups[cells]
    with warnings.catch_warnings():
        # A stratum smaller than the number of folds is spread as far as it goes: that is what we want.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        rest, held_out = next(iter(splitter.split(np.zeros(len(cells)), strata[cells], group_of)))
    return cells[rest], cells[held_out]


def _strata(targets: Sequence[Target]) -> np.ndarray:
    """One code per cell for the combination of all tasks' classes (numbers in fifths).

    Combinations too rare to spread over the folds fall back to the class of the first task.
    """
    layers = [_codes(target) for target in targets]
    joint = pd.DataFrame(layers).T.groupby(list(range(len(layers)))).ngroup().to_numpy()
    rare = np.bincount(joint)[joint] < NUMBER_STRATA
    return np.where(rare, joint.max() + 1 + layers[0] - UNLABELLED, joint)


def _codes(target: Target) -> np.ndarray:
    if target.kind == "classification":
        return target.values
    fifths = pd.qcut(target.values, NUMBER_STRATA, labels=False, duplicates="drop")
    return np.where(np.isnan(fifths), UNLABELLED, fifths).astype(np.int64)


def _groups(obs: pd.DataFrame, column: str) -> tuple[np.ndarray, list[str]]:
    if column not in obs:
        raise ConfigError(f"The data has no obs column “{column}” to hold out.", hint="Choose one of its columns.")
    codes, names = pd.factorize(obs[column], sort=True)
    if len(names) < 2:
        raise ConfigError(
            f"“{column}” has {len(names)} group{'s' if len(names) != 1 else ''}; holding one out needs two.",
            hint="Choose another group column, or split by cell.",
        )
    return codes.astype(np.int64), [str(name) for name in names]
