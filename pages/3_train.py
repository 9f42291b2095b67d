"""Start the training, watch it, stop it."""

import streamlit as st

from pages.ui import messages, nav, state, watch
from yoto_core.status import read_status

nav.ensure_router()
nav.header("Train")
messages.show_notice()
nav.require_run(with_panel=False)

folder = state.run_folder()
with messages.errors_shown():
    live = read_status(folder).live


@st.fragment(run_every=1.0 if live else None)
def progress() -> None:
    """The run as its folder tells it, once a second while it lives."""
    with messages.errors_shown():
        status = read_status(folder)
        watch.show(folder, status)
    if live and not status.live:
        st.rerun()


progress()
if not live:
    status = read_status(folder)
    if status.has_panel:
        nav.next_button("Read the panel", "Panel")
    elif st.button("Change the design", icon=":material/tune:", key="redesign"):
        nav.go("Design")
