"""What a run's numbers say, in sentences: each names its cells and groups, and is silent, with the reason, where it cannot know."""

import math
from collections.abc import Mapping

import pandas as pd

from yoto_core.evaluation.evaluator import mean_overlap
from yoto_core.evaluation.losses import FALSE_DISCOVERIES, asked
from yoto_core.evaluation.stability import SHARE, Stability
from yoto_core.pipeline import Run
from yoto_core.scores import all_genes
from yoto_core.scores.methods import METHODS, headline_rows
from yoto_core.scores.metrics import HEADLINE, MIN_GROUPS
from yoto_core.scores.significance import ALPHA
from yoto_core.words import counted, group_words, number_text

METRIC_LABELS = {
    "macro_f1": "macro-F1",
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "r2": "R²",
    "mae": "mean absolute error",
    "spearman": "Spearman",
}
METRIC_HELP = {
    "macro_f1": "Macro-F1 (0 to 1) is the mean over classes of the balance between finding a class's cells and not"
    " claiming others': rare classes count as much as common ones.",
    "r2": "R² is the share of the number's spread among held-out cells that is predicted: 1 is perfect, 0 no better than"
    " always answering the mean.",
}
SCORE_HELP = (
    "The score of a panel is that of a logistic regression (ridge regression for numbers) trained on its genes, standardised,"
    " with classes weighed alike; it is the same for every panel, whoever chose the genes."
)
LEAST_SHARE = 0.05  # score of all genes below which a share of it says nothing
NOTHING = 0.01  # difference of two scores that is called none
# Baselines: other ways to choose as many genes.
NO_BASELINES = ("yoto", "own", "alone", "sequenced", "all", "chance")


def headline(run: Run, task: str) -> pd.DataFrame:
    """The headline score of every method for a task: one row per method (its index)."""
    rows = headline_rows(run.evaluation.scores)
    return rows[rows["task"] == task].set_index("method")


def behind(row: Mapping[str, float], group: str) -> str:
    """What stands behind a score: “700 cells” or “5,154 cells of 8 donors”; `group` is the held-out column."""
    cells = counted(int(row["cells"]), "cell")
    return f"{cells} of {counted(int(row['groups']), *group_words(group))}" if row["groups"] else cells


def interval_words(row: Mapping[str, float], group: str) -> str:
    """“95 % interval 0.80 to 0.88; 700 cells”, or why there is none."""
    if not pd.isna(row["low"]):
        return f"95 % interval {number_text(row['low'])} to {number_text(row['high'])}; {behind(row, group)}"
    if 0 < row["groups"] < MIN_GROUPS:
        few = counted(int(row["groups"]), *group_words(group))
        one = "is" if row["groups"] == 1 else "are"
        return f"no interval, as {few} {one} too few for one ({MIN_GROUPS} are needed); {behind(row, group)}"
    return behind(row, group)


def verdict(run: Run, task: str) -> str:
    """How the panel does on a task: its score, whether that beats chance, its share of what all genes can do, the baselines."""
    found, group = headline(run, task), run.config.split.group
    kind = _kind(run, task)
    if "yoto" not in found.index:
        return f"{task}: too few labelled held-out cells to score."
    mine, metric = found.loc["yoto"], METRIC_LABELS[HEADLINE[kind]]
    score = f"{task}: {metric} {number_text(mine['value'])} with the panel ({interval_words(mine, group)})."
    return " ".join(filter(None, [score, chance_words(run, task), _all_genes_words(run, task), _baseline_words(found)]))


def beats_chance(run: Run, task: str) -> bool | None:
    """Whether the panel's answers beat chance; None where that was not tested (runs of older versions)."""
    row = _test(run, task)
    return None if row is None else bool(row["beaten"])


def chance_words(run: Run, task: str) -> str:
    """Whether the panel's answers beat chance, in calibrated words; empty where it was not tested."""
    row = _test(run, task)
    if row is None:
        return ""
    classes, group = _kind(run, task) == "classification", run.config.split.group
    base = "chance" if classes else "always answering the mean"
    shuffles = f"shuffled labels give {number_text(row['chance'])} on average"
    if row["beaten"]:
        return f"This beats {base} (p = {row['p']:.3f}; {shuffles})."
    if math.isnan(row["p"]):
        return f"Whether this beats {base} cannot be told: the labels cannot be shuffled."
    return (
        f"It could not be shown to beat {base} with these {behind(row, group)} (p = {row['p']:.3f}, wanted at most {ALPHA:g};"
        f" {shuffles})."
    )


def sharing_cost(run: Run, task: str) -> str:
    """What a task loses or gains by sharing the panel with the others; empty where it was not measured."""
    return _difference_words(run, task, "alone", "Sharing the panel with the other tasks", "with a panel of its own")


def assay_cost(run: Run, task: str) -> str:
    """What it costs that a targeted assay measures the panel alone; empty where it was not measured."""
    return _difference_words(run, task, "sequenced", "Measuring the panel alone", "where all genes are measured")


def verdicts(run: Run) -> tuple[str, ...]:
    """The verdict on every task, or that there is none yet."""
    if run.evaluation is None:
        return ("The scores were not measured: the run was stopped or is still running.",)
    return tuple(verdict(run, task.obs) for task in run.config.tasks)


