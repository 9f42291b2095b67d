"""Each chart's table is exact; its figure draws that table, on both grounds, and an empty one without complaint."""

from html import unescape

import numpy as np
import pandas as pd
import pytest

from tests.shared_runs import finished
from yoto_core.plots.confusion import confusion_figure, confusion_table
from yoto_core.plots.numbers import number_figure, number_table
from yoto_core.plots.scores import REFERENCES, rival_figure, rival_table
from yoto_core.plots.sizes import size_figure, size_table
from yoto_core.plots.training import SCORE_PREFIX, training_figure
from yoto_core.scores.methods import METHODS

THEMES = ["light", "dark"]
ODD = ["<script>alert(1)</script>", "<b>bold</b>", "<a href='https://example.org'>x</a>", "β-cell 😀", "12"]


@pytest.fixture(scope="module")
def scores():
    return finished().evaluation.scores


def test_the_confusion_table_is_shares_of_each_true_class():
    counts = pd.DataFrame([[3, 1, 0], [0, 0, 0], [2, 2, 4]], index=list("abc"), columns=list("abc"))
    expected = pd.DataFrame([[0.75, 0.25, 0.0], [0.25, 0.25, 0.5]], index=list("ac"), columns=list("abc"))
    pd.testing.assert_frame_equal(confusion_table(counts), expected)


@pytest.mark.parametrize("theme", THEMES)
def test_the_confusion_figure_draws_its_table(theme):
    table = confusion_table(finished().evaluation.confusion["cell_type"])
    (heat,) = confusion_figure(table, theme).data
    assert np.array_equal(heat.z, table.to_numpy())
    assert list(heat.x) == list(heat.y) == list(table.index)
    assert (heat.zmin, heat.zmax) == (0, 1)


def test_a_confusion_of_many_classes_is_drawn_without_numbers():
    names = [f"class {i}" for i in range(40)]
    (heat,) = confusion_figure(pd.DataFrame(np.eye(40), index=names, columns=names), "light").data
    assert heat.texttemplate is None  # the numbers are told on hovering


def test_class_names_are_drawn_as_text_and_never_as_markup():
    table = pd.DataFrame(np.eye(len(ODD)), index=ODD, columns=ODD)
    (heat,) = confusion_figure(table, "light").data
    assert list(heat.x) == list(heat.y)
    assert [unescape(label) for label in heat.x] == ODD
    assert not any("<" in label for label in heat.x)


@pytest.mark.parametrize(("task", "metric"), [("cell_type", "macro_f1"), ("age", "r2")])
def test_the_rival_table_holds_one_row_per_method_best_first(task, metric, scores):
    table = rival_table(scores, task)
    assert list(table.columns) == ["method", "label", "value", "low", "high", "cells"]
    assert table["method"].is_unique
    assert set(table["method"]) == set(scores[scores["task"] == task]["method"])
    assert table["value"].is_monotonic_decreasing
    assert list(table["label"]) == [METHODS[method] for method in table["method"]]
    here = scores[(scores["task"] == task) & (scores["metric"] == metric)].set_index(["method", "judge"])["value"]
    for row in table.itertuples():
        assert row.value == here[(row.method, "chance" if row.method == "chance" else "mean")]


@pytest.mark.parametrize("theme", THEMES)
def test_the_rival_figure_draws_every_method_with_its_interval(theme, scores):
    table = rival_table(scores, "cell_type")
    figure = rival_figure(table, "macro-F1", theme)
    assert [point.x[0] for point in figure.data] == list(table["value"])
    assert [point.y[0] for point in figure.data] == list(table["label"])
    for point, row in zip(figure.data, table.itertuples(), strict=True):
        assert point.x[0] + point.error_x.array[0] == pytest.approx(row.high)
        assert point.x[0] - point.error_x.arrayminus[0] == pytest.approx(row.low)
        assert (point.marker.symbol == "circle-open") == (row.method in REFERENCES)


@pytest.mark.parametrize("theme", THEMES)
def test_the_training_figure_draws_genes_and_every_task(theme):
    history = finished().history
    figure = training_figure(history, theme)
    genes, *tasks = figure.data
    assert list(genes.y) == list(history["active_genes"])
    assert [line.name for line in tasks] == ["cell_type", "condition", "age"]
    for line in tasks:
        assert np.array_equal(line.y, history[SCORE_PREFIX + line.name], equal_nan=True)


def test_task_names_are_drawn_as_text_and_never_as_markup():
    history = pd.DataFrame({"step": [1], "active_genes": [9], **{SCORE_PREFIX + name: [0.5] for name in ODD}})
    names = [line.name for line in training_figure(history, "light").data[1:]]
    assert [unescape(name) for name in names] == ODD
    assert not any("<" in name for name in names)


def test_the_size_table_holds_held_out_scores_sorted_by_curve_and_size():
    sizes = finished().evaluation.sizes
    table = size_table(sizes, "cell_type")
    assert list(table.columns) == ["size", "method", "judge", "value", "low", "high"]
    own = table[table["judge"] == "yoto"]
    assert list(own["size"]) == list(range(1, 17))  # every size up to twice the panel's
    here = sizes[(sizes["part"] == "held-out") & (sizes["task"] == "cell_type") & (sizes["judge"] == "yoto")]
    assert list(own["value"]) == list(here.sort_values("size")["value"])
    for _, curve in table[table["judge"] != "yoto"].groupby("method"):
        assert list(curve["size"]) == [4, 8, 16]


@pytest.mark.parametrize("theme", THEMES)
def test_the_size_figure_marks_the_size_asked_for(theme):
    table = size_table(finished().evaluation.sizes, "age")
    figure = size_figure(table, "R²", 8, 5, theme)
    own = next(line for line in figure.data if line.name == "YOTO's own model")
    assert list(own.y) == list(table[table["judge"] == "yoto"]["value"])
    assert {note.text for note in figure.layout.annotations} == {"asked for: 8", "enough: 5"}


def test_the_number_table_holds_every_labelled_held_out_cell():
    predictions = pd.DataFrame(
        {"cell_index": [3, 5, 8], "age true": [1.0, np.nan, 2.0], "age predicted": [1.5, 9.0, 2.5]}
    )
    expected = pd.DataFrame({"cell_index": [3, 8], "true": [1.0, 2.0], "predicted": [1.5, 2.5]})
    pd.testing.assert_frame_equal(number_table(predictions, "age"), expected)


@pytest.mark.parametrize("theme", THEMES)
def test_the_number_figure_draws_its_table_and_the_line_of_equality(theme):
    table = number_table(finished().evaluation.predictions, "age")
    line, dots = number_figure(table, theme).data
    assert list(dots.x) == list(table["true"])
    assert list(dots.y) == list(table["predicted"])
    assert list(line.x) == list(line.y) == [table["true"].min(), table["true"].max()]


@pytest.mark.parametrize("theme", THEMES)
def test_empty_tables_draw_empty_figures(theme, scores):
    assert not training_figure(pd.DataFrame(), theme).data
    assert not rival_figure(rival_table(scores.iloc[:0], "cell_type"), "macro-F1", theme).data
    assert confusion_figure(pd.DataFrame(), theme).data[0].z.size == 0
