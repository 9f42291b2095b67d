"""The parts of the Maps page: what colours the cells, the two maps, the selection, and the numbers beside the pictures."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.ui import downloads, explored, messages, state
from yoto_core.data import stored
from yoto_core.data.columns import values_to_paint
from yoto_core.data.preprocess import gene_values
from yoto_core.errors import DataError
from yoto_core.explore.embedding import Maps
from yoto_core.explore.selection import describe
from yoto_core.explore.sentences import chance_kept, map_sentences
from yoto_core.pipeline import Run
from yoto_core.plots.maps import DRAWN, Paint, has_legend, map_figure, map_table
from yoto_core.plots.style import Theme
from yoto_core.words import number_text, without_minus_zero

NUMBER = st.column_config.NumberColumn
ALL, PANEL = "/all", "/panel"  # our own maps; other names are embeddings of the file, which hold no slash
CROWDED = 15_000  # dots on a map, so small that finer pixels would not show
RIGHT = {"right": "#0072B2", "wrong": "#D55E00"}


def paint_input(run: Run, maps: Maps) -> Paint:
    """What colours the cells: labels, the model's answers, a gene, or any column of the file."""
    data = state.run_data(run)
    kinds = [
        "Label",
        "Prediction",
        "Right or wrong",
        "Certainty",
        "Gene",
        *(["Other column"] if data is not None else []),
    ]
    first, second, third, fourth = st.columns([3, 3, 3, 2])
    with first:
        kind = st.selectbox("Colour by", kinds, key="map_kind", persist_state="session")
    with second:
        if kind == "Gene":
            what = st.selectbox(
                "Gene", run.panel.genes, key="map_gene", accept_new_options=data is not None, persist_state="session",
                help="A gene of the panel; or type the symbol of any other gene.",
            )  # fmt: skip
        elif kind == "Other column":
            what = st.selectbox("Column", list(data.obs.columns), key="map_column", persist_state="session")
        else:
            what = st.selectbox(
                "Task", [task.obs for task in run.config.tasks], key="map_task", persist_state="session"
            )
    with fourth:
        explored.look_input()
    if kind == "Gene":
        return Paint(what, _gene(run, maps, what))
    if kind == "Other column":
        return _column(run, data.obs[what].iloc[maps.cells["cell_index"]], what)
    with third:
        everyone = kind == "Label" or not st.checkbox(
            "Held-out cells only", value=True, key="map_held_out", help="The model has seen the labels of all others."
        )
    return _answers(run, maps, kind, what, everyone=everyone)


def left_map_input(run: Run, maps: Maps) -> str:
    """Which map stands on the left: that of all candidate genes, or an embedding of the file."""
    names = _embeddings(run)
    if not names:
        return ALL
    return st.columns(3)[0].selectbox(
        "Left map", [ALL, *names], key="map_left", persist_state="session", format_func=lambda name: _title(name, run, maps)
    )  # fmt: skip


def inside(run: Run, maps: Maps) -> np.ndarray | None:
    """Which mapped cells lie in the drawn line, all of them tested; None where nothing is selected."""
    outline = state.outline()
    if outline is None or outline.map not in (ALL, PANEL, *_embeddings(run)):
        return None
    found = outline.holds(_places(maps, outline.map))
    return found if found.any() else None


def pictures(run: Run, maps: Maps, paint: Paint, left: str, chosen: np.ndarray | None) -> None:
    """Both maps, linked: same cells, same colours, same selection."""
    table = map_table(_places(maps, left), _places(maps, PANEL), paint, chosen)
    titles, outline = (_title(left, run, maps), _title(PANEL, run, maps)), state.outline()
    sides = {left: "left", PANEL: "right"}
    line = (sides[outline.map], outline.corners) if outline is not None and outline.map in sides else None

    alt = f"Two maps of the same cells, coloured by {paint.title}"

    def draw(theme: Theme) -> go.Figure:
        return map_figure(table, paint, titles, theme, line)

    st.plotly_chart(
        draw(state.theme()), key="maps", on_select=lambda: state.take_outline("maps", left, PANEL),
        selection_mode=("lasso", "box"), theme=None,
        config={
            "displaylogo": False, "scrollZoom": True, "modeBarButtonsToRemove": ["toImage"],
            # Twice as fine is plotly's default: four times the work where the browser has no graphics processor.
            "plotGlPixelRatio": 1 if len(table) > CROWDED else 2,
        },
        alt=alt,
    )  # fmt: skip
    total = len(maps.cells)
    drawn = (
        f"Showing {len(table):,} of {total:,} cells; the selection and all numbers use all {total:,}."
        if total > DRAWN
        else f"{total:,} cells."
    )
    more = f" Drawn from the {maps.of_cells:,} cells of the data." if maps.of_cells > total else ""
    hide = "; click a class in the legend to hide it" if has_legend(table, paint) else ""
    st.caption(
        f"{drawn}{more} Draw around cells on either map to select them{hide}. Distances between far groups mean little on a"
        " UMAP."
    )
    downloads.figure_buttons(draw, table, "yoto_maps", alt)


