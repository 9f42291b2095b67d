"""Is the model calibrated? The probability it states against the share of cells it gets right, held out."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from yoto_core.plots.style import HIGHLIGHT, MUTED, Theme, styled

BINS = 10


def calibration_table(predictions: pd.DataFrame, task: str) -> pd.DataFrame:
    """One row per tenth of certainty that occurs: claimed (mean probability), right (share of correct cells), cells."""
    here = predictions[[f"{task} true", f"{task} predicted", f"{task} probability"]].dropna()
    claimed = here[f"{task} probability"].to_numpy(dtype=float)
    right = (here[f"{task} true"].astype(str) == here[f"{task} predicted"].astype(str)).to_numpy()
    group = np.minimum((claimed * BINS).astype(int), BINS - 1)
    table = pd.DataFrame({"group": group, "claimed": claimed, "right": right.astype(float)}).groupby("group")
    found = table.agg(claimed=("claimed", "mean"), right=("right", "mean"), cells=("right", "size"))
    return found.reset_index(drop=True)


def calibration_error(table: pd.DataFrame) -> float:
    """Mean distance between claim and truth over cells (expected calibration error, 0 to 1); NaN without cells."""
    if not table["cells"].sum():
        return float("nan")
    return float(np.average((table["claimed"] - table["right"]).abs(), weights=table["cells"]))


def calibration_sentence(table: pd.DataFrame) -> str:
    """What the figure shows for this run."""
    error = calibration_error(table)
    if np.isnan(error):
        return "There are no labelled held-out cells to check the certainty on."
    claimed, right = (np.average(table[name], weights=table["cells"]) for name in ("claimed", "right"))
    start = f"On average the model claims {claimed:.0%} certainty and is right for {right:.0%} of the cells"
    if error <= 0.05:
        return f"{start}: its certainty can be taken at its word (mean gap {100 * error:.0f} points)."
    word = "too sure" if claimed > right else "too modest"
    return f"{start}: it is {word} of itself (mean gap {100 * error:.0f} points)."


def calibration_figure(table: pd.DataFrame, theme: Theme) -> go.Figure:
    """Share of correct cells over the claimed certainty; on the dashed line claim and truth agree."""
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": MUTED, "dash": "dash"}, showlegend=False, hoverinfo="skip"
    )
    biggest = max(1, table["cells"].max()) if len(table) else 1
    figure.add_scatter(
        x=table["claimed"], y=table["right"], mode="lines+markers", showlegend=False, line={"color": HIGHLIGHT[theme], "width": 2},
        marker={"size": 7 + 17 * np.sqrt(table["cells"] / biggest), "color": HIGHLIGHT[theme]}, customdata=table["cells"],
        hovertemplate="claimed %{x:.0%}, right %{y:.0%}<br>%{customdata:,} cells<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title="certainty that the model claims", tickformat=".0%", range=[0, 1.03])
    figure.update_yaxes(title="share of cells it gets right", tickformat=".0%", range=[0, 1.05])
    return styled(figure, theme, height=400)
