"""The losses of a missing gene by hand: a few cells, draws that are given, and scikit-learn's scores over the drawn cells."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score, r2_score

from tests.shared_runs import TYPE, config_for, toy_dataset
from yoto_core import pipeline
from yoto_core.data.preprocess import expression_of
from yoto_core.data.problem import Problem
from yoto_core.data.targets import Target
from yoto_core.evaluation import losses
from yoto_core.model.panel_model import Prediction
from yoto_core.scores import metrics


def compared(target, whole, times, **changes):
    """A task of few cells with draws that are given; the first holds every cell once."""
    here = np.flatnonzero(target.labelled)
    times = np.vstack([np.ones(len(here)), times]).astype(np.float32)
    plain = {"groups": 0, "units": len(here), "by_cell": False, "beats_chance": True, **changes}
    return losses._Compared(target, target.values[here], here, whole[here], times, **plain)


def answer_of(values):
    return Prediction("", (), np.array(values))


KIND = Target("kind", "classification", 1.0, ("A", "B", "C"), np.array([0] * 6 + [1] * 6 + [-1]))
RIGHT = np.array([0] * 6 + [1] * 6 + [2])
WRONG = np.array([0] * 4 + [1] * 2 + [1] * 5 + [2] + [0])  # two of A called B, one of B called C
TIMES = np.random.default_rng(0).multinomial(12, np.full(12, 1 / 12), size=40)


def repeated(values, times):
    return np.repeat(values[:12], times)


def test_the_losses_of_a_few_cells_are_those_of_scikit_learn_over_drawn_cells():
    rows = compared(KIND, RIGHT, TIMES).rows(answer_of(WRONG))
    assert [row["class"] for row in rows] == ["", "A", "B"]  # no held-out cell is of C
    assert [row["cells"] for row in rows] == [12, 6, 6]
    drawn = []
    for times in TIMES:
        true, wrong = repeated(KIND.values, times), repeated(WRONG, times)
        drawn.append(1 - f1_score(true, wrong, labels=[0, 1], average=None, zero_division=0))
    drawn = np.array(drawn)
    single = f1_score(KIND.values[:12], WRONG[:12], labels=[0, 1], average=None)
    for row, after, loss in zip(rows, (single.mean(), *single), (drawn.mean(1), *drawn.T), strict=True):
        assert (row["before"], row["after"]) == pytest.approx((1, after))
        assert row["loss"] == pytest.approx(1 - after)
        assert (row["low"], row["high"]) == pytest.approx(metrics.percentiles(loss, 12), abs=1e-6)
        reach = row["loss"] / (loss.std() * np.sqrt(12 / 11))
        assert row["p"] == pytest.approx(stats.t.sf(reach, 11), rel=1e-4)


def test_a_number_loses_r2_over_drawn_cells():
    rng = np.random.default_rng(1)
    true = np.array([*rng.normal(40, 9, 12), np.nan])
    age = Target("age", "regression", 1.0, (), true)
    whole, without = true + 1, np.nan_to_num(true + np.tile([6.0, -6.0], 7)[:13])
    (row,) = compared(age, whole, TIMES).rows(answer_of(without))
    scores = [r2_score(true[:12], answer[:12]) for answer in (whole, without)]
    assert (row["before"], row["after"], row["loss"]) == pytest.approx((*scores, scores[0] - scores[1]))
    drawn = [
        r2_score(repeated(true, times), repeated(whole, times))
        - r2_score(repeated(true, times), repeated(without, times))
        for times in TIMES
    ]
    assert (row["low"], row["high"]) == pytest.approx(metrics.percentiles(np.array(drawn), 12))


def test_a_gene_on_which_no_answer_depends_has_a_p_of_one():
    rows = compared(KIND, RIGHT, TIMES).rows(answer_of(RIGHT))
    assert {(row["loss"], row["p"]) for row in rows} == {(0.0, 1.0)}


@pytest.mark.parametrize(("cells", "told"), [(5, True), (4, False)])
def test_a_class_of_fewer_than_five_held_out_cells_is_not_asked(cells, told):
    target = Target("kind", "classification", 1.0, ("A", "B"), np.array([0] * (12 - cells) + [1] * cells))
    rows = compared(target, target.values, TIMES).rows(answer_of(1 - target.values))
    assert [np.isfinite(row["p"]) for row in rows] == [True, True, told]


def test_nothing_is_asked_of_a_task_that_chance_predicts_as_well_and_cells_of_few_groups_give_no_interval():
    rows = compared(KIND, RIGHT, TIMES, beats_chance=False).rows(answer_of(WRONG))
    assert all(np.isnan(row["p"]) and np.isfinite(row["low"]) for row in rows)
    rows = compared(KIND, RIGHT, TIMES, by_cell=True, groups=4).rows(answer_of(WRONG))
    assert all(np.isfinite(row["p"]) and np.isnan(row["low"]) and row["groups"] == 4 for row in rows)


@pytest.mark.parametrize(("cells", "rows"), [(2, 2), (1, 0)])
def test_two_labelled_held_out_cells_are_looked_at_and_one_is_not(cells, rows):
    target = Target("kind", "classification", 1.0, ("A", "B"), np.array([0] * cells + [-1] * 3))
    assert len(compared(target, np.zeros(5, dtype=int), np.ones((3, cells))).rows(answer_of([0] * 5))) == rows


@pytest.mark.parametrize(("donors", "by_cell"), [(4, True), (5, False)])
def test_whole_groups_are_drawn_from_five_held_out_ones_on(donors, by_cell):
    data, cells = toy_dataset(), np.arange(60)
    fitted = pipeline.design(data, config_for(TYPE))
    split = replace(fitted.split, groups=np.arange(300) % donors)
    problem = Problem(expression_of(data, fitted.candidates), fitted.candidates, fitted.targets, split)
    (target,) = problem.targets
    made = losses._Compared.of(target, problem, cells, answer_of(target.values[cells]), 0)
    assert (made.groups, made.by_cell, made.units) == (donors, by_cell, 60 if by_cell else donors)
    assert made.times_DN.shape == (1 + losses.DRAWS, 60)
    assert (made.times_DN[0] == 1).all()
    assert (made.times_DN[1:].sum(1) == 60).all() or not by_cell
    together = made.times_DN[1:, cells % donors == 0]
    assert (together == together[:, :1]).all() != by_cell  # the cells of a group come together, or not at all


def test_discoveries_are_those_of_benjamini_and_hochberg_over_what_was_asked():
    p = np.array([0.01, np.nan, 0.025, 0.04, 0.9, np.nan])
    assert losses._discoveries(p).tolist() == [True, False, True, False, False, False]  # 0.04 > 0.05 · 3 / 4
    assert losses._discoveries(np.array([0.05])).tolist() == [True]
    assert losses._discoveries(np.array([np.nan])).tolist() == [False]
