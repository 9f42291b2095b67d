"""The panel against its rivals: headline score per method with its interval."""

import pandas as pd
import plotly.graph_objects as go

from yoto_core.plots.style import HIGHLIGHT, INK, MUTED, Theme, styled
from yoto_core.scores.methods import JUDGE_LABELS, METHODS
from yoto_core.scores.metrics import HEADLINE
from yoto_core.words import number_text

OURS = ("yoto", "own")
SYMBOLS = {"all": "circle-open", "chance": "circle-open", "own": "diamond"}  # hollow: not rivals of the same size


def rival_table(scores: pd.DataFrame, task: str) -> pd.DataFrame:
    """One row per method, best first: method, label, value, low, high of the mean of the independent classifiers.

    Chance answers by itself, so its own score stands in; YOTO's own model on its panel is a row of its own ("own").
    """
    here = scores[(scores["task"] == task) & scores["metric"].isin(HEADLINE.values())]
    own = here[(here["method"] == "yoto") & (here["judge"] == "yoto")].assign(method="own")
    table = pd.concat([here[here["judge"].isin(["mean", "chance"])], own])
    table["label"] = table["method"].map({**METHODS, "own": JUDGE_LABELS["yoto"]})
    columns = ["method", "label", "value", "low", "high", "cells"]
    return table.sort_values("value", ascending=False, kind="stable")[columns].reset_index(drop=True)


def rival_figure(table: pd.DataFrame, metric_label: str, theme: Theme) -> go.Figure:
    """Dots with 95 % intervals, the best method on top; YOTO in colour, its own model as a diamond, references hollow."""
    figure = go.Figure()
    for row in table.itertuples():
        color = HIGHLIGHT[theme] if row.method in OURS else MUTED
        figure.add_scatter(
            x=[row.value], y=[row.label], mode="markers+text", text=[number_text(row.value)], textposition="top center",
            error_x={"type": "data", "array": [row.high - row.value], "arrayminus": [row.value - row.low], "color": color},
            marker={"size": 13, "color": color, "symbol": SYMBOLS.get(row.method, "circle")},
            textfont={"color": INK[theme]}, showlegend=False,
            hovertemplate=f"%{{y}}: {number_text(row.value, 3)} (95 % interval {number_text(row.low, 3)} to {number_text(row.high, 3)})"
            "<extra></extra>",
        )  # fmt: skip
    figure.update_yaxes(autorange="reversed", title=None)
    figure.update_xaxes(title=metric_label)
    return styled(figure, theme, height=90 + 44 * max(1, len(table)))
