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
    for side, color, width, opacity in (("training", MUTED, 11, 0.5), ("new", HIGHLIGHT[theme], 4, 0.9)):
        spans = [
            (gene, low, high)
            for gene, low, high in zip(names, drawn[f"{side} low"], drawn[f"{side} high"], strict=True)
        ]
        figure.add_scatter(
            x=[x for _, low, high in spans for x in (low, high, None)],
            y=[y for gene, _, _ in spans for y in (gene, gene, None)],
            mode="lines", line={"color": color, "width": width}, opacity=opacity, hoverinfo="skip", showlegend=False,
        )  # fmt: skip
        figure.add_scatter(
            x=drawn[f"{side} mean"], y=names, mode="markers", name=f"{side} cells",
            marker={"color": color, "size": 11, "symbol": "line-ns-open" if side == "training" else "circle", "line": {"width": 3}},
            customdata=drawn[[f"{side} low", f"{side} high", f"{side} seen"]],
            hovertemplate=f"%{{y}}, {side} cells: mean %{{x:.2f}}, usually %{{customdata[0]:.2f}} to %{{customdata[1]:.2f}},"
            " seen in %{customdata[2]:.0%}<extra></extra>",
        )  # fmt: skip
    figure.update_yaxes(range=[len(drawn) - 0.4, -0.6], type="category", dtick=1, title=None)
    highest = float(drawn[["training high", "new high"]].max().max()) if len(drawn) else 1.0
    figure.update_xaxes(
        title="expression as the model reads it (bars: 5 to 95 % of cells)", range=[-0.02 * highest, 1.03 * highest]
    )
    styled(figure, theme, height=120 + 22 * max(1, len(drawn)))
    figure.update_layout(legend={"y": 1, "yanchor": "bottom"})
    return figure
