"""Which cells train, which steer, which judge: split once, before anything is learned from the data."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from yoto_core.config import SplitConfig
from yoto_core.data.targets import UNLABELLED, Target
from yoto_core.errors import ConfigError

NUMBER_STRATA = 5
MAX_FOLDS = 20  # twentieths: the smallest share that a setting can ask for


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

    scikit-learn's (group-)stratified folds do the work: some folds are held out for testing, some of the rest steer.

    Raises:
        ConfigError: The group column is missing or cannot be held out, or too few cells are left to split.
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
    with warnings.catch_warnings():
        # A stratum smaller than the number of folds is spread as far as it goes: that is what we want.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        parts = [part for _, part in splitter.split(np.zeros(len(cells)), strata[cells], group_of)]
    # Small strata fill neighbouring folds, so the ones taken stand apart; scikit-learn puts the largest group into the
    # first fold, so where groups differ in size the parts nearest to the wanted share are held out.
    offers = [np.concatenate([parts[(i + j * folds // taken) % folds] for j in range(taken)]) for i in range(folds)]
    held_out = np.sort(min(offers, key=lambda offer: abs(len(offer) - percent / 100 * len(cells))))
    return np.delete(cells, held_out), cells[held_out]


def _strata(targets: Sequence[Target]) -> np.ndarray:
    """One code per cell for the combination of all tasks' classes (numbers in fifths).

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
