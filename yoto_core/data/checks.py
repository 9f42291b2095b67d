"""The second door: what is worth knowing about the data, and whether a config fits them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from yoto_core.config import RunConfig, SplitConfig
from yoto_core.data.folds import fold_count
from yoto_core.data.preprocess import Candidates
from yoto_core.data.reading import Dataset
from yoto_core.data.splits import Split
from yoto_core.data.targets import Target
from yoto_core.errors import ConfigError
from yoto_core.words import counted, group_words

FEW_CELLS = 20  # in a class: scores of such classes move by several points with every cell
FEW_HELD_OUT = 5  # groups: the spread among fewer says too little about further ones for an interval
LISTED = 5  # names in one sentence
CROSS_VALIDATE = "Use cross-validation: every cell is judged once."

Offer = Literal["", "cross-validation"]


@dataclass(frozen=True)
class Finding:
    """Something the user should know; `hint` says what can be done, `offer` what one click can do about it."""

    level: Literal["note", "warning"]
    message: str
    hint: str = ""
    offer: Offer = ""


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

    With cross-validation every cell is judged once, so what is said of held-out cells then concerns all cells in use.

    Raises:
        ConfigError: The panel cannot be smaller than the candidates, or a task cannot be scored.
    """
    k, n = config.selector.panel_size, candidates.n_genes
    if k >= n:
        raise ConfigError(
            f"The panel size is {k} but there are {n:,} candidate genes.", hint=f"Choose at most {n - 1:,}."
        )
    findings = []
    if split.groups is not None:
        for target in targets:
            findings += _check_nesting(target, split.groups, config.split.group)
        findings += _check_groups(split, config.split)
    for target in targets:
        findings += _check_target(target, split, config)
    return tuple(findings)


def _check_groups(split: Split, config: SplitConfig) -> list[Finding]:
    """What is held out where whole groups are, and which cells belong to none."""
    findings = []
    one, many = group_words(config.group)
    left_out = int((split.groups < 0).sum())
    if left_out:
        has, takes = ("has", "takes") if left_out == 1 else ("have", "take")
        findings.append(
            Finding("warning", f"{counted(left_out, 'cell')} {has} no {config.group} and {takes} no part in this run.")
        )
    n_groups, held_out = _n_groups(split), len(split.held_out)
    if fold_count(n_groups, config) > 1 or held_out >= FEW_HELD_OUT:
        return findings
    says = f"One {one} says" if held_out == 1 else f"{held_out} {many} say"
    said = f"Held out: {held_out} of {counted(n_groups, one, many)} ({_listed(split.held_out)})."
    findings.append(
        Finding(
            "warning",
            f"{said} {says} little about others: no interval can be given with fewer than {FEW_HELD_OUT}.",
            CROSS_VALIDATE,
            "cross-validation",
        )
    )
    return findings


def _check_nesting(target: Target, groups: np.ndarray, column: str) -> list[Finding]:
    """Whether the label follows from the group: then groups and labels cannot be told apart."""
    used = target.labelled & (groups >= 0)
    one, many = group_words(column)
    pairs = pd.DataFrame({"group": groups[used], "value": target.values[used]}).drop_duplicates()
    groups_of_value = pairs.groupby("value").size()
    if target.classes and (groups_of_value == 1).all():
        raise ConfigError(
            f"Every class of “{target.task}” is in one {one} only, so training never sees the classes of a held-out"
            f" {one}.",
            hint="Split by single cells, hold out groups of another column, or drop this task.",
        )
    n_groups = pairs["group"].nunique()
    if len(pairs) > n_groups:
        return []
    few = n_groups < 2 * FEW_HELD_OUT if not target.classes else groups_of_value.min() < FEW_HELD_OUT
    return [
        Finding(
            "warning" if few else "note",
            f"Every {one} has one {target.task} only: with {counted(n_groups, one, many)} it cannot be told for sure"
            f" whether the panel tells {target.task} or {many} apart.",
            f"More {many} for each {'class' if target.classes else 'range of the number'} would tell.",
        )
    ]


def _check_target(target: Target, split: Split, config: RunConfig) -> list[Finding]:
    findings = []
    unlabelled = int((~target.labelled).sum()) - sum(target.dropped.values())
    if unlabelled:
        one = unlabelled == 1
        if len(config.tasks) > 1:
            rest = "; it still trains the other tasks" if one else "; they still train the other tasks"
        else:
            rest = " and takes no part" if one else " and take no part"
        said = f"{counted(unlabelled, 'cell')} {'has' if one else 'have'} no {target.task}{rest}."
        findings.append(Finding("note", said))
    for name, cells in target.dropped.items():
        findings.append(
            Finding(
                "warning",
                f"Class “{name}” of {target.task} has {counted(cells, 'cell')} and is left out.",
                f"A class needs {config.split.min_class_cells} cells, some of them among the training cells.",
            )
        )
    crossed = _is_crossed(split, config.split)
    for part, cells in (("training", split.train), *((("held-out", split.test),) if not crossed else ())):
        labelled = int(target.labelled[cells].sum())
        if labelled < 2:
            raise ConfigError(
                f"Task “{target.task}” has {counted(labelled, 'labelled cell')} among the {part} cells.",
                hint="Hold out another group or another share, or drop this task.",
            )
    if target.classes:
        findings += _check_crossed_classes(target, split) if crossed else _check_classes(target, split)
    return findings


def _check_classes(target: Target, split: Split) -> list[Finding]:
    """Classes too small to be judged on one held-out part."""
    held_out = target.counts(split.test)
    absent = [name for name, cells in zip(target.classes, held_out, strict=True) if not cells]
    few = int(((held_out > 0) & (held_out < FEW_CELLS)).sum())
    if (held_out > 0).sum() < 2:
        raise ConfigError(
            f"Only one class of “{target.task}” is among the held-out cells.",
            hint="Hold out another group or more cells, or use cross-validation.",
        )
    findings = []
    if absent:
        scored = "It is" if len(absent) == 1 else "They are"
        findings.append(
            Finding(
                "warning",
                f"No held-out cell is {_listed(absent, 'or')} ({target.task}). {scored} not scored.",
                CROSS_VALIDATE,
                "cross-validation",
            )
        )
    if few:
        findings.append(
            Finding("note", f"{_classes_with_few(few, target)} held-out cells.", CROSS_VALIDATE, "cross-validation")
        )
    return findings


def _check_crossed_classes(target: Target, split: Split) -> list[Finding]:
    """Classes that stay small although every cell is judged."""
    cells = np.arange(len(target.values)) if split.groups is None else np.flatnonzero(split.groups >= 0)
    few = int((target.counts(cells) < FEW_CELLS).sum())
    if not few:
        return []
    rough = "Its score is rough; the interval says" if few == 1 else "Their scores are rough; the intervals say"
    return [Finding("note", f"{_classes_with_few(few, target)} cells in all.", f"{rough} how rough.")]


def _classes_with_few(few: int, target: Target) -> str:
    return f"{counted(few, 'class', 'classes')} of {target.task} {'has' if few == 1 else 'have'} fewer than {FEW_CELLS}"


def _is_crossed(split: Split, config: SplitConfig) -> bool:
    return fold_count(_n_groups(split), config) > 1


def _n_groups(split: Split) -> int | None:
    return None if split.groups is None else np.unique(split.groups[split.groups >= 0]).size


def _listed(names: Sequence[str], last: str = "and") -> str:
    """Names in a sentence, the first few of many."""
    if len(names) > LISTED:
        return f"{', '.join(names[:LISTED])} {last} {len(names) - LISTED} more"
    return f" {last} ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
