"""The genes to order, and why."""

import streamlit as st

from pages.ui import downloads, messages, nav, state
from yoto_core import report

nav.ensure_router()
nav.header("Panel")
messages.show_notice()
nav.require_run(with_panel=True)

with messages.errors_shown():
    run = state.run()

st.subheader(f"{run.panel.panel_size:,} genes", anchor=False)
st.text(report.describe_design(run.config))
for sentence in report.verdicts(run):
    st.text(sentence)

wanted = st.text_input("Find a gene", placeholder="symbol or Ensembl id", key="find")
table = report.find_rows(run.panel_table, wanted)
st.dataframe(
    table,
    hide_index=True,
    width="stretch",
    height=min(38 + 35 * max(1, len(table)), 720),
    column_order=["rank", "gene", "gene_id", "tasks", "score", "reason"],
    column_config={
        "rank": st.column_config.NumberColumn("Rank", width="small"),
        "gene": st.column_config.TextColumn("Gene", width="small"),
        "gene_id": "Ensembl id",
        "tasks": st.column_config.TextColumn(
            "Needed for", help="Tasks whose score falls when this gene alone is missing."
        ),
        "score": st.column_config.NumberColumn("Score", format="%.2f", help="The model's score of the gene."),
        "reason": st.column_config.TextColumn("Why it is here", width="large"),
    },
    key="genes",
    alt="The genes of the panel, best first",
)
downloads.panel_buttons(run, state.run_folder())
nav.next_button("See how well it predicts", "Metrics")
