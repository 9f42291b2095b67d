"""Every run so far, and the comparisons made of them."""

import streamlit as st

from pages.ui import messages, nav, run_views, state, sweep_views
from yoto_core.limits import shared
from yoto_core.store.history import history

nav.ensure_router()
nav.header("Runs")
messages.show_notice()

rows = history(state.owner() if shared() else None)
if shared():
    st.caption("Runs of this browser only. The address of a run shows it to whoever you send it to.")
sweep_views.show(rows)
if not rows:
    nav.require_first_step("There are no runs yet.")
st.subheader("History", anchor=False)
chosen = run_views.choose(rows)
if chosen:
    run_views.actions(chosen)
else:
    st.caption("Choose a row to open, name, copy or delete a run; several to delete them together.")
run_views.leftovers_button()
