"""Panel genes across classes: dot plot, heat map, correlations, and one gene's distribution per class."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from scipy.cluster.hierarchy import leaves_list, linkage

from yoto_core.data.sampling import stratified
from yoto_core.plots.style import GROUND, INK, Theme, aliases, ground_scale, literal, styled

VIOLIN_CELLS = 4_000
ACROSS = 48  # genes whose names can be read side by side; more are written one below the other
CORRELATED = 60  # genes of a correlation matrix that can be read
DOTS_WIDE = 600  # pixels that dots have across on a small screen
SHARE = "mean, as share of<br>the gene's highest"


def similar_order(table: pd.DataFrame) -> list[int]:
    """Positions of the rows so that alike ones stand together (average linkage of correlations, best leaf order)."""
    values = table.to_numpy(dtype=float)
    if len(values) < 3 or values.shape[1] < 2:
        return list(range(len(values)))
    centred = values - values.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = np.divide(centred, length, out=np.zeros_like(centred), where=length > 1e-12)
    return [int(i) for i in leaves_list(linkage(unit, method="average", optimal_ordering=len(unit) <= 300))]


def class_table(classes: pd.DataFrame, task: str, genes: list[str]) -> pd.DataFrame:
    """One row per gene × class of a task: gene, class, mean, percent, scaled (mean over the gene's highest mean).

    Classes are ordered by similarity, genes by the class in which they are highest, so that blocks form a diagonal.
    """
    here = classes[(classes["task"] == task) & classes["gene"].isin(genes)]
    if here.empty:
        return pd.DataFrame(columns=["gene", "class", "mean", "percent", "scaled"])
    wide = here.pivot(index="class", columns="gene", values="mean")[genes]
    scaled = wide / wide.max().replace(0, 1)
    names = list(wide.index[similar_order(scaled)])
    order = sorted(genes, key=lambda gene: (names.index(wide[gene].idxmax()), -wide[gene].max()))
    table = here.assign(scaled=here["mean"] / here.groupby("gene")["mean"].transform("max").replace(0, 1))
    table["class"] = pd.Categorical(table["class"], names, ordered=True)
    table["gene"] = pd.Categorical(table["gene"], order, ordered=True)
    return table.sort_values(["class", "gene"])[["gene", "class", "mean", "percent", "scaled"]].reset_index(drop=True)


def dot_figure(table: pd.DataFrame, theme: Theme) -> go.Figure:
    """Classes × genes: the larger the dot the more cells express the gene, the stronger its colour the higher its mean.

    Up to 48 genes stand side by side; more stand one below the other, so that every name can be read.
    """
    table = table.assign(gene=table["gene"].map(literal), **{"class": table["class"].map(literal)})
    across, down = _sides(table)
    columns, rows = _names(table, across), _names(table, down)
    largest = min(13 if across == "gene" else 8, DOTS_WIDE / max(1, len(columns)))
    figure = go.Figure(
        go.Scatter(
            x=table[across], y=table[down], mode="markers", customdata=table[["gene", "class", "mean", "percent"]],
            marker={
                "size": largest * (0.15 + np.sqrt(table["percent"] / 100)), "color": table["scaled"],
                "cmin": 0, "cmax": 1, "opacity": 1, "colorscale": ground_scale(theme), "line": {"width": 0.5, "color": INK[theme]},
                "colorbar": _bar(SHARE),
            },
            hovertemplate="%{customdata[0]} in %{customdata[1]}<br>mean %{customdata[2]:.2f}<br>%{customdata[3]:.0f} % of cells<extra></extra>",
        )
    )  # fmt: skip
    return _grid(figure, columns, rows, theme)


def heat_figure(table: pd.DataFrame, theme: Theme) -> go.Figure:
    """Classes × genes: mean of each gene in each class, as share of the gene's highest; laid out as `dot_figure`."""
    table = table.assign(gene=table["gene"].map(literal), **{"class": table["class"].map(literal)})
    across, down = _sides(table)
    columns, rows = _names(table, across), _names(table, down)
    wide = table.pivot(index=down, columns=across, values=["scaled", "mean"])
    figure = go.Figure(
        go.Heatmap(
            z=wide["scaled"].loc[rows, columns].to_numpy(), customdata=wide["mean"].loc[rows, columns].to_numpy(), x=columns, y=rows,
            zmin=0, zmax=1, colorscale=ground_scale(theme), xgap=1, ygap=1, colorbar=_bar(SHARE),
            hovertemplate="%{x}, %{y}<br>mean %{customdata:.2f}<extra></extra>",
        )
    )  # fmt: skip
    return _grid(figure, columns, rows, theme)


def correlation_table(correlations: pd.DataFrame) -> pd.DataFrame:
    """The correlations (K × K) to draw: at most 60 genes, those most like another one, alike ones side by side."""
    alike = correlations - np.eye(len(correlations))
    kept = alike.max().sort_values(ascending=False, kind="stable").index[:CORRELATED]
    table = correlations.loc[kept, kept]
    order = similar_order(table)
    return table.iloc[order, order]


def correlation_figure(table: pd.DataFrame, theme: Theme) -> go.Figure:
    """Genes × genes: blue where two rise together, orange where one falls as the other rises."""
    names = [literal(name) for name in table.columns]
    scale = [[0, "#E69F00"], [0.5, GROUND[theme]], [1, "#0072B2" if theme == "light" else "#4aa3d6"]]
    figure = go.Figure(
        go.Heatmap(
            z=table.to_numpy(), x=names, y=names, zmin=-1, zmax=1, colorscale=scale, xgap=1, ygap=1, colorbar=_bar("correlation"),
            hovertemplate="%{x} and %{y}<br>correlation %{z:.2f}<extra></extra>",
        )
    )  # fmt: skip
    return _grid(figure, names, names, theme)


def violin_table(expression: pd.Series, labels: pd.Series) -> pd.DataFrame:
    """One row per drawn cell: class, expression; at most 4,000 labelled cells, rare classes kept."""
    table = pd.DataFrame({"class": labels.to_numpy(), "expression": expression.to_numpy()}).dropna()
    codes = pd.Categorical(table["class"]).codes
    return table.iloc[stratified(codes, VIOLIN_CELLS)].reset_index(drop=True)


def violin_figure(table: pd.DataFrame, colors: dict[str, str], theme: Theme) -> go.Figure:
    """How a gene's expression is spread in each class, the highest mean first."""
    figure = go.Figure()
    order = table.groupby("class", observed=True)["expression"].mean().sort_values(ascending=False).index
    for name in order:
        values = table.loc[table["class"] == name, "expression"]
        figure.add_violin(
            y=values, name=literal(name), line={"color": colors.get(name), "width": 1.5}, fillcolor=colors.get(name),
            opacity=0.75, points=False, spanmode="hard", meanline={"visible": True}, showlegend=False, scalemode="width",
            hoverinfo="y+name",
        )  # fmt: skip
    many = len(order) > 12
    figure.update_xaxes(
        type="category", tickangle=-90 if many else -45, dtick=1, tickfont={"size": _letters(len(order))},
        labelalias=aliases(map(literal, order)),
    )  # fmt: skip
    figure.update_yaxes(title="log expression", rangemode="tozero")
    return styled(figure, theme, height=380)


def _sides(table: pd.DataFrame) -> tuple[str, str]:
    """The columns of a gene × class table that run across and down: genes across where their names fit."""
    return ("gene", "class") if table["gene"].nunique() <= ACROSS else ("class", "gene")


def _names(table: pd.DataFrame, column: str) -> list[str]:
    return list(table[column].cat.categories) if len(table) else []


def _bar(title: str) -> dict[str, object]:
    return {"title": {"text": title}, "thickness": 12, "len": 220, "lenmode": "pixels", "y": 1, "yanchor": "top"}


def _letters(names: int) -> int:
    return 13 if names <= 30 else 11 if names <= 60 else 9


def _grid(figure: go.Figure, columns: list[str], rows: list[str], theme: Theme) -> go.Figure:
    row = 24 if len(rows) <= 20 else 19 if len(rows) <= 60 else 15
    figure.update_xaxes(
        type="category", tickangle=-90 if len(columns) > 12 else -45, dtick=1, tickfont={"size": _letters(len(columns))},
        categoryorder="array", categoryarray=columns, range=[-0.6, len(columns) - 0.4], side="top" if len(rows) > 60 else "bottom",
        labelalias=aliases(columns),
    )  # fmt: skip
    figure.update_yaxes(
        type="category", dtick=1, categoryorder="array", categoryarray=rows, range=[len(rows) - 0.4, -0.6],
        tickfont={"size": _letters(len(rows)) if len(rows) <= 60 else 11}, labelalias=aliases(rows),
    )  # fmt: skip
    return styled(figure, theme, height=150 + row * max(4, len(rows)))
