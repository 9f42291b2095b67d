import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sklearn_metrics

from yoto_core.data.targets import UNLABELLED, Target
from yoto_core.scores import metrics
from yoto_core.scores.metrics import (
    class_scores,
    confusion,
    headline,
    interval,
    macro_f1_from_confusion,
    number_scores,
    per_class,
    score_rows,
)

CODES = st.integers(2, 60).flatmap(
    lambda n: st.tuples(*(st.lists(st.integers(0, 4), min_size=n, max_size=n).map(np.array) for _ in range(2)))
)
NUMBERS = st.integers(2, 60).flatmap(
    lambda n: st.tuples(
        *(st.lists(st.floats(-1e3, 1e3, width=32), min_size=n, max_size=n).map(np.array) for _ in range(2))
    )
)


def classes(values, n=3):
    return Target("label", "classification", 1.0, tuple("abcdefgh"[:n]), np.array(values))


def numbers(values):
    return Target("age", "regression", 1.0, (), np.array(values, dtype=float))


def bounds(target, true, predicted, groups=None, *, draws=200, seed=0):
    rng = np.random.default_rng(seed)
    return interval(target, np.array(true), np.array(predicted), groups, draws=draws, rng=rng)


# --- classes


def test_known_predictions_have_known_scores():
    scores = class_scores(np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 1]))
    assert scores["accuracy"] == pytest.approx(5 / 6)
    assert scores["balanced_accuracy"] == pytest.approx((0.75 + 1) / 2)
    assert scores["macro_f1"] == pytest.approx((6 / 7 + 4 / 5) / 2)


@given(CODES)
def test_class_scores_are_those_of_scikit_learn_over_the_classes_present(codes):
    true, predicted = codes
    scores, present = class_scores(true, predicted), np.unique(true)
    assert scores["accuracy"] == sklearn_metrics.accuracy_score(true, predicted)
    f1 = sklearn_metrics.f1_score(true, predicted, labels=present, average="macro", zero_division=0)
    assert scores["macro_f1"] == f1
    assert all(0 <= value <= 1 for value in scores.values())


@given(CODES)
def test_macro_f1_from_confusion_equals_scikit_learns(codes):
    true, predicted = codes
    counts = confusion(true, predicted, 5)
    assert counts.sum() == len(true)
    assert macro_f1_from_confusion(counts) == pytest.approx(class_scores(true, predicted)["macro_f1"])


def test_many_confusions_are_scored_at_once():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 9, (4, 3, 3))
    assert macro_f1_from_confusion(counts).tolist() == [float(macro_f1_from_confusion(one)) for one in counts]


def test_an_empty_confusion_scores_nought():
    assert macro_f1_from_confusion(np.zeros((3, 3))) == 0


def test_a_class_without_held_out_cells_takes_no_part():
    assert class_scores(np.array([0, 0, 1]), np.array([0, 0, 1]))["macro_f1"] == 1
    assert class_scores(np.array([0, 0, 1]), np.array([0, 2, 1]))["macro_f1"] == pytest.approx((4 / 5 * 5 / 6 + 1) / 2)


def test_per_class_tells_absent_from_wrong():
    table = per_class(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), ("a", "b", "absent"))
    assert table["class"].tolist() == ["a", "b", "absent"]
    assert table["cells"].tolist() == [2, 2, 0]
    assert table["recall"].tolist()[:2] == [0.5, 1.0]
    assert table["precision"].tolist()[:2] == [1.0, pytest.approx(2 / 3)]
    assert np.isnan(table["recall"][2])
    assert np.isnan(table["precision"][2])


def test_confusion_has_a_row_per_true_class_and_a_column_per_predicted_one():
    counts = confusion(np.array([0, 0, 2]), np.array([1, 0, 2]), 4)
    assert counts.shape == (4, 4)
    assert counts[0].tolist() == [1, 1, 0, 0]
    assert counts[2, 2] == 1


# --- numbers


def test_known_numbers_have_known_scores():
    scores = number_scores(np.array([1.0, 2, 3, 4]), np.array([1.0, 2, 3, 5]))
    assert scores == {"r2": pytest.approx(0.8), "mae": pytest.approx(0.25), "spearman": pytest.approx(1.0)}


