"""Files to take away; each is made when it is asked for."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from yoto_core.pipeline import Run
from yoto_core.plots import vector
from yoto_core.plots.style import Theme
from yoto_core.store import export
from yoto_core.tables import csv_text


def panel_buttons(run: Run, folder: Path, table: pd.DataFrame) -> None:
    """The genes as the table that is shown and as plain text, and the cells cut down to the panel."""
    name = f"yoto_panel_{run.panel.panel_size}"
    with st.container(horizontal=True):
        file_button("Gene table (CSV)", lambda: csv_text(table), f"{name}.csv", "text/csv")
        file_button("Symbols (text)", lambda: "\n".join(run.panel.genes) + "\n", f"{name}.txt", "text/plain")
        file_button(
            "Cells × panel (.h5ad)", lambda: export.panel_h5ad(run, folder), f"{name}.h5ad", "application/x-hdf5"
        )


def table_button(label: str, table: pd.DataFrame, file_name: str) -> None:
    """A table as CSV."""
    file_button(label, lambda: csv_text(table), file_name, "text/csv")


def figure_buttons(draw: Callable[[Theme], go.Figure], table: pd.DataFrame, name: str, title: str) -> None:
    """A figure as SVG, PDF and PNG on white ground, titled with what it shows, and the table behind it as CSV."""
    kinds = {"svg": "image/svg+xml", "pdf": "application/pdf", "png": "image/png"}
    with st.container(horizontal=True, gap="small"):
        file_button("CSV", lambda: csv_text(table), f"{name}.csv", "text/csv")
        for form, mime in kinds.items():
            file_button(
                form.upper(), lambda form=form: vector.draw(draw("light"), form, title=title), f"{name}.{form}", mime
            )


def file_button(label: str, make: Callable[[], str | bytes], file_name: str, mime: str) -> None:
    """Any file, made when it is asked for."""
    st.download_button(
        label,
        make,
        file_name=file_name,
        mime=mime,
        on_click="ignore",
        icon=":material/download:",
        key=f"get_{file_name}",
    )
