"""Shuffled labels, the test against chance, and what too few donors can tell."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoto_core.data.shuffling import shuffled, with_shuffled_labels
from yoto_core.data.targets import UNLABELLED, Target
from yoto_core.scores import significance
from yoto_core.scores.significance import ALPHA, PERMUTATIONS, chance_test


def classes(values):
    return Target("label", "classification", 1.0, ("a", "b", "c"), np.asarray(values))


def numbers(values):
    return Target("age", "regression", 1.0, (), np.asarray(values, dtype=float))


def against_chance(target, answer, groups=None, seed=0):
    return chance_test(target, np.arange(len(answer)), np.asarray(answer), groups, rng=np.random.default_rng(seed))


CELLS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), min_size=1, max_size=40)


@given(CELLS, st.integers(0, 99))
def test_shuffling_keeps_every_group_s_labels_or_moves_whole_groups(cells, seed):
    values, groups = (np.array(column) for column in zip(*cells, strict=True))
    moved = shuffled(values, groups, np.random.default_rng(seed))
    by_group = [values[groups == group] for group in np.unique(groups)]
    if all(len(set(found)) == 1 for found in by_group):
        assert all(len(set(moved[groups == group])) == 1 for group in np.unique(groups))
        assert sorted(moved[groups == g][0] for g in np.unique(groups)) == sorted(found[0] for found in by_group)
    else:
        for group, found in zip(np.unique(groups), by_group, strict=True):
            assert sorted(moved[groups == group]) == sorted(found)
    assert sorted(shuffled(values, None, np.random.default_rng(seed))) == sorted(values)


def test_only_the_labelled_cells_that_are_named_are_shuffled():
    target = classes([0, 1, 2, UNLABELLED, 0, 1, 2, 0])
    moved = with_shuffled_labels(target, np.arange(6), None, np.random.default_rng(1))
    assert sorted(moved.values[[0, 1, 2, 4, 5]]) == [0, 0, 1, 1, 2]
    assert moved.values[3] == UNLABELLED
    assert list(moved.values[6:]) == [2, 0]
    assert (target.values == [0, 1, 2, UNLABELLED, 0, 1, 2, 0]).all()


def test_answers_that_are_right_beat_chance_with_the_smallest_p_there_is():
    true = np.arange(60) % 3
    found = against_chance(classes(true), true)
    assert found.p == 1 / (PERMUTATIONS + 1)
    assert found.value == 1
    assert found.chance == pytest.approx(1 / 3, abs=0.03)
    assert found.beaten
    assert (found.cells, found.groups) == (60, 0)


def test_answers_without_signal_are_called_better_than_chance_in_about_one_of_a_hundred():
    rng = np.random.default_rng(0)
    p = np.array(
        [against_chance(classes(rng.integers(0, 3, 60)), rng.integers(0, 3, 60), seed=i).p for i in range(200)]
    )
    assert (p <= ALPHA).sum() <= 8
    assert np.mean(p) == pytest.approx(0.5, abs=0.08)  # p values are even where nothing is to be found


def test_a_difference_between_donors_is_not_signal():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(6), 50)
    share = np.repeat(np.linspace(0.1, 0.9, 6), 50)  # donors differ in composition, and the answer knows the donor only
    true, answer = (rng.random(300) < share).astype(int), (share > 0.5).astype(int)
    assert against_chance(classes(true), answer).beaten
    assert not against_chance(classes(true), answer, groups).beaten


@pytest.mark.parametrize(("donors", "beaten"), [(1, False), (2, False), (3, False), (5, False), (12, True)])
def test_a_label_of_whole_donors_needs_enough_of_them(donors, beaten):
    groups = np.repeat(np.arange(donors), 30)
    true = groups % 2
    found = against_chance(classes(true), true, groups)  # every answer is right
    assert found.beaten is beaten
    assert found.groups == donors


def test_numbers_must_beat_the_mean_too():
    rng = np.random.default_rng(0)
    true = rng.normal(size=80)
    far = against_chance(numbers(true), true + 2 * rng.normal(size=80))
    assert far.p <= ALPHA  # the answers follow the number,
    assert far.value < 0  # but always answering the mean would be nearer
    assert far.beaten is False
    assert against_chance(numbers(true), 0.5 * true + 0.3 * rng.normal(size=80)).beaten
    assert not against_chance(numbers(true), np.zeros(80)).beaten


def test_of_very_many_cells_evenly_spaced_ones_are_looked_at_from_the_first_to_the_last(monkeypatch):
    monkeypatch.setattr(significance, "MOST_CELLS", 5)
    true, place = np.arange(17) % 3, np.arange(17)
    wrong_at = [np.where(place == cell, (true + 1) % 3, true) for cell in place]
    seen = [cell for cell in place if against_chance(classes(true), wrong_at[cell]).value < 1]
    assert seen == [0, 4, 8, 12, 16]
    assert against_chance(classes(true[:5]), true[:5]).cells == 5
    assert against_chance(classes(true), true).cells == 5


@pytest.mark.parametrize("target", [classes([UNLABELLED] * 4), numbers([np.nan] * 4), numbers([2.0] * 4)])
def test_what_cannot_be_tested_has_no_p(target):
    found = against_chance(target, np.zeros(4, dtype=int if target.classes else float))
    assert np.isnan(found.p)
    assert not found.beaten
