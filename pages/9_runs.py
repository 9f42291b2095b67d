"""Every run so far, and the comparisons made of them."""

import streamlit as st

from pages.ui import messages, nav, run_views, state, sweep_views
from yoto_core.store.history import history, shared

nav.ensure_router()
nav.header("Runs")
messages.show_notice()

rows = history(state.owner() if shared() else None)
if shared():
    st.caption("Runs of this tab only. Keep the address of a run to find it again, or to show it to somebody.")
if not rows:
    st.info("There are no runs yet.", icon=":material/history:")
    if st.button("Design a panel", type="primary", key="first"):
        nav.go("Design")
    st.stop()

sweep_views.show(rows)
st.subheader("History", anchor=False)
chosen = run_views.choose(rows)
if chosen is None:
    st.caption("Choose a row to open, name, copy or delete a run.")
else:
    run_views.actions(chosen)
run_views.leftovers_button()
