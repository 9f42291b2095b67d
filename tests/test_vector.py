"""A figure taken away holds every part that it has on the screen, or says which it cannot draw."""

import importlib
import inspect
import pkgutil

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.text import Text

import yoto_core.plots
from tests.shared_runs import finished
from yoto_core.model.calibration import trade_off
from yoto_core.plots import (
    calibration,
    confusion,
    enrichment,
    genes,
    maps,
    numbers,
    scores,
    shift,
    sizes,
    sweep,
    tradeoff,
    training,
    vector,
)  # fmt: skip

NAMES = ["B", "Mono & <T>", "12"]


def class_means():
    rows = [(f"G{i}", name, (i + j) / 4, 20.0 * j) for i in range(4) for j, name in enumerate(NAMES)]
    table = pd.DataFrame(rows, columns=["gene", "class", "mean", "percent"]).assign(task="t")
    return genes.class_table(table, "t", [f"G{i}" for i in range(4)])


def terms():
    rows = [("HALLMARK_HYPOXIA", 5, 0.001), ("WP_CYCLE", 3, 0.2)]
    found = [
        {"term": t, "library": "L", "hits": h, "set_size": 9, "adjusted_p": p, "genes": "A, B"} for t, h, p in rows
    ]
    return enrichment.term_table(pd.DataFrame(found))


def shifted():
    values = {f"{side} {what}": [1.0, 2.0] for side in ("training", "new") for what in ("mean", "high")}
    low = {f"{side} {what}": [0.1, 0.5] for side in ("training", "new") for what in ("low", "seen")}
    return pd.DataFrame({"gene": ["G1", "G2"], **values, **low})


def swept():
    rows = [("a", "a", genes, 0.7, 0.6, 0.9) for genes in (4, 8)] + [("a, b", "b", 4, 0.5, 0.5, 0.5)]
    return pd.DataFrame(rows, columns=["tasks", "task", "genes", "mean", "lowest", "highest"])


def painted(values, colors):
    places = np.random.default_rng(0).random((len(values), 2))
    paint = maps.Paint("what", pd.Series(values), colors)
    inside = np.arange(len(values)) > 1
    return maps.map_table(places, places, paint, inside), paint


def mapped(values, colors):
    table, paint = painted(values, colors)
    return maps.map_figure(table, paint, ("one", "two"), "light", ("left", ((0, 0), (1, 0), (1, 1))))


def violins():
    cells = pd.DataFrame({"class": NAMES * 5, "expression": np.arange(15.0)})
    return genes.violin_figure(cells, dict.fromkeys(NAMES, "#0072B2"), "light")


def evaluation():
    return finished().evaluation


def counts():
    return evaluation().confusion["cell_type"]


def correlations():
    return genes.correlation_table(pd.DataFrame(np.eye(3), index=list("abc"), columns=list("abc")))


EXAMPLES = {
    "calibration.calibration_figure": [
        lambda: calibration.calibration_figure(calibration.calibration_table(evaluation().predictions, "cell_type"), "light")
    ],
    "confusion.confusion_figure": [
        lambda: confusion.confusion_figure(confusion.confusion_table(counts()), "light"),
        lambda: confusion.confusion_figure(confusion.confusion_table(counts()), "light", counts=counts()),
        lambda: confusion.confusion_figure(pd.DataFrame(np.eye(20), index=range(20), columns=range(20)), "light"),
    ],
    "enrichment.bar_figure": [lambda: enrichment.bar_figure(terms(), "light")],
    "enrichment.dot_figure": [lambda: enrichment.dot_figure(terms(), "light")],
    "genes.dot_figure": [lambda: genes.dot_figure(class_means(), "light")],
    "genes.heat_figure": [lambda: genes.heat_figure(class_means(), "light")],
    "genes.correlation_figure": [lambda: genes.correlation_figure(correlations(), "light")],
    "genes.violin_figure": [violins],
    "maps.map_figure": [
        lambda: mapped(["a", "b", None, "a", "b", "a"], {"a": "#111111", "b": "#222222", "(missing)": "#999999"}),
        lambda: mapped([0.0, 2.0, 5.0, 1.0, np.nan], None),
    ],
    "maps.single_figure": [lambda: maps.single_figure(painted([0.0, 2.0, 5.0], None)[0], "G1", "light")],
    "numbers.number_figure": [
        lambda: numbers.number_figure(numbers.number_table(evaluation().predictions, "age"), "light")
    ],
    "scores.method_figure": [
        lambda: scores.method_figure(scores.method_table(evaluation().scores, "cell_type"), "macro-F1", "light")
    ],
    "shift.shift_figure": [lambda: shift.shift_figure(shifted(), "light")],
    "sizes.size_figure": [
        lambda: sizes.size_figure(sizes.size_table(evaluation().sizes, "cell_type"), "macro-F1", 8, 4, "light"),
        lambda: sizes.size_figure(sizes.size_table(evaluation().sizes, "cell_type"), "macro-F1", 8, 8, "light"),
    ],
    "sweep.sweep_figure": [lambda: sweep.sweep_figure(swept(), "light")],
    "tradeoff.trade_off_figure": [
        lambda: tradeoff.trade_off_figure(trade_off(evaluation().predictions, "cell_type"), 0.5, "light")
    ],
    "training.training_figure": [lambda: training.training_figure(finished().history, "light")],
}  # fmt: skip
ALL = [pytest.param(make, id=f"{name}-{i}") for name, makers in EXAMPLES.items() for i, make in enumerate(makers)]