def metric_notes(run: Run) -> tuple[str, ...]:
    """What the headline scores of the run's tasks mean, each said once."""
    kinds = dict.fromkeys(task.kind for task in run.config.tasks)
    return (SCORE_HELP, *(METRIC_HELP[HEADLINE[kind]] for kind in kinds))


def all_genes_name(run: Run, task: str) -> str:
    """Which of the two models of all genes stands for them: the one that was better on validation cells."""
    best = run.evaluation.best_all.get(task, "")
    if not best:
        return "the better model of each fold"
    kind = "logistic regression" if _kind(run, task) == "classification" else "ridge regression"
    return f"{kind} {_lower(all_genes.LABELS[best])}"


def stability_words(found: Stability | None, *, group: str, wanted: bool) -> str:
    """What the panel's stability is, beside what it would be without signal."""
    if found is None:
        return "Stability is measured last, when the scores and maps are there." if wanted else ""
    if not found.subsamples:
        return "Stability could not be measured: no subsample of the cells holds two classes of a task."
    what = counted(found.groups, *group_words(group)) if found.groups else "cells"
    return (
        f"Stability: chosen again from {found.subsamples} subsamples ({SHARE:.0%} of the {what} not held out), a gene of this panel comes back in"
        f" {found.mean:.0%} of them on average (with shuffled labels {found.shuffled:.0%}); two such panels overlap by"
        f" {number_text(found.overlap)} (Jaccard; with shuffled labels {number_text(found.shuffled_overlap)})."
    )


def needed_rule(losses: pd.DataFrame, *, group: str) -> str:
    """The rule behind “needed for”, in one line; empty where nothing was measured."""
    if not len(losses):
        return ""
    number = asked(losses)
    if not number:
        return "Needed for: not told, as no task is predicted better than chance on the held-out cells."
    groups = int(losses["groups"].max())
    unit = "cells"
    if groups >= MIN_GROUPS:
        unit = group_words(group)[1]
    elif groups:
        unit = f"cells of {counted(groups, *group_words(group))} (which says little of others)"
    return (
        f"Needed for: when the gene is missing, the trained model's F1 of the class falls on held-out cells by more than"
        f" drawing the {unit} again explains (paired bootstrap; false discovery rate {FALSE_DISCOVERIES:.0%} over {number:,} gene × class losses)."
    )


def folds_words(run: Run) -> str:
    """How the scores were made: one split, or a cross-validation with the overlap of its panels."""
    folds = run.evaluation.folds
    if len(folds) < 2:
        return ""
    group = run.config.split.group
    each = "each without one part of the cells"
    if group:
        most = max(len(fold.held_out) for fold in folds)
        one, many = group_words(group)
        each = f"each without one {one}" if most == 1 else f"each without some {many}"
    overlap = mean_overlap([fold.genes for fold in folds])
    return (
        f"Cross-validated: {len(folds)} panels were chosen, {each}, and judged on what each had not seen; all scores are over"
        f" {counted(sum(fold.cells for fold in folds), 'held-out cell')} together. Two of these panels overlap by"
        f" {number_text(overlap)} (Jaccard) on average. The panel shown is that of the first fold."
    )


def fold_table(run: Run) -> pd.DataFrame:
    """One row per fold: fold, held_out, cells, shared (genes shared with the panel shown), and each task's score."""
    panel, rows = set(run.panel.genes), []
    for number, fold in enumerate(run.evaluation.folds, 1):
        shared = len(panel & set(fold.genes))
        rows.append(
            {"fold": number, "held_out": ", ".join(fold.held_out), "cells": fold.cells, "shared": shared, **fold.scores}
        )
    return pd.DataFrame(rows)


def _kind(run: Run, task: str) -> str:
    return next(t.kind for t in run.config.tasks if t.obs == task)


def _test(run: Run, task: str) -> pd.Series | None:
    here = run.evaluation.tests[run.evaluation.tests["task"] == task]
    return None if here.empty else here.iloc[0]


def _all_genes_words(run: Run, task: str) -> str:
    found = headline(run, task)
    if "all" not in found.index:
        return ""
    whole, mine = float(found.loc["all", "value"]), float(found.loc["yoto", "value"])
    said = f"All {run.summary['candidate_genes']:,} candidate genes give {number_text(whole)} ({all_genes_name(run, task)})"
    if whole < LEAST_SHARE or mine < 0 or beats_chance(run, task) is False:  # a share of nothing found is no share
        return f"{said}."
    return f"{said}: the panel keeps {mine / whole:.0%} of that."


def _baseline_words(found: pd.DataFrame) -> str:
    others = found["value"].drop(list(NO_BASELINES), errors="ignore").dropna()
    if others.empty:
        return ""
    return f"Best baseline of the same size: {number_text(others.max())} ({METHODS[others.idxmax()]})."


def _difference_words(run: Run, task: str, other: str, what: str, where: str) -> str:
    value = headline(run, task)["value"]
    if other not in value or "yoto" not in value:
        return ""
    difference = float(value["yoto"] - value[other])
    if abs(difference) < NOTHING:
        return f"{what} costs {task} nothing: {number_text(value[other])} {where}."
    word = "gains" if difference > 0 else "costs"
    return f"{what} {word} {task} {number_text(abs(difference))}: {number_text(value[other])} {where}."


def _lower(text: str) -> str:
    return f"{text[:1].lower()}{text[1:]}"
