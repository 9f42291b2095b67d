"""When the new cells carry labels: the Metrics page's tables for them, beside those of the held-out cells."""

from functools import partial

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.ui import charts, downloads, labelling, messages
from pages.ui.labelling import Question
from yoto_core.explore.sentences import mistakes
from yoto_core.model.calibration import trade_off, trade_off_sentence
from yoto_core.plots.calibration import calibration_figure, calibration_sentence, calibration_table
from yoto_core.plots.confusion import by_similarity, confusion_figure, confusion_table
from yoto_core.plots.numbers import number_figure, number_table
from yoto_core.plots.style import Theme
from yoto_core.prediction.crossstudy import CrossStudy, classes_side_by_side, comparable_tasks, scores_side_by_side
from yoto_core.prediction.predict import Labelled
from yoto_core.report import METRIC_LABELS, file_safe, interval_texts, mistake_texts
from yoto_core.store.saved import SavedModel
from yoto_core.words import group_words, sentence_case, without_minus_zero

NONE = ""


def show(asked: Question, labelled: Labelled, task: str, threshold: float) -> None:
    """Ask which column holds the true labels of the task, and compare."""
    st.subheader("If the new cells carry labels", anchor=False)
    saved, options = asked.saved, [NONE, *labelled.obs.columns]
    own = comparable_tasks(saved.model, labelled.obs)
    column = st.selectbox(
        f"The column that holds the true {messages.plain(task)}", options,
        index=options.index(task) if task in own else 0, format_func=lambda name: name or "none",
        key=f"truth_{task}_{asked.cells}", persist_state="session",
    )  # fmt: skip
    if column == NONE:
        st.caption("Name the obs column that holds them, and they are scored beside the held-out cells.")
        return
    judged, name = labelling.judge(asked, labelled, task, column), file_safe(task)
    messages.show_findings(judged.findings)
    _scores(saved, judged, task, name)
    if task not in judged.confusion:
        _numbers(judged, task, name)
        return
    _classes(saved, judged, task, name)
    _confusion(saved, judged, task, name)
    _certainty(judged, task, threshold, name)


def _scores(saved: SavedModel, judged: CrossStudy, task: str, name: str) -> None:
    table = scores_side_by_side(saved.scores, judged.scores).drop(columns="task").replace({"metric": METRIC_LABELS})
    three = {"held-out value": "Held-out cells", "new value": "New cells", "change": "Change"}
    counts = {"held-out cells": "Cells held out", "new cells": "Cells new"}
    many = group_words(str(saved.about.get("group") or ""))[1]
    counts |= {
        f"{part} groups": f"{sentence_case(many)} {said}"
        for part, said in (("held-out", "held out"), ("new", "new"))
        if table[f"{part} groups"].fillna(0).any()
    }
    intervals = {part: interval_texts(table[f"{part} low"], table[f"{part} high"]) for part in ("held-out", "new")}
    st.dataframe(
        table.assign(
            **{f"{part} interval": texts for part, texts in intervals.items()},
            **{key: without_minus_zero(table[key], 3) for key in three},
        ),
        hide_index=True, width="stretch",
        column_order=[
            "metric", "held-out value", "held-out interval", "new value", "new interval", "change", *counts,
        ],
        column_config={
            "metric": "Score",
            **{f"{part} interval": "95 % interval" for part in intervals},
            **{key: st.column_config.NumberColumn(label, format="%.3f") for key, label in three.items()},
            **{key: st.column_config.NumberColumn(label, format="localized") for key, label in counts.items()},
        },
        alt="Scores of held-out and of new cells side by side",
    )  # fmt: skip
    none = " An interval over fewer than five donors or other groups is not given." if len(counts) > 2 else ""
    st.caption(f"YOTO's own model on both. Cells that it is not sure of count too.{none}")
    downloads.table_button("Scores (CSV)", table, f"yoto_new_scores_{name}.csv")


