"""What “automatic” means for the scores, for every number of groups."""

import pytest

from yoto_core.config import SplitConfig
from yoto_core.data.folds import fold_count


@pytest.mark.parametrize("n_groups", [None, 2, 7, 8, 40])
def test_one_split_is_one_split_whatever_the_groups(n_groups: int | None) -> None:
    assert fold_count(n_groups, SplitConfig(scheme="one split", folds=5)) == 1


@pytest.mark.parametrize(("n_groups", "folds"), [(2, 2), (4, 4), (7, 7), (8, 1), (40, 1), (None, 1)])
def test_automatic_leaves_each_group_out_once_where_there_are_fewer_than_8(n_groups: int | None, folds: int) -> None:
    assert fold_count(n_groups, SplitConfig(folds=5)) == folds


@pytest.mark.parametrize(("n_groups", "folds"), [(2, 2), (7, 7), (8, 5), (40, 5), (None, 5)])
def test_cross_validation_leaves_few_groups_out_one_by_one_and_deals_many_into_the_folds_asked_for(
    n_groups: int | None, folds: int
) -> None:
    assert fold_count(n_groups, SplitConfig(scheme="cross-validation", folds=5)) == folds


def test_there_are_never_more_folds_than_groups() -> None:
    assert fold_count(9, SplitConfig(scheme="cross-validation", folds=20)) == 9


def test_a_single_group_cannot_be_left_out() -> None:
    assert fold_count(1, SplitConfig(scheme="cross-validation")) == 1
