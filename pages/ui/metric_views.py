"""The parts of the Metrics page: rivals, sizes, classes and numbers of one task."""

import streamlit as st

from pages.ui import downloads, state
from yoto_core import report
from yoto_core.config import TaskConfig
from yoto_core.metrics import HEADLINE
from yoto_core.pipeline import Run
from yoto_core.plots.confusion import confusion_figure, confusion_table
from yoto_core.plots.numbers import number_figure, number_table
from yoto_core.plots.scores import rival_figure, rival_table
from yoto_core.plots.sizes import size_figure, size_table
from yoto_core.sizes import suggest

QUIET = {"displayModeBar": False}
THREE = st.column_config.NumberColumn(format="%.3f")


def rivals(run: Run, task: TaskConfig) -> None:
    """The panel against every rival of the same size."""
    scores, metric = run.evaluation.scores, report.METRIC_LABELS[HEADLINE[task.kind]]
    st.subheader("Against its rivals", anchor=False)
    st.text(report.verdict(run, task.obs))
    cost = report.sharing_cost(run, task.obs)
    if cost:
        st.text(cost)
    figure = rival_figure(
        rival_table(scores, task.obs), f"{metric}, mean of three independent classifiers", state.theme()
    )
    st.plotly_chart(figure, key="rivals", config=QUIET, alt=f"{metric} per method with intervals")
    st.caption(report.METRIC_HELP[HEADLINE[task.kind]])
    with st.expander("All scores", icon=":material/table:"):
        every = report.all_scores(scores, task.obs)
        widths = {"value": THREE, "low": THREE, "high": THREE}
        st.dataframe(every, hide_index=True, width="stretch", column_config=widths)
        downloads.table_button("All scores (CSV)", every, f"yoto_scores_{report.file_safe(task.obs)}.csv")


def sizes(run: Run, task: TaskConfig) -> None:
    """The score of every panel size, and how many genes are enough."""
    metric, asked = report.METRIC_LABELS[HEADLINE[task.kind]], run.panel.panel_size
    suggestion = suggest(run.evaluation.sizes, asked)
    table = size_table(run.evaluation.sizes, task.obs)
    st.subheader("How many genes?", anchor=False)
    st.text(suggestion.sentence)
    figure = size_figure(table, metric, asked, suggestion.size, state.theme())
    st.plotly_chart(figure, key="sizes", config=QUIET, alt=f"{metric} on held-out cells for every panel size")
    st.caption(
        "The full line is YOTO's own model, from one training, with its 95 % interval; dotted lines are panels judged by a"
        " logistic regression trained anew for each."
    )
    downloads.table_button("Sizes (CSV)", table, f"yoto_sizes_{report.file_safe(task.obs)}.csv")


def classes(run: Run, task: TaskConfig) -> None:
    """Every class's recall and precision, and what is mistaken for what."""
    left, right = st.columns([2, 3], gap="large")
    table = run.evaluation.classes
    table = table[table["task"] == task.obs].drop(columns="task").sort_values("recall")
    with left:
        st.subheader("Class by class", anchor=False)
        st.caption("YOTO's own model on held-out cells, the worst recall first.")
        bars = {
            name: st.column_config.ProgressColumn(name.capitalize(), min_value=0, max_value=1, format="%.2f")
            for name in ("precision", "recall")
        }
        st.dataframe(
            table,
            hide_index=True,
            width="stretch",
            column_order=["class", "recall", "precision", "cells"],
            column_config={
                "class": "Class",
                "cells": st.column_config.NumberColumn("Cells", format="localized"),
                **bars,
            },
            height=min(740, 38 + 35 * len(table)),
        )
        downloads.table_button("Classes (CSV)", table, f"yoto_classes_{report.file_safe(task.obs)}.csv")
    with right:
        st.subheader("What is mistaken for what", anchor=False)
        st.caption("Each row adds up to one: of the cells that truly are …, the model calls this share …")
        shares = confusion_table(run.evaluation.confusion[task.obs])
        st.plotly_chart(confusion_figure(shares, state.theme()), key="confusion", config=QUIET, alt="Confusion matrix")


def numbers(run: Run, task: TaskConfig) -> None:
    """Predicted against true numbers."""
    st.subheader("Predicted against true", anchor=False)
    table = number_table(run.evaluation.predictions, task.obs)
    figure = number_figure(table, state.theme())
    st.plotly_chart(figure, key="numbers", config=QUIET, alt="Predicted against true numbers of held-out cells")
    downloads.table_button("Predictions (CSV)", table, f"yoto_predictions_{report.file_safe(task.obs)}.csv")
