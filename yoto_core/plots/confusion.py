"""The confusion matrix of classes on held-out cells."""

import pandas as pd
import plotly.graph_objects as go

from yoto_core.plots.genes import similar_order
from yoto_core.plots.style import GROUND, Theme, aliases, literal, styled

WRITTEN = 16  # classes up to which every number is written into its field


def confusion_table(counts: pd.DataFrame) -> pd.DataFrame:
    """Row-normalised confusion (0 to 1) of classes that have a held-out cell: rows true, columns predicted."""
    totals = counts.sum(axis=1)
    return counts[totals > 0].div(totals[totals > 0], axis=0)


def by_similarity(counts: pd.DataFrame) -> pd.DataFrame:
    """The same counts with classes that are mistaken for each other side by side, so that mistakes stay near the diagonal.

    Two classes are alike as far as their rows and columns of shares are.
    """
    shares = counts.div(counts.sum(axis=1).replace(0, 1), axis=0)
    order = similar_order(pd.concat([shares, shares.T], axis=1))
    return counts.iloc[order, order]


def confusion_figure(table: pd.DataFrame, theme: Theme, *, counts: pd.DataFrame | None = None) -> go.Figure:
    """Heat map of shares; where `counts` (same rows and columns) is given, those are written and told instead."""
    written = len(table.columns) <= WRITTEN
    told = table if counts is None else counts.loc[table.index, table.columns]
    text = told.map(_share if counts is None else _count)
    high = "#0b5d8a" if theme == "light" else "#2a7fb8"
    unit = "%{text} of the class" if counts is None else "%{text} cells (%{z:.0%} of the class)"
    columns, rows = [[literal(name) for name in axis] for axis in (table.columns, table.index)]
    figure = go.Figure(
        go.Heatmap(
            z=table.to_numpy(), x=columns, y=rows, zmin=0, zmax=1,
            colorscale=[[0, GROUND[theme]], [1, high]], colorbar={"title": "share", "thickness": 12},
            text=text.to_numpy(), texttemplate="%{text}" if written else None,
            hovertemplate=f"true %{{y}}<br>predicted %{{x}}<br>{unit}<extra></extra>", xgap=1, ygap=1,
        )
    )  # fmt: skip
    size = 13 if len(table.columns) <= 20 else 10 if len(table.columns) <= 60 else 8
    axis = {"type": "category", "dtick": 1, "tickfont": {"size": size}, "labelalias": aliases([*columns, *rows])}
    figure.update_yaxes(autorange="reversed", title="true", **axis)
    figure.update_xaxes(title="predicted", tickangle=-45 if len(columns) <= 20 else -90, **axis)
    return styled(figure, theme, height=200 + (26 if len(table) <= 20 else 18) * len(table))


def _share(share: float) -> str:
    return f"{share:.2f}".lstrip("0") if share >= 0.005 else ""


def _count(cells: float) -> str:
    return f"{int(cells):,}" if cells else ""
