"""Each chart's table is exact; its figure draws that table, on both grounds, and an empty one without complaint."""

from html import unescape

import numpy as np
import pandas as pd
import pytest

from tests.shared_runs import finished
from yoto_core.plots import labels, maps, palettes, vector
from yoto_core.plots.confusion import confusion_figure, confusion_table
from yoto_core.plots.enrichment import bar_figure, short_name, term_table
from yoto_core.plots.enrichment import dot_figure as term_dots
from yoto_core.plots.genes import (
    ACROSS,
    CORRELATED,
    class_table,
    correlation_figure,
    correlation_table,
    dot_figure,
    heat_figure,
    violin_figure,
)
from yoto_core.plots.numbers import number_figure, number_table
from yoto_core.plots.scores import method_figure, method_table
from yoto_core.plots.sizes import size_figure, size_table
from yoto_core.plots.training import SCORE_PREFIX, training_figure
from yoto_core.scores.methods import HEADLINE_JUDGES, METHODS

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
def test_the_method_table_holds_one_row_per_method_best_first(task, metric, scores):
    table = method_table(scores, task)
    assert list(table.columns) == ["method", "label", "value", "low", "high", "cells", "groups"]
    assert table["method"].is_unique
    assert set(table["method"]) == set(scores[scores["task"] == task]["method"])
    assert table["value"].is_monotonic_decreasing
    assert list(table["label"]) == [METHODS[method] for method in table["method"]]
    here = scores[(scores["task"] == task) & (scores["metric"] == metric)].set_index(["method", "judge"])["value"]
    for row in table.itertuples():
        assert row.value == here[row.method, HEADLINE_JUDGES.get(row.method, "logistic")]


@pytest.mark.parametrize("theme", THEMES)
def test_the_method_figure_draws_every_method_with_its_interval_where_it_has_one(theme, scores):
    table = method_table(scores, "cell_type")
    figure = method_figure(table, "macro-F1", theme)
    assert [point.x[0] for point in figure.data] == list(table["value"])
    assert [point.y[0] for point in figure.data] == list(table["label"])
    for point, row in zip(figure.data, table.itertuples(), strict=True):
        if row.method == "chance":
            assert point.error_x.array is None
        else:
            assert point.x[0] + point.error_x.array[0] == pytest.approx(row.high)
            assert point.x[0] - point.error_x.arrayminus[0] == pytest.approx(row.low)
        assert (point.marker.symbol == "circle-open") == (row.method in ("all", "chance", "sequenced"))
        assert (point.marker.symbol == "diamond") == (row.method == "own")
    colors = {row.method: point.marker.color for point, row in zip(figure.data, table.itertuples(), strict=True)}
    assert colors["yoto"] != colors["own"]  # two scores of one panel are never taken for one another


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
    own = table[table["method"] == "own"]
    assert list(own["size"]) == list(range(1, 17))  # every size up to twice the panel's
    here = sizes[(sizes["part"] == "held-out") & (sizes["task"] == "cell_type") & (sizes["method"] == "own")]
    assert list(own["value"]) == list(here.sort_values("size")["value"])
    for _, curve in table[table["method"] != "own"].groupby("method"):
        assert list(curve["size"]) == [4, 8, 16]


@pytest.mark.parametrize("theme", THEMES)
def test_the_size_figure_marks_the_size_asked_for(theme):
    table = size_table(finished().evaluation.sizes, "age")
    figure = size_figure(table, "R²", 8, 5, theme)
    own = next(line for line in figure.data if line.name == "YOTO's own model")
    assert list(own.y) == list(table[table["method"] == "own"]["value"])
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
    assert not method_figure(method_table(scores.iloc[:0], "cell_type"), "macro-F1", theme).data
    assert confusion_figure(pd.DataFrame(), theme).data[0].z.size == 0


def profile_table(genes, classes=5):
    """Every gene is high in one class: its number modulo the classes."""
    rows = [
        {"task": "t", "gene": f"G{g}", "class": f"c{c}", "mean": 5.0 if g % classes == c else 0.5, "percent": 50.0}
        for g in range(genes)
        for c in range(classes)
    ]
    return class_table(pd.DataFrame(rows), "t", [f"G{g}" for g in range(genes)])


