"""The classifiers and regressors that score every gene set: what they are, and that rare classes and few cells are served."""

import numpy as np
import pytest

from yoto_core.data.targets import Target
from yoto_core.scores.judges import HEADLINE_JUDGE, JUDGES, NEIGHBOURS, RIDGE_PENALTIES, BalancedNeighbours

BY_NAME = {judge.name: judge for judge in JUDGES}
CLASSES = Target("t", "classification", 1.0, ("a", "b"), np.empty(0))
NUMBERS = Target("n", "regression", 1.0, (), np.empty(0))


def test_one_number_for_a_panel_is_that_of_the_logistic_regression():
    assert HEADLINE_JUDGE is BY_NAME["logistic"]
    assert [(judge.name, judge.label) for judge in JUDGES] == [
        ("logistic", "Logistic regression"),
        ("forest", "Random forest"),
        ("knn", "Nearest neighbours"),
    ]


def test_the_settings_of_every_judge_are_those_that_are_stated():
    logistic, forest = (BY_NAME[name].for_classes(7).get_params() for name in ("logistic", "forest"))
    assert {name: logistic[name] for name in ("C", "class_weight", "max_iter", "tol")} == {
        "C": 1.0, "class_weight": "balanced", "max_iter": 2_000, "tol": 1e-3,
    }  # fmt: skip
    assert [forest[name] for name in ("n_estimators", "class_weight", "random_state")] == [100, "balanced", 7]
    numbers = BY_NAME["forest"].for_numbers(7).get_params()
    assert [numbers[name] for name in ("n_estimators", "max_features", "random_state")] == [100, "sqrt", 7]
    assert BY_NAME["logistic"].for_numbers(7).alphas == RIDGE_PENALTIES == (0.1, 1, 10, 100, 1_000, 10_000)
    assert NEIGHBOURS == 15


@pytest.mark.parametrize("name", BY_NAME)
def test_every_judge_learns_classes_and_numbers_from_training_cells_alone(name):
    rng = np.random.default_rng(0)
    labels, fresh = np.arange(200) % 2, np.arange(80) % 2
    train, test = (rng.normal(size=(len(codes), 3)) + 3 * codes[:, None] for codes in (labels, fresh))
    assert np.mean(BY_NAME[name].answer(CLASSES, train, labels, test, seed=0) == fresh) > 0.9
    answer = BY_NAME[name].answer(NUMBERS, train, train[:, 0], test, seed=0)
    assert np.corrcoef(answer, test[:, 0])[0, 1] > 0.9


def test_the_answer_for_a_number_is_the_mean_of_the_fifteen_nearest_cells_in_standard_deviations():
    rng = np.random.default_rng(0)
    train, values = rng.normal(size=(60, 2)) * [1, 1_000], rng.normal(size=60)
    answer = BY_NAME["knn"].answer(NUMBERS, train, values, train[:1], seed=0)
    scaled = (train - train.mean(0)) / train.std(0)
    nearest = np.argsort(np.linalg.norm(scaled - scaled[0], axis=1))[:15]
    assert answer[0] == pytest.approx(values[nearest].mean())


def test_fewer_training_cells_than_neighbours_all_have_a_vote():
    train = np.array([[0.0], [1.0], [2.0], [5.0]])
    assert BY_NAME["knn"].answer(NUMBERS, train, np.array([1.0, 2, 3, 6]), train[:1], seed=0) == pytest.approx([3.0])
    assert len(BY_NAME["knn"].answer(CLASSES, train, np.array([0, 0, 1, 1]), train, seed=0)) == 4


def test_a_vote_of_a_rare_class_weighs_as_much_as_it_is_rare():
    places = np.array([[0.0], [0.1], [0.2], [9.0], [9.1], [9.2], [9.3], [9.4], [9.5]])
    codes = np.array([5, 3, 3, 3, 3, 3, 3, 3, 3])  # the one cell of class 5 has two neighbours of class 3
    learned = BalancedNeighbours(3).fit(places, codes)
    assert learned.share_.tolist() == pytest.approx([8 / 9, 1 / 9])
    assert learned.predict([[0.05], [9.2]]).tolist() == [5, 3]  # 1/3 : 1/9 against 2/3 : 8/9


def test_the_seed_fixes_what_a_forest_leaves_to_chance():
    rng = np.random.default_rng(0)
    train, values, test = rng.normal(size=(60, 4)), rng.normal(size=60), rng.normal(size=(20, 4))
    first, again, other = (
        BY_NAME["forest"].answer(NUMBERS, train, values, test, seed=seed).tolist() for seed in (1, 1, 2)
    )
    assert first == again != other
