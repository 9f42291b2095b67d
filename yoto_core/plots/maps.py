"""Two maps of the same cells side by side, in the same colours."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from yoto_core.data.sampling import stratified
from yoto_core.plots.palettes import MISSING
from yoto_core.plots.style import GRID, INK, MUTED, Theme, literal, styled

DRAWN = 40_000  # cells; more would only slow the browser
LEGEND = 102  # classes; a longer legend is no help
LABELLED = 40  # classes whose names are written on the map
CONTINUOUS = [
    [0, "#d5dadd"],
    [0.001, "#440154"],
    [0.25, "#3b528b"],
    [0.5, "#21918c"],
    [0.75, "#5ec962"],
    [1, "#fde725"],
]


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
        table["value"] = pd.to_numeric(paint.values, errors="coerce").to_numpy(dtype=float)
        codes = np.zeros(len(table), dtype=int)
    else:
        names = paint.values.astype(object).where(paint.values.notna(), MISSING).astype(str)
        table["value"] = names.to_numpy()
        codes = pd.Categorical(names).codes
    drawn = table.iloc[stratified(codes, DRAWN)]
    if paint.colors is None:
        return drawn.sort_values("value", na_position="first", kind="stable").reset_index(drop=True)
    return drawn.sample(frac=1, random_state=0).reset_index(drop=True)


def map_figure(table: pd.DataFrame, paint: Paint, titles: tuple[str, str], theme: Theme) -> go.Figure:
    """Two scatter maps; cells outside a selection are pale, classes are named where their cells lie."""
    figure = make_subplots(cols=2, horizontal_spacing=0.03, subplot_titles=[literal(title) for title in titles])
    size = 7 if len(table) < 4_000 else 5 if len(table) < 15_000 else 3.5
    pale = table[~table["selected"]]
    shown = table[table["selected"]]
    for column, side in ((1, "left"), (2, "right")):
        if len(pale):
            marker = {"size": size * 0.7, "color": GRID[theme]}
            figure.add_scattergl(
                x=_short(pale, f"{side}_x"), y=_short(pale, f"{side}_y"), mode="markers", marker=marker, hoverinfo="skip",
                showlegend=False, row=1, col=column,
            )  # fmt: skip
        if paint.colors is None:
            _numbers(figure, shown, side, column, paint.title, size)
        else:
            _classes(figure, shown, side, column, paint.colors, size, theme)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    styled(figure, theme, height=560)
    return figure.update_layout(
        dragmode="lasso", legend={"itemsizing": "constant", "y": -0.03, "yanchor": "top"}, margin={"t": 34, "l": 4, "r": 4},
        uirevision="maps",
    )  # fmt: skip


def single_figure(table: pd.DataFrame, title: str, theme: Theme) -> go.Figure:
    """The right map alone, coloured by a number."""
    figure = make_subplots()
    _numbers(figure, table, "right", 1, title, 5 if len(table) < 4_000 else 3.5, last=1)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return styled(figure, theme, height=380).update_layout(margin={"t": 4, "l": 4, "r": 4})


def _classes(
    figure: go.Figure, shown: pd.DataFrame, side: str, column: int, colors: dict[str, str], size: float, theme: Theme
) -> None:
    present = [name for name in colors if name in set(shown["value"])]
    marker = {"size": size, "color": shown["value"].map(colors), "opacity": 0.85}
    figure.add_scattergl(
        x=_short(shown, f"{side}_x"), y=_short(shown, f"{side}_y"), mode="markers", marker=marker, showlegend=False,
        text=shown["value"].map(literal), hovertemplate="%{text}<extra></extra>", row=1, col=column,
    )  # fmt: skip
    if (
        column == 1 and len(present) <= LEGEND
    ):  # one trace holds all cells in shuffled order; these only carry the legend
        for name in present:
            figure.add_scatter(
                x=[None], y=[None], mode="markers", name=literal(name), marker={"size": 10, "color": colors[name]},
                row=1, col=1, hoverinfo="skip",
            )  # fmt: skip
    if len(present) <= LABELLED:
        for name, cells in shown[shown["value"] != MISSING].groupby("value"):
            x, y = _crowd(cells[[f"{side}_x", f"{side}_y"]].to_numpy())
            figure.add_annotation(
                x=x, y=y, text=literal(_brief(name)), showarrow=False, row=1, col=column,
                font={"size": 12 if len(present) <= 20 else 10, "color": INK[theme]},
                bgcolor="rgba(255,255,255,0.7)" if theme == "light" else "rgba(18,24,29,0.7)", borderpad=1,
            )  # fmt: skip


def _numbers(
    figure: go.Figure, shown: pd.DataFrame, side: str, column: int, title: str, size: float, last: int = 2
) -> None:
    known, unknown = shown[shown["value"].notna()], shown[shown["value"].isna()]
    if len(unknown):
        figure.add_scattergl(
            x=_short(unknown, f"{side}_x"), y=_short(unknown, f"{side}_y"), mode="markers", showlegend=False,
            marker={"size": size, "color": MUTED, "opacity": 0.4}, hovertemplate="missing<extra></extra>", row=1, col=column,
        )  # fmt: skip
    scale = CONTINUOUS if len(known) and known["value"].min() == 0 else "Viridis"
    marker = {"size": size, "color": known["value"].astype("float32"), "colorscale": scale, "showscale": column == last}
    marker["colorbar"] = {"title": {"text": literal(_brief(title))}, "thickness": 12, "len": 0.7}
    figure.add_scattergl(
        x=_short(known, f"{side}_x"), y=_short(known, f"{side}_y"), mode="markers", showlegend=False, marker=marker,
        hovertemplate="%{marker.color:.3g}<extra></extra>", row=1, col=column,
    )  # fmt: skip


def _crowd(places: np.ndarray) -> tuple[float, float]:
    """The middle of the most crowded part: a class in two islands is named on the larger one, not between them."""
    counts, rows, columns = np.histogram2d(places[:, 0], places[:, 1], bins=4)
    row, column = np.unravel_index(counts.argmax(), counts.shape)
    inside = (places >= (rows[row], columns[column])) & (places <= (rows[row + 1], columns[column + 1]))
    x, y = np.median(places[inside.all(axis=1)], axis=0)
    return float(x), float(y)


def _short(table: pd.DataFrame, column: str) -> np.ndarray:
    return table[column].to_numpy(dtype=np.float32)


def _brief(name: str, longest: int = 28) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
