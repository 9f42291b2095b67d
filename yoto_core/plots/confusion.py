"""What is mistaken for what: the confusion of classes on held-out cells."""

import pandas as pd
import plotly.graph_objects as go

from yoto_core.plots.style import Theme, literal, styled


def confusion_table(counts: pd.DataFrame) -> pd.DataFrame:
    """Row-normalised confusion (0 to 1) of classes that have a held-out cell: rows true, columns predicted."""
    totals = counts.sum(axis=1)
    return counts[totals > 0].div(totals[totals > 0], axis=0)


def confusion_figure(table: pd.DataFrame, theme: Theme) -> go.Figure:
    """Heat map with the share in each cell that holds at least half a percent."""
    small = len(table.columns) <= 16
    text = table.map(lambda share: f"{share:.2f}".lstrip("0") if share >= 0.005 else "") if small else None
    low = "#ffffff" if theme == "light" else "#12181d"
    high = "#0b5d8a" if theme == "light" else "#6cc0f0"
    figure = go.Figure(
        go.Heatmap(
            z=table.to_numpy(), x=[literal(name) for name in table.columns], y=[literal(name) for name in table.index], zmin=0, zmax=1,
            colorscale=[[0, low], [1, high]], colorbar={"title": "share", "thickness": 12},
            text=None if text is None else text.to_numpy(), texttemplate="%{text}" if small else None,
            hovertemplate="true %{y}<br>predicted %{x}<br>%{z:.1%} of the class<extra></extra>", xgap=1, ygap=1,
        )
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed", title="true", type="category", dtick=1)
    figure.update_xaxes(title="predicted", tickangle=-45, type="category", dtick=1)
    return styled(figure, theme, height=200 + 26 * len(table))
