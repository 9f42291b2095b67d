"""The parts of the Panel page about genes: the table, the card of one gene, dot plot, heat map and redundancy."""

import streamlit as st

from pages.ui import downloads, explored, messages, state
from yoto_core import report
from yoto_core.data.genes import FAMILIES
from yoto_core.explore.profiles import REDUNDANT, Profiles, redundant_pairs
from yoto_core.pipeline import Run
from yoto_core.plots.genes import (
    class_table,
    correlation_figure,
    dot_figure,
    heat_figure,
    violin_figure,
    violin_table,
)
from yoto_core.plots.maps import Paint, map_table, single_figure

QUIET = {"displayModeBar": False}
TWO = st.column_config.NumberColumn(format="%.2f")


def gene_table(run: Run, profiles: Profiles | None) -> str:
    """The panel as a table to sort, search and choose from; returns the chosen gene, or the first one shown."""
    wanted = st.text_input("Find a gene", placeholder="symbol or Ensembl id", key="find")
    table = report.find_rows(run.panel_table, wanted).reset_index(drop=True)
    if table.empty:
        st.info("No gene of the panel has this symbol or id.", icon=":material/search_off:")
        return run.panel.genes[0]
    if profiles is not None:
        table = table.merge(profiles.genes, on="gene", how="left")
        table["families"] = [_families(names) for names in table["families"].fillna("")]
    chosen = st.dataframe(
        table, hide_index=True, width="stretch", height=min(38 + 35 * max(1, len(table)), 460), key="genes",
        on_select="rerun", selection_mode="single-row", column_config=_columns(),
        column_order=[
            "rank", "gene", "gene_id", "best_class", "best_percent", "best_mean", "highest_mean", "detection", "tasks",
            "stability", "score", "families", "reason",
        ],
        alt="The genes of the panel, best first",
    )["selection"]["rows"]  # fmt: skip
    return table["gene"][chosen[0] if chosen and chosen[0] < len(table) else 0]


def card(run: Run, profiles: Profiles, gene: str) -> None:
    """One gene: why it is here, where it is expressed, and what could stand in for it."""
    row = run.panel_table.set_index("gene").loc[gene]
    about = profiles.genes.set_index("gene").loc[gene]
    st.subheader(messages.plain(gene), anchor=False)
    st.text(f"Rank {row['rank']} of {run.panel.panel_size:,}" + (f" · {row['gene_id']}" if row["gene_id"] else ""))
    st.text(row["reason"])
    tasks = [task.obs for task in run.config.tasks if explored.classes_of(run, task.obs)]
    maps = explored.maps_or_none()
    left, right = st.columns(2, gap="large")
    if tasks:
        with left:
            start = about["best_task"] if about["best_task"] in tasks else tasks[0]
            task = start
            if len(tasks) > 1:
                task = st.segmented_control(
                    "By class of", tasks, default=start, required=True, format_func=messages.plain, key=f"card_{gene}"
                )
            _by_class(run, profiles, gene, task)
    with right:
        if maps is not None:
            table = map_table(maps.cells[["panel_x", "panel_y"]].to_numpy(), maps.cells[["all_x", "all_y"]].to_numpy(), Paint(gene, maps.expression[gene]))  # fmt: skip
            st.caption("On the map of all candidate genes")
            st.plotly_chart(
                single_figure(table, gene, state.theme()), key=f"card_map_{gene}", config=QUIET,
                alt=messages.plain(f"Expression of {gene} on the map"),
            )  # fmt: skip
        _replacements(profiles, gene)


def patterns(run: Run, profiles: Profiles) -> None:
    """All panel genes across the classes of one task, as dots or as a heat map."""
    tasks = [task.obs for task in run.config.tasks if explored.classes_of(run, task.obs)]
    if not tasks:
        st.info("This run predicts numbers only: there are no classes to show genes in.", icon=":material/info:")
        return
    first, second = st.columns(2)
    with first:
        kind = st.segmented_control("Figure", ["Dots", "Heat map"], default="Dots", required=True, key="pattern_kind")
    task = tasks[0]
    if len(tasks) > 1:
        with second:
            task = st.segmented_control(
                "Classes of", tasks, default=tasks[0], required=True, format_func=messages.plain, key="pattern_task"
            )
    table = class_table(profiles.classes, task, list(run.panel.genes))
    figure = (dot_figure if kind == "Dots" else heat_figure)(table, state.theme())
    st.plotly_chart(figure, key="patterns", config=QUIET, alt="Panel genes across classes")
    st.caption(
        "Training cells. Classes that look alike stand together; genes are ordered by the class in which they are highest."
    )
    downloads.figure_buttons(figure, table, f"yoto_genes_{report.file_safe(task)}")


