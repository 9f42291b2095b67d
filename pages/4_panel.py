"""The genes to order, and why."""

import streamlit as st

from pages.ui import explored, gene_views, messages, nav, state
from yoto_core import report, verdicts

nav.ensure_router()
nav.header("Panel")
messages.show_notice()
nav.require_run(with_panel=True)

with messages.errors_shown():
    run = state.run()

st.subheader(f"{run.panel.panel_size:,} genes", anchor=False)
st.text(report.describe_design(run.config))
for sentence in verdicts.verdicts(run):
    st.text(sentence)
for sentence in gene_views.stability(run):
    st.text(sentence)
for note in verdicts.metric_notes(run):
    st.caption(note)

profiles = None
with messages.errors_shown(stop=False):
    profiles = explored.profiles()
gene = gene_views.gene_table(run, profiles)

if profiles is not None:
    card, patterns, redundancy = st.tabs(
        ["One gene", "All genes by class", "Genes that repeat each other"], on_change="rerun", key="panel_tabs"
    )
    if card.open:
        with card:
            st.caption("Choose a row of the table above to see its gene here.")
            gene_views.card(run, profiles, gene)
    if patterns.open:
        with patterns:
            gene_views.patterns(run, profiles)
    if redundancy.open:
        with redundancy:
            gene_views.redundancy(run, profiles)
nav.next_button("See it on the maps", "Maps")
