"""Say what the panel must predict and how large it may be."""

import streamlit as st

from pages.ui import design_form, messages, nav, state, sweep_form
from yoto_core import report
from yoto_core.store import runs
from yoto_core.store.labels import Label
from yoto_core.work import queue

nav.ensure_router()
nav.header("Design")
messages.show_notice()
nav.require_data()

with messages.errors_shown():
    data = state.dataset()
    asked = design_form.ask(data, state.facts()["columns"])
    config = asked.config

st.subheader("Check and start", anchor=False)
with messages.errors_shown():
    design = state.design(config)
    design_form.show_costs(asked, design, data.n_cells)
    state.set_draft(config)
with st.container(border=True):
    st.text(report.describe_design(config))
    messages.show_findings(design.findings)
    with st.container(horizontal=True):
        if st.button("Train this panel", type="primary", icon=":material/play_arrow:", key="train"):
            with messages.errors_shown():
                state.set_config(config)
                label = Label(owner=state.owner())
                folder = runs.create_run(
                    config, data_path=state.dataset_path(), data_name=data.name, data_digest=data.digest, label=label
                )
                queue.submit(folder)
                state.open_run(folder.name)
            nav.go("Train")
        design_form.offers(design.findings, data)
sweep_form.show(asked, data)
