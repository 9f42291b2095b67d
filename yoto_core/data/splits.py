"""Which cells are for training, which for validation, which are held out: split before anything is learned from the data."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
import pandas as pd
from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold, StratifiedKFold

from yoto_core.config import SplitConfig
from yoto_core.data.folds import fold_count
from yoto_core.data.targets import UNLABELLED, Target
from yoto_core.errors import ConfigError
from yoto_core.quiet import ignored

NUMBER_STRATA = 5
# scikit-learn's word on a stratum smaller than the number of folds; it is spread as far as it goes, which is what we want.
SPREAD = "The least populated class"
MAX_FOLDS = 20  # twentieths: the smallest share that a setting can ask for


@dataclass(frozen=True)
class Split:
    """Cell indices (sorted, disjoint) of the three parts; cells without a group take no part where groups are held out."""

    train: np.ndarray = field(repr=False)
    validation: np.ndarray = field(repr=False)
    test: np.ndarray = field(repr=False)
    groups: np.ndarray | None = field(default=None, repr=False)  # group code per cell of the data, -1 where it has none
    held_out: tuple[str, ...] = ()  # names of the groups in `test`


def split_cells(obs: pd.DataFrame, targets: Sequence[Target], config: SplitConfig) -> Split:
    """Split the cells of obs, keeping the shares of every task's classes as even as the cells and groups allow.

    scikit-learn's (group-)stratified folds do the work: some folds are held out, some of the rest are validation cells.

    Raises:
        ConfigError: The group column is missing or cannot be held out, or too few cells are left to split.
    """
    layers = strata(targets)
    codes, names, usable = _usable(obs, config)
    rest, test = _hold_out(usable, layers, codes, config.test_percent, config.seed)
    return _split(rest, test, layers, codes, names, config)


def split_folds(obs: pd.DataFrame, targets: Sequence[Target], config: SplitConfig) -> tuple[Split, ...]:
    """The splits that the scores come from: one, or those of a cross-validation (`folds.fold_count` says which).

    The folds of a cross-validation hold out every cell once, whole groups where there are groups. First comes the fold whose
    training cells lack the fewest classes and whose held-out part is nearest to the average one: its panel is the one shown.

    Raises:
        ConfigError: The group column is missing or cannot be held out, or too few cells are left to split.
    """
    codes, names, usable = _usable(obs, config)
    n_groups = None if codes is None else int(np.unique(codes[usable]).size)
    k = fold_count(n_groups, config)
    if k < 2:
        return (split_cells(obs, targets, config),)
    layers = strata(targets)
    found = [
        _split(np.setdiff1d(usable, test), test, layers, codes, names, config)
        for test in _folds(usable, layers, codes, k, config.seed)
    ]

    def oddity(split: Split) -> tuple[int, float]:
        lacking = sum(int((t.counts(split.train) == 0).sum()) for t in targets if t.classes)
        return lacking, abs(len(split.test) - len(usable) / k)

    first = min(found, key=oddity)
    return (first, *(split for split in found if split is not first))


def split_again(split: Split, targets: Sequence[Target], config: SplitConfig, cells: np.ndarray, *, seed: int) -> Split:
    """The same held-out cells, and these cells (indices) divided anew into training and validation cells.

    Raises:
        ConfigError: They are too few to divide.
    """
    train, validation = _divided(cells, strata(targets), split.groups, config.validation_percent, seed)
    return replace(split, train=train, validation=validation)


def _usable(obs: pd.DataFrame, config: SplitConfig) -> tuple[np.ndarray | None, list[str], np.ndarray]:
    """Group code per cell and group names (None and none where cells are split one by one), and the cells that take part."""
    if not config.group:
        return None, [], np.arange(len(obs))
    codes, names = _groups(obs, config.group)
    return codes, names, np.flatnonzero(codes >= 0)


def _split(
    rest: np.ndarray,
    test: np.ndarray,
    layers: np.ndarray,
    codes: np.ndarray | None,
    names: list[str],
    config: SplitConfig,
) -> Split:
    """The held-out cells, and the rest divided into training and validation cells."""
    train, validation = _divided(rest, layers, codes, config.validation_percent, config.seed + 1)
    held_out = () if codes is None else tuple(names[code] for code in np.unique(codes[test]))
    return Split(train, validation, test, codes, held_out)


def _divided(
    rest: np.ndarray, layers: np.ndarray, codes: np.ndarray | None, percent: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Training and validation cells."""
    # With two groups left, validating on a whole one would cost half the training cells: then single cells are taken.
    by_group = codes if codes is not None and np.unique(codes[rest]).size > 2 else None
    return _hold_out(rest, layers, by_group, percent, seed)


