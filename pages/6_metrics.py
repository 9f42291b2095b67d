"""How well the panel predicts cells it has never seen."""

import streamlit as st

from pages.ui import messages, metric_views, nav, state

nav.ensure_router()
nav.header("Metrics")
messages.show_notice()
nav.require_run(with_panel=True)

with messages.errors_shown():
    run = state.run()
if run.evaluation is None:
    st.info("The scores of this run are not there: it was stopped before, or is still at work.")
    st.stop()

tasks = {task.obs: task for task in run.config.tasks}
name = next(iter(tasks))
if len(tasks) > 1:
    name = st.segmented_control(
        "Task", list(tasks), default=name, required=True, format_func=messages.plain, key="task"
    )
task = tasks[name]

metric_views.folds(run)
metric_views.baselines(run, task)
metric_views.sizes(run, task)
if task.kind == "classification":
    metric_views.classes(run, task)
    metric_views.calibration(run, task)
else:
    metric_views.numbers(run, task)
nav.next_button("See what the genes are known for", "Enrichment")
