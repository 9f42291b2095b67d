"""A number as the model predicts it against its true value, on held-out cells."""

import pandas as pd
import plotly.graph_objects as go

from yoto_core.plots.style import HIGHLIGHT, MUTED, Theme, styled

DRAWN = 5_000  # cells; more only darken the picture


def number_table(predictions: pd.DataFrame, task: str) -> pd.DataFrame:
    """One row per labelled held-out cell: cell_index, true, predicted."""
    table = predictions[["cell_index", f"{task} true", f"{task} predicted"]].dropna()
    return table.set_axis(["cell_index", "true", "predicted"], axis=1).reset_index(drop=True)


def number_figure(table: pd.DataFrame, theme: Theme) -> go.Figure:
    """Dots for at most 5,000 cells (drawn with a fixed seed), and the line on which they should lie."""
    drawn = table.sample(DRAWN, random_state=0) if len(table) > DRAWN else table
    figure = go.Figure()
    ends = [table["true"].min(), table["true"].max()]
    figure.add_scatter(x=ends, y=ends, mode="lines", line={"color": MUTED, "dash": "dash"}, showlegend=False)
    figure.add_scattergl(
        x=drawn["true"], y=drawn["predicted"], mode="markers", showlegend=False,
        marker={"color": HIGHLIGHT[theme], "size": 6, "opacity": 0.5},
        hovertemplate="true %{x:.4g}<br>predicted %{y:.4g}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title="true")
    figure.update_yaxes(title="predicted")
    return styled(figure, theme, height=420)
