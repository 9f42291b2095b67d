"""Label new cells with a trained model, and know how far to believe it."""

import streamlit as st

from pages.ui import labelling, messages, nav, predict_views, truth_views

nav.ensure_router()
nav.header("Predict")
messages.show_notice()

left, right = st.columns(2, gap="large")
with left, messages.errors_shown():
    key, version, saved = predict_views.choose_model()
with right, messages.errors_shown():
    cells = predict_views.choose_cells(key, saved)

st.subheader("The panel's genes in the new data", anchor=False)
with messages.errors_shown():
    asked = predict_views.genes(saved, version, cells)
    labelled = labelling.label(asked)

st.subheader("Labels", anchor=False)
messages.show_findings(labelled.findings)
task = predict_views.choose_task(labelled.tasks)
threshold = predict_views.answers(saved, labelled, task)
predict_views.downloads_of(labelled, threshold, cells)

if labelled.shift is not None:
    predict_views.shift(labelled.shift)
with messages.errors_shown():
    truth_views.show(asked, labelled, task, threshold)
