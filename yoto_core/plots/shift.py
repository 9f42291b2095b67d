"""New cells against training cells, gene by gene: usual ranges and means."""

import pandas as pd
import plotly.graph_objects as go

from yoto_core.plots.style import HIGHLIGHT, MUTED, Theme, literal, styled

DRAWN = 30  # genes, those that moved most


def shift_figure(table: pd.DataFrame, theme: Theme) -> go.Figure:
    """Bars from the 5th to the 95th percentile and dots at the mean for the 30 genes that moved most, the first on top."""
    drawn = table.head(DRAWN)
    names = [literal(gene) for gene in drawn["gene"]]
    figure = go.Figure()
    for side, color, width in (("training", MUTED, 11), ("new", HIGHLIGHT[theme], 4)):
        spans = [
            (gene, low, high)
            for gene, low, high in zip(names, drawn[f"{side} low"], drawn[f"{side} high"], strict=True)
        ]
        figure.add_scatter(
            x=[x for _, low, high in spans for x in (low, high, None)],
            y=[y for gene, _, _ in spans for y in (gene, gene, None)],
            mode="lines", line={"color": color, "width": width}, opacity=0.5, hoverinfo="skip", showlegend=False,
        )  # fmt: skip
        figure.add_scatter(
            x=drawn[f"{side} mean"], y=names, mode="markers", name=f"{side} cells",
            marker={"color": color, "size": 11, "symbol": "line-ns-open" if side == "training" else "circle", "line": {"width": 3}},
            customdata=drawn[[f"{side} low", f"{side} high", f"{side} seen"]],
            hovertemplate=f"%{{y}}, {side} cells: mean %{{x:.2f}}, usually %{{customdata[0]:.2f}} to %{{customdata[1]:.2f}},"
            " seen in %{customdata[2]:.0%}<extra></extra>",
        )  # fmt: skip
    figure.update_yaxes(autorange="reversed", type="category", dtick=1, title=None)
    figure.update_xaxes(title="expression as the model reads it (bars: 5 to 95 % of cells)")
    return styled(figure, theme, height=110 + 22 * max(1, len(drawn)))
