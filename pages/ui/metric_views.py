"""The parts of the Metrics page: baselines, folds, sizes, classes and numbers of one task."""

import pandas as pd
import streamlit as st

from pages.ui import charts, downloads
from yoto_core import report, verdicts
from yoto_core.config import TaskConfig
from yoto_core.evaluation.sizes import suggest
from yoto_core.explore.sentences import mistake_sentences, mistakes, number_sentence
from yoto_core.pipeline import Run
from yoto_core.plots.calibration import calibration_figure, calibration_sentence, calibration_table
from yoto_core.plots.confusion import by_similarity, confusion_figure, confusion_table
from yoto_core.plots.numbers import number_figure, number_table
from yoto_core.plots.scores import method_figure, method_table
from yoto_core.plots.sizes import size_figure, size_table
from yoto_core.scores.metrics import HEADLINE, MIN_GROUPS

THREE = st.column_config.NumberColumn(format="%.3f")


def baselines(run: Run, task: TaskConfig) -> None:
    """The panel's score, what it is worth, and every baseline of the same size."""
    scores, metric = run.evaluation.scores, verdicts.METRIC_LABELS[HEADLINE[task.kind]]
    name, group = report.file_safe(task.obs), run.config.split.group
    st.subheader("Compared with baselines", anchor=False)
    st.text(verdicts.verdict(run, task.obs))
    for sentence in (verdicts.assay_cost(run, task.obs), verdicts.sharing_cost(run, task.obs)):
        if sentence:
            st.text(sentence)
    table = method_table(scores, task.obs)
    cells = verdicts.behind(table.iloc[0], group) if len(table) else "no cells"
    charts.chart(
        lambda theme: method_figure(table, metric, theme), key="baselines", alt=f"{metric} per method with intervals",
        table=table, name=f"yoto_baselines_{name}",
        caption=f"{verdicts.SCORE_HELP} {verdicts.METRIC_HELP[HEADLINE[task.kind]]} The diamond is the model that was trained with"
        f" the panel; hollow dots are no panels of this size. {_bars(table, cells)}",
    )  # fmt: skip
    with st.expander("All scores, by every classifier", icon=":material/table:"):
        every = report.all_scores(scores, task.obs)
        widths = {"value": THREE, "low": THREE, "high": THREE}
        st.dataframe(
            every, hide_index=True, width="stretch", column_config=widths,
            alt=f"Every score of {task.obs}, by every classifier",
        )  # fmt: skip
        downloads.table_button("All scores (CSV)", every, f"yoto_scores_{name}.csv")


def folds(run: Run) -> None:
    """How the scores of a cross-validation came about, fold by fold; nothing for one split."""
    if not verdicts.folds_words(run):
        return
    st.text(verdicts.folds_words(run))
    with st.expander("Fold by fold", icon=":material/splitscreen:"):
        table = verdicts.fold_table(run)
        names = {
            "fold": "Fold", "held_out": "Held out", "cells": st.column_config.NumberColumn("Cells", format="localized"),
            "shared": st.column_config.NumberColumn("Genes shared with the panel shown"),
        }  # fmt: skip
        scores = {task.obs: THREE for task in run.config.tasks}
        st.dataframe(
            table, hide_index=True, width="stretch", column_config={**scores, **names}, alt="Scores of every fold"
        )
        downloads.table_button("Folds (CSV)", table, "yoto_folds.csv")


def _bars(table: pd.DataFrame, cells: str) -> str:
    if table["low"].notna().any():
        return f"Bars are 95 % intervals over {cells}."
    return f"There are no intervals for {cells}: at least {MIN_GROUPS} groups are needed."


def sizes(run: Run, task: TaskConfig) -> None:
    """The score of every panel size, and how many genes are enough."""
    metric, asked = verdicts.METRIC_LABELS[HEADLINE[task.kind]], run.panel.panel_size
    suggestion = suggest(run.evaluation.sizes, asked)
    table = size_table(run.evaluation.sizes, task.obs)
    st.subheader("How many genes?", anchor=False)
    st.text(suggestion.sentence)
    interval = ""
    if table["low"].notna().any():
        own = verdicts.headline(run, task.obs).loc["own"]
        interval = f", with its 95 % interval over {verdicts.behind(own, run.config.split.group)}"
    charts.chart(
        lambda theme: size_figure(table, metric, asked, suggestion.size, theme), key="sizes",
        alt=f"{metric} on held-out cells for every panel size", table=table, name=f"yoto_sizes_{report.file_safe(task.obs)}",
        caption=f"YOTO's own model from one training at every size{interval}; dots are the panels' scores as above, by a"
        " logistic regression trained anew for each.",
    )  # fmt: skip


def classes(run: Run, task: TaskConfig) -> None:
    """Every class's recall and precision, the worst first, and the confusion matrix."""
    counts, name = run.evaluation.confusion[task.obs], report.file_safe(task.obs)
    st.subheader("Class by class", anchor=False)
    for sentence in mistake_sentences(counts):
        st.text(sentence)
    _class_table(run, task, name)
    st.subheader("Confusion matrix", anchor=False)
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
    """Whether the model's stated probabilities are calibrated."""
    st.subheader("Is it calibrated?", anchor=False)
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
