"""Two maps of the same cells side by side, in the same colours."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import sample_colorscale
from plotly.subplots import make_subplots

from yoto_core.data.sampling import stratified
from yoto_core.plots.labels import crowd, spread
from yoto_core.plots.palettes import MISSING
from yoto_core.plots.style import GRID, GROUND, INK, MUTED, Theme, brief, literal, styled

DRAWN = 40_000  # cells; more would only slow the browser
LEGEND = 102  # classes; a longer legend is no help
IN_A_ROW = 8  # names of the legend
LABELLED = 40  # classes whose names are written on the map
# Every trace has one colour: given a colour per dot, plotly works through them one by one, which is half of a change of colour.
TRACES = 40  # of one map, about: classes are dealt into so many that none lies over another everywhere
SHADES = 32  # of a number
DENSE = 0.85  # opacity of a dot
MAP_PIXELS = (450, 450)  # of one map on a small screen: names that part there part everywhere
# Viridis, turned so that the highest values stand out most from the ground, without its end that would fade into it.
VIRIDIS = {
    "light": ("#b5de2b", "#5ec962", "#21918c", "#3b528b", "#440154"),
    "dark": ("#414487", "#2a788e", "#22a884", "#7ad151", "#fde725"),
}
NOTHING = {"light": "#d5dadd", "dark": "#39444c"}  # a gene that is not seen


@dataclass(frozen=True)
class Paint:
    """What colours the cells: a value per mapped cell, and a colour per class where the values are classes."""

    title: str
    values: pd.Series = field(repr=False)
    colors: dict[str, str] | None = None  # None for numbers


def map_table(left: np.ndarray, right: np.ndarray, paint: Paint, inside: np.ndarray | None = None) -> pd.DataFrame:
    """One row per drawn cell: cell (row of the maps), left_x, left_y, right_x, right_y, value, selected.

    At most 40,000 cells, drawn so that rare classes stay visible; in shuffled order for classes (no class hides another by
    its place in the file), highest on top for numbers.
    """
    table = pd.DataFrame(
        {
            "cell": np.arange(len(left)), "left_x": left[:, 0], "left_y": left[:, 1], "right_x": right[:, 0],
            "right_y": right[:, 1], "selected": True if inside is None else inside,
        }
    )  # fmt: skip
    if paint.colors is None:
        numbers = pd.to_numeric(paint.values, errors="coerce").to_numpy(dtype=float)
        table["value"] = np.where(np.isfinite(numbers), numbers, np.nan)
        codes = np.zeros(len(table), dtype=int)
    else:
        names = paint.values.astype(object).where(paint.values.notna(), MISSING).astype(str)
        table["value"] = names.to_numpy()
        codes = pd.Categorical(names).codes
    drawn = table.iloc[stratified(codes, DRAWN)]
    if paint.colors is None:
        return drawn.sort_values("value", na_position="first", kind="stable").reset_index(drop=True)
    return drawn.sample(frac=1, random_state=0).reset_index(drop=True)


def map_figure(
    table: pd.DataFrame,
    paint: Paint,
    titles: tuple[str, str],
    theme: Theme,
    outline: tuple[str, Sequence[tuple[float, float]]] | None = None,
) -> go.Figure:
    """Two scatter maps; cells outside a selection are pale, classes are named where their cells lie.

    `outline` is the line that was drawn around the selection: the side it was drawn on and its corners.
    """
    figure = make_subplots(cols=2, horizontal_spacing=0.03, subplot_titles=[literal(title) for title in titles])
    for title, start in zip(figure.layout.annotations, (0, 0.515), strict=True):  # left, clear of the buttons
        title.update(x=start, xanchor="left")
    size = 7 if len(table) < 4_000 else 5 if len(table) < 15_000 else 3.5
    pale, shown = table[~table["selected"]], table[table["selected"]]
    for column, side in ((1, "left"), (2, "right")):
        if len(pale):
            _dots(figure, [(pale, GRID[theme], {"hoverinfo": "skip"})], side, column, size * 0.7)
        if paint.colors is None:
            _numbers(figure, shown, side, column, paint.title, size, theme)
        else:
            _classes(figure, shown, side, column, paint.colors, size, theme)
        if outline is not None and outline[0] == side:
            x, y = np.array([*outline[1], outline[1][0]]).T
            figure.add_scatter(
                x=x, y=y, mode="lines", line={"color": INK[theme], "width": 1.5, "dash": "dot"}, hoverinfo="skip",
                showlegend=False, row=1, col=column,
            )  # fmt: skip
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    styled(figure, theme, height=540 + 20 * -(-sum(trace.showlegend is None for trace in figure.data) // IN_A_ROW))
    return figure.update_layout(
        dragmode="lasso", legend={"itemsizing": "constant", "traceorder": "normal", "y": -0.03, "yanchor": "top"}, margin={"t": 34, "l": 4, "r": 4},
        uirevision="maps",
    )  # fmt: skip


def has_legend(table: pd.DataFrame, paint: Paint) -> bool:
    """Whether the drawn classes are few enough to be named below the maps."""
    return paint.colors is not None and table["value"].nunique() <= LEGEND


def single_figure(table: pd.DataFrame, title: str, theme: Theme) -> go.Figure:
    """The left map alone, coloured by a number."""
    figure = make_subplots()
    _numbers(figure, table, "left", 1, title, 5 if len(table) < 4_000 else 3.5, theme, last=1)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return styled(figure, theme, height=380).update_layout(margin={"t": 4, "l": 4, "r": 4})


def _dots(
    figure: go.Figure, parts: Iterable[tuple[pd.DataFrame, str, dict[str, object]]], side: str, column: int, size: float
) -> None:
    """One trace per part: its cells, their colour, and what else is said of them."""
    figure.add_traces(
        [
            go.Scattergl(
                x=cells[f"{side}_x"].to_numpy(dtype=np.float32), y=cells[f"{side}_y"].to_numpy(dtype=np.float32),
                mode="markers", marker={"size": size, "color": color, "opacity": DENSE}, showlegend=False, **more,
            )
            for cells, color, more in parts
        ],
        rows=1, cols=column,
    )  # fmt: skip


def _classes(
    figure: go.Figure, shown: pd.DataFrame, side: str, column: int, colors: dict[str, str], size: float, theme: Theme
) -> None:
    there = set(shown["value"])
    present = [name for name in colors if name in there]
    layers = np.array_split(np.arange(len(shown)), max(1, TRACES // max(1, len(present))))
    parts = [
        (cells, colors[name], {"legendgroup": name, "meta": literal(name), "hovertemplate": "%{meta}<extra></extra>"})
        for layer in layers
        for name, cells in shown.iloc[layer].groupby("value", sort=False)
    ]
    _dots(figure, parts, side, column, size)
    if column == 1 and len(present) <= LEGEND:  # the dots of a class are many traces; these carry the legend for them
        figure.add_traces(
            [
                go.Scatter(
                    x=[None], y=[None], mode="markers", name=literal(brief(name)), legendgroup=name, hoverinfo="skip",
                    marker={"size": 10, "color": colors[name]},
                )
                for name in present
            ]
        )  # fmt: skip
    if len(present) <= LABELLED:
        names = _names(shown, side, column, 12 if len(present) <= 20 else 10, theme)
        figure.layout.annotations = [*figure.layout.annotations, *names]  # at once: plotly copies all for every new one


def _names(shown: pd.DataFrame, side: str, column: int, size: int, theme: Theme) -> list[go.layout.Annotation]:
    """Every class named at its crowd; a name that had to give way has a line that leads back."""
    places = shown[[f"{side}_x", f"{side}_y"]].to_numpy()
    found = {name: crowd(places[rows]) for name, rows in shown.groupby("value").indices.items() if name != MISSING}
    found = {name: place for name, place in found.items() if place is not None}
    if not found:
        return []
    anchors = np.array(list(found.values()))
    low, high = np.nanmin(places, axis=0), np.nanmax(places, axis=0)
    pixels = (anchors - low) / np.maximum(high - low, 1e-9) * MAP_PIXELS
    moves = spread(pixels, np.array([len(brief(name)) for name in found]), size, MAP_PIXELS)
    axis = str(column) if column > 1 else ""
    shadow = ", ".join([f"0 0 4px {GROUND[theme]}"] * 4)
    return [
        go.layout.Annotation(
            x=x, y=y, xref=f"x{axis}", yref=f"y{axis}", text=literal(brief(name)), ax=right, ay=-up, showarrow=True,
            arrowhead=0, arrowwidth=1, arrowcolor=MUTED if np.hypot(right, up) > 1.2 * size else "rgba(0,0,0,0)",
            font={"size": size, "color": INK[theme], "weight": 600, "shadow": shadow},
        )
        for name, (x, y), (right, up) in zip(found, anchors, moves, strict=True)
    ]  # fmt: skip


def _numbers(
    figure: go.Figure,
    shown: pd.DataFrame,
    side: str,
    column: int,
    title: str,
    size: float,
    theme: Theme,
    last: int = 2,
) -> None:
    known, unknown = shown[shown["value"].notna()], shown[shown["value"].isna()]
    parts = [(unknown, NOTHING[theme], {"hovertemplate": "missing<extra></extra>"})] if len(unknown) else []
    if len(known):
        values = known["value"].to_numpy()
        low, high = values.min(), values.max()
        shade = np.minimum((values - low) / max(high - low, 1e-12) * SHADES, SHADES - 1).astype(int)
        palette = sample_colorscale(list(VIRIDIS[theme]), (np.arange(SHADES) + 0.5) / SHADES)
        if low == 0:  # a gene that is not seen is no faint shade of one that is
            shade[values == 0], palette = SHADES, [*palette, NOTHING[theme]]
        parts += [
            (cells, palette[code], {"customdata": cells["value"].to_numpy(dtype=np.float32), "hovertemplate": "%{customdata:.3g}<extra></extra>"})
            for code, cells in known.groupby(shade, sort=False)
        ]  # fmt: skip
    _dots(figure, parts, side, column, size)
    if len(known) and column == last:
        steps = len(VIRIDIS[theme]) - 1
        scale = [[i / steps, color] for i, color in enumerate(VIRIDIS[theme])]
        if low == 0:
            scale = [[0, NOTHING[theme]], [0.001, scale[0][1]], *scale[1:]]
        bar = {"title": {"text": literal(brief(title))}, "thickness": 12, "len": 0.7}
        marker = {"color": [low], "cmin": low, "cmax": high, "colorscale": scale, "showscale": True, "colorbar": bar}
        figure.add_scatter(x=[None], y=[None], mode="markers", marker=marker, showlegend=False, row=1, col=column)
