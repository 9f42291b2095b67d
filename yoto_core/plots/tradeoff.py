"""What a threshold on the probability gives: the share of cells labelled and the share of those that is right."""

import pandas as pd
import plotly.graph_objects as go

from yoto_core.plots.style import HIGHLIGHT, MUTED, OKABE_ITO, Theme, styled


def trade_off_figure(table: pd.DataFrame, threshold: float, theme: Theme) -> go.Figure:
    """Two lines over the threshold (columns threshold, coverage, accuracy, cells) and a mark where it stands."""
    figure = go.Figure()
    names = {"accuracy": ("right among those labelled", HIGHLIGHT[theme]), "coverage": ("cells labelled", OKABE_ITO[1])}
    for column, (name, color) in names.items():
        figure.add_scatter(
            x=table["threshold"], y=table[column], mode="lines", name=name, line={"color": color, "width": 3},
            customdata=table["cells"], hovertemplate=f"threshold %{{x:.2f}}: %{{y:.1%}} {name} (%{{customdata:,}} cells kept)<extra></extra>",
        )  # fmt: skip
    figure.add_vline(x=threshold, line={"color": MUTED, "width": 2, "dash": "dash"})
    figure.update_xaxes(title="threshold on the probability", range=[0, 1])
    figure.update_yaxes(title="share of held-out cells", tickformat=".0%", range=[0, 1.03])
    return styled(figure, theme, height=320)