def _classes(saved: SavedModel, judged: CrossStudy, task: str, name: str) -> None:
    table = classes_side_by_side(saved.classes, judged.classes)
    table = table[(table["task"] == task) & (table["new cells"] > 0)].drop(columns="task")
    mistaken = mistakes(judged.confusion[task])[["class", "mistaken_for", "share"]]
    table = table.merge(mistaken, on="class", how="left").sort_values("new recall", ignore_index=True)
    st.markdown("**Class by class**")
    bars = {"held-out recall": ("Recall held out", 120), "new recall": ("Recall new", 110)}
    numbers = {
        "change": ("Change", 80), "held-out precision": ("Prec. held out", 110), "new precision": ("Prec. new", 90),
    }  # fmt: skip
    counts = {"held-out cells": ("Cells held out", 110), "new cells": ("Cells new", 85)}
    bar, number = st.column_config.ProgressColumn, st.column_config.NumberColumn
    st.dataframe(
        table.assign(mistaken_for=mistake_texts(table), change=without_minus_zero(table["change"], 2)),
        hide_index=True, width="stretch", height=min(740, 38 + 35 * max(1, len(table))),
        column_order=["class", *bars, *numbers, *counts, "mistaken_for"],
        column_config={
            "class": "Class",
            "mistaken_for": "Most often mistaken for",
            **{key: bar(label, width=w, min_value=0, max_value=1, format="%.2f") for key, (label, w) in bars.items()},
            **{key: number(label, width=w, format="%.2f") for key, (label, w) in numbers.items()},
            **{key: number(label, width=w, format="localized") for key, (label, w) in counts.items()},
        },
        alt="Recall and precision of every class on held-out and on new cells, the worst new recall first",
    )  # fmt: skip
    downloads.table_button("Classes (CSV)", table, f"yoto_new_classes_{name}.csv")


def _confusion(saved: SavedModel, judged: CrossStudy, task: str, name: str) -> None:
    st.markdown("**Confusion matrix**")
    kind = st.segmented_control(
        "Numbers", ["Shares", "Counts"], default="Shares", required=True, key="new_confusion_kind"
    )
    parts = {"Held-out cells": saved.confusion.get(task), "New cells": judged.confusion[task]}
    parts = {title: counts for title, counts in parts.items() if counts is not None}
    # A cross-validation may have judged a class that the model shown has never seen.
    classes = list(dict.fromkeys(name for counts in parts.values() for name in counts))
    parts = {title: counts.reindex(classes, columns=classes, fill_value=0) for title, counts in parts.items()}
    order = list(by_similarity(sum(parts.values())).index)
    for place, (title, counts) in zip(st.columns(len(parts), gap="large"), parts.items(), strict=True):
        with place:
            st.caption(title)
            counts = counts.loc[order, order]
            shares = confusion_table(counts)
            part, counted = file_safe(title.lower()), counts if kind == "Counts" else None
            charts.chart(
                partial(_confused, shares, counted), key=f"confusion_{part}", alt=f"Confusion matrix of {title.lower()}",
                table=(shares if counted is None else counted).reset_index(names="true class"),
                name=f"yoto_confusion_{part}_{name}",
            )  # fmt: skip
    st.caption("Rows are true classes, columns what the model says; shares of a row add up to one.")


def _confused(shares: pd.DataFrame, counted: pd.DataFrame | None, theme: Theme) -> go.Figure:
    return confusion_figure(shares, theme, counts=counted)


def _certainty(judged: CrossStudy, task: str, threshold: float, name: str) -> None:
    st.markdown("**Is it calibrated on the new cells?**")
    table = calibration_table(judged.predictions, task)
    st.text(calibration_sentence(table))
    st.text(trade_off_sentence(trade_off(judged.predictions, task), threshold, cells="the new cells"))
    charts.chart(
        lambda theme: calibration_figure(table, theme), key="new_calibration", table=table,
        alt="Claimed certainty against correct new cells", name=f"yoto_new_calibration_{name}",
    )  # fmt: skip


def _numbers(judged: CrossStudy, task: str, name: str) -> None:
    st.markdown("**Predicted against true**")
    table: pd.DataFrame = number_table(judged.predictions, task)
    charts.chart(
        lambda theme: number_figure(table, theme), key="new_numbers", table=table,
        alt="Predicted against true numbers of the new cells", name=f"yoto_new_predictions_{name}",
    )  # fmt: skip
