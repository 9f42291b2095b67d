"""One look for every figure: colours, fonts and margins, on light and on dark ground."""

import html
from collections.abc import Iterable
from typing import Literal

import plotly.graph_objects as go

Theme = Literal["light", "dark"]

# Okabe & Ito 2008 (jfly.uni-koeln.de/color): eight colours that colour-blind readers can tell apart.
OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#B8860B", "#5b6770")
HIGHLIGHT = {"light": "#0072B2", "dark": "#4aa3d6"}
MUTED = "#9aa5ad"
# One colour per way to choose or read genes, wherever it is drawn.
METHOD_COLORS = {
    "own": {"light": "#D55E00", "dark": "#ff8a3d"},
    "sequenced": {"light": "#56B4E9", "dark": "#9fd3f2"},
    "wilcoxon": {"light": "#B8860B", "dark": "#E69F00"},
    "logistic": {"light": "#009E73", "dark": "#2fc79d"},
    "forest": {"light": "#CC79A7", "dark": "#e59cc4"},
}
INK = {"light": "#1b2730", "dark": "#e6edf2"}
GRID = {"light": "#e3e8ec", "dark": "#2c3840"}
GROUND = {"light": "#ffffff", "dark": "#12181d"}


def method_color(method: str, theme: Theme) -> str:
    """The colour of a method: YOTO's panel in the accent, the others in their own, the rest muted."""
    return HIGHLIGHT[theme] if method == "yoto" else METHOD_COLORS.get(method, {}).get(theme, MUTED)


def literal(text: str) -> str:
    """Text for a figure that plotly must not read as markup."""
    return str(text).replace("&", "&amp;").replace("<", "&lt;")


def brief(text: str, longest: int = 28) -> str:
    """The beginning of a text that would not fit."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def aliases(labels: Iterable[str]) -> dict[str, str]:
    """What an axis writes for labels (as `literal` gives them) that are too long for it: plotly's `labelalias`."""
    shorter = {label: literal(brief(html.unescape(label))) for label in labels}
    return {label: text for label, text in shorter.items() if text != label}


def ground_scale(theme: Theme) -> list[list[float | str]]:
    """A colour scale for amounts that begins with the ground: nothing is there where nothing is seen."""
    middle, high = ("#7fb6d8", "#0b4a70") if theme == "light" else ("#2f6d94", "#a8dcff")
    return [[0, GROUND[theme]], [0.5, middle], [1, high]]


def styled(figure: go.Figure, theme: Theme, *, height: int = 320) -> go.Figure:
    """The same figure with the project's fonts, grid and margins on a transparent ground."""
    axis = {"gridcolor": GRID[theme], "zerolinecolor": GRID[theme], "linecolor": GRID[theme], "automargin": True}
    figure.update_layout(
        template="plotly_white" if theme == "light" else "plotly_dark",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "Source Sans, Source Sans Pro, sans-serif", "size": 14, "color": INK[theme]},
        margin={"l": 10, "r": 10, "t": 30, "b": 10},
        height=height,
        legend={"orientation": "h", "y": 1.12, "x": 0},
        hoverlabel={"font": {"size": 13}},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": MUTED, "activecolor": INK[theme]},
    )
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure
