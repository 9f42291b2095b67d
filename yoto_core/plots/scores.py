"""The panel compared with baselines: headline score per method with its interval."""

import pandas as pd
import plotly.graph_objects as go

from yoto_core.plots.style import INK, Theme, method_color, styled
from yoto_core.scores.methods import METHODS, headline_rows
from yoto_core.words import number_text

# Hollow: not a panel of the same size read by the same classifier.
SYMBOLS = {"all": "circle-open", "chance": "circle-open", "sequenced": "circle-open", "own": "diamond"}


def method_table(scores: pd.DataFrame, task: str) -> pd.DataFrame:
    """One row per method, best first: method, label, value, low, high, cells and groups of the headline score."""
    rows = headline_rows(scores)
    table = rows[rows["task"] == task].assign(label=rows["method"].map(METHODS))
    columns = ["method", "label", "value", "low", "high", "cells", "groups"]
    return table.sort_values("value", ascending=False, kind="stable")[columns].reset_index(drop=True)


def method_figure(table: pd.DataFrame, metric_label: str, theme: Theme) -> go.Figure:
    """Dots with 95 % intervals where there are any, the best method on top; YOTO in colour, its own model as a diamond."""
    figure = go.Figure()
    for row in table.itertuples():
        color = method_color(row.method, theme) if row.method in ("yoto", "own") else method_color("", theme)
        known = pd.notna(row.low)
        bars = {"type": "data", "array": [row.high - row.value], "arrayminus": [row.value - row.low], "color": color}
        interval = f" (95 % interval {row.low:.3f} to {row.high:.3f})" if known else ""
        figure.add_scatter(
            x=[row.value], y=[row.label], mode="markers+text", text=[number_text(row.value)], textposition="top center",
            error_x=bars if known else None,
            marker={"size": 13, "color": color, "symbol": SYMBOLS.get(row.method, "circle")},
            textfont={"color": INK[theme]}, showlegend=False,
            hovertemplate=f"%{{y}}: {row.value:.3f}{interval}<extra></extra>",
        )  # fmt: skip
    figure.update_yaxes(autorange="reversed", title=None)
    figure.update_xaxes(title=metric_label)
    return styled(figure, theme, height=90 + 44 * max(1, len(table)))