def selection(run: Run, maps: Maps, chosen: np.ndarray) -> None:
    """Who was selected, and how they differ from the rest."""
    task = _task_input([task.obs for task in run.config.tasks], "Describe the selection by", "selection_task")
    found = describe(maps, chosen, task, explored.classes_of(run, task))
    head, clear = st.columns([5, 1], vertical_alignment="bottom")
    head.subheader(f"{found.cells:,} cells selected", anchor=False)
    clear.button(
        "Clear selection", icon=":material/close:", on_click=state.forget_outline, key="clear", width="stretch"
    )
    mine, rest = found.accuracy
    if mine is not None:
        against = f", of the other held-out cells {rest:.0%}" if rest is not None else ""
        st.text(f"Of its {found.held_out[0]:,} held-out cells the model labels {mine:.0%} right{against}.")
    left, right = st.columns(2, gap="large")
    if len(found.shares):
        shares = found.shares.assign(selected=100 * found.shares["selected"], rest=100 * found.shares["rest"])
        names = {"class": "Class", "cells": NUMBER("Cells", format="localized")}
        names |= {
            "selected": NUMBER("Of the selection", format="%.0f %%"),
            "rest": NUMBER("Of the rest", format="%.0f %%"),
        }
        with left:
            st.dataframe(shares, hide_index=True, width="stretch", column_config=names, alt="Classes of the selection")
            downloads.table_button("Classes of the selection (CSV)", found.shares, "yoto_selection_classes.csv")
    names = {"gene": "Gene", "selected": NUMBER("Mean in the selection", format="%.2f")}
    names |= {"rest": NUMBER("Mean in the rest", format="%.2f"), "difference": NUMBER("Difference", format="%.2f")}
    with right:
        st.dataframe(
            found.genes.assign(difference=without_minus_zero(found.genes["difference"], 2)), hide_index=True,
            width="stretch", column_config=names, height=300, alt="Panel genes of the selection",
        )  # fmt: skip
        downloads.table_button("Genes of the selection (CSV)", found.genes, "yoto_selection_genes.csv")


def numbers(run: Run, maps: Maps) -> None:
    """What the panel keeps, in numbers and words, overall and class by class."""
    st.subheader("What the panel keeps", anchor=False)
    measured = set(maps.classes["task"])
    task = _task_input([task.obs for task in run.config.tasks if task.obs in measured], "Classes of", "kept_task")
    here = maps.overall.set_index(["measure", "task"])
    kept, chance = here.loc[("neighbours", ""), "panel"], chance_kept(len(maps.cells))
    cards = [("neighbours", "Nearest neighbours kept", f"{kept:.0%}", f"by chance {chance:.1%}")]
    for measure, label in MEASURES.items():
        if (measure, task) in here.index:
            row = here.loc[(measure, task)]
            cards.append((measure, label, number_text(row["panel"]), f"all genes {number_text(row['all'])}"))
    for column, (measure, label, value, beside) in zip(st.columns(4), cards, strict=False):
        column.metric(label, value, beside, delta_color="off", delta_arrow="off", border=True, help=HELP[measure])
    for sentence in map_sentences(maps, task):
        st.text(sentence)
    if not task:
        return
    table = maps.classes[maps.classes["task"] == task].drop(columns="task")
    table = table.assign(lost=table["purity_all"] - table["purity_panel"]).sort_values("lost", ascending=False)
    percents = ["purity_all", "purity_panel", "lost", "mixes_share"]
    shown = {name: without_minus_zero(100 * table[name], 0) for name in percents}
    shown |= {name: without_minus_zero(table[name], 2) for name in ("silhouette_all", "silhouette_panel")}
    st.dataframe(
        table.assign(**shown), hide_index=True, width="stretch", height=min(740, 38 + 35 * len(table)),
        column_order=["class", "cells", "purity_all", "purity_panel", "lost", "mixes_with", "mixes_share", "silhouette_all", "silhouette_panel"],
        column_config={
            "class": "Class", "cells": NUMBER("Cells", format="localized"),
            "purity_all": NUMBER("Own kind, all genes", format="%.0f %%", help=HELP["purity"]),
            "purity_panel": NUMBER("Own kind, panel", format="%.0f %%", help=HELP["purity"]),
            "lost": NUMBER("Points lost", format="%.0f", help="Own kind by all genes less own kind by the panel."),
            "mixes_with": "Mixes most with",
            "mixes_share": NUMBER("Share", format="%.0f %%", help="Of the 30 nearest labelled cells, by the panel."),
            "silhouette_all": NUMBER("Silhouette, all", format="%.2f", help=HELP["silhouette"]),
            "silhouette_panel": NUMBER("… panel", format="%.2f", help=HELP["silhouette"]),
        },
        alt="Per class how well it stays together",
    )  # fmt: skip
    downloads.table_button("Classes on the maps (CSV)", table, "yoto_map_classes.csv")


