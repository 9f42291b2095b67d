"""The parts of the Predict page: the model, the new cells, the panel's genes in them, the answers, and the shift."""

from datetime import datetime

import pandas as pd
import streamlit as st

from pages.ui import charts, downloads, labelling, messages, nav, state, widgets
from pages.ui.labelling import Question
from yoto_core.data.genes import unique_names
from yoto_core.limits import shared
from yoto_core.model.calibration import DEFAULT_THRESHOLD, trade_off_sentence
from yoto_core.plots.shift import DRAWN, shift_figure
from yoto_core.plots.tradeoff import trade_off_figure
from yoto_core.prediction.matching import RULES, SMALLEST_SHARE, refuse_missing
from yoto_core.prediction.predict import Labelled, Look
from yoto_core.prediction.shift import Shift
from yoto_core.report import file_safe
from yoto_core.store import export, library, portable
from yoto_core.store.card import model_card, origin
from yoto_core.store.history import Row, history, history_row
from yoto_core.store.saved import SavedModel
from yoto_core.tables import csv_text

PREVIEW = 1_000  # rows shown; the files hold all


def choose_model() -> tuple[str, str, SavedModel]:
    """A run or an exported model: its key, its version and itself; stops the page where there is none yet."""
    st.subheader("Model", anchor=False)
    chosen_at = st.container()
    with st.expander("Load an exported model (.yoto)", icon=":material/upload_file:"):
        file = st.file_uploader(
            "Exported model (.yoto)", key="model_upload",
            help="Exported from a run on this page or in the shell. It holds numbers and names; nothing in it runs.",
        )  # fmt: skip
        if state.take_model(file):
            st.rerun()
    names, key = _models(), state.model_key()
    with chosen_at:
        if not names:
            st.info("There is no trained model yet. Train a panel, or load an exported model.")
            if st.button("Design a panel", type="primary", key="first_model"):
                nav.go("Design")
            st.stop()
        chosen = st.selectbox(
            "Trained model", list(names), index=list(names).index(key) if key in names else None, key=f"model_{key}",
            format_func=names.__getitem__, placeholder="Choose a run",
        )  # fmt: skip
        if chosen is None:
            st.stop()
        if chosen != key:
            state.choose_model(chosen)
            st.rerun()
        version, saved = labelling.model(key)
        st.text(origin(saved))
        with st.container(horizontal=True):
            name = f"yoto_panel_{len(saved.model.genes)}"
            downloads.file_button("Model (.yoto)", lambda: portable.pack(saved), f"{name}.yoto", "application/zip")
            downloads.file_button("Model card", lambda: model_card(saved), f"{name}_card.md", "text/markdown")
    return key, version, saved


def choose_cells(key: str, saved: SavedModel) -> str:
    """New cells from a file, or the data that are loaded: their key; stops the page where there are none yet."""
    st.subheader("New cells", anchor=False)
    upload = st.file_uploader(
        "File (.h5ad)",
        help="Only the panel's genes need be in it. It is read a block of cells at a time and stays on this machine.",
        key="new_cells_upload",
    )
    if state.take_new_cells(upload):
        st.rerun()
    loaded, cells = state.dataset_key(), state.new_cells()
    if loaded is not None and loaded != cells:
        st.caption(f"Or the data that are loaded in this tab: {messages.plain(state.dataset_name())}")
        if st.button("Label the loaded data", icon=":material/label:", key="loaded"):
            state.choose_new_cells(loaded)
            st.rerun()
    if cells is None:
        st.stop()
    st.text(f"Labelling {state.name_of(cells)}")
    if labelling.are_training_cells(saved, key, cells):
        st.warning(
            "The model was made with these cells: its answers look better here than on new ones.",
            icon=":material/warning:",
        )
    return cells


def genes(saved: SavedModel, version: str, cells: str) -> Question:
    """Say which matrix is read, what of the panel was found, and what the rest costs; gives what is to be asked."""
    name = state.name_of(cells)
    found = labelling.look_at(Question(saved, version, cells, name))
    matrix = _matrix(found, cells)
    if matrix != "auto":
        found = labelling.look_at(Question(saved, version, cells, name, matrix))
    matching, impute = found.matching, False
    st.text(f"{found.matching.sentence} Read from {found.chosen.name} ({found.chosen.kind}), {found.cells:,} cells.")
    if matching.missing:
        st.dataframe(
            saved.missing_costs(matching), hide_index=True, width="stretch",
            column_config={"gene": st.column_config.TextColumn("Missing", width="small"), "cost": "What it costs"},
            alt="Missing panel genes and what they cost",
        )  # fmt: skip
        if matching.enough:
            impute = st.toggle(
                "Take missing genes as average", key=f"impute_{cells}", persist_state="session",
                help=f"Each is set to its mean over training cells, as long as {SMALLEST_SHARE:.0%} of the panel is there."
                " Several together can cost more than their sum.",
            )  # fmt: skip
    with st.expander("Gene by gene", icon=":material/genetics:"):
        st.caption(messages.plain(RULES))
        table = pd.DataFrame({"gene": matching.genes, "id": saved.model.gene_ids, "how": matching.how})
        st.dataframe(
            table, hide_index=True, width="stretch", alt="How each panel gene was found",
            column_config={"gene": "Panel gene", "id": "Ensembl id", "how": "Found by"},
        )  # fmt: skip
        downloads.table_button("Genes (CSV)", table, "yoto_matching.csv")
    if matching.missing and matching.enough and not impute:
        messages.show_findings(matching.findings)
        st.info("Choose to take the missing genes as average, or label data in which all were measured.")
        st.stop()
    refuse_missing(matching, impute=impute, name=found.name)
    return Question(saved, version, cells, name, matrix, impute)


