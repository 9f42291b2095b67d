"""Say what the panel must predict and how large it may be."""

import streamlit as st

from pages.ui import design_form, messages, nav, state
from yoto_core import jobs, report, runs

nav.ensure_router()
nav.header("Design")
messages.show_notice()
nav.require_data()

with messages.errors_shown():
    data = state.dataset()
    config = design_form.ask(data, state.facts()["columns"])

st.subheader("Check and start", anchor=False)
with messages.errors_shown():
    findings = state.findings(config)
with st.container(border=True):
    st.text(report.describe_design(config))
    messages.show_findings(findings)
    if st.button("Train this panel", type="primary", icon=":material/play_arrow:", key="train"):
        with messages.errors_shown():
            state.set_config(config)
            folder = runs.create_run(
                config, data_path=state.dataset_path(), data_name=data.name, data_digest=data.digest
            )
            jobs.launch(folder)
            state.open_run(folder.name)
        nav.go("Train")
