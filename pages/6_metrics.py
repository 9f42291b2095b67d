"""How well the panel predicts cells it has never seen."""

import streamlit as st

from pages.ui import downloads, messages, nav, state
from yoto_core import report
from yoto_core.metrics import HEADLINE
from yoto_core.plots.confusion import confusion_figure, confusion_table
from yoto_core.plots.scores import rival_figure, rival_table

nav.ensure_router()
nav.header("Metrics")
messages.show_notice()
nav.require_run(with_panel=True)

with messages.errors_shown():
    run = state.run()
if run.evaluation is None:
    st.info("This run was stopped before its scores were measured. Train again to see them.")
    st.stop()
scores, theme = run.evaluation.scores, state.theme()
names = [task.obs for task in run.config.tasks]
name = st.segmented_control("Task", names, default=names[0], required=True, key="task") if len(names) > 1 else names[0]
task = next(task for task in run.config.tasks if task.obs == name)
metric = report.METRIC_LABELS[HEADLINE[task.kind]]

st.subheader("Against its rivals", anchor=False)
rivals = rival_table(scores, task.obs)
st.text(report.verdict(run, task.obs))
st.plotly_chart(
    rival_figure(rivals, f"{metric}, mean of three independent classifiers", theme),
    key="rivals", config={"displayModeBar": False}, alt=f"{metric} per method with intervals",
)  # fmt: skip
with st.expander("All scores", icon=":material/table:"):
    every = report.all_scores(scores, task.obs)
    st.dataframe(
        every,
        hide_index=True,
        width="stretch",
        column_config={
            "value": st.column_config.NumberColumn(format="%.3f"),
            "low": st.column_config.NumberColumn(format="%.3f"),
            "high": st.column_config.NumberColumn(format="%.3f"),
        },
    )
    downloads.table_button("All scores (CSV)", every, f"yoto_scores_{report.file_safe(task.obs)}.csv")

if task.kind == "classification":
    left, right = st.columns([2, 3], gap="large")
    classes = run.evaluation.classes
    mine = classes[classes["task"] == task.obs].drop(columns="task").sort_values("recall")
    with left:
        st.subheader("Class by class", anchor=False)
        st.caption("YOTO's own model on held-out cells, the worst recall first.")
        percent = {
            c: st.column_config.ProgressColumn(c.capitalize(), min_value=0, max_value=1, format="%.2f")
            for c in ("precision", "recall")
        }
        st.dataframe(
            mine,
            hide_index=True,
            width="stretch",
            column_order=["class", "recall", "precision", "cells"],
            column_config={"class": "Class", "cells": "Cells", **percent},
            height=min(740, 38 + 35 * len(mine)),
        )
        downloads.table_button("Classes (CSV)", mine, f"yoto_classes_{report.file_safe(task.obs)}.csv")
    with right:
        st.subheader("What is mistaken for what", anchor=False)
        st.caption("Rows add up to one: of the cells that truly are …, the model calls this share …")
        shares = confusion_table(run.evaluation.confusion[task.obs])
        st.plotly_chart(
            confusion_figure(shares, theme), key="confusion", config={"displayModeBar": False}, alt="Confusion matrix"
        )
