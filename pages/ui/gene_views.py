"""The parts of the Panel page about genes: the table, the card of one gene, dot plot, heat map and redundancy."""

import streamlit as st

from pages.ui import charts, downloads, explored, messages, state
from yoto_core import report, verdicts
from yoto_core.data.genes import FAMILIES
from yoto_core.data.scales import unit_of
from yoto_core.explore.profiles import REDUNDANT, Profiles, redundant_pairs
from yoto_core.explore.sentences import outside_sentence
from yoto_core.pipeline import Run
from yoto_core.plots.genes import (
    CORRELATED,
    class_table,
    correlation_figure,
    correlation_table,
    dot_figure,
    heat_figure,
    violin_figure,
    violin_table,
)
from yoto_core.plots.maps import Paint, map_table, single_figure

TWO = st.column_config.NumberColumn(format="%.2f")
WIDE = 12  # classes from which the spread of a gene needs the whole width


def gene_table(run: Run, profiles: Profiles | None) -> str:
    """The panel as a table to sort, search, choose from and download; returns the chosen gene, or the first one shown."""
    wanted = st.text_input("Find a gene", placeholder="symbol or Ensembl id", key="find")
    whole = run.panel_table
    if profiles is not None:
        whole = whole.merge(profiles.genes, on="gene", how="left")
        whole["families"] = [_families(names) for names in whole["families"].fillna("")]
    table = report.find_rows(whole, wanted).reset_index(drop=True)
    chosen = []
    if table.empty:
        said = "No gene of the panel has this symbol or id."
        st.info(messages.plain(outside_sentence(profiles, wanted) if profiles else said), icon=":material/search_off:")
    else:
        columns = [
            name for name in _columns(run) if name in table and (whole[name].notna() & (whole[name] != "")).any()
        ]
        chosen = st.dataframe(
            table, hide_index=True, width="stretch", height=min(38 + 35 * len(table), 460), key="genes",
            on_select="rerun", selection_mode="single-row", column_config=_columns(run), column_order=columns,
            alt="The genes of the panel, best first",
        )["selection"]["rows"]  # fmt: skip
    downloads.panel_buttons(run, state.run_folder(), whole)
    if table.empty:
        return run.panel.genes[0]
    return table["gene"][chosen[0] if chosen and chosen[0] < len(table) else 0]


def card(run: Run, profiles: Profiles, gene: str) -> None:
    """One gene: why it is here, what is lost without it, where it is expressed, and what could stand in for it."""
    row = run.panel_table.set_index("gene").loc[gene]
    best_task = profiles.genes.set_index("gene")["best_task"][gene]
    st.subheader(messages.plain(gene), anchor=False)
    st.text(f"Rank {row['rank']} of {run.panel.panel_size:,}" + (f" · {row['gene_id']}" if row["gene_id"] else ""))
    st.text(row["reason"] or "What it is needed for is being measured.")
    if run.stability is not None:
        share = run.stability.genes[run.panel.genes.index(gene)]
        st.text(f"Chosen again in {share:.0%} of {run.stability.subsamples} subsamples of the cells not held out.")
    _losses(run, gene)
    task = _classes_input(run, "By class of", f"card_{gene}", first=best_task)
    above = st.container()
    left, right = st.columns(2, gap="large")
    if task:
        with above if len(explored.classes_of(run, task)) > WIDE else left:
            _spread(run, gene, task)
        with left:
            _class_figures(profiles, gene, task)
    with right:
        _on_the_map(gene)
        _replacements(profiles, gene)


def stability(run: Run) -> list[str]:
    """What is known of the panel's stability, and the rule behind “needed for”; nothing where neither was measured."""
    group = run.config.split.group
    wanted = run.config.evaluation.stability == "yes" and state.run_is_live()
    found = [
        verdicts.stability_words(run.stability, group=group, wanted=wanted),
        verdicts.needed_rule(run.losses, group=group),
    ]
    return [sentence for sentence in found if sentence]


