"""The parts of the Predict page: the model, its genes in the new data, answers, shift, and labels of the new cells."""

import hashlib
from pathlib import Path

import pandas as pd
import streamlit as st

from pages.ui import downloads, messages, state
from yoto_core.evaluation.reference import cost_sentence
from yoto_core.files import read_json
from yoto_core.model.calibration import DEFAULT_THRESHOLD, trade_off_sentence
from yoto_core.plots.shift import shift_figure
from yoto_core.plots.tradeoff import trade_off_figure
from yoto_core.prediction import crossstudy
from yoto_core.prediction.matching import Matching
from yoto_core.prediction.predict import Labelled
from yoto_core.prediction.shift import Shift
from yoto_core.report import METRIC_LABELS, file_safe
from yoto_core.store import export, portable
from yoto_core.store.card import model_card
from yoto_core.store.saved import SavedModel, saved_model

QUIET = {"displayModeBar": False}
PREVIEW = 1_000  # rows shown; the files hold all


def choose_model() -> SavedModel | None:
    """The open run's model, or an exported one; None where there is neither yet."""
    folder = state.run_folder()
    ready = folder is not None and (folder / "panel.csv").exists()
    with st.expander("Use an exported model (.yoto)", icon=":material/upload_file:", expanded=not ready):
        file = st.file_uploader(
            "Model file", help="Exported from a run on this page or in the shell.", key="model_upload"
        )
    if file is not None:
        saved = _unpacked(hashlib.sha256(file.getvalue()).hexdigest(), file.name, _content=file.getvalue())
    elif ready:
        saved = saved_model(state.run())
    else:
        st.info("No run with a panel is open. Open one on the Runs page, or choose an exported model above.")
        return None
    tasks = ", ".join(head.task for head in saved.model.heads)
    st.text(
        f"Model: {len(saved.model.genes):,} genes for {tasks}, made from {saved.about.get('data', 'unknown data')}."
    )
    with st.container(horizontal=True):
        downloads.file_button("Model (.yoto)", lambda: portable.pack(saved), "panel.yoto", "application/zip")
        downloads.file_button("Model card", lambda: model_card(saved), "model_card.md", "text/markdown")
    return saved


def match(saved: SavedModel, path: Path, name: str) -> Matching:
    """Which panel genes the new data hold."""
    return _match(_identity(saved), str(path), path.stat().st_mtime_ns, _saved=saved, _name=name)


def genes(saved: SavedModel, matching: Matching) -> bool:
    """Say what was found and what is missing, with its cost; gives whether missing genes are to be taken as average."""
    found = len(matching.genes) - len(matching.missing)
    st.text(f"{found:,} of {len(matching.genes):,} panel genes are there.")
    if not matching.missing:
        return False
    table = pd.DataFrame(
        {"gene": matching.missing, "what it costs": [cost_sentence(saved.costs, gene) for gene in matching.missing]}
    )
    st.dataframe(
        table, hide_index=True, width="stretch", alt="Missing panel genes and what they cost",
        column_config={"gene": st.column_config.TextColumn("Missing", width="small"), "what it costs": "What it costs"},
    )  # fmt: skip
    return st.toggle(
        "Take missing genes as average",
        help="Each missing gene is set to its mean over training cells. Several together can cost more than their sum.",
        key="impute",
    )


def label(saved: SavedModel, path: Path, name: str, *, impute: bool) -> tuple[Labelled, pd.DataFrame]:
    """Labels of the new cells and their obs; asked once per model and file."""
    return _label(_identity(saved), str(path), path.stat().st_mtime_ns, impute=impute, _saved=saved, _name=name)


def is_training_data(saved: SavedModel, path: Path) -> bool:
    """Whether the file is the one that the open run was made from."""
    folder = state.run_folder()
    if folder is None or saved.about.get("digest") != read_json(folder / "data.json").get("digest"):
        return False
    return Path(read_json(folder / "data.json")["path"]) == path.resolve()


def answers(saved: SavedModel, labelled: Labelled, task: str) -> float:
    """How the cells were labelled, and the threshold below which the model is not sure; gives the threshold."""
    if f"{task} probability" not in labelled.table:
        numbers = labelled.table[task]
        st.text(f"{task}: mean {numbers.mean():.4g}, from {numbers.min():.4g} to {numbers.max():.4g}.")
        st.dataframe(labelled.table.head(PREVIEW), width="stretch")
        return DEFAULT_THRESHOLD
    left, right = st.columns(2, gap="large")
    with right:
        threshold = st.slider(
            "Not sure below a probability of", 0.0, 0.99, DEFAULT_THRESHOLD, 0.01, key="threshold", persist_state="session",
            help="Probabilities are calibrated on validation cells: of cells with 0.8, about 80 % should be right.",
        )  # fmt: skip
        table = saved.trade_offs.get(task, pd.DataFrame())
        if table.empty:
            st.caption("What a threshold costs was not measured: the run has no scores.")
        else:
            st.text(trade_off_sentence(table, threshold))
            figure = trade_off_figure(table, threshold, state.theme())
            st.plotly_chart(figure, key="trade_off", config=QUIET, alt="Coverage and accuracy over the threshold")
            downloads.table_button("Trade-off (CSV)", table, f"yoto_threshold_{file_safe(task)}.csv")
    with left:
        summary = labelled.summary(task, threshold)
        unsure = int(summary["not sure"].sum())
        st.text(
            f"{unsure:,} of {len(labelled.table):,} cells ({unsure / len(labelled.table):.1%}) are marked not sure."
        )
        st.dataframe(
            summary, hide_index=True, width="stretch", height=min(480, 38 + 35 * len(summary)), alt="Cells per label",
            column_config={
                "label": "Label",
                "cells": st.column_config.NumberColumn("Cells", format="localized"),
                "mean probability": st.column_config.ProgressColumn("Probability", min_value=0, max_value=1, format="%.2f"),
                "not sure": st.column_config.NumberColumn("Not sure", format="localized"),
            },
        )  # fmt: skip
    with st.expander("Cell by cell", icon=":material/table:"):
        shown = labelled.at_threshold(threshold).head(PREVIEW)
        st.caption(f"The first {len(shown):,} of {len(labelled.table):,} cells; the files hold all.")
        st.dataframe(shown, width="stretch")
    return threshold


