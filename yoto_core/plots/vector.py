"""A plotly figure as SVG, PDF or PNG, drawn again by matplotlib: plotly's own export would need a browser.

Knows the kinds of marks that this project's figures are made of: points, lines, bars, heat maps, violins, error bars, lines
across a plot, and notes. What it does not know it refuses (UnknownMark): a figure is never drawn with a part missing.
"""

import html
import io
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from plotly.colors import get_colorscale

from yoto_core.words import one_line

Format = Literal["svg", "pdf", "png"]
WIDTH = 11.0  # inches
PIXELS = 96.0  # of a plotly figure per inch
INK = "#1b2730"
MANY = 2_000  # points of one map
POINT = 0.75  # of a typographer's, per pixel
SYMBOLS = {"circle": "o", "circle-open": "o", "diamond": "D", "line-ns-open": "|"}
DASHES = {"solid": "-", "dash": "--", "dot": ":"}
ALIGNED = {"left": "left", "right": "right", "top": "top", "bottom": "bottom"}


class UnknownMark(ValueError):
    """A figure has a part that this module cannot draw: teach it here, or draw the figure otherwise."""


def draw(figure: go.Figure, form: Format, *, title: str = "") -> bytes:
    """The figure on white ground, its marks as on the screen; points of large maps are drawn as one picture.

    `title` says in words what it shows: programs that read a document aloud find it in the file.

    Raises:
        UnknownMark: A part of the figure cannot be drawn.
    """
    out = io.BytesIO()
    said = {"Title": one_line(title)} if title else {}
    redrawn(figure).savefig(out, format=form, metadata={"Date": None, **said} if form == "svg" else said)
    return out.getvalue()


