"""A sweep: score against panel size, one line per task and set of tasks, with the spread over repeats."""

import pandas as pd
import plotly.graph_objects as go

from yoto_core.plots.style import OKABE_ITO, Theme, literal, styled


def sweep_figure(table: pd.DataFrame, theme: Theme) -> go.Figure:
    """Lines through the means, bars from the lowest to the highest repeat; the table is `sweep.summary`'s."""
    figure = go.Figure()
    for i, ((tasks, task), curve) in enumerate(table.groupby(["tasks", "task"], sort=True)):
        color = OKABE_ITO[(i + 1) % len(OKABE_ITO)]
        name = task if tasks == task or table["tasks"].nunique() == 1 else f"{task} (panel for {tasks})"
        points = curve.sort_values("genes")
        figure.add_scatter(
            x=points["genes"], y=points["mean"], mode="lines+markers", name=literal(name), showlegend=True,
            line={"color": color, "width": 2}, marker={"size": 8},
            error_y={
                "type": "data", "array": points["highest"] - points["mean"],
                "arrayminus": points["mean"] - points["lowest"], "color": color,
            },
            hovertemplate="%{x} genes: %{y:.3f}<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    figure.update_xaxes(title="genes in the panel", tickvals=sorted(table["genes"].unique()))
    figure.update_yaxes(title="score on held-out cells")
    return styled(figure, theme, height=360)
