"""A figure on a page: drawn for the ground it stands on, with its files and its table below it."""

from collections.abc import Callable

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.ui import downloads, state
from yoto_core.plots.style import Theme


def chart(
    draw: Callable[[Theme], go.Figure], *, key: str, alt: str, table: pd.DataFrame, name: str, caption: str = ""
) -> None:
    """Show a figure and offer it as SVG, PDF and PNG on white, and its table as CSV; `name` begins the files' names."""
    st.plotly_chart(draw(state.theme()), key=key, theme=None, config={"displayModeBar": False}, alt=alt)
    if caption:
        st.caption(caption)
    downloads.figure_buttons(draw, table, name, alt)