def test_every_figure_of_the_project_has_an_example_here():
    modules = [
        importlib.import_module(f"yoto_core.plots.{m.name}") for m in pkgutil.iter_modules(yoto_core.plots.__path__)
    ]
    found = {
        f"{module.__name__.rpartition('.')[2]}.{name}"
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and not name.startswith("_")
        and inspect.signature(function).return_annotation is go.Figure
    }
    assert found - {"style.styled"} == set(EXAMPLES)


@pytest.mark.parametrize("make", ALL)
def test_every_figure_becomes_a_file_of_every_kind(make):
    for form, beginning in {"svg": b"<?xm", "pdf": b"%PDF", "png": b"\x89PNG"}.items():
        assert vector.draw(make(), form)[:4] == beginning


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ("svg", "<title>Maps of a &lt;b&gt; &amp; β\\x07</title>".encode()),
        ("pdf", "Maps of a <b> & β\\x07".encode("utf-16-be").replace(b"\\", b"\\\\")),
        ("png", "Maps of a <b> & β\\x07".encode()),
    ],
)
def test_a_figure_says_in_its_file_what_it_shows(form, written):
    assert written in vector.draw(go.Figure(), form, title="Maps of a <b> & β\a")
    assert b"Title" not in vector.draw(go.Figure(), form)
    assert b"<title>" not in vector.draw(go.Figure(), form)


def everything(canvas, kind):
    return [item for item in canvas.findobj(kind) if item.get_visible()]


@pytest.mark.parametrize("make", ALL)
def test_every_part_of_a_figure_is_drawn(make):
    figure = make()
    canvas = vector.redrawn(figure)
    canvas.draw_without_rendering()  # which lays it out
    texts = {text.get_text() for text in everything(canvas, Text)}
    points = [trace for trace in figure.data if trace.type in ("scatter", "scattergl")]

    dots = [trace for trace in points if "markers" in (trace.mode or "") and trace.fill != "toself"]
    in_axes = [c for ax in canvas.axes for c in ax.collections if isinstance(c, PathCollection)]
    assert sum(len(c.get_offsets()) for c in in_axes) == sum(len(trace.x) for trace in dots)
    lines = everything(canvas, Line2D)
    for trace in points:
        if "lines" in (trace.mode or "lines") and trace.fill != "toself":
            assert any(
                len(line.get_xdata()) == len(trace.x)
                and line.get_linestyle() == vector.DASHES[trace.line.dash or "solid"]
                for line in lines
            )
    for shape in figure.layout.shapes:
        assert any(list(line.get_xdata()) == [shape.x0, shape.x0] for line in lines)
    held = [container for ax in canvas.axes for container in ax.containers]
    wanted = sum((t.error_x.array is not None) + (t.error_y.array is not None) for t in points)
    assert len([c for c in held if isinstance(c, ErrorbarContainer)]) == wanted
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert sum(len(c) for c in held if isinstance(c, BarContainer)) == sum(len(trace.x) for trace in bars)
    heats = [trace for trace in figure.data if trace.type == "heatmap"]
    assert len([i for ax in canvas.axes for i in ax.images if isinstance(i, AxesImage)]) == len(heats)
    bodies = [c for ax in canvas.axes for c in ax.collections if isinstance(c, PolyCollection)]
    assert len(bodies) == len([trace for trace in figure.data if trace.type == "violin"])

    for note in figure.layout.annotations:
        assert vector._text(note.text) in texts
    for axis in (*figure.select_xaxes(), *figure.select_yaxes()):
        assert axis.title.text is None or axis.title.text in texts
    for trace in figure.data:
        if trace.name and trace.showlegend is not False:
            assert vector._text(trace.name) in texts
        if trace.type == "bar" or "text" in (getattr(trace, "mode", None) or ""):
            assert {vector._text(text) for text in trace.text} <= texts
        if trace.type == "heatmap":
            written = {vector._text(text) for text in np.ravel(trace.text)} if trace.text is not None else set()
            assert (written <= texts) == (trace.texttemplate is not None or not written)


