"""A data set or a run in words and plain tables: what the shell prints, and the facts the Data page shows."""

import re
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime

import numpy as np
import pandas as pd

from yoto_core.config import RunConfig, section_types
from yoto_core.data.checks import check_data
from yoto_core.data.columns import describe_columns
from yoto_core.data.genes import families_of
from yoto_core.data.reading import Dataset
from yoto_core.evaluation.sizes import suggest
from yoto_core.pipeline import Run
from yoto_core.prediction.crossstudy import CrossStudy, classes_side_by_side, scores_side_by_side
from yoto_core.prediction.matching import Matching
from yoto_core.prediction.predict import Labelled
from yoto_core.scores.judges import HEADLINE_JUDGE, JUDGES
from yoto_core.scores.methods import JUDGE_LABELS, METHODS, headline_rows
from yoto_core.scores.metrics import HEADLINE
from yoto_core.store.history import Row
from yoto_core.store.saved import SavedModel
from yoto_core.verdicts import (
    METRIC_LABELS,
    assay_cost,
    behind,
    folds_words,
    headline,
    needed_rule,
    sharing_cost,
    stability_words,
    verdict,
)
from yoto_core.words import group_words, one_line


def describe_data(data: Dataset) -> dict[str, object]:
    """Facts about a data set as plain values: size, matrices with evidence, columns with advice, findings."""
    per_cell = np.diff(data.matrix.indptr)
    totals = np.asarray(data.matrix.sum(axis=1)).ravel()
    mito = np.array(["mito" in families_of(symbol) for symbol in data.genes.symbols])
    share = data.matrix[:, np.flatnonzero(mito)].sum() / totals.sum() if mito.any() else 0.0
    return {
        "name": data.name,
        "digest": data.digest,
        "cells": data.n_cells,
        "genes": data.n_genes,
        "genes_per_cell_median": int(np.median(per_cell)),
        "counts_per_cell_median": float(np.median(totals)) if data.kind == "counts" else None,
        "mitochondrial_percent": float(100 * share) if data.kind == "counts" else None,
        "zero_percent": 100 * (1 - data.matrix.nnz / max(1, data.n_cells * data.n_genes)),
        "undetected_genes": int(data.n_genes - len(np.unique(data.matrix.indices))),
        "chosen_matrix": data.chosen,
        "unit": data.scale.unit,
        "matrices": [{"name": v.name, "kind": v.kind, "genes": v.genes, "evidence": v.evidence} for v in data.verdicts],
        "columns": [
            {
                "name": c.name, "role": c.role, "kind": c.kind, "reason": c.reason, "levels": c.levels,
                "smallest": c.smallest, "missing": c.missing, "profile": list(c.profile),
            }
            for c in describe_columns(data.obs)
        ],
        "findings": [{"level": f.level, "message": f.message, "hint": f.hint} for f in check_data(data)],
    }  # fmt: skip


def data_as_text(facts: dict[str, object]) -> str:
    """The same facts for a terminal."""
    lines = [
        f"{facts['name']}: {facts['cells']:,} cells × {facts['genes']:,} genes,"
        f" {facts['genes_per_cell_median']:,} genes per cell (median), {facts['zero_percent']:.1f} % zeros",
        "",
        f"Matrix used: {facts['chosen_matrix']}",
        *(f"  {m['name']}: {m['kind']}, {m['genes']:,} genes ({m['evidence']})" for m in facts["matrices"]),
        f"The model reads {facts['unit']}.",
    ]
    for role, title in (("task", "Likely tasks"), ("group", "Likely groups to hold out"), ("neither", "Neither")):
        columns = [c for c in facts["columns"] if c["role"] == role]
        if columns:
            lines += ["", f"{title}:"]
            lines += [
                f"  {c['name']} ({c['kind']}): {c['reason']}" + (f"; {c['missing']:,} missing" if c["missing"] else "")
                for c in columns
            ]
    lines += ["", *(f"{f['level']}: {f['message']} {f['hint']}".strip() for f in facts["findings"])]
    return "\n".join(map(one_line, lines)).strip()


def describe_design(config: RunConfig) -> str:
    """A design in one sentence."""
    tasks = ", ".join(task.obs for task in config.tasks)
    judged = f"whole held-out {group_words(config.split.group)[1]}" if config.split.group else "held-out cells"
    return f"{config.selector.panel_size:,} genes that predict {tasks}, judged on {judged}."


def config_changes(before: RunConfig, after: RunConfig) -> tuple[str, ...]:
    """What differs between two designs, setting by setting in the form's words; threads, which change no result, apart."""
    changes = []
    tasks = [", ".join(f"{t.obs} ({t.kind}, weight {t.weight:g})" for t in config.tasks) for config in (before, after)]
    if tasks[0] != tasks[1]:
        changes.append(f"tasks: {tasks[0]} → {tasks[1]}")
    sections = [("", before, after), *((n, getattr(before, n), getattr(after, n)) for n in section_types())]
    for section, one, other in sections:
        for spec in fields(one):
            old, new = getattr(one, spec.name), getattr(other, spec.name)
            if old == new or spec.name in {"tasks", "threads", *(section_types() if not section else ())}:
                continue
            label = spec.metadata.get("label", spec.name.replace("_", " ").capitalize())
            changes.append(f"{label}: {_shown(old)} → {_shown(new)}")
    return tuple(changes)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value) or "none"