def redundancy(run: Run, profiles: Profiles) -> None:
    """Which panel genes say the same, and what to think of it."""
    pairs = redundant_pairs(profiles.correlations)
    if pairs.empty:
        st.text(f"No two genes of the panel have a correlation of {REDUNDANT:g} or more: none repeats another.")
    else:
        count = "1 pair of genes has" if len(pairs) == 1 else f"{len(pairs):,} pairs of genes have"
        st.text(
            f"{count} a correlation of {REDUNDANT:g} or more. Where space is short, the lower ranked gene of a pair is the"
            " first to do without; where probes may fail, it is a spare."
        )
        names = {"keep": "Keep", "drop": "Could do without", "correlation": "Correlation"}
        st.dataframe(pairs.rename(columns=names), hide_index=True, column_config={"Correlation": TWO})
    figure = correlation_figure(profiles.correlations, state.theme())
    st.plotly_chart(figure, key="correlations", config=QUIET, alt="Correlation of every two panel genes")
    st.caption("Pearson correlation of log expression over all training cells; genes that go together stand together.")
    downloads.figure_buttons(figure, profiles.correlations.reset_index(names="gene"), "yoto_gene_correlations")


def _by_class(run: Run, profiles: Profiles, gene: str, task: str) -> None:
    maps = explored.maps_or_none()
    classes = explored.classes_of(run, task)
    here = profiles.classes[(profiles.classes["gene"] == gene) & (profiles.classes["task"] == task)]
    if maps is not None:
        table = violin_table(maps.expression[gene], maps.cells[f"{task} true"])
        figure = violin_figure(table, explored.colors(run, task, classes), state.theme())
        st.plotly_chart(
            figure, key=f"violin_{gene}", config=QUIET, alt=messages.plain(f"Expression of {gene} by class of {task}")
        )
        downloads.figure_buttons(figure, table, f"yoto_{report.file_safe(gene)}_{report.file_safe(task)}")
    names = {"class": "Class", "mean": "Mean", "percent": "% of cells", "cells": "Cells"}
    widths = {"Mean": TWO, "% of cells": st.column_config.NumberColumn(format="%.0f")}
    shown = here.sort_values("mean", ascending=False)[list(names)].rename(columns=names)
    st.dataframe(shown, hide_index=True, width="stretch", column_config=widths, height=min(38 + 35 * len(shown), 250))


def _replacements(profiles: Profiles, gene: str) -> None:
    here = profiles.replacements[profiles.replacements["gene"] == gene]
    if here.empty:
        return
    st.caption("Nearest replacements outside the panel, should its probe fail")
    names = {"other": "Gene", "other_id": "Ensembl id", "correlation": "Correlation"}
    st.dataframe(
        here[list(names)].rename(columns=names), hide_index=True, width="stretch", column_config={"Correlation": TWO}
    )


def _families(names: str) -> str:
    return ", ".join(FAMILIES[name][0] for name in names.split(", ") if name in FAMILIES)


def _columns() -> dict[str, object]:
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    return {
        "rank": number("Rank", width="small"),
        "gene": text("Gene", width="small"),
        "gene_id": "Ensembl id",
        "reason": text("Why it is here", width="large"),
        "tasks": text("Needed for", help="Tasks whose score falls when this gene alone is missing."),
        "best_class": text("Highest in", help="Of the task whose classes explain most of the gene's spread."),
        "best_mean": number("Mean there", format="%.2f", help="Mean of log(1 + transcripts per 10,000)."),
        "best_percent": number("% there", format="%.0f", help="Cells of that class that express it."),
        "highest_mean": number("Highest mean", format="%.2f", help="In any class of any task: very high genes crowd an image."),
        "detection": number("% of all", format="%.0f", help="Training cells that express it."),
        "stability": number("Stability", format="%.2f", help="Share of the replicas that would keep it."),
        "score": number("Score", format="%.2f", help="The model's score of the gene."),
        "families": text("Flags", help="Families that panel designers often leave out."),
    }  # fmt: skip
