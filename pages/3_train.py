"""Start the training, watch it, stop it, and go on with one that was lost."""

import streamlit as st

from pages.ui import messages, nav, state, watch
from yoto_core.store import runs
from yoto_core.work import queue

nav.ensure_router()
nav.header("Train")
messages.show_notice()
nav.require_run(with_panel=False)

folder = state.run_folder()
watch.begin()
with messages.errors_shown():
    opened = watch.look(folder)
live = opened.status.live


@st.fragment(run_every=watch.EVERY if live else None)
def progress() -> None:
    """The run as its folder tells it, while it lives."""
    with messages.errors_shown():
        now = watch.look(folder) if live else opened  # others look too: theirs may be older than the end of the run
        watch.show(folder, now)
        if now.status.live and now.status.has_panel:
            st.text("The genes are chosen. Their scores, the maps and the stability follow.")
            if st.button("View the panel now", icon=":material/arrow_forward:", key="view_now"):
                nav.go("Panel")
    if live and not now.status.live:
        st.rerun()


@st.fragment(run_every=watch.CURVES_EVERY if live else None)
def curves() -> None:
    """Its curves, less often."""
    with messages.errors_shown():
        watch.show_curves(folder)


progress()
curves()
if not live:
    with st.container(horizontal=True), messages.errors_shown(stop=False):
        status = opened.status
        if status.has_panel:
            nav.next_button("Read the panel", "Panel")
        if status.state != "done":
            lost = status.state == "interrupted" and not status.has_panel
            if state.may_change(folder) and st.button(
                "Resume",
                icon=":material/resume:",
                key="resume",
                type="primary" if lost else "secondary",
                help="Goes on from the last checkpoint and ends with the same panel as if nothing had happened.",
            ):
                queue.resume(folder, owner=state.owner())
                st.rerun()
            if st.button(
                "Run again",
                icon=":material/replay:",
                key="again",
                help="A new run from the start with the same design.",
            ):
                again = runs.same_again(folder, owner=state.owner())
                queue.submit(again)
                state.open_run(again.name)
                st.rerun()
        if st.button("Change the design", icon=":material/tune:", key="redesign"):
            state.reuse_design(runs.read_config(folder))
            nav.go("Design")