def _losses(run: Run, gene: str) -> None:
    """Every class's loss without the gene, folded away: the numbers behind its reason."""
    here = run.losses[(run.losses["gene"] == gene)].sort_values("loss", ascending=False)
    if here.empty:
        return
    shown = here.assign(**{"class": here["class"].replace("", "all classes"), "loss": here["loss"].round(3) + 0.0})
    names = {
        "task": "Task", "class": "Class", "before": st.column_config.NumberColumn("Score", format="%.2f", help="F1; R² for numbers."),
        "after": st.column_config.NumberColumn("Without it", format="%.2f"),
        "loss": st.column_config.NumberColumn("Loss", format="%.3f"),
        "low": st.column_config.NumberColumn("from", format="%.3f", help="95 % interval of the loss."),
        "high": st.column_config.NumberColumn("to", format="%.3f"),
        "needed": st.column_config.CheckboxColumn("Needed", help="More than drawing the cells again explains."),
        "cells": st.column_config.NumberColumn("Held-out cells", format="localized"),
    }  # fmt: skip
    with st.expander("What is lost without it, class by class", icon=":material/trending_down:"):
        st.dataframe(
            shown, hide_index=True, width="stretch", column_order=list(names), column_config=names,
            height=min(38 + 35 * len(shown), 400), alt=f"What every class loses without {gene}",
        )  # fmt: skip
        downloads.table_button("Losses of every gene (CSV)", run.losses, "yoto_gene_losses.csv")


def patterns(run: Run, profiles: Profiles) -> None:
    """All panel genes across the classes of one task, as dots or as a heat map."""
    first, second = st.columns(2)
    with first:
        kind = st.segmented_control("Figure", ["Dots", "Heat map"], default="Dots", required=True, key="pattern_kind")
    with second:
        task = _classes_input(run, "Classes of", "pattern_task")
    if not task:
        st.info("This run predicts numbers only: there are no classes to show genes in.", icon=":material/info:")
        return
    table = class_table(profiles.classes, task, list(run.panel.genes))
    figure = dot_figure if kind == "Dots" else heat_figure
    size = " The larger a dot, the more cells of the class express the gene." if kind == "Dots" else ""
    charts.chart(
        lambda theme: figure(table, theme), key="patterns", alt="Panel genes across classes",
        table=table, name=f"yoto_genes_{report.file_safe(task)}",
        caption=f"Training cells.{size} The stronger the colour, the nearer the class's mean is to the highest one of that gene. Classes"
        " that look alike stand together; genes are ordered by the class in which they are highest.",
    )  # fmt: skip


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
        st.dataframe(
            pairs.rename(columns=names), hide_index=True, column_config={"Correlation": TWO},
            alt="Pairs of genes that tell nearly the same",
        )  # fmt: skip
        downloads.table_button("Pairs (CSV)", pairs, "yoto_gene_pairs.csv")
    table = correlation_table(profiles.correlations)
    few = (
        f" Shown are the {CORRELATED} genes that are most like another one."
        if run.panel.panel_size > CORRELATED
        else ""
    )
    charts.chart(
        lambda theme: correlation_figure(table, theme), key="correlations", alt="Correlation of every two panel genes",
        table=profiles.correlations.reset_index(names="gene"), name="yoto_gene_correlations",
        caption=f"Pearson correlation of log expression over all training cells; genes that go together stand together.{few}",
    )  # fmt: skip


def _classes_input(run: Run, label: str, key: str, first: str = "") -> str:
    """A task that has classes; asked only where there are several, "" where there is none."""
    tasks = [task.obs for task in run.config.tasks if explored.classes_of(run, task.obs)]
    start = first if first in tasks else next(iter(tasks), "")
    if len(tasks) < 2:
        return start
    return st.segmented_control(label, tasks, default=start, required=True, format_func=messages.plain, key=key)


