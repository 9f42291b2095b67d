"""The second door: what is worth knowing about the data, and whether a config fits them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from yoto_core.config import RunConfig
from yoto_core.data.preprocess import Candidates
from yoto_core.data.reading import Dataset
from yoto_core.data.splits import Split
from yoto_core.data.targets import Target
from yoto_core.errors import ConfigError

FEW_CELLS = 20  # in a class: scores of such classes move by several points with every cell


@dataclass(frozen=True)
class Finding:
    """Something the user should know; `hint` says what can be done."""

    level: Literal["note", "warning"]
    message: str
    hint: str = ""


def check_data(data: Dataset) -> tuple[Finding, ...]:
    """Findings about a data set as it was read."""
    findings = []
    findings += _check_kind(data)
    if data.genes.repeated:
        names = data.genes.repeated
        findings.append(
            Finding(
                "warning",
                f"{len(names):,} gene names occur more than once (first: {names[0]}).",
                "Later ones carry a suffix -1, -2, …; check the Ensembl id before ordering.",
            )
        )
    if data.repeated_cells:
        names = data.repeated_cells
        findings.append(
            Finding(
                "warning",
                f"{len(names):,} cell names occur more than once (first: {names[0]}).",
                "Later ones carry a suffix; if samples were joined, add the sample to the barcode.",
            )
        )
    empty = int((np.diff(data.matrix.indptr) == 0).sum())
    if empty:
        findings.append(
            Finding("warning", f"{empty:,} cells have no counts at all.", "Remove them before designing a panel.")
        )
    if not any(data.genes.ids):
        findings.append(Finding("note", "The file holds no Ensembl ids.", "Exports carry symbols only."))
    return tuple(findings)


CONVERTED = {
    "counts": "It is scaled to 10,000 per cell and logged.",
    "log-normalised": "It is brought to natural logarithms of 10,000 per cell.",
    "normalised": "It is brought to 10,000 per cell and logged.",
}


def _check_kind(data: Dataset) -> list[Finding]:
    """How the chosen matrix is read, where it is not whole counts."""
    verdict = next(verdict for verdict in data.verdicts if verdict.name == data.chosen)
    said = f"{data.chosen} is read as {data.kind} ({verdict.evidence})."
    if not verdict.sure:
        other = "If that is wrong, choose on the Data page how to read it, or give raw counts."
        return [Finding("note" if data.kind == "counts" else "warning", said, other)]
    if data.kind == "binary":
        whole = "Choose a matrix of counts or logs where the file has one."
        return [Finding("warning", f"{data.chosen} only says whether a gene was seen ({verdict.evidence}).", whole)]
    if data.kind == "counts":
        return []
    if data.scale.as_read and data.scale.total is not None:
        return [Finding("note", said, "It is used as it is.")]
    if data.scale.total is None:
        return [Finding("note", said, f"The model reads {data.scale.unit}: raw counts are better.")]
    return [Finding("note", said, CONVERTED[data.kind])]


def check_fit(
    config: RunConfig, candidates: Candidates, targets: Sequence[Target], split: Split
) -> tuple[Finding, ...]:
    """Findings about a config on its data.

    Raises:
        ConfigError: The panel cannot be smaller than the candidates, or a task cannot be scored.
    """
    k, n = config.selector.panel_size, candidates.n_genes
    if k >= n:
        raise ConfigError(
            f"The panel size is {k} but there are {n:,} candidate genes.", hint=f"Choose at most {n - 1:,}."
        )
    findings = [finding for target in targets for finding in _check_target(target, split, config)]
    if split.groups is not None:
        left_out = int((split.groups < 0).sum())
        if left_out:
            findings.append(
                Finding("warning", f"{left_out:,} cells have no {config.split.group} and take no part in this run.")
            )
    return tuple(findings)


def _check_target(target: Target, split: Split, config: RunConfig) -> list[Finding]:
    findings = []
    unlabelled = int((~target.labelled).sum()) - sum(target.dropped.values())
    if unlabelled:
        findings.append(
            Finding("note", f"{unlabelled:,} cells have no {target.task}; they still train the other tasks.")
        )
    for name, cells in target.dropped.items():
        findings.append(
            Finding(
                "warning",
                f"Class “{name}” of {target.task} has {cells:,} cells and is left out.",
                f"A class needs {config.split.min_class_cells} cells, some of them among the training cells.",
            )
        )
    for part, cells in (("training", split.train), ("held-out", split.test)):
        if target.labelled[cells].sum() < 2:
            raise ConfigError(
                f"Task “{target.task}” has {int(target.labelled[cells].sum())} labelled cells among the {part} cells.",
                hint="Hold out another group or another share, or drop this task.",
            )
    if target.classes:
        findings += _check_classes(target, split)
    return findings


def _check_classes(target: Target, split: Split) -> list[Finding]:
    held_out = target.counts(split.test)
    absent = [name for name, cells in zip(target.classes, held_out, strict=True) if not cells]
    few = [name for name, cells in zip(target.classes, held_out, strict=True) if 0 < cells < FEW_CELLS]
    findings = []
    if absent:
        findings.append(
            Finding("warning", f"No held-out cell is {' or '.join(absent)} ({target.task}).", "It is not scored.")
        )
    if few:
        findings.append(
            Finding(
                "note",
                f"{len(few)} classes of {target.task} have fewer than {FEW_CELLS} held-out cells.",
                "Their scores are rough; the intervals say how rough.",
            )
        )
    if (held_out > 0).sum() < 2:
        raise ConfigError(
            f"Only one class of “{target.task}” is among the held-out cells.",
            hint="Hold out another group or more cells.",
        )
    return findings
