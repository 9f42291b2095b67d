"""What a gene tells best, by hand on a few cells: the class it is highest in, or the number that it follows."""

import numpy as np
import pandas as pd
import pytest

from yoto_core.data.targets import Target
from yoto_core.evaluation import attribution
from yoto_core.evaluation.attribution import Marks, marked_by, place_words

CELLS = np.arange(8)
KIND = Target("kind", "classification", 1.0, ("A", "B", "C"), np.array([0, 0, 0, 1, 1, 1, -1, -1]))
AGE = Target("age", "regression", 1.0, (), np.array([1.0, 2, 3, 4, 5, 6, 7, np.nan]))


def column(*values):
    return np.array(values, dtype=float)[:, None]


def test_a_gene_is_highest_in_the_class_of_the_greatest_mean_and_shares_are_of_labelled_cells():
    (found,) = marked_by(column(1, 0, 1, 4, 2, 0, 9, 9), [KIND], CELLS)
    assert (found.task, found.name, found.mean) == ("kind", "B", 2.0)
    assert (found.inside, found.outside) == pytest.approx((2 / 3, 2 / 3))
    assert np.isnan(found.correlation)
    assert place_words(found) == "Highest in B (kind): 67% of its cells express it, 67% elsewhere"


def test_where_all_labelled_cells_are_of_one_class_nothing_expresses_it_elsewhere():
    (found,) = marked_by(column(3, 1, 0, 9), [KIND], np.array([0, 1, 2, 6]))
    assert (found.name, found.mean, found.inside, found.outside) == (
        "A",
        pytest.approx(4 / 3),
        pytest.approx(2 / 3),
        0.0,
    )


def test_a_class_without_a_cell_here_is_no_place():
    (found,) = marked_by(-column(1, 2, 3, 4, 5, 6, 0, 0), [KIND], CELLS)  # a mean of nothing would win against these
    assert found.name == "A"


def test_classes_explain_the_share_of_variance_between_them():
    values = np.column_stack([[1, 0, 1, 4, 2, 0, 99, 99], np.ones(8), [5, 5, 5, 1, 1, 1, 7, 7]]).astype(float)
    explained = attribution._explained(values, KIND, CELLS)
    labelled = values[:6, 0]
    means = np.repeat([labelled[:3].mean(), labelled[3:].mean()], 3)
    assert explained[0] == pytest.approx(means.var() / labelled.var())
    assert explained[1:] == pytest.approx([0, 1])


def test_a_number_explains_the_square_of_its_rank_correlation():
    values = column(1, 2, 3, 4, 6, 5, 100, -50)
    assert attribution._explained(values, AGE, CELLS) == pytest.approx([(1 - 6 * 2 / (7 * 48)) ** 2])
    falling = attribution._rank_correlation(-values[:, 0], AGE.values)
    assert falling == pytest.approx(-(1 - 6 * 2 / (7 * 48)))


@pytest.mark.parametrize(
    ("values", "numbers"),
    [([2.0, 2, 2], [1.0, 2, 3]), ([1.0, 2, 3], [4.0, 4, 4]), ([1.0, 2, 3], [4.0, np.nan, np.nan]), ([], [])],
    ids=["constant gene", "constant number", "one cell", "no cell"],
)
def test_what_does_not_vary_follows_nothing(values, numbers):
    assert attribution._rank_correlation(np.array(values), np.array(numbers)) == 0.0


def test_two_cells_are_enough_to_follow():
    assert attribution._rank_correlation(np.array([1.0, 2]), np.array([5.0, 3])) == pytest.approx(-1)


def test_of_several_tasks_the_one_that_explains_most_is_named():
    rising, marking = [1, 2, 3, 4, 5, 6, 7, 0], [0, 0, 0, 5, 5, 5, 5, 5]
    found = marked_by(np.array([rising, marking], dtype=float).T, [KIND, AGE], CELLS)
    assert [place_words(place) for place in found] == [
        "Follows age (rank correlation 1.00)",
        "Highest in B (kind): 100% of its cells express it, 0% elsewhere",
    ]


def losses_with(cells):
    return pd.DataFrame({"gene": ["G"], "task": ["kind"], "class": ["B"], "cells": [cells]})


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        (
            losses_with(4),
            "What B loses without it cannot be told from 4 held-out cells; no other class loses measurably",
        ),
        (
            losses_with(1),
            "What B loses without it cannot be told from 1 held-out cell; no other class loses measurably",
        ),
        (
            losses_with(4).iloc[:0],
            "What B loses without it cannot be told from 0 held-out cells; no other class loses measurably",
        ),
        (losses_with(5), ""),
    ],
    ids=["four", "one", "none", "five"],
)
def test_fewer_than_five_held_out_cells_of_its_class_leave_a_gene_untold(losses, said):
    assert attribution._untold(losses, "G", Marks("kind", "B")) == said
    assert attribution._untold(losses, "G", Marks("age")) == ""


@pytest.mark.parametrize(
    ("row", "several", "name"),
    [
        ({"class": "B", "task": "kind"}, True, "B (kind)"),
        ({"class": "B", "task": "kind"}, False, "B"),
        ({"class": "", "task": "age"}, True, "age"),
    ],
)
def test_what_needs_a_gene_is_named_with_its_task_where_there_are_several(row, several, name):
    assert attribution._name(pd.Series(row), several=several) == name