def test_a_constant_answer_has_no_rank_correlation():
    scores = number_scores(np.array([1.0, 2, 3]), np.array([2.0, 2, 2]))
    assert np.isnan(scores["spearman"])
    assert scores["r2"] == 0


def test_numbers_that_are_all_equal_explain_nothing():
    scores = number_scores(np.array([2.0, 2, 2]), np.array([1.0, 2, 3]))
    assert np.isnan(scores["r2"])
    assert np.isnan(scores["spearman"])
    assert scores["mae"] == pytest.approx(2 / 3)


@given(NUMBERS)
def test_drawing_one_group_that_is_everything_gives_scikit_learns_r2(pair):
    true, predicted = pair
    drawn = metrics._r2_draws(true, predicted, np.zeros(len(true), dtype=int), 3, np.random.default_rng(0))
    if np.ptp(true) < 1e-3:
        return
    np.testing.assert_allclose(drawn, sklearn_metrics.r2_score(true, predicted), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("grouped", [False, True])
def test_each_draw_has_the_r2_of_the_cells_that_it_repeats(grouped):
    rng = np.random.default_rng(3)
    true, groups = rng.exponential(size=30), np.arange(30) % 6
    predicted = true + rng.normal(size=30) / 2
    drawn = metrics._r2_draws(true, predicted, groups if grouped else None, 7, np.random.default_rng(1))
    units = 6 if grouped else 30
    for value, times in zip(
        drawn, np.random.default_rng(1).multinomial(units, np.full(units, 1 / units), 7), strict=True
    ):
        repeat = times[groups] if grouped else times
        assert value == pytest.approx(sklearn_metrics.r2_score(np.repeat(true, repeat), np.repeat(predicted, repeat)))


@pytest.mark.parametrize("offset", [0, 1e6, -1e8])
def test_r2_draws_do_not_depend_on_where_nought_is(offset):
    rng = np.random.default_rng(0)
    true = rng.normal(size=50)
    predicted = true + rng.normal(size=50) / 3
    plain = metrics._r2_draws(true, predicted, None, 20, np.random.default_rng(1))
    moved = metrics._r2_draws(true + offset, predicted + offset, None, 20, np.random.default_rng(1))
    np.testing.assert_allclose(moved, plain, rtol=1e-5)


def test_r2_draws_in_blocks_have_the_same_spread_and_number(monkeypatch):
    rng = np.random.default_rng(0)
    true = rng.normal(size=300)
    predicted = true + rng.normal(size=300) / 2
    whole = metrics._r2_draws(true, predicted, None, 401, np.random.default_rng(1))
    monkeypatch.setattr(metrics, "BLOCK_VALUES", 3_000)
    blocks = metrics._r2_draws(true, predicted, None, 401, np.random.default_rng(1))
    np.testing.assert_allclose(blocks, whole)


# --- the headline score


def test_the_headline_is_of_labelled_cells_among_those_named():
    target = classes([0, 1, UNLABELLED, 0, 1, 2])
    cells = np.array([0, 1, 2, 3])
    assert headline(target, cells, np.array([0, 1, 1, 0])) == 1
    assert headline(target, cells, np.array([0, 1, 0, 1])) == pytest.approx((2 / 3 + 2 / 3) / 2)


def test_an_unlabelled_cell_changes_nothing_whatever_is_predicted_for_it():
    cells = np.arange(5)
    target = numbers([1, 2, np.nan, 4, 5])
    answer = np.array([1.0, 2, 0, 4, 4])
    first = headline(target, cells, answer)
    answer[2] = 1e9
    assert headline(target, cells, answer) == first < 1


@pytest.mark.parametrize(
    "target", [classes([UNLABELLED] * 3), numbers([np.nan] * 3), classes([0, UNLABELLED, UNLABELLED])]
)
def test_a_task_without_two_labelled_cells_has_no_headline(target):
    assert np.isnan(headline(target, np.arange(3), np.zeros(3)))


# --- the rows of one task


def rows_of(target, answer, groups=None, cells=None):
    cells = np.arange(len(target.values)) if cells is None else cells
    return score_rows(target, cells, np.array(answer), groups, draws=50, rng=np.random.default_rng(0))


def test_every_score_has_a_row_and_the_headline_alone_an_interval():
    target = classes([0, 1, 2, UNLABELLED, 0, 1, 2, 0])
    answer = np.array([0, 1, 2, 0, 0, 1, 1, 0])
    labelled = target.values >= 0
    rows = {row["metric"]: row for row in rows_of(target, answer)}
    assert {name: row["value"] for name, row in rows.items()} == class_scores(target.values[labelled], answer[labelled])
    low, high = bounds(target, target.values[labelled], answer[labelled], draws=50)
    assert (rows["macro_f1"]["low"], rows["macro_f1"]["high"]) == (low, high)
    assert np.isnan([[rows[name][end] for end in ("low", "high")] for name in ("accuracy", "balanced_accuracy")]).all()
    assert {(row["cells"], row["groups"]) for row in rows.values()} == {(7, 0)}


def test_a_task_of_numbers_has_its_own_rows_with_the_interval_at_r2():
    true = np.arange(12.0)
    rows = {row["metric"]: row for row in rows_of(numbers(true), true + np.tile([0.5, -0.5], 6))}
    assert set(rows) == {"r2", "mae", "spearman"}
    assert rows["r2"]["low"] < rows["r2"]["value"] < rows["r2"]["high"] < 1
    assert np.isnan([rows["mae"]["low"], rows["spearman"]["high"]]).all()


def test_groups_are_those_of_the_labelled_cells_among_the_ones_scored():
    target, groups = classes([0, 1, 2, 0, 1, UNLABELLED, 0, 1]), np.array([0, 1, 2, 3, 4, 5, 6, 7])
    rows = rows_of(target, [0, 1, 2, 0, 1, 0], groups, cells=np.arange(6))
    assert {(row["cells"], row["groups"]) for row in rows} == {(5, 5)}
    headline_row = next(row for row in rows if row["metric"] == "macro_f1")
    assert (headline_row["low"], headline_row["high"]) == (1, 1)


def test_two_labelled_cells_are_scored_and_one_is_not():
    assert len(rows_of(classes([0, 1, UNLABELLED]), [0, 1, 0])) == 3
    assert rows_of(classes([0, UNLABELLED, UNLABELLED]), [0, 1, 0]) == []
    assert headline(classes([0, 1]), np.arange(2), np.array([0, 1])) == 1


# --- intervals


def test_a_perfect_answer_has_a_perfect_interval():
    true = np.arange(30) % 3
    assert bounds(classes(true), true, true) == (1, 1)
    assert bounds(numbers(true), true.astype(float), true.astype(float)) == (1, 1)


@pytest.mark.parametrize("kind", ["classes", "numbers"])
@pytest.mark.parametrize("grouped", [False, True])
def test_an_interval_holds_the_score_and_is_narrower_with_more_cells(kind, grouped):
    rng = np.random.default_rng(0)

    def width(n):
        true = rng.integers(0, 3, n)
        predicted = np.where(rng.random(n) < 0.8, true, rng.integers(0, 3, n))
        target = classes(true) if kind == "classes" else numbers(true)
        groups = np.arange(n) // 5 if grouped else None
        low, high = bounds(target, true.astype(target.values.dtype), predicted.astype(target.values.dtype), groups)
        assert low <= headline(target, np.arange(n), predicted) <= high
        return high - low

    assert width(2_000) < width(100)


def test_groups_are_drawn_whole():
    true = np.tile([0, 1], 180)
    groups = np.repeat(np.arange(6), 60)
    predicted = np.where(groups < 3, true, 1 - true)  # three groups right, three wrong
    by_cell, by_group = bounds(classes(true, 2), true, predicted), bounds(classes(true, 2), true, predicted, groups)
    assert by_group[0] < 0.05
    assert by_group[1] > 0.95
    assert 0.4 < by_cell[0] < by_cell[1] < 0.6


@pytest.mark.parametrize("groups", [1, 2, 3, 4])
@pytest.mark.parametrize("target", [classes(np.arange(60) % 3), numbers(np.arange(60.0))])
def test_fewer_than_five_groups_have_no_interval(groups, target):
    predicted = target.values[::-1].copy()
    assert np.isnan(bounds(target, target.values, predicted, np.arange(60) % groups)).all()


@pytest.mark.parametrize("groups", [5, 6, 8])
def test_an_interval_over_few_groups_holds_the_mean_about_as_often_as_it_says(groups):
    # Groups differ in how often they are right; the score of endless groups is known.
    rng, held = np.random.default_rng(0), 0
    for seed in range(200):
        share = np.repeat(rng.normal(0.7, 0.1, groups), 40)
        true = rng.integers(0, 2, 40 * groups)
        predicted = np.where(rng.random(40 * groups) < share, true, 1 - true)
        low, high = bounds(classes(true, 2), true, predicted, np.repeat(np.arange(groups), 40), draws=1_000, seed=seed)
        held += low <= 0.7 <= high
    assert 0.88 <= held / 200 <= 0.995


def test_with_many_units_the_percentiles_are_the_ordinary_ones():
    values = np.random.default_rng(0).normal(size=20_000)
    assert metrics.percentiles(values, 100_000) == pytest.approx(np.percentile(values, (2.5, 97.5)), abs=0.01)
    assert metrics.percentiles(values, 2)[1] == values.max()  # two units: 18 standard errors, beyond every draw
    reach = stats.t.ppf(0.975, 9) * np.sqrt(10 / 9)
    assert metrics.percentiles(values, 10) == pytest.approx((-reach, reach), abs=0.05)
    few = metrics.percentiles(values, 5)
    assert few[0] < -2.9  # Student's t with four degrees of freedom, and √(5/4): 3.1 standard errors
    assert few[1] > 2.9
    assert np.isnan(metrics.percentiles(np.array([np.nan]), 5)).all()


def test_drawing_cells_as_groups_of_one_gives_about_the_interval_of_cells():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, 200)
    predicted = np.where(rng.random(200) < 0.7, true, 0)
    by_cell = bounds(classes(true), true, predicted, draws=2_000)
    alone = bounds(classes(true), true, predicted, np.arange(200), draws=2_000)
    assert by_cell == pytest.approx(alone, abs=0.02)