def _spread(run: Run, gene: str, task: str) -> None:
    maps = explored.maps_or_none()
    if maps is None:
        return
    table = violin_table(maps.expression[gene], maps.cells[f"{task} true"])
    colors = explored.colors(run, task, explored.classes_of(run, task))
    charts.chart(
        lambda theme: violin_figure(table, colors, theme), key=f"violin_{gene}", alt=f"Expression of {gene} by class of {task}",
        table=table, name=f"yoto_{report.file_safe(gene)}_{report.file_safe(task)}",
        caption=f"{unit_of(run.summary)}, the class with the highest mean first; the line in a shape is its mean.",
    )  # fmt: skip


def _class_figures(profiles: Profiles, gene: str, task: str) -> None:
    here = profiles.classes[(profiles.classes["gene"] == gene) & (profiles.classes["task"] == task)]
    names = {"class": "Class", "mean": "Mean", "percent": "% of cells", "cells": "Training cells"}
    widths = {
        "Mean": TWO,
        "% of cells": st.column_config.NumberColumn(format="%.0f", help="Cells of the class that express the gene."),
        "Training cells": st.column_config.NumberColumn(format="localized"),
    }
    shown = here.sort_values("mean", ascending=False)[list(names)].rename(columns=names)
    st.dataframe(
        shown, hide_index=True, width="stretch", column_config=widths, height=min(38 + 35 * max(1, len(shown)), 400),
        alt=f"Expression of {gene} in every class",
    )  # fmt: skip


def _on_the_map(gene: str) -> None:
    maps = explored.maps_or_none()
    if maps is None:
        return
    every, panel = (maps.cells[[f"{name}_x", f"{name}_y"]].to_numpy() for name in ("all", "panel"))
    table = map_table(every, panel, Paint(gene, maps.expression[gene]))
    st.caption("On the map of all candidate genes")
    charts.chart(
        lambda theme: single_figure(table, gene, theme), key=f"card_map_{gene}", alt=f"Expression of {gene} on the map",
        table=table, name=f"yoto_{report.file_safe(gene)}_map",
    )  # fmt: skip


def _replacements(profiles: Profiles, gene: str) -> None:
    here = profiles.replacements[profiles.replacements["gene"] == gene]
    if here.empty:
        return
    st.caption("Nearest replacements outside the panel, should its probe fail")
    names = {"other": "Gene", "other_id": "Ensembl id", "correlation": "Correlation"}
    shown = here[[name for name in names if name != "other_id" or (here[name] != "").any()]]
    st.dataframe(
        shown.rename(columns=names), hide_index=True, width="stretch", column_config={"Correlation": TWO},
        alt=f"Genes that could replace {gene}",
    )  # fmt: skip


def _families(names: str) -> str:
    return ", ".join(FAMILIES[name][0] for name in names.split(", ") if name in FAMILIES)


def _columns(run: Run) -> dict[str, object]:
    """What is shown of each gene, in this order; a column that is empty for all genes is left out."""
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    return {
        "rank": number("Rank", width=50),
        "gene": text("Gene", width="small"),
        "best_class": text("Highest in", help="The class in which the gene is highest, of the task that explains most of its spread."),
        "best_percent": number("% there", format="%.0f", width=65, help="Cells of that class that express it."),
        "tasks": text("Needed for", help="Classes that lose more than chance explains when this gene alone is missing."),
        "stability": number("Stability", format="%.2f", width=75, help="Share of subsamples of the cells not held out from which it is chosen again."),
        "gene_id": text("Ensembl id"),
        "best_mean": number("Mean there", format="%.2f", width=85, help=f"Mean of {unit_of(run.summary)}."),
        "highest_mean": number("Highest mean", format="%.2f", width=95, help="In any class of any task: very high genes crowd an image."),
        "detection": number("% of all", format="%.0f", width=65, help="Training cells that express it."),
        "score": number("Score", format="%.2f", width=60, help="The model's score of the gene: the order of the ranks."),
        "families": text("Flags", help="Families that panel designers often leave out."),
        "reason": text("Why it is here", width="large"),
    }  # fmt: skip
