"""The model card: what the model is, what it was made from, how well it does and where it ends, in Markdown."""

import re
from typing import Any

import pandas as pd

from yoto_core.data.scales import PER_CELL, UNKNOWN, known_unit
from yoto_core.prediction.matching import SMALLEST_SHARE
from yoto_core.scores.metrics import HEADLINE, MIN_GROUPS
from yoto_core.store.saved import SavedModel
from yoto_core.words import counted, number_text

FORMS = {
    "panel": "log-normalised values, scaled over the panel's genes alone",
    "binary": "whether a gene was seen or not",
}
LIMITS = (
    "It answers with the classes above and no others: a cell of an unknown type gets the nearest label. Low probabilities"
    " and the shift check are the only warnings.",
    "Its scores were measured on held-out cells of the same data; another laboratory, tissue, species or technology can"
    " give less.",
    f"It refuses data that hold fewer than {SMALLEST_SHARE:.0%} of its genes; missing ones are taken as average only on request.",
    "It is a research tool and not for diagnosis.",
)


def model_card(saved: SavedModel) -> str:
    """The card of a model; text that came with the data is escaped."""
    model, about = saved.model, saved.about
    lines = [f"# A panel of {len(model.genes)} genes for {_join(head.task for head in model.heads)}", ""]
    lines += ["## Data", ""]
    split = about.get("split") or {}
    lines.append(
        f"{literal(about.get('data', 'unknown'))}: {about.get('cells', 0):,} cells, {about.get('genes', 0):,} genes, matrix"
        f" {literal(about.get('matrix', '?'))}. {split.get('train', 0):,} cells trained, {split.get('validation', 0):,} steered,"
        f" {split.get('test', 0):,} were held out"
        + (f" (whole groups of {literal(about['group'])})" if about.get("group") else "")
        + f". SHA-256 of the data: `{literal(about.get('digest', 'unknown'))}`."
    )
    lines += ["", "## Tasks", ""]
    for head in model.heads:
        kinds = f"{len(head.classes)} classes: {_join(head.classes)}" if head.classes else "a number"
        warmth = f" Probabilities are calibrated with temperature {head.temperature:.2f}." if head.classes else ""
        lines.append(f"* {literal(head.task)}: {kinds}.{warmth}")
    lines += [
        "",
        "## Panel",
        "",
        f"Input: {_form(saved)}, of these genes:",
        "",
        "| rank | gene | Ensembl id |",
    ]
    lines.append("|---|---|---|")
    pairs = zip(model.genes, model.gene_ids, strict=True)
    lines += [f"| {i} | {literal(gene)} | {literal(gene_id)} |" for i, (gene, gene_id) in enumerate(pairs, 1)]
    lines += ["", "## Scores on held-out cells", ""]
    lines += _scores(saved.scores) or ["They were not measured: the run was stopped before."]
    lines += ["", "## Limits", "", *(f"* {limit}" for limit in LIMITS)]
    versions = about.get("versions") or {}
    lines += ["", "## Made with", "", f"Seed {about.get('seed', '?')}; " + ", ".join(
        f"{literal(name)} {literal(version)}" for name, version in versions.items()
    ) + "."]  # fmt: skip
    lines += [
        "", "Method: You Only Train Once: Differentiable Subset Selection for Omics Data (Chopard et al., TMLR 2026).", "",
    ]  # fmt: skip
    return "\n".join(lines)


def origin(saved: SavedModel) -> str:
    """What a model is, where it comes from and what it reads, in two sentences."""
    model, about = saved.model, saved.about
    tasks = ", ".join(head.task for head in model.heads)
    return (
        f"{len(model.genes):,} genes for {tasks}, made from {about.get('data', 'unknown data')}"
        f" ({about.get('cells', 0):,} cells). It reads {_form(saved)}."
    )


def _form(saved: SavedModel) -> str:
    """What the model reads of each gene."""
    older = saved.reference.unit if saved.reference else UNKNOWN  # what files of older versions give away
    unit = known_unit(saved.about.get("unit", older))
    over = f"{unit} of all genes of the data" if unit == PER_CELL else unit
    return FORMS.get(saved.model.normalize, f"log-normalised values, {over}")


def literal(text: object) -> str:
    """Text that Markdown must not read as markup, on one line."""
    return re.sub(r"([\\`*_{}\[\]()<>#+!|~$&])", r"\\\1", " ".join(str(text).split()))


def _scores(scores: pd.DataFrame) -> list[str]:
    if scores.empty:
        return []
    lines = ["| task | score | value | 95 % interval | cells |", "|---|---|---|---|---|"]
    for row in scores.itertuples():
        cells = f"{int(row.cells):,}" + (f" of {counted(int(row.groups), 'group')}" if row.groups else "")
        lines.append(
            f"| {literal(row.task)} | {literal(row.metric)} | {number_text(row.value, 3)} | {_interval(row)} | {cells} |"
        )
    return lines


def _interval(row: Any) -> str:
    """The interval of a headline score, or that too few groups give none."""
    if row.metric not in HEADLINE.values():
        return ""
    if pd.isna(row.low):
        return f"none below {MIN_GROUPS} groups" if row.groups else ""
    return f"{number_text(row.low, 3)} to {number_text(row.high, 3)}"


def _join(names: object) -> str:
    return ", ".join(literal(name) for name in names)