def downloads_of(labelled: Labelled, threshold: float, path: Path) -> None:
    """Predictions as a table, and as the new data with predictions in obs."""
    table = labelled.at_threshold(threshold)
    with st.container(horizontal=True):
        downloads.file_button(
            "Predictions (CSV)", lambda: table.to_csv(index_label="cell"), "predictions.csv", "text/csv"
        )
        downloads.file_button(
            "New cells with predictions (.h5ad)",
            lambda: export.predictions_h5ad(table, path),
            "predictions.h5ad",
            "application/x-hdf5",
        )


def shift(found: Shift) -> None:
    """New cells against training cells."""
    st.subheader("Do the new cells look like the training cells?", anchor=False)
    st.text(found.sentence)
    figure = shift_figure(found.genes, state.theme())
    st.plotly_chart(figure, key="shift", config=QUIET, alt="Expression of panel genes in new and in training cells")
    downloads.table_button("All genes (CSV)", found.genes, "yoto_shift.csv")


def own_labels(saved: SavedModel, labelled: Labelled, obs: pd.DataFrame, columns: dict[str, str]) -> None:
    """Scores against labels that the new cells carry themselves, beside those of held-out cells."""
    st.subheader("If the new cells carry labels", anchor=False)
    chosen = {}
    places = st.columns(max(2, len(saved.model.heads)))
    for place, head in zip(places, saved.model.heads, strict=False):
        options = ["", *map(str, obs.columns)]
        first = options.index(columns[head.task]) if head.task in columns else 0
        column = place.selectbox(
            f"True {messages.plain(head.task)}", options, index=first, format_func=lambda text: text or "none",
            key=f"truth_{head.task}",
        )  # fmt: skip
        if column:
            chosen[head.task] = column
    if not chosen:
        st.caption("Name the obs columns that hold them, and the scores of the held-out cells are shown beside theirs.")
        return
    judged = crossstudy.judge(saved.model, labelled.table, obs, chosen)
    messages.show_findings(judged.findings)
    both = crossstudy.side_by_side(saved.scores, judged.scores).replace({"metric": METRIC_LABELS})
    three = st.column_config.NumberColumn(format="%.3f")
    numbers = ("held-out cells", "new cells", "low", "high", "change")
    st.dataframe(
        both, hide_index=True, width="stretch", column_config=dict.fromkeys(numbers, three), alt="Scores side by side"
    )
    downloads.table_button("Scores (CSV)", both, "yoto_new_scores.csv")
    keys = ["task", "class"]
    held_out = saved.classes[[*keys, "recall", "precision", "cells"]]
    table = judged.classes.drop(columns="f1").merge(held_out, on=keys, how="left", suffixes=(" new", " held-out"))
    with st.expander("Class by class", icon=":material/table:"):
        order = [
            *keys,
            *(f"{score} {part}" for score in ("recall", "precision", "cells") for part in ("held-out", "new")),
        ]
        st.dataframe(
            table[order],
            hide_index=True,
            width="stretch",
            column_config={n: three for n in order if "ll " in n or "on " in n},
        )
        downloads.table_button("Classes (CSV)", table[order], "yoto_new_classes.csv")


def _identity(saved: SavedModel) -> str:
    return hashlib.sha256(portable.pack(saved)).hexdigest()


@st.cache_resource(max_entries=4, show_spinner=False)
def _unpacked(digest: str, name: str, *, _content: bytes) -> SavedModel:
    return portable.unpack(_content, name=name)


@st.cache_resource(max_entries=8, show_spinner="Looking for the panel's genes …")
def _match(model: str, path: str, changed: int, *, _saved: SavedModel, _name: str) -> Matching:
    return _saved.match_file(path, name=_name)


@st.cache_resource(max_entries=2, show_spinner="Labelling the cells …")
def _label(
    model: str, path: str, changed: int, *, impute: bool, _saved: SavedModel, _name: str
) -> tuple[Labelled, pd.DataFrame]:
    return _saved.label_file(path, impute=impute, name=_name)
