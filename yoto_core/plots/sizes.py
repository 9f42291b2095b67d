"""Score against panel size: YOTO's own model at every size, and one classifier on YOTO's and the baselines' panels."""

import math

import pandas as pd
import plotly.graph_objects as go

from yoto_core.plots.style import MUTED, Theme, method_color, styled
from yoto_core.scores.methods import METHODS


def size_table(sizes: pd.DataFrame, task: str) -> pd.DataFrame:
    """Held-out headline scores of one task: size, method, judge, value, low, high; sorted by curve and size."""
    here = sizes[(sizes["task"] == task) & (sizes["part"] == "held-out")]
    columns = ["size", "method", "judge", "value", "low", "high"]
    return here.sort_values(["judge", "method", "size"])[columns].reset_index(drop=True)


def size_figure(table: pd.DataFrame, metric_label: str, chosen: int, suggested: int, theme: Theme) -> go.Figure:
    """Lines over a logarithmic size axis; a band for the interval of YOTO's own model; marks at chosen and suggested size."""
    figure = go.Figure()
    own = table[table["method"] == "own"]
    if own["low"].notna().any():  # too few groups give no interval
        figure.add_scatter(
            x=[*own["size"], *own["size"][::-1]], y=[*own["high"], *own["low"][::-1]], fill="toself", mode="none",
            fillcolor="rgba(213,94,0,0.15)", hoverinfo="skip", showlegend=False,
        )  # fmt: skip
    figure.add_scatter(
        x=own["size"], y=own["value"], mode="lines", line={"color": method_color("own", theme), "width": 3},
        name=METHODS["own"], hovertemplate="%{x} genes: %{y:.3f}<extra>%{fullData.name}</extra>",
    )  # fmt: skip
    for method, curve in table[table["method"] != "own"].groupby("method", sort=False):
        figure.add_scatter(
            x=curve["size"], y=curve["value"], mode="lines+markers", name=METHODS[method], marker={"size": 8},
            line={
                "color": method_color(method, theme), "width": 3 if method == "yoto" else 2,
                "dash": "solid" if method == "yoto" else "dot",
            },
            hovertemplate="%{x} genes: %{y:.3f}<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    for size, text, place in ((chosen, "asked for", "top"), (suggested, "enough", "bottom")):
        if place == "top" or suggested != chosen:
            figure.add_vline(
                x=size, line={"color": MUTED, "width": 1, "dash": "dash" if place == "bottom" else "solid"}
            )
            # On a logarithmic axis plotly takes an annotation's place as the exponent.
            figure.add_annotation(
                x=math.log10(size), y=1.0 if place == "top" else 0.0, yref="paper", text=f"{text}: {size:,}",
                showarrow=False, xanchor="left" if place == "top" else "right", yanchor=place, xshift=4 if place == "top" else -4,
            )  # fmt: skip
    figure.update_xaxes(type="log", title="genes in the panel", tickvals=[2**i for i in range(12)])
    figure.update_yaxes(title=metric_label)
    return styled(figure, theme, height=420).update_layout(legend={"y": -0.25, "yanchor": "top"})