@pytest.mark.parametrize("draw", [dot_figure, heat_figure])
@pytest.mark.parametrize("genes", [ACROSS, 200])
def test_genes_stand_side_by_side_as_long_as_their_names_can_be_read(draw, genes):
    figure = draw(profile_table(genes), "light")
    across = figure.layout.xaxis.categoryarray if genes <= ACROSS else figure.layout.yaxis.categoryarray
    assert sorted(across) == sorted(f"G{g}" for g in range(genes))
    if genes == 200:
        assert figure.layout.height / genes >= 15  # pixels per name


def test_dots_and_heat_map_tell_the_same_means():
    table = profile_table(60)
    heat, dots = heat_figure(table, "light").data[0], dot_figure(table, "dark").data[0]
    high = {(x, y) for i, y in enumerate(heat.y) for j, x in enumerate(heat.x) if heat.z[i][j] == 1}
    assert high == {(x, y) for x, y, color in zip(dots.x, dots.y, dots.marker.color, strict=True) if color == 1}
    assert len(high) == 60


def test_a_large_correlation_matrix_is_cut_to_the_genes_that_repeat_another():
    size = 200
    values = np.eye(size)
    values[7, 190] = values[190, 7] = 0.9
    names = [f"G{i}" for i in range(size)]
    table = correlation_table(pd.DataFrame(values, index=names, columns=names))
    assert table.shape == (CORRELATED, CORRELATED)
    assert list(table.index) == list(table.columns)
    assert abs(list(table.index).index("G7") - list(table.index).index("G190")) == 1
    assert correlation_figure(table, "dark").data[0].z.shape == (CORRELATED, CORRELATED)


@pytest.mark.parametrize("n", [9, 20, 28, 34, 75])
def test_colours_can_be_seen_on_white_and_on_the_dark_ground(n):
    for ground in ("#ffffff", "#12181d"):
        assert min(palettes.contrast(color, ground) for color in palettes.palette(n)) >= (1.4 if n > 28 else 1.2)


def test_a_colour_has_no_contrast_to_itself_and_white_most_to_black():
    assert palettes.contrast("#abcdef", "#abcdef") == 1
    assert palettes.contrast("#000000", "#ffffff") == pytest.approx(21)


def test_names_on_one_spot_move_apart_and_stay_on_the_map():
    anchors = np.full((12, 2), 100.0)
    letters, size, shape = np.full(12, 8), 10, (450, 450)
    placed = anchors + labels.spread(anchors, letters, size, shape)
    half = np.array([8 * size * labels.LETTER, size * labels.LINE]) / 2
    assert (placed >= half).all()
    assert (placed <= np.array(shape) - half).all()
    over = np.abs(placed[:, None] - placed[None, :]) < 2 * half - 0.5
    assert not (over.all(axis=2) & ~np.eye(12, dtype=bool)).any()


def test_names_that_do_not_meet_stay_where_they_are():
    anchors = np.array([[100.0, 100.0], [300.0, 300.0]])
    assert np.abs(labels.spread(anchors, np.array([5, 5]), 12, (450, 450))).max() < 0.01


def test_a_group_in_two_islands_is_named_on_the_larger_one_and_nowhere_without_places():
    places = np.concatenate([np.zeros((30, 2)), np.full((10, 2), 9.0), [[np.nan, 1.0]]])
    assert labels.crowd(places) == (0, 0)
    assert labels.crowd(np.full((3, 2), np.nan)) is None


def painted(values, colors):
    places = np.arange(2.0 * len(values)).reshape(-1, 2)
    paint = maps.Paint("what", pd.Series(values), colors)
    return maps.map_table(places, places, paint, np.arange(len(values)) < 3), paint


@pytest.mark.parametrize("theme", THEMES)
def test_every_cell_has_the_colour_of_its_class_on_both_maps(theme):
    table, paint = painted(["a", "b", None, "a"], {"a": "#111111", "b": "#222222", palettes.MISSING: "#999999"})
    figure = maps.map_figure(table, paint, ("one", "two"), theme, ("right", ((0, 0), (1, 0), (1, 1))))
    for axis in ("x", "x2"):
        dots = [trace for trace in figure.data if trace.xaxis == axis and trace.meta]
        assert {(trace.meta, trace.marker.color) for trace in dots} == {
            ("a", "#111111"), ("b", "#222222"), ("(missing)", "#999999"),
        }  # fmt: skip
        drawn = [x for trace in dots for x in trace.x]
        assert sorted(drawn) == sorted(table.loc[table["selected"], "left_x"])
    (line,) = [trace for trace in figure.data if trace.mode == "lines"]
    assert (list(line.x), line.xaxis) == ([0, 1, 1, 0], "x2")


@pytest.mark.parametrize("theme", THEMES)
def test_a_gene_s_zero_is_pale_and_its_highest_value_stands_out(theme):
    table, paint = painted([0.0, 2.0, 5.0, 1.0], None)
    data = maps.map_figure(table, paint, ("one", "two"), theme).data
    trace = next(t for t in data if t.marker.showscale)
    first, *_, last = (color for _, color in trace.marker.colorscale)
    told = {float(value): t.marker.color for t in data if t.customdata is not None for value in t.customdata}
    assert told[0.0] == first
    ground = {"light": "#ffffff", "dark": "#12181d"}[theme]
    assert palettes.contrast(first, ground) < 2 < palettes.contrast(last, ground)


def test_all_classes_can_be_missing():
    table, paint = painted([None] * 4, {palettes.MISSING: "#999999"})
    assert maps.map_figure(table, paint, ("one", "two"), "light").data


def test_a_set_is_named_as_people_say_it():
    assert short_name("HALLMARK_HYPOXIA", "Hallmark (MSigDB 7.0)") == "Hypoxia · Hallmark"
    assert short_name("innate immunity (GO:0045087)", "GO") == "innate immunity · GO"
    assert short_name("MY_SET", "own.gmt") == "MY_SET · own.gmt"
    assert len(short_name("word " * 30, "own.gmt")) <= 60


@pytest.mark.parametrize("draw", [bar_figure, term_dots])
def test_terms_of_one_short_name_stay_two_bars(draw):
    rows = [
        {"term": f"{'x' * 50}{i}", "library": "L", "hits": 2, "set_size": 5, "p_value": 0.1, "adjusted_p": 0.2, "genes": "A, B"}
        for i in range(25)
    ]  # fmt: skip
    figure = draw(term_table(pd.DataFrame(rows)), "light")
    assert len(set(figure.data[0].y)) == 20


@pytest.mark.parametrize("form", ["svg", "pdf", "png"])
def test_a_map_becomes_a_file_with_its_titles_names_and_classes(form):
    table, paint = painted(["a<b", "b", "a<b", "b"], {"a<b": "#111111", "b": "#222222"})
    figure = maps.map_figure(table, paint, ("first map", "second map"), "light", ("left", ((0, 0), (1, 0), (1, 1))))
    content = vector.draw(figure, form)
    assert content[:4] == {"svg": b"<?xm", "pdf": b"%PDF", "png": b"\x89PNG"}[form]
    if form == "svg":
        assert all(f"<!-- {text} -->" in content.decode() for text in ("first map", "second map", "a&lt;b"))


LONG = ["x" * 200, "a & b " * 30, "short"]


def test_a_name_too_long_for_an_axis_is_cut_there_and_kept_whole_on_hover():
    counts = pd.DataFrame(np.eye(3, dtype=int), index=LONG, columns=LONG)
    violins = palettes.class_colors(LONG)
    cells = pd.DataFrame({"class": LONG * 5, "expression": np.arange(15.0)})
    classes = pd.DataFrame({"task": "t", "gene": "G", "class": LONG, "mean": [1.0, 2.0, 3.0], "percent": 50.0})
    table = class_table(classes, "t", ["G"])
    figures = {
        "xaxis": [confusion_figure(confusion_table(counts), "light"), violin_figure(cells, violins, "dark")],
        "yaxis": [confusion_figure(confusion_table(counts), "dark"), dot_figure(table, "light"), heat_figure(table, "dark")],
    }  # fmt: skip
    for axis, drawn in figures.items():
        for figure in drawn:
            alias = figure.layout[axis].labelalias
            assert alias == {
                "x" * 200: "x" * 27 + "…",
                "a &amp; b " * 30: ("a & b " * 30)[:27].replace("&", "&amp;") + "…",
            }
            assert b"x" * 40 not in vector.draw(figure, "svg")
    (heat,) = figures["xaxis"][0].data
    assert list(heat.x) == ["x" * 200, "a &amp; b " * 30, "short"]
