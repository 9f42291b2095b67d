"""What the chosen genes are known for: over-representation of gene sets, on this machine."""

import streamlit as st

from pages.ui import enrichment_views, explored, messages, nav, state

nav.ensure_router()
nav.header("Enrichment")
messages.show_notice()
nav.require_run(with_panel=True)

with messages.errors_shown():
    run = state.run()
    profiles = explored.profiles()

left, right = st.columns(2, gap="large")
with left:
    genes = enrichment_views.genes_input(run, profiles)
    background = enrichment_views.background_input(run, profiles)
with right:
    with messages.errors_shown(stop=False):
        libraries = enrichment_views.libraries_input()
    ignore_case = enrichment_views.case_input(profiles.candidates["gene"])
    foreign = enrichment_views.cannot_meet(profiles.candidates["gene"], libraries, ignore_case=ignore_case)
if not genes or not libraries:
    st.info("Choose genes and at least one library of gene sets.", icon=":material/info:")
    st.stop()
if foreign:
    st.stop()  # what to do is said above

with messages.errors_shown():
    found = enrichment_views.test(genes, background, libraries, ignore_case=ignore_case)
enrichment_views.result(found)
enrichment_views.online(genes)
