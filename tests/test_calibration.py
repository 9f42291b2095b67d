"""Probabilities mean what they say, and the trade-off of a threshold is counted on held-out cells."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.shared_runs import AGE, CONDITION, TYPE, chosen, config_for
from yoto_core.data.targets import UNLABELLED
from yoto_core.model.calibration import DEFAULT_THRESHOLD, calibrated, fit_temperature, trade_off, trade_off_sentence
from yoto_core.model.panel_model import tempered
from yoto_core.plots.calibration import calibration_error, calibration_table


def planted(temperature, *, cells=20_000, classes=4):
    """Probabilities and true codes drawn from them, then made over- or under-confident by a known temperature."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (cells, classes))
    honest = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    true = (honest.cumsum(1) > rng.random((cells, 1))).argmax(1)
    return tempered(honest, 1 / temperature), true


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 4.0])
def test_the_planted_temperature_is_found(temperature):
    probabilities, true = planted(temperature)
    assert fit_temperature(probabilities, true) == pytest.approx(temperature, rel=0.05)


def test_calibration_brings_stated_probabilities_to_the_share_that_is_right():
    probabilities, true = planted(3.0)
    mended = tempered(probabilities, fit_temperature(probabilities, true))

    def error(p):
        answers = {"t true": true, "t predicted": p.argmax(1), "t probability": p.max(1)}
        return calibration_error(calibration_table(pd.DataFrame(answers), "t"))

    before, after = error(probabilities), error(mended)
    assert before > 0.1
    assert after < 0.02


@pytest.mark.parametrize("temperature", [0.3, 5.0])
def test_a_temperature_changes_no_label_and_keeps_sums_at_one(temperature):
    probabilities, _ = planted(1.0, cells=500)
    changed = tempered(probabilities, temperature)
    assert (changed.argmax(1) == probabilities.argmax(1)).all()
    assert np.allclose(changed.sum(1), 1)


def test_a_run_carries_a_temperature_per_class_task_and_none_for_numbers():
    found = chosen(config_for(TYPE, CONDITION, AGE, panel_size=4))
    by_task = {head.task: head.temperature for head in found.run.model.heads}
    assert by_task["cell_type"] != 1.0
    assert by_task["age"] == 1.0
    assert calibrated(found.run.model, found.problem, found.order).genes == found.run.model.genes


PREDICTIONS = pd.DataFrame(
    {
        "t true": ["a", "a", "b", "b", None],
        "t predicted": ["a", "b", "b", "b", "a"],
        "t probability": [0.9, 0.4, 0.8, 0.6, 0.99],
        "n true": [1.0, 2.0, 3.0, 4.0, 5.0],
    }
)


@pytest.mark.parametrize(
    ("threshold", "coverage", "accuracy", "cells"),
    [
        (0.0, 1, 0.75, 4),
        (0.4, 1, 0.75, 4),
        (0.5, 0.75, 1, 3),
        (0.6, 0.75, 1, 3),
        (0.7, 0.5, 1, 2),
        (0.9, 0.25, 1, 1),
        (0.95, 0, None, 0),
    ],
)
def test_the_trade_off_counts_labelled_cells_at_or_above_the_threshold(threshold, coverage, accuracy, cells):
    row = trade_off(PREDICTIONS, "t").set_index("threshold").loc[threshold]
    assert (row["coverage"], row["cells"]) == (coverage, cells)
    assert np.isnan(row["accuracy"]) if accuracy is None else row["accuracy"] == accuracy


def test_thresholds_go_in_steps_of_a_hundredth_from_nought_to_just_below_one():
    table = trade_off(PREDICTIONS, "t")
    assert table["threshold"].tolist() == [round(step / 100, 2) for step in range(100)]
    assert list(table.columns) == ["threshold", "coverage", "accuracy", "cells"]
    assert DEFAULT_THRESHOLD == 0.5


def test_without_a_labelled_held_out_cell_nothing_is_kept_at_any_threshold():
    table = trade_off(PREDICTIONS.assign(**{"t true": None}), "t")
    assert set(table["cells"]) == set(table["coverage"]) == {0}
    assert table["accuracy"].isna().all()


@pytest.mark.parametrize(("right", "bound"), [(True, 0.2), (False, 10.0)])
def test_a_temperature_stays_within_its_bounds(right, bound):
    sure = np.tile([0.6, 0.4], (50, 1))
    assert fit_temperature(sure, np.full(50, 0 if right else 1)) == pytest.approx(bound, rel=1e-3)


def test_a_class_that_was_given_no_chance_at_all_costs_no_infinity():
    assert fit_temperature(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([1, 0])) > 1


@pytest.mark.parametrize(("cells", "set_anew"), [(20, True), (19, False)])
def test_a_temperature_is_set_from_twenty_labelled_validation_cells_on(cells, set_anew):
    found = chosen(config_for(TYPE, CONDITION, AGE, panel_size=4))
    validation = np.concatenate([found.problem.split.train, found.problem.split.validation])[:30]
    target = found.problem.targets[0]
    values = target.values.copy()
    values[validation[cells:]] = UNLABELLED
    split = replace(found.problem.split, validation=validation)
    problem = replace(found.problem, targets=(replace(target, values=values), *found.problem.targets[1:]), split=split)
    plain = replace(found.run.model, heads=tuple(replace(head, temperature=1.0) for head in found.run.model.heads))
    heads = calibrated(plain, problem, found.order).heads
    assert (heads[0].temperature != 1.0) is set_anew
    assert heads[1].temperature != 1.0
    answer = plain.predict(problem.panel_columns(validation, found.order))[0].probabilities
    wanted = fit_temperature(answer[:cells], target.values[validation[:cells]]) if set_anew else 1.0
    assert heads[0].temperature == pytest.approx(wanted)


def test_a_task_of_numbers_has_no_trade_off_and_no_sentence():
    assert trade_off(PREDICTIONS, "n").empty
    assert trade_off_sentence(trade_off(PREDICTIONS, "n"), 0.5) == ""


def test_the_trade_off_is_said_in_words():
    table = trade_off(PREDICTIONS, "t")
    assert "labels 75% of the cells, of which 100.0% are right; labelling every cell gives 75.0%" in trade_off_sentence(
        table, 0.5
    )
    assert trade_off_sentence(table, 0.95) == "None of the held-out cells reaches a probability of 0.95."
    assert trade_off_sentence(table, 0.5, cells="new cells").startswith("On new cells a threshold of 0.50")
