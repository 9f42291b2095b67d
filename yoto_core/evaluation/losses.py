"""What the panel's own model loses on held-out cells when one gene is missing, and which losses are more than chance.

A missing gene is taken as average (its training mean), as it would be for an assay whose probe failed; the model is not trained
again. One number per gene and class, the loss of the class's F1, and one
per gene and task, the loss of macro-F1 or R²; all of them from the same held-out cells. Held-out cells choose nothing: these
numbers describe a panel that is settled.

The rule for “needed”: both answers of a cell, with and without the gene, are drawn again together (paired bootstrap: Efron &
Tibshirani 1993, chapter 8); whole groups are drawn where five or more are held out, else cells. A loss is needed where
its one-sided p value (loss / bootstrap standard error, Student's t) passes the false discovery rate of 5 % over all genes ×
classes and tasks asked (Benjamini & Hochberg 1995), and only for tasks in which the model beats chance.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import sparse, stats

from yoto_core import runtime
from yoto_core.data.problem import Problem
from yoto_core.data.targets import Target
from yoto_core.evaluation.reference import spread_out
from yoto_core.model.panel_model import PanelModel, Prediction
from yoto_core.scores import metrics
from yoto_core.scores.significance import chance_test
from yoto_core.words import counted, number_text

FALSE_DISCOVERIES = 0.05
DRAWS = 1_000
MIN_CELLS = 5  # held-out cells of a class; of fewer, no loss can be told from chance
COLUMNS = ("gene", "task", "class", "before", "after", "loss", "low", "high", "p", "needed", "cells", "groups")


def gene_losses(model: PanelModel, problem: Problem, order: np.ndarray, *, seed: int) -> pd.DataFrame:
    """One row per gene × task (class is "") and per gene × class that has a held-out cell.

    `before` and `after` are F1 (macro-F1 or R² for a task) with and without the gene, `loss` their difference with its 95 %
    interval (NaN below five held-out groups), `cells` the held-out cells of the class or task (at most 5,000 are looked at) and
    `groups` the held-out groups (0 where cells were held out one by one).
    """
    cells = spread_out(problem.split.test)
    columns = problem.panel_columns(cells, order)
    whole = model.predict(columns)
    compared = [
        _Compared.of(target, problem, cells, answer, seed)
        for target, answer in zip(problem.targets, whole, strict=True)
    ]
    rows = []
    for place, gene in enumerate(model.genes):
        lacking = model.predict(columns, absent=(place,))
        for task, answer in zip(compared, lacking, strict=True):
            rows += [{"gene": gene, **row} for row in task.rows(answer)]
    table = pd.DataFrame(rows, columns=[name for name in COLUMNS if name != "needed"])
    table["needed"] = _discoveries(table["p"].to_numpy(dtype=float))
    return table[list(COLUMNS)]


def _discoveries(p: np.ndarray) -> np.ndarray:
    """(rows,) whether each p value passes the false discovery rate; rows that were not asked (NaN) do not count."""
    asked = ~np.isnan(p)
    found = np.zeros(len(p), dtype=bool)
    if asked.any():
        found[asked] = stats.false_discovery_control(p[asked]) <= FALSE_DISCOVERIES
    return found


@dataclass(frozen=True)
class _Compared:
    """One task: its labelled held-out cells, the whole panel's answers, and how often each cell is in each draw.

    The first of the D draws holds every cell once: the score itself.
    """

    target: Target
    true: np.ndarray = field(repr=False)
    here: np.ndarray = field(repr=False)  # labelled cells among those looked at
    whole: np.ndarray = field(repr=False)
    times_DN: np.ndarray = field(repr=False)
    groups: int
    units: int
    by_cell: bool  # whether cells were drawn although groups are held out: no interval then
    beats_chance: bool

    @classmethod
    def of(cls, target: Target, problem: Problem, cells: np.ndarray, whole: Prediction, seed: int) -> "_Compared":
        here = np.flatnonzero(target.labelled[cells])
        true, answer = target.values[cells][here], whole.values[here]
        rng = runtime.random_state(seed, f"losses {target.task}")
        held = None if problem.split.groups is None else problem.split.groups[cells][here]
        groups = 0 if held is None else int(np.unique(held).size)
        by_cell = held is not None and groups < metrics.MIN_GROUPS
        unit = np.arange(len(here)) if held is None or by_cell else np.unique(held, return_inverse=True)[1]
        units = int(unit.max(initial=-1)) + 1
        drawn = rng.multinomial(units, np.full(units, 1 / units), size=DRAWS) if units else np.zeros((DRAWS, 0))
        times_DN = np.vstack([np.ones((1, len(unit))), drawn[:, unit]]).astype(np.float32)
        test = chance_test(target, cells, whole.values, problem.split.groups, rng=rng)
        return cls(target, true, here, answer, times_DN, groups, units, by_cell, test.beaten)

    def rows(self, lacking: Prediction) -> list[dict[str, object]]:
        """The losses without one gene, given the answers without it: of the task, then of every class."""
        without = lacking.values[self.here]
        if len(self.true) < 2:
            return []
        if not self.target.classes:
            return [self._row("", *self._numbers(without), len(self.true))]
        counts = np.bincount(self.true, minlength=len(self.target.classes))
        present = np.flatnonzero(counts)
        before_DC, after_DC = self._f1[:, present], self._without(without)[:, present]
        rows = [self._row("", before_DC.mean(1), after_DC.mean(1), len(self.true))]
        for place, code in enumerate(present):
            rows.append(
                self._row(self.target.classes[code], before_DC[:, place], after_DC[:, place], int(counts[code]))
            )
        return rows

    @cached_property
    def _counts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(D, C) cells, hits and answers of every class in every draw, by the whole panel."""
        n = len(self.target.classes)
        true_NC, answer_NC = _one_hot(self.true, n), _one_hot(self.whole, n)
        return self.times_DN @ true_NC, self.times_DN @ true_NC.multiply(answer_NC).tocsr(), self.times_DN @ answer_NC

    @cached_property
    def _f1(self) -> np.ndarray:
        return _f1(*self._counts)

    def _without(self, without: np.ndarray) -> np.ndarray:
        """(D, C) F1 without the gene; only cells whose answer changes are counted anew."""
        flipped, n = np.flatnonzero(without != self.whole), len(self.target.classes)
        true_FC = _one_hot(self.true[flipped], n)
        before_FC, after_FC = _one_hot(self.whole[flipped], n), _one_hot(without[flipped], n)
        times_DF, (size, hits, answers) = self.times_DN[:, flipped], self._counts
        change_FC = (after_FC - before_FC).tocsr()
        return _f1(size, hits + times_DF @ true_FC.multiply(change_FC).tocsr(), answers + times_DF @ change_FC)

    def _numbers(self, without: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(D,) R² with and without the gene."""
        centred = (self.true - self.true.mean()).astype(np.float64)
        times_DN = self.times_DN.astype(np.float64)
        total, first, second = (times_DN @ value for value in (np.ones(len(centred)), centred, centred**2))
        spread = second - first**2 / np.maximum(total, 1)
        varies = spread > 1e-9 * second
        errors = [times_DN @ (self.true - answer) ** 2 for answer in (self.whole, without)]
        before, after = (1 - np.divide(e, spread, out=np.full(len(e), np.nan), where=varies) for e in errors)
        return before, after

    def _row(self, name: str, before_D: np.ndarray, after_D: np.ndarray, cells: int) -> dict[str, object]:
        loss_D = before_D - after_D
        loss, spread = float(loss_D[0]), float(np.nanstd(loss_D[1:]))
        low, high = (np.nan, np.nan) if self.by_cell else metrics.percentiles(loss_D[1:], self.units)
        if not self.beats_chance or cells < MIN_CELLS:
            p = np.nan
        elif spread > 0:
            # As for the intervals, few units need Student's t and the factor of their standard error.
            p = float(stats.t.sf(loss / (spread * np.sqrt(self.units / (self.units - 1))), self.units - 1))
        else:
            p = 1.0  # no cell's answer depends on the gene
        return {
            "task": self.target.task, "class": name, "before": float(before_D[0]), "after": float(after_D[0]), "loss": loss,
            "low": low, "high": high, "p": p, "cells": cells, "groups": self.groups,
        }  # fmt: skip


def _f1(size_DC: np.ndarray, hits_DC: np.ndarray, answers_DC: np.ndarray) -> np.ndarray:
    return 2 * hits_DC / np.maximum(size_DC + answers_DC, 1)


def _one_hot(codes: np.ndarray, n: int) -> sparse.csr_matrix:
    return sparse.csr_matrix((np.ones(len(codes), np.float32), (np.arange(len(codes)), codes)), shape=(len(codes), n))


def needed(losses: pd.DataFrame, gene: str) -> pd.DataFrame:
    """The rows of a gene that are needed, the greatest loss first: classes, and tasks of numbers or without a needed class."""
    here = losses[(losses["gene"] == gene) & losses["needed"].astype(bool)]
    single = here[here["class"] != ""]
    tasks = here[(here["class"] == "") & ~here["task"].isin(single["task"])]
    return pd.concat([single, tasks]).sort_values("loss", ascending=False, ignore_index=True)


def missing_sentence(losses: pd.DataFrame, gene: str) -> str:
    """What is lost on held-out cells when one gene is missing, in words."""
    here = needed(losses, gene)
    if gene not in set(losses["gene"]):
        return f"What {gene} is worth was not measured in this run."
    if here.empty:
        return f"Without {gene} no class and no task loses more than chance explains on the held-out cells."
    return f"Without {gene} {loss_words(here.iloc[0])}{_others(here)}."


def loss_words(row: pd.Series) -> str:
    """“the F1 of B (cell_type) falls from 0.92 to 0.80 (by 0.12; 95 % interval 0.05 to 0.19; 180 held-out cells)”."""
    if row["class"]:
        what = f"the F1 of {row['class']} ({row['task']})"
    else:
        what = f"the model's score of {row['task']}"
    before, after, loss, low, high = (number_text(row[name]) for name in ("before", "after", "loss", "low", "high"))
    sure = f"; 95 % interval {low} to {high}" if pd.notna(row["low"]) else ""
    donors = f" of {counted(int(row['groups']), 'group')}" if row["groups"] else ""
    return f"{what} falls from {before} to {after} (by {loss}{sure}; {counted(int(row['cells']), 'held-out cell')}{donors})"


def _others(here: pd.DataFrame) -> str:
    names = [row["class"] or row["task"] for _, row in here.iloc[1:].iterrows()]
    return f"; also needed for {', '.join(names)}" if names else ""


def asked(losses: pd.DataFrame) -> int:
    """How many losses were tested: what the false discovery rate is over."""
    return int(losses["p"].notna().sum())