MEASURES = {"ari": "Clusters match classes (ARI)", "nmi": "Shared information (NMI)", "silhouette": "Silhouette"}
HELP = {
    "neighbours": "Of each cell's 30 nearest cells by all genes, the share that is among its 30 nearest by the panel.",
    "ari": "Adjusted Rand index of k-means clusters (as many as classes) and the classes: 1 is equal, 0 is chance.",
    "nmi": "Normalised mutual information of the same clusters and the classes, 0 to 1.",
    "silhouette": "How much nearer cells are to their own class than to the next: 1 apart, 0 touching, below 0 mixed."
    " From at most 4,000 cells.",
    "purity": "Of the 30 nearest labelled cells of a cell of this class, the share that is of the same class.",
}


def _task_input(tasks: list[str], label: str, key: str) -> str:
    """One of these tasks; asked only where there are several, "" where there is none."""
    if len(tasks) < 2:
        return next(iter(tasks), "")
    return st.segmented_control(label, tasks, default=tasks[0], required=True, format_func=messages.plain, key=key)


def _places(maps: Maps, name: str) -> np.ndarray:
    """(mapped cells, 2) on one of our maps, or on an embedding of the file."""
    if name in (ALL, PANEL):
        return maps.cells[[f"{name[1:]}_x", f"{name[1:]}_y"]].to_numpy()
    with messages.errors_shown():
        return stored.read_embedding(state.dataset_path(), name)[maps.cells["cell_index"]]


def _embeddings(run: Run) -> tuple[str, ...]:
    data = state.run_data(run)
    return stored.embedding_names(state.dataset_path(), data.n_cells) if data is not None else ()


def _title(name: str, run: Run, maps: Maps) -> str:
    if name == PANEL:
        return f"UMAP of the panel ({run.panel.panel_size:,} genes)"
    if name != ALL:
        return f"{name} of the file"
    few = f" ({maps.genes_all:,} most variable)" if maps.genes_all < run.summary["candidate_genes"] else ""
    return f"UMAP of all candidate genes{few}"


def _gene(run: Run, maps: Maps, name: str) -> pd.Series:
    if name in maps.expression:
        return maps.expression[name]
    data = state.run_data(run)
    values = gene_values(data, name) if data is not None else None
    if values is None:
        raise DataError(f"There is no gene {name} in the data.", hint="Check the spelling, or choose a panel gene.")
    return pd.Series(values[maps.cells["cell_index"]])


def _column(run: Run, values: pd.Series, name: str) -> Paint:
    painted = values_to_paint(values)
    if pd.api.types.is_numeric_dtype(painted):
        return Paint(name, painted)
    classes = sorted(painted.dropna().unique())
    return Paint(name, painted, explored.colors(run, name, classes))


def _answers(run: Run, maps: Maps, kind: str, task: str, *, everyone: bool) -> Paint:
    cells, classes = maps.cells, explored.classes_of(run, task)
    true, predicted = cells[f"{task} true"], cells[f"{task} predicted"]
    shown = pd.Series(True, index=cells.index) if everyone else cells["part"] == "held-out"
    if kind in ("Label", "Prediction"):
        values = true if kind == "Label" else predicted
        return Paint(
            f"{task}, {kind.lower()}", values.where(shown), explored.colors(run, task, classes) if classes else None
        )
    if kind == "Right or wrong" and classes:
        verdict = pd.Series(np.where(true == predicted, "right", "wrong"), index=cells.index)
        return Paint(f"{task}, right or wrong", verdict.where(shown & true.notna()), {**RIGHT, "(missing)": "#9aa5ad"})
    if kind == "Certainty" and classes:
        return Paint(f"{task}, certainty", cells[f"{task} probability"].where(shown))
    return Paint(f"{task}, error", (predicted - true).abs().where(shown))