def redrawn(figure: go.Figure) -> Figure:
    """The same figure as one of matplotlib's (UnknownMark where a part cannot be drawn)."""
    _refuse_unknown(figure)
    height = max(3.0, (figure.layout.height or 450) / PIXELS)
    canvas = Figure(figsize=(WIDTH, height), dpi=200, layout="constrained")
    names = sorted({getattr(trace, "xaxis", None) or "x" for trace in figure.data}, key=lambda name: (len(name), name))
    axes = dict(zip(names, canvas.subplots(1, len(names), squeeze=False)[0], strict=True)) if names else {}
    titles = [note.text for note in figure.layout.annotations if note.xref == note.yref == "paper"]
    for ax, title in zip(axes.values(), titles, strict=False):
        ax.set_title(_text(title), loc="left", fontsize=10, parse_math=False)
    for name, ax in axes.items():
        _Axis(ax, figure, name).draw(t for t in figure.data if (getattr(t, "xaxis", None) or "x") == name)
    named = [pair for ax in axes.values() for pair in zip(*ax.get_legend_handles_labels(), strict=True)]
    if named:
        legend = canvas.legend(
            *zip(*named, strict=True), loc="outside lower center", fontsize=8, frameon=False, ncols=4
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    return canvas


def _refuse_unknown(figure: go.Figure) -> None:
    for trace in figure.data:
        _known("traces of type", trace.type, ("scatter", "scattergl", "bar", "heatmap", "violin"))
        if trace.type in ("scatter", "scattergl"):
            _known("marks", set((trace.mode or "lines").split("+")), {"lines", "markers", "text", "none"})
            _known("fills", trace.fill, (None, "none", "toself"))
            _known("dashes", trace.line.dash, (None, *DASHES))
            _known("line shapes", trace.line.shape, (None, "linear"))
            _known("symbols", trace.marker.symbol, (None, *SYMBOLS))
            _known("text positions", trace.textposition, (None, "top center"))
            for error in (trace.error_x, trace.error_y):
                _known("error bars of type", error.type, (None, "data"))
        if trace.type == "bar":
            _known("text positions of bars", trace.textposition, (None, "outside"))
            _known(
                "error bars of", "bars" if any(e.array is not None for e in (trace.error_x, trace.error_y)) else None
            )
    _known("several bars at one place", len([t for t in figure.data if t.type == "bar"]) > 1, (False,))
    for shape in figure.layout.shapes:
        upright = shape.type == "line" and shape.x0 == shape.x1 and str(shape.yref).endswith(("domain", "paper"))
        _known("shapes", shape.type if upright else f"{shape.type} other than an upright line", ("line",))
        _known("dashes", shape.line.dash, (None, *DASHES))
    for note in figure.layout.annotations:
        places = (note.xref or "x")[:1] + (note.yref or "y")[:1]  # x, y, or p for paper
        _known("notes placed by", places, ("xy", "xp", "pp"))
    _known("pictures", len(figure.layout.images), (0,))


def _known(what: str, value: Any, known: Iterable[Any] = (None,)) -> None:
    fits = value <= known if isinstance(value, set) else isinstance(value, Hashable) and value in known
    if not fits:
        raise UnknownMark(f"The export of figures cannot draw {what} {value!r}.")


class _Axis:
    """One pair of axes: turns category names into places as plotly does, then draws trace by trace."""

    def __init__(self, ax: Axes, figure: go.Figure, name: str) -> None:
        self.ax, self.figure = ax, figure
        self.layout = {"x": figure.layout[f"xaxis{name[1:]}"], "y": figure.layout[f"yaxis{name[1:]}"]}
        self.name = name
        self.places: dict[str, dict[str, int]] = {"x": {}, "y": {}}
        for side, layout in self.layout.items():
            for value in layout.categoryarray if layout.categoryarray is not None else ():
                self.places[side].setdefault(str(value), len(self.places[side]))

    def draw(self, traces: Iterable[Any]) -> None:
        traces = list(traces)
        points = sum(len(t.x) for t in traces if t.type in ("scatter", "scattergl") and t.x is not None)
        for trace in traces:
            if trace.type in ("scatter", "scattergl"):
                self._points(trace, as_picture=points > MANY)
            elif trace.type == "bar":
                self._bars(trace)
            elif trace.type == "heatmap":
                self._heat(trace)
            elif trace.type == "violin":
                self._violin(trace)
        self._finish()

    def _at(self, side: str, values: Sequence[Any] | None) -> np.ndarray:
        """Numbers as they are, names as their places."""
        values = [] if values is None else list(values)
        if self.layout[side].type != "category" and not any(isinstance(value, str) for value in values):
            return np.array([np.nan if value is None else value for value in values], dtype=float)
        known = self.places[side]
        return np.array(
            [np.nan if value is None else known.setdefault(str(value), len(known)) for value in values], dtype=float
        )

    def _points(self, trace: Any, *, as_picture: bool) -> None:
        x, y = self._at("x", trace.x), self._at("y", trace.y)
        mode, label = trace.mode or "lines", _text(trace.name) if trace.showlegend is not False and trace.name else None
        if trace.fill == "toself":
            self.ax.fill(x, y, color=_color(trace.fillcolor), linewidth=0)
            return
        line = trace.line.color or (trace.marker.color if isinstance(trace.marker.color, str) else None)
        if "lines" in mode:
            style, width = DASHES[trace.line.dash or "solid"], (trace.line.width or 2) * 0.7
            self.ax.plot(x, y, style, color=_color(line), linewidth=width, alpha=trace.opacity, label=label)
            label = None
        if "markers" in mode and len(x):
            sizes = np.square(
                np.asarray(trace.marker.size if trace.marker.size is not None else 6, dtype=float) * POINT
            )
            symbol, edge = trace.marker.symbol or "circle", trace.marker.line
            if symbol.endswith("-open"):
                color = _color(trace.marker.color or line)
                hollow = symbol == "circle-open"
                colors = {"facecolors": "none", "edgecolors": color} if hollow else {"color": color}
                colors["linewidths"] = (edge.width or 1) * POINT
            else:
                colors = {**self._shades(trace), "linewidths": (edge.width or 0) * POINT}
                if edge.width and "c" in colors:
                    colors["edgecolors"] = _color(edge.color)
            drawn = self.ax.scatter(x, y, s=sizes, marker=SYMBOLS[symbol], rasterized=as_picture, label=label, **colors)
            if trace.marker.showscale or (trace.marker.colorbar.title.text and trace.marker.showscale is None):
                self._colorbar(drawn, trace.marker.colorbar)
        for side, error in (("x", trace.error_x), ("y", trace.error_y)):
            if error.array is not None:
                below = error.array if error.arrayminus is None else error.arrayminus
                spread = {f"{side}err": np.abs([list(below), list(error.array)])}
                self.ax.errorbar(x, y, **spread, fmt="none", ecolor=_color(error.color or line), capsize=3)
        if "text" in mode and trace.text is not None:
            for place, text in zip(zip(x, y, strict=True), trace.text, strict=True):
                self.ax.annotate(
                    _text(text),
                    place,
                    xytext=(0, 7),
                    textcoords="offset points",
                    ha="center",
                    fontsize=8,
                    parse_math=False,
                )

    def _shades(self, trace: Any) -> dict[str, Any]:
        color = trace.line.color if trace.marker.color is None else trace.marker.color
        alpha = trace.marker.opacity if isinstance(trace.marker.opacity, float) else None
        if color is None or isinstance(color, str):
            return {"color": [_color(color)], "alpha": alpha}
        if len(color) and isinstance(color[0], str):
            return {"color": [_color(value) for value in color], "alpha": alpha}
        shades = {"c": np.asarray(color, dtype=float), "cmap": _scale(trace.marker.colorscale), "alpha": alpha}
        return {**shades, "vmin": trace.marker.cmin, "vmax": trace.marker.cmax}

    def _bars(self, trace: Any) -> None:
        x, y, colors = self._at("x", trace.x), self._at("y", trace.y), trace.marker.color
        shades = (
            [_color(value) for value in colors]
            if colors is not None and not isinstance(colors, str)
            else _color(colors)
        )
        bars = self.ax.barh(y, x, color=shades) if trace.orientation == "h" else self.ax.bar(x, y, color=shades)
        if trace.text is not None:
            self.ax.bar_label(bars, [_text(text) for text in trace.text], fontsize=8, padding=2)

    def _heat(self, trace: Any) -> None:
        x, y = self._at("x", trace.x), self._at("y", trace.y)
        values = np.asarray(trace.z, dtype=float)
        if not values.size:
            return
        grid = np.full((int(y.max()) + 1, int(x.max()) + 1), np.nan)
        grid[np.ix_(y.astype(int), x.astype(int))] = values
        drawn = self.ax.imshow(grid, cmap=_scale(trace.colorscale), vmin=trace.zmin, vmax=trace.zmax, aspect="auto")
        self._colorbar(drawn, trace.colorbar)
        if trace.texttemplate is not None:  # otherwise it is only told on hovering
            middle = (drawn.norm.vmin + drawn.norm.vmax) / 2
            for (row, column), text in np.ndenumerate(np.asarray(trace.text)):
                color = "white" if values[row, column] > middle else INK
                self.ax.text(x[column], y[row], _text(text), ha="center", va="center", fontsize=7, color=color)

    def _violin(self, trace: Any) -> None:
        values = np.asarray(trace.y, dtype=float)
        place = self._at("x", [trace.name])[0]
        if len(values) > 1 and np.ptp(values) > 0:
            parts = self.ax.violinplot([values], [place], widths=0.9, showextrema=False, showmeans=True)
            for body in parts["bodies"]:
                body.set(facecolor=_color(trace.fillcolor), alpha=0.75)
            parts["cmeans"].set(color=INK)
        else:
            self.ax.plot(np.full(len(values), place), values, "_", color=_color(trace.fillcolor))

    def _colorbar(self, drawn: Any, bar: Any) -> None:
        title = _text(bar.title.text or "").replace("<br>", "\n")
        self.ax.figure.colorbar(drawn, ax=self.ax, shrink=0.6).set_label(title, fontsize=8, parse_math=False)

    def _finish(self) -> None:
        ax = self.ax
        for side, layout, known in ((side, self.layout[side], self.places[side]) for side in ("x", "y")):
            axis = ax.xaxis if side == "x" else ax.yaxis
            if layout.type == "log":
                (ax.set_xscale if side == "x" else ax.set_yscale)("log")
                axis.set_major_formatter("{x:g}")
                low, high = ax.get_xlim() if side == "x" else ax.get_ylim()
                axis.set_ticks(
                    [value for value in layout.tickvals or () if low <= value <= high] or axis.get_ticklocs()
                )
                axis.set_minor_formatter("")
            elif not known:
                if layout.tickformat == ".0%":
                    axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
                if layout.tickvals is not None:
                    axis.set_ticks(list(layout.tickvals))
                if layout.range is not None:
                    (ax.set_xlim if side == "x" else ax.set_ylim)(*layout.range)
            if known:
                short = layout.labelalias or {}
                names = [_text(short.get(name, name)) for name in known]
                axis.set_ticks(list(known.values()), names, fontsize=7 if len(known) > 30 else 9)
            if layout.title.text:
                axis.set_label_text(_text(layout.title.text), parse_math=False)
            if layout.visible is False:
                axis.set_visible(False)
        for label in (*ax.get_xticklabels(), *ax.get_yticklabels()):
            label.set_parse_math(False)
        if self.places["x"]:
            ax.tick_params("x", rotation=90 if len(self.places["x"]) > 6 else 45)
        y = self.layout["y"]
        if (y.autorange == "reversed" or (y.range and y.range[0] > y.range[1])) and not ax.yaxis_inverted():
            ax.invert_yaxis()
        ax.spines[["top", "right"]].set_visible(False)
        if self.layout["x"].visible is False:
            ax.spines[:].set_visible(False)
        self._lines_across()
        self._notes()

    def _lines_across(self) -> None:
        """Upright lines over the whole height, as `add_vline` makes them."""
        for shape in self.figure.layout.shapes:
            if (shape.xref or "x") == self.name:
                style, width = DASHES[shape.line.dash or "solid"], (shape.line.width or 2) * POINT
                self.ax.axvline(shape.x0, color=_color(shape.line.color), linestyle=style, linewidth=width)

    def _notes(self) -> None:
        """Texts at a place of the data, or at a place of x and a height of the plot."""
        for note in self.figure.layout.annotations:
            if (note.xref or "x") != self.name or not note.text:
                continue
            if note.yref == "paper":
                # On a logarithmic axis plotly takes an annotation's place as the exponent.
                place = (10**note.x if self.layout["x"].type == "log" else note.x, note.y)
                self.ax.annotate(
                    _text(note.text), place, ((note.xshift or 0) * POINT, (note.yshift or 0) * POINT),
                    xycoords=self.ax.get_xaxis_transform(), textcoords="offset points", fontsize=8, parse_math=False,
                    ha=ALIGNED.get(note.xanchor, "center"), va=ALIGNED.get(note.yanchor, "center"),
                )  # fmt: skip
                continue
            moved = (POINT * (note.ax or 0), -POINT * (note.ay or 0))
            leads = note.showarrow and not str(note.arrowcolor).endswith(",0)")
            self.ax.annotate(
                _text(note.text), (note.x, note.y), moved, textcoords="offset points", ha="center", va="center",
                fontsize=8, parse_math=False, bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1},
                arrowprops={"arrowstyle": "-", "color": _color(note.arrowcolor), "linewidth": 0.7} if leads else None,
            )  # fmt: skip


def _text(text: Any) -> str:
    if isinstance(text, float) and text.is_integer():
        text = int(text)
    return html.unescape(str(text))


def _color(color: str | None) -> Any:
    """A colour of plotly's as matplotlib takes it: also rgb(…) and rgba(…)."""
    if color is None:
        return "#0072B2"
    if color.startswith("rgb"):
        parts = [float(part) for part in color[color.index("(") + 1 : -1].split(",")]
        return (*(part / 255 for part in parts[:3]), *(parts[3:] or [1.0]))
    return to_rgba(color)


def _scale(scale: Any) -> LinearSegmentedColormap:
    stops = get_colorscale(scale) if isinstance(scale, str) else scale
    return LinearSegmentedColormap.from_list("scale", [(float(stop), _color(color)) for stop, color in stops], N=1024)