def _folds(cells: np.ndarray, layers: np.ndarray, codes: np.ndarray | None, k: int, seed: int) -> list[np.ndarray]:
    """The held-out cells of every fold."""
    if codes is None:
        splitter, groups = StratifiedKFold(k, shuffle=True, random_state=seed), None
    elif k == np.unique(codes[cells]).size:
        splitter, groups = LeaveOneGroupOut(), codes[cells]
    else:
        splitter, groups = StratifiedGroupKFold(k, shuffle=True, random_state=seed), codes[cells]
    with ignored(SPREAD):
        return [cells[part] for _, part in splitter.split(np.zeros(len(cells)), layers[cells], groups)]


def _hold_out(
    cells: np.ndarray, strata: np.ndarray, groups: np.ndarray | None, percent: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The rest and the held-out part of `cells` (indices); whole groups where `groups` (code per cell) is given."""
    most = min(MAX_FOLDS, len(cells) if groups is None else np.unique(groups[cells]).size)
    # scikit-learn refuses more folds than the largest stratum has cells.
    most = min(most, int(np.unique(strata[cells], return_counts=True)[1].max(initial=0)))
    if most < 2:
        raise ConfigError(
            f"{len(cells):,} cell{'s' if len(cells) != 1 else ''} cannot be split into two parts.",
            hint="Choose larger classes or another group column, or split by cell.",
        )
    share = max(Fraction(percent / 100).limit_denominator(most), Fraction(1, most))
    folds, taken = share.denominator, share.numerator
    if groups is None:
        splitter, group_of = StratifiedKFold(folds, shuffle=True, random_state=seed), None
    else:
        splitter, group_of = StratifiedGroupKFold(folds, shuffle=True, random_state=seed), groups[cells]
    with ignored(SPREAD):
        parts = [part for _, part in splitter.split(np.zeros(len(cells)), strata[cells], group_of)]
    # Small strata fill neighbouring folds, so the ones taken stand apart; scikit-learn puts the largest group into the
    # first fold, so where groups differ in size the parts nearest to the wanted share are held out.
    offers = [np.concatenate([parts[(i + j * folds // taken) % folds] for j in range(taken)]) for i in range(folds)]
    held_out = np.sort(min(offers, key=lambda offer: abs(len(offer) - percent / 100 * len(cells))))
    return np.delete(cells, held_out), cells[held_out]


def strata(targets: Sequence[Target]) -> np.ndarray:
    """(cells of the data,) one code for the combination of all tasks' classes (numbers in fifths).

    Combinations too rare to spread over the folds fall back to the rarest of their classes.
    """
    layers = [_codes(target) for target in targets]
    joint = pd.DataFrame(layers).T.groupby(list(range(len(layers)))).ngroup().to_numpy()
    rare = np.bincount(joint)[joint] < NUMBER_STRATA
    known = [np.where(layer == UNLABELLED, len(layer) + 1, _sizes(layer)) for layer in layers]
    layer = np.argmin(known, axis=0)
    single = layer + len(layers) * (
        np.stack(layers)[layer, np.arange(len(layer))] - UNLABELLED
    )  # one code per task and class
    return np.where(rare, joint.max() + 1 + single, joint)


def _sizes(codes: np.ndarray) -> np.ndarray:
    """How many cells share the code of each cell."""
    return np.bincount(codes - UNLABELLED)[codes - UNLABELLED]


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