@pytest.mark.parametrize("make", ALL)
def test_the_legend_lies_over_nothing(make):
    canvas = vector.redrawn(make())
    canvas.draw_without_rendering()  # which lays it out
    drawn = [ax.get_tightbbox() for ax in canvas.axes]
    for legend in canvas.legends:
        assert not any(legend.get_window_extent().overlaps(box) for box in drawn)


def test_dots_on_a_line_have_its_colour():
    canvas = vector.redrawn(sweep.sweep_figure(swept(), "light"))
    dots = [c for c in canvas.axes[0].collections if isinstance(c, PathCollection)]
    assert [to_hex(c.get_facecolor()[0]).upper() for c in dots] == ["#E69F00", "#009E73"]


def test_a_gap_in_names_is_no_name():
    texts = {text.get_text() for text in vector.redrawn(shift.shift_figure(shifted(), "light")).findobj(Text)}
    assert {"G1", "G2"} <= texts
    assert "None" not in texts


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda f: f.add_pie(values=[1]), "traces of type 'pie'"),
        (lambda f: f.add_scatter(x=[1], y=[1], marker={"symbol": "star"}), "symbols 'star'"),
        (lambda f: f.add_scatter(x=[1], y=[1], marker={"symbol": ["star", "x"]}), "symbols ('star', 'x')"),
        (lambda f: f.add_scatter(x=[1], y=[1], fill="tozeroy"), "fills 'tozeroy'"),
        (lambda f: f.add_scatter(x=[1], y=[1], line={"dash": "longdash"}), "dashes 'longdash'"),
        (lambda f: f.add_scatter(x=[1], y=[1], line={"shape": "hv"}), "line shapes 'hv'"),
        (lambda f: f.add_scatter(x=[1], y=[1], textposition="bottom left"), "text positions 'bottom left'"),
        (lambda f: f.add_scatter(x=[1], y=[1], error_y={"type": "percent"}), "error bars of type 'percent'"),
        (lambda f: f.add_bar(x=[1], y=[1], error_y={"array": [1]}), "error bars of 'bars'"),
        (lambda f: f.add_bar(x=[1], y=[1], textposition="inside"), "text positions of bars 'inside'"),
        (lambda f: f.add_bar(x=[1], y=[1]).add_bar(x=[1], y=[1]), "several bars at one place True"),
        (lambda f: f.add_hline(y=1), "shapes 'line other than an upright line'"),
        (lambda f: f.add_vrect(x0=0, x1=1), "shapes 'rect other than an upright line'"),
        (lambda f: f.add_annotation(x=0, y=0, xref="paper", yref="y"), "notes placed by 'py'"),
        (lambda f: f.add_layout_image(source="x"), "pictures 1"),
    ],
)
def test_what_cannot_be_drawn_is_refused(change, sentence):
    with pytest.raises(vector.UnknownMark) as refused:
        vector.draw(change(go.Figure()), "svg")
    assert str(refused.value) == f"The export of figures cannot draw {sentence}."
