"""How a training goes: genes still active, and each task's score on validation cells."""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from yoto_core.plots.style import HIGHLIGHT, OKABE_ITO, Theme, literal, styled

SCORE_PREFIX = "validation "


def training_figure(history: pd.DataFrame, theme: Theme) -> go.Figure:
    """Two panels over the steps: active genes on a logarithmic axis, and validation scores per task."""
    figure = make_subplots(
        cols=2, horizontal_spacing=0.1, subplot_titles=("Genes still in the running", "Score on validation cells")
    )
    if len(history):
        figure.add_scatter(
            x=history["step"], y=history["active_genes"], mode="lines", line={"color": HIGHLIGHT[theme], "width": 3},
            name="genes", showlegend=False, row=1, col=1, hovertemplate="step %{x}: %{y:,} genes<extra></extra>",
        )  # fmt: skip
    for i, column in enumerate(name for name in history if name.startswith(SCORE_PREFIX)):
        figure.add_scatter(
            x=history["step"], y=history[column], mode="lines", name=literal(column.removeprefix(SCORE_PREFIX)),
            line={"color": OKABE_ITO[(i + 1) % len(OKABE_ITO)], "width": 3}, row=1, col=2,
            hovertemplate="step %{x}: %{y:.3f}<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    figure.update_xaxes(title="training step", title_standoff=4, row=1, col=1)
    figure.update_yaxes(type="log", dtick=1, tickformat=",d", row=1, col=1)
    figure.update_yaxes(range=[0, 1.02], row=1, col=2)
    return styled(figure, theme, height=340).update_layout(
        margin={"t": 60}, legend={"x": 0.55, "y": -0.2, "yanchor": "top"}
    )
