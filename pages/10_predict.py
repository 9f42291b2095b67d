"""Label new cells with a trained model, and know how far to believe it."""

import streamlit as st

from pages.ui import messages, nav, predict_views, state
from yoto_core.prediction import crossstudy
from yoto_core.prediction.matching import refuse_missing
from yoto_core.store import library

nav.ensure_router()
nav.header("Predict")
messages.show_notice()

with messages.errors_shown():
    saved = predict_views.choose_model()
if saved is None:
    st.stop()

left, right = st.columns([2, 1], gap="large")
with left:
    upload = st.file_uploader(
        "New cells (.h5ad)",
        help="Only the panel's genes need be in it. It is read a block of cells at a time and stays on this machine.",
        key="new_cells_upload",
    )
with right, st.container(border=True):
    st.caption("Or try it on the data that are loaded here.")
    loaded = state.dataset_key()
    if st.button(
        "Label the loaded data", icon=":material/label:", width="stretch", disabled=loaded is None, key="loaded"
    ):
        state.choose_new_cells(loaded)
with messages.errors_shown():
    state.take_new_cells(upload)
    key = state.new_cells()
    if key is None:
        st.stop()
    path, name = library.find(key)
    matching = predict_views.match(saved, path, name)

st.subheader("Genes", anchor=False)
impute = predict_views.genes(saved, matching)
with messages.errors_shown():
    refuse_missing(matching, impute=impute, name=name)
    labelled, obs = predict_views.label(saved, path, name, impute=impute)

st.subheader("Labels", anchor=False)
st.text(f"{len(labelled.table):,} cells of {name}")
if predict_views.is_training_data(saved, path):
    st.warning("These are the cells that the model was made with: its answers look better here than on new cells.")
messages.show_findings(labelled.findings)
names = [head.task for head in saved.model.heads]
task = names[0]
if len(names) > 1:
    task = st.segmented_control(
        "Task", names, default=task, required=True, format_func=messages.plain, key="predict_task"
    )
threshold = predict_views.answers(saved, labelled, task)
predict_views.downloads_of(labelled, threshold, path)

if labelled.shift is not None:
    predict_views.shift(labelled.shift)

with messages.errors_shown():
    columns = crossstudy.comparable_tasks(saved.model, obs)
    predict_views.own_labels(saved, labelled, obs, columns)
