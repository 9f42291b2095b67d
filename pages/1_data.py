"""Load labelled cells and see what they are good for."""

import pandas as pd
import streamlit as st

from pages.ui import downloads, messages, nav, state, storage_views, welcome, widgets

nav.ensure_router()
nav.header("Data")
messages.show_notice()

left, right = st.columns([2, 1], gap="large")
with left:
    upload = st.file_uploader(
        "Labelled cells (.h5ad)",
        help="An AnnData file with expression of single cells and labels in obs. It stays on this machine.",
        key="upload",
    )
    storage_views.limits()
with right, st.container(border=True):
    st.markdown("**No file at hand?**")
    st.caption("2,800 blood cells with and without interferon-beta (Kang et al. 2018).")
    kind = "primary" if state.dataset_key() is None else "secondary"
    if st.button("Load the demo", type=kind, icon=":material/science:", width="stretch", key="demo"):
        state.open_demo()
        st.rerun()

with messages.errors_shown(stop=False):
    if state.take_upload(upload):
        st.rerun()

storage_views.show()
if state.dataset_key() is None:
    welcome.show()
    st.stop()

with messages.errors_shown():
    data, facts = state.dataset(), state.facts()

st.subheader("What is in it", anchor=False)
st.text(facts["name"])
cards = st.columns(4)
cards[0].metric("Cells", f"{facts['cells']:,}", border=True)
cards[1].metric("Genes", f"{facts['genes']:,}", border=True)
cards[2].metric("Genes per cell (median)", f"{facts['genes_per_cell_median']:,}", border=True)
if facts["counts_per_cell_median"] is not None:
    cards[3].metric("Counts per cell (median)", f"{facts['counts_per_cell_median']:,.0f}", border=True)
else:
    cards[3].metric("Zeros", f"{facts['zero_percent']:.1f} %", border=True)

messages.show_findings(state.data_findings())

with st.expander(messages.plain(f"Matrix used: {data.chosen} ({data.kind})"), icon=":material/grid_on:"):
    st.dataframe(
        pd.DataFrame(facts["matrices"]), hide_index=True, width="stretch",
        column_config={"genes": st.column_config.NumberColumn(format="localized")},
        alt="The file's matrices, and what their values are",
    )  # fmt: skip
    st.caption(f"From it the model reads {facts['unit']}.")
    chosen = widgets.matrix_input("Use another matrix", data.verdicts, state.matrix(), key=f"matrix_{data.digest}")
    if chosen != state.matrix():
        state.choose_matrix(chosen)
        st.rerun()

st.subheader("What it can be used for", anchor=False)
table = pd.DataFrame(facts["columns"])
if table.empty:
    st.warning("The cells carry no labels (obs has no columns): a panel needs something to predict.")
    st.stop()
ROLES = {"task": "to predict", "group": "groups to hold out", "neither": "–"}
st.dataframe(
    table.assign(role=table["role"].map(ROLES)),
    hide_index=True,
    width="stretch",
    column_order=["name", "role", "reason", "profile", "missing"],
    column_config={
        "name": "Column",
        "role": "Good for",
        "reason": st.column_config.TextColumn("Why", width="large"),
        "profile": st.column_config.BarChartColumn(
            "Cells",
            help="Cells per class, the largest first; for a number, from its lowest to its highest value.",
            y_min=0,
        ),
        "missing": st.column_config.NumberColumn("Cells without it", format="localized"),
    },
    alt="Columns of obs, and what each is good for",
)
downloads.table_button("Columns (CSV)", table.drop(columns="profile"), "yoto_columns.csv")
nav.next_button("Design a panel", "Design")
