"""The parts of the Metrics page: rivals, sizes, classes and numbers of one task."""

import streamlit as st

from pages.ui import charts, downloads
from yoto_core import report
from yoto_core.config import TaskConfig
from yoto_core.evaluation.sizes import suggest
from yoto_core.explore.sentences import mistake_sentences, mistakes, number_sentence
from yoto_core.pipeline import Run
from yoto_core.plots.calibration import calibration_figure, calibration_sentence, calibration_table
from yoto_core.plots.confusion import by_similarity, confusion_figure, confusion_table
from yoto_core.plots.numbers import number_figure, number_table
from yoto_core.plots.scores import rival_figure, rival_table
from yoto_core.plots.sizes import size_figure, size_table
from yoto_core.scores.metrics import HEADLINE

THREE = st.column_config.NumberColumn(format="%.3f")


def rivals(run: Run, task: TaskConfig) -> None:
    """The panel against every rival of the same size."""
    scores, metric = run.evaluation.scores, report.METRIC_LABELS[HEADLINE[task.kind]]
    st.subheader("Against its rivals", anchor=False)
    st.text(report.verdict(run, task.obs))
    cost = report.sharing_cost(run, task.obs)
    if cost:
        st.text(cost)
    table = rival_table(scores, task.obs)
    charts.chart(
        lambda theme: rival_figure(table, metric, theme), key="rivals", alt=f"{metric} per method with intervals",
        table=table, name=f"yoto_rivals_{report.file_safe(task.obs)}",
        caption=f"{report.METRIC_HELP[HEADLINE[task.kind]]} Dots are the mean of three independent classifiers, the diamond is"
        " the model that chose the panel, hollow dots are not panels of this size. Bars are 95 % intervals over held-out cells.",
    )  # fmt: skip
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
    charts.chart(
        lambda theme: size_figure(table, metric, asked, suggestion.size, theme), key="sizes",
        alt=f"{metric} on held-out cells for every panel size", table=table, name=f"yoto_sizes_{report.file_safe(task.obs)}",
        caption="The full line is YOTO's own model, from one training, with its 95 % interval; dotted lines are panels judged"
        " by a logistic regression trained anew for each.",
    )  # fmt: skip


def classes(run: Run, task: TaskConfig) -> None:
    """Every class's recall and precision, the worst first, and what is mistaken for what."""
    counts, name = run.evaluation.confusion[task.obs], report.file_safe(task.obs)
    st.subheader("Class by class", anchor=False)
    for sentence in mistake_sentences(counts):
        st.text(sentence)
    _class_table(run, task, name)
    st.subheader("What is mistaken for what", anchor=False)
    kind = st.segmented_control("Numbers", ["Shares", "Counts"], default="Shares", required=True, key="confusion_kind")
    ordered = by_similarity(counts)
    shares = confusion_table(ordered)
    if shares.empty:
        st.info("No held-out cell has a label of this task.", icon=":material/info:")
        return
    counted = ordered if kind == "Counts" else None
    charts.chart(
        lambda theme: confusion_figure(shares, theme, counts=counted), key="confusion",
        alt="Confusion matrix, classes ordered by similarity", name=f"yoto_confusion_{name}",
        table=(shares if counted is None else counted).reset_index(names="true class"),
        caption="Of the held-out cells that truly are of a class (row), the share that the model calls each class (column):"
        " rows add up to one. Classes that are mistaken for each other stand side by side.",
    )  # fmt: skip


def calibration(run: Run, task: TaskConfig) -> None:
    """Whether the model's certainty can be believed."""
    st.subheader("Can its certainty be believed?", anchor=False)
    table = calibration_table(run.evaluation.predictions, task.obs)
    st.text(calibration_sentence(table))
    if table.empty:
        return
    charts.chart(
        lambda theme: calibration_figure(table, theme), key="calibration",
        alt="Claimed certainty against the share of correct cells", table=table,
        name=f"yoto_calibration_{report.file_safe(task.obs)}",
        caption="Held-out cells in tenths of the certainty that the model claims; the larger the dot the more cells.",
    )  # fmt: skip


def numbers(run: Run, task: TaskConfig) -> None:
    """Predicted against true numbers."""
    st.subheader("Predicted against true", anchor=False)
    table = number_table(run.evaluation.predictions, task.obs)
    st.text(number_sentence(table, task.obs))
    charts.chart(
        lambda theme: number_figure(table, theme), key="numbers", alt="Predicted against true numbers of held-out cells",
        table=table, name=f"yoto_predictions_{report.file_safe(task.obs)}",
        caption="One dot per held-out cell (at most 5,000 are drawn); on the dashed line prediction and truth agree.",
    )  # fmt: skip


def _class_table(run: Run, task: TaskConfig, name: str) -> None:
    table = run.evaluation.classes
    table = table[table["task"] == task.obs].drop(columns="task").sort_values("recall")
    mistaken = mistakes(run.evaluation.confusion[task.obs])[["class", "mistaken_for", "share"]]
    table = table.merge(mistaken, on="class", how="left")
    bars = {
        column: st.column_config.ProgressColumn(column.capitalize(), min_value=0, max_value=1, format="%.2f")
        for column in ("recall", "precision")
    }
    st.dataframe(
        table.assign(share=100 * table["share"]),
        hide_index=True,
        width="stretch",
        column_order=["class", "recall", "precision", "cells", "mistaken_for", "share"],
        column_config={
            "class": "Class",
            "cells": st.column_config.NumberColumn("Held-out cells", format="localized"),
            "mistaken_for": "Most often mistaken for",
            "share": st.column_config.NumberColumn("Share of its cells", format="%.0f %%"),
            **bars,
        },
        height=min(740, 38 + 35 * max(1, len(table))),
        alt="Recall and precision of every class, the worst recall first",
    )
    st.caption("YOTO's own model on held-out cells, the worst recall first.")
    downloads.table_button("Classes (CSV)", table, f"yoto_classes_{name}.csv")