def choose_task(tasks: tuple[str, ...]) -> str:
    """Which task is shown."""
    if len(tasks) == 1:
        return tasks[0]
    return st.segmented_control(
        "Task", tasks, default=tasks[0], required=True, format_func=messages.plain, key="predict_task"
    )


def answers(saved: SavedModel, labelled: Labelled, task: str) -> float:
    """How the cells were labelled, and the threshold below which the model is not sure; gives the threshold."""
    threshold = state.widget("threshold", DEFAULT_THRESHOLD)
    if f"{task} probability" in labelled.table:
        left, right = st.columns(2, gap="large")
        with right:
            threshold = st.slider(
                "Not sure below a probability of", 0.0, 0.99, DEFAULT_THRESHOLD, 0.01, key="threshold", persist_state="session",
                help="Probabilities are calibrated on validation cells: of cells with 0.8, about 80 % should be right.",
            )  # fmt: skip
            _trade_off(saved.trade_offs.get(task, pd.DataFrame()), threshold, task)
        with left:
            st.text(labelled.sentence(task, threshold))
            _summary(labelled.summary(task, threshold))
    else:
        st.text(labelled.sentence(task, threshold))
    with st.expander("Cell by cell", icon=":material/table:"):
        shown = labelled.at_threshold(threshold).head(PREVIEW)
        st.caption(f"The first {len(shown):,} of {len(labelled.table):,} cells; the files hold all.")
        three = st.column_config.NumberColumn(format="%.3f")
        st.dataframe(
            shown, width="stretch", column_config={name: three for name in shown if name.endswith("probability")},
            alt="Predictions cell by cell",
        )  # fmt: skip
    return threshold


def downloads_of(labelled: Labelled, threshold: float, cells: str) -> None:
    """Predictions as a table, and as the new data with predictions in obs."""
    path = library.find(cells)[0]

    def table() -> pd.DataFrame:
        return labelled.at_threshold(threshold)

    with st.container(horizontal=True):
        downloads.file_button(
            "Predictions (CSV)", lambda: csv_text(table(), index_label="cell"), "predictions.csv", "text/csv"
        )
        downloads.file_button(
            "New cells with predictions (.h5ad)", lambda: export.predictions_h5ad(table(), path), "predictions.h5ad",
            "application/x-hdf5",
        )  # fmt: skip


def shift(found: Shift) -> None:
    """New cells against training cells."""
    st.subheader("Do the new cells look like the training cells?", anchor=False)
    st.text(found.sentence)
    few = f"The {DRAWN} genes that moved most, of {len(found.genes):,}; the table holds all."
    charts.chart(
        lambda theme: shift_figure(found.genes, theme), key="shift", table=found.genes, name="yoto_shift",
        alt="Expression of panel genes in new and in training cells", caption=few if len(found.genes) > DRAWN else "",
    )  # fmt: skip


def _models() -> dict[str, str]:
    """Key -> name of every model that can be chosen: exported ones of this tab, the open run, and the runs of the history."""
    rows = [row for row in history(state.owner() if shared() else None) if row.status.has_panel]
    opened = state.run_folder()
    if opened is not None and (opened / "panel.csv").exists() and opened.name not in {row.run_id for row in rows}:
        rows.insert(0, history_row(opened))
    names = {**state.uploaded_models(), **{row.run_id: f"{row.name}, {_day(row)}" for row in rows}}
    # The browser sends back the name, so two that look the same must differ.
    return dict(zip(names, unique_names(list(names.values())), strict=True))


def _day(row: Row) -> str:
    return datetime.fromtimestamp(row.status.created).strftime("%d %b %H:%M")


def _matrix(found: Look, cells: str) -> str:
    """Which matrix of the new data is to be read."""
    if found.chosen.sure and sum(verdict.usable for verdict in found.verdicts) == 1:
        return "auto"
    return widgets.matrix_input("Matrix of the new data", found.verdicts, "auto", key=f"new_matrix_{cells}", keep=True)


def _summary(summary: pd.DataFrame) -> None:
    st.dataframe(
        summary, hide_index=True, width="stretch", height=min(480, 38 + 35 * len(summary)), alt="Cells per label",
        column_config={
            "label": "Label",
            "cells": st.column_config.NumberColumn("Cells", format="localized"),
            "mean probability": st.column_config.ProgressColumn("Mean probability", min_value=0, max_value=1, format="%.2f"),
            "not sure": st.column_config.NumberColumn("Not sure", format="localized"),
        },
    )  # fmt: skip


def _trade_off(table: pd.DataFrame, threshold: float, task: str) -> None:
    if table.empty:
        st.caption("What a threshold costs was not measured: the run has no scores.")
        return
    st.text(trade_off_sentence(table, threshold))
    charts.chart(
        lambda theme: trade_off_figure(table, threshold, theme), key="trade_off", table=table,
        alt="Coverage and accuracy over the threshold", name=f"yoto_threshold_{file_safe(task)}",
    )  # fmt: skip
