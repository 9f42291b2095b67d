"""Panel genes across classes: dot plot, heat map, correlations, and one gene's distribution per class."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from scipy.cluster.hierarchy import leaves_list, linkage

from yoto_core.data.sampling import stratified
from yoto_core.plots.style import INK, Theme, ground_scale, literal, styled

VIOLIN_CELLS = 4_000


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
    """Classes × genes: the larger the dot the more cells express the gene, the stronger its colour the higher its mean."""
    genes, classes = _names(table, "gene"), _names(table, "class")
    figure = go.Figure(
        go.Scatter(
            x=table["gene"].map(literal), y=table["class"].map(literal), mode="markers",
            marker={
                "size": 3 + 13 * np.sqrt(table["percent"] / 100), "color": table["scaled"], "cmin": 0, "cmax": 1,
                "colorscale": ground_scale(theme), "line": {"width": 0.5, "color": INK[theme]},
                "colorbar": {"title": {"text": "mean, as share of<br>the gene's highest"}, "thickness": 12, "len": 0.6, "lenmode": "fraction"},
            },
            customdata=table[["mean", "percent"]],
            hovertemplate="%{x} in %{y}<br>mean %{customdata[0]:.2f}<br>%{customdata[1]:.0f} % of cells<extra></extra>",
        )
    )  # fmt: skip
    return _grid(figure, genes, classes, theme)


def heat_figure(table: pd.DataFrame, theme: Theme) -> go.Figure:
    """Classes × genes: mean of each gene in each class, as share of the gene's highest."""
    genes, classes = _names(table, "gene"), _names(table, "class")
    scaled, mean = (table.pivot(index="class", columns="gene", values=name).to_numpy() for name in ("scaled", "mean"))
    figure = go.Figure(
        go.Heatmap(
            z=scaled, x=genes, y=classes, zmin=0, zmax=1, colorscale=ground_scale(theme), customdata=mean, xgap=1, ygap=1,
            colorbar={"title": {"text": "mean, as share of<br>the gene's highest"}, "thickness": 12},
            hovertemplate="%{x} in %{y}<br>mean %{customdata:.2f}<extra></extra>",
        )
    )  # fmt: skip
    return _grid(figure, genes, classes, theme)


def correlation_figure(correlations: pd.DataFrame, theme: Theme) -> go.Figure:
    """Genes × genes, alike ones together: blue where two rise together, orange where one falls as the other rises."""
    order = similar_order(correlations)
    table = correlations.iloc[order, order]
    names = [literal(name) for name in table.columns]
    middle = "#ffffff" if theme == "light" else "#12181d"
    scale = [[0, "#E69F00"], [0.5, middle], [1, "#0072B2" if theme == "light" else "#4aa3d6"]]
    figure = go.Figure(
        go.Heatmap(
            z=table.to_numpy(), x=names, y=names, zmin=-1, zmax=1, colorscale=scale,
            colorbar={"title": {"text": "correlation"}, "thickness": 12},
            hovertemplate="%{x} and %{y}<br>correlation %{z:.2f}<extra></extra>",
        )
    )  # fmt: skip
    return _grid(figure, names, names, theme, row=13 if len(names) > 40 else 20)


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
    figure.update_xaxes(type="category", tickangle=-45)
    figure.update_yaxes(title="log expression", rangemode="tozero")
    return styled(figure, theme, height=380)


def _names(table: pd.DataFrame, column: str) -> list[str]:
    return [literal(name) for name in table[column].cat.categories] if len(table) else []


def _grid(figure: go.Figure, columns: list[str], rows: list[str], theme: Theme, *, row: int = 24) -> go.Figure:
    size = 9 if len(columns) > 60 else 11 if len(columns) > 30 else 13
    figure.update_xaxes(
        type="category", tickangle=-90 if len(columns) > 12 else -45, dtick=1, tickfont={"size": size},
        categoryorder="array", categoryarray=columns,
    )  # fmt: skip
    figure.update_yaxes(
        type="category", dtick=1, autorange="reversed", categoryorder="array", categoryarray=rows,
        tickfont={"size": 9 if row < 18 else 13},
    )  # fmt: skip
    return styled(figure, theme, height=150 + row * max(4, len(rows)))