def all_scores(scores: pd.DataFrame, task: str) -> pd.DataFrame:
    """Every score of one task with readable names: method, judge, metric, value, low, high, cells."""
    here = scores[scores["task"] == task].drop(columns="task")
    return here.assign(
        method=here["method"].map(METHODS),
        judge=here["judge"].map(JUDGE_LABELS),
        metric=here["metric"].map(METRIC_LABELS),
    )


def interval_texts(low: pd.Series, high: pd.Series) -> list[str]:
    """Intervals as people write them; empty where there is none."""
    return ["" if pd.isna(a) else f"{a:.3f} to {b:.3f}" for a, b in zip(low, high, strict=True)]


def mistake_texts(table: pd.DataFrame) -> list[str]:
    """What each class is mostly mistaken for, with the share of its cells (columns mistaken_for and share)."""
    return [
        f"{name} ({share:.0%})" if name else ""
        for name, share in zip(table["mistaken_for"], table["share"], strict=True)
    ]


def find_rows(panel: pd.DataFrame, text: str) -> pd.DataFrame:
    """Rows of the panel whose symbol or Ensembl id holds the text, whatever its case; all rows for no text."""
    text = text.strip().lower()
    found = panel["gene"].str.lower().str.contains(text, regex=False) | panel["gene_id"].str.lower().str.contains(
        text, regex=False
    )
    return panel[found] if text else panel


def file_safe(name: str) -> str:
    """A name cut down to what every file system takes."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:60] or "task"


def score_table(run: Run, task: str) -> pd.DataFrame:
    """One row per method, best headline first: method, score, interval, cells, and the other classifiers' same metric."""
    scores = run.evaluation.scores
    here = scores[(scores["task"] == task) & scores["metric"].isin(HEADLINE.values())]
    main = headline_rows(here).set_index("method").sort_values("value", ascending=False, kind="stable")
    others = here.pivot(index="method", columns="judge", values="value")
    others = others[[judge.name for judge in JUDGES if judge is not HEADLINE_JUDGE and judge.name in others]]
    table = pd.DataFrame({"score": main["value"], "interval": interval_texts(main["low"], main["high"])})
    table = table.join(others).rename(index=METHODS, columns=JUDGE_LABELS)
    return table.rename_axis(index=None, columns=None)


def as_text(run: Run) -> str:
    """The panel and its scores for a terminal."""
    columns = ["rank", "gene", "gene_id", *(["stability"] if run.stability else []), "tasks", "reason"]
    panel = run.panel_table[columns].to_string(index=False, float_format="{:.2f}".format)
    parts = [one_line(f"Panel of {run.panel.panel_size} genes from {run.summary['name']}"), panel]
    if run.evaluation is None:
        return "\n\n".join([*parts, "The run was stopped before its scores were measured."])
    for task in run.config.tasks:
        metric = METRIC_LABELS[HEADLINE[task.kind]]
        row = headline(run, task.obs).loc["yoto"] if "yoto" in headline(run, task.obs).index else None
        cells = "" if row is None else f" on {behind(row, run.config.split.group)}"
        said = [verdict(run, task.obs), assay_cost(run, task.obs), sharing_cost(run, task.obs)]
        parts += map(one_line, filter(None, [*said, f"{task.obs}: {metric}{cells}"]))
        parts.append(score_table(run, task.obs).to_string(float_format="{:.3f}".format, na_rep="–"))
    parts += map(one_line, filter(None, [folds_words(run), needed_rule(run.losses, group=run.config.split.group)]))
    parts.append(stability_words(run.stability, group=run.config.split.group, wanted=False))
    parts.append(suggest(run.evaluation.sizes, run.panel.panel_size).sentence)
    parts.append(f"Training took {run.timing['training_seconds']:.1f} s.")
    return "\n\n".join(filter(None, parts))


def runs_as_text(rows: Sequence[Row]) -> str:
    """One line per run, in the order of the rows."""
    if not rows:
        return "No runs yet. Try: python -m yoto_core demo"
    lines = []
    for row in rows:
        when = datetime.fromtimestamp(row.status.created).strftime("%Y-%m-%d %H:%M") if row.status.created else "?"
        lines.append(one_line(f"{row.run_id}  {when}  {row.status.state:<11}  {row.name}"))
    return "\n".join(lines)


def matching_as_text(saved: SavedModel, matching: Matching) -> str:
    """Which panel genes new data hold, and what each missing one costs, for a terminal."""
    missing = [one_line(f"missing {row.gene}: {row.cost}") for row in saved.missing_costs(matching).itertuples()]
    return "\n".join([matching.sentence, *missing])


def labels_as_text(labelled: Labelled) -> str:
    """What new cells were labelled as, for a terminal."""
    parts = []
    for task in labelled.tasks:
        parts.append(one_line(f"{task}: {labelled.sentence(task, labelled.threshold)}"))
        if f"{task} probability" in labelled.table:
            summary = labelled.summary(task, labelled.threshold)
            parts.append(summary.to_string(index=False, float_format="{:.2f}".format))
    if labelled.shift is not None:
        parts.append(one_line(labelled.shift.sentence))
    return "\n\n".join(parts)


def cross_study_as_text(saved: SavedModel, judged: CrossStudy) -> str:
    """New cells that carry labels beside the held-out cells, for a terminal: scores, then class by class."""
    figures = {"index": False, "float_format": "{:.3f}".format, "na_rep": "–"}
    scores = scores_side_by_side(saved.scores, judged.scores).replace({"metric": METRIC_LABELS})
    parts = ["Against the labels of the new cells:", scores.to_string(**figures)]
    if len(judged.classes):
        parts.append(classes_side_by_side(saved.classes, judged.classes).to_string(**figures))
    return "\n\n".join(parts)