@pytest.mark.parametrize("target", [classes([0]), numbers([1.0])])
@pytest.mark.parametrize("cells", [0, 1])
def test_fewer_than_two_cells_have_no_interval(target, cells):
    assert np.isnan(bounds(target, target.values[:cells], target.values[:cells])).all()


def test_equal_numbers_have_no_interval():
    assert np.isnan(bounds(numbers([0.1] * 9), [0.1] * 9, np.arange(9.0))).all()


def test_a_draw_of_groups_whose_numbers_are_equal_does_not_ruin_the_interval():
    # Age by donor: a draw of one donor alone has nothing to explain, and rounding must not make something of it.
    true = np.repeat([0.1, 0.3, 0.7, 0.2, 0.6], 20)
    groups = np.repeat(np.arange(5), 20)
    low, high = bounds(numbers(true), true, true + np.tile([0.05, -0.05], 50), groups, draws=500)
    assert -1 < low < high <= 1


def test_the_same_generator_gives_the_same_interval():
    true, predicted = np.arange(40) % 3, np.arange(40) % 4 % 3
    assert bounds(classes(true), true, predicted, seed=5) == bounds(classes(true), true, predicted, seed=5)


@given(
    st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 4)), min_size=2, max_size=60).filter(
        lambda pairs: sum(true >= 0 for true, _ in pairs) >= 2
    )
)
def test_the_headline_score_of_classes_is_scikit_learns_macro_f1_over_those_present(pairs):
    true, predicted = np.array(pairs).T
    target = Target("t", "classification", 1.0, tuple("abcde"), true)
    labelled = true >= 0
    wanted = class_scores(true[labelled], predicted[labelled])["macro_f1"]
    assert headline(target, np.arange(len(true)), predicted) == pytest.approx(wanted)
