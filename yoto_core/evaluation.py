"""How good is the panel? Its own model, independent classifiers on it, and every rival of the same size, on held-out cells."""

import warnings
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

import joblib
import numpy as np
import pandas as pd

from yoto_core import metrics, runtime
from yoto_core.baselines import BASELINES, LearningCells, panel_of
from yoto_core.config import RunConfig
from yoto_core.judges import CHANCE, JUDGES, Judge
from yoto_core.panel_model import PanelModel, Prediction
from yoto_core.problem import Problem
from yoto_core.progress import OnProgress, Progress, ShouldStop, Stopped
from yoto_core.targets import Target

METHODS = {
    "yoto": "YOTO panel",
    **{baseline.name: baseline.label for baseline in BASELINES},
    "all": "All candidate genes",
    "chance": "Chance",
}
JUDGE_LABELS = {
    "yoto": "YOTO's own model",
    **{judge.name: judge.label for judge in (*JUDGES, CHANCE)},
    "mean": "Mean of the three classifiers",
}


@dataclass(frozen=True)
class Evaluation:
    """Scores on held-out cells.

    `scores` has one row per task × method × judge × metric: value, and low/high (95 % bootstrap) for the headline metric.
    `classes` has one row per task × class for YOTO's own model; `confusion` its counts (true × predicted).
    """

    scores: pd.DataFrame = field(repr=False)
    classes: pd.DataFrame = field(repr=False)
    confusion: dict[str, pd.DataFrame] = field(repr=False)
    predictions: pd.DataFrame = field(repr=False)
    panels: dict[str, tuple[str, ...]] = field(repr=False)


@dataclass(frozen=True)
class _Question:
    """One learner to be asked about one task, on the genes of one method."""

    method: str
    judge: Judge
    target: Target
    genes: np.ndarray | None  # positions among the candidates; None for all
    draw: int = 0


class Evaluator:
    """Everything the scores share: the cells to learn from, the held-out cells, and the config."""

    def __init__(self, problem: Problem, config: RunConfig) -> None:
        self.candidates, self.targets, self.split = problem.candidates, problem.targets, problem.split
        self.config = config
        expression, split = problem.expression, problem.split
        cells = np.concatenate([split.train, split.validation])
        if len(cells) > config.evaluation.max_cells:
            rng = runtime.random_state(config.seed, "comparison cells")
            cells = rng.choice(cells, config.evaluation.max_cells, replace=False)
        cells = np.sort(cells)
        self.learning = LearningCells(expression[cells], cells, config.seed)
        self.held_out = expression[split.test]

    def evaluate(
        self, order: np.ndarray, model: PanelModel, *, on_progress: OnProgress, should_stop: ShouldStop
    ) -> Evaluation:
        """Score the panel (`order`: positions among the candidates) and its rivals.

        Raises:
            Stopped: `should_stop` said so between two learners.
        """
        own = model.predict(self.held_out[:, order].toarray())
        rows = [
            row
            for target, answer in zip(self.targets, own, strict=True)
            for row in self._rows(target, "yoto", "yoto", answer.values)
        ]
        panels = {"yoto": [order]}
        k = len(order)
        steps = len(BASELINES)
        for done, baseline in enumerate(BASELINES):
            _go_on(should_stop)
            on_progress(Progress("scoring", done, steps, f"Choosing rivals: {baseline.label.lower()}"))
            draws = self.config.evaluation.random_panels if baseline.name == "random" else 1
            panels[baseline.name] = [self._rival(baseline, k, draw) for draw in range(draws)]
        questions = list(self._questions(panels))
        answers = joblib.Parallel(n_jobs=self.config.threads, prefer="threads", return_as="generator")(
            joblib.delayed(self._ask)(question) for question in questions
        )
        for done, (question, answer) in enumerate(zip(questions, answers, strict=True)):
            rows += self._rows(question.target, question.method, question.judge.name, answer, question.draw)
            on_progress(Progress("scoring", done + 1, len(questions), f"Scoring: {METHODS[question.method].lower()}"))
            _go_on(should_stop, answers)
        return Evaluation(
            scores=_summarise(pd.DataFrame(rows)),
            classes=self._classes(own),
            confusion={t.task: self._confusion(t, a) for t, a in zip(self.targets, own, strict=True) if t.classes},
            predictions=self._predictions(own),
            panels={name: tuple(self.candidates.symbols[gene] for gene in found[0]) for name, found in panels.items()},
        )

    def _rival(self, baseline: object, k: int, draw: int) -> np.ndarray:
        learning = LearningCells(self.learning.matrix, self.learning.cells, self.config.seed + draw)
        return panel_of(baseline, learning, self.targets, k)

    def _questions(self, panels: dict[str, list[np.ndarray]]) -> Iterator[_Question]:
        for target in self.targets:
            yield _Question("chance", CHANCE, target, None)
            for judge in JUDGES:
                for method, found in panels.items():
                    for draw, genes in enumerate(found):
                        yield _Question(method, judge, target, genes, draw)
                yield _Question("all", judge, target, None)

    def _ask(self, question: _Question) -> np.ndarray:
        train_x, train_y = self.learning.labelled(question.target)
        test_x = self.held_out
        if question.genes is not None:
            # A panel is narrow: dense columns are the faster form for every learner.
            train_x, test_x = train_x[:, question.genes].toarray(), test_x[:, question.genes].toarray()
        return question.judge.answer(question.target, train_x, train_y, test_x, seed=self.config.seed)

    def _rows(
        self, target: Target, method: str, judge: str, answer: np.ndarray, draw: int = 0
    ) -> list[dict[str, object]]:
        labelled = target.labelled[self.split.test]
        if labelled.sum() < 2:
            return []
        true, predicted = target.values[self.split.test][labelled], answer[labelled]
        values = (metrics.class_scores if target.classes else metrics.number_scores)(true, predicted)
        groups = None if self.split.groups is None else self.split.groups[self.split.test][labelled]
        rng = runtime.random_state(self.config.seed, f"{target.task} {method} {judge} {draw}")
        low, high = metrics.interval(target, true, predicted, groups, draws=self.config.evaluation.bootstrap, rng=rng)
        main = metrics.HEADLINE[target.kind]
        return [
            {
                "task": target.task, "method": method, "judge": judge, "metric": metric, "value": value,
                "low": low if metric == main else np.nan, "high": high if metric == main else np.nan,
                "cells": int(labelled.sum()),
            }
            for metric, value in values.items()
        ]  # fmt: skip

    def _classes(self, own: Sequence[Prediction]) -> pd.DataFrame:
        tables = [pd.DataFrame(columns=["task", "class", "precision", "recall", "f1", "cells"])]
        for target, answer in zip(self.targets, own, strict=True):
            if target.classes:
                labelled = target.labelled[self.split.test]
                true = target.values[self.split.test][labelled]
                table = metrics.per_class(true, answer.values[labelled], target.classes)
                table.insert(0, "task", target.task)
                tables.append(table)
        return pd.concat(tables[1:] or tables, ignore_index=True)

    def _confusion(self, target: Target, answer: Prediction) -> pd.DataFrame:
        labelled = target.labelled[self.split.test]
        true = target.values[self.split.test][labelled]
        counts = metrics.confusion(true, answer.values[labelled], len(target.classes))
        return pd.DataFrame(counts, index=list(target.classes), columns=list(target.classes))

    def _predictions(self, own: Sequence[Prediction]) -> pd.DataFrame:
        table: dict[str, object] = {"cell_index": self.split.test}
        for target, answer in zip(self.targets, own, strict=True):
            codes = target.values[self.split.test]
            if target.classes:
                names = np.array([*target.classes, None], dtype=object)
                table[f"{target.task} true"] = names[codes]
                table[f"{target.task} predicted"] = answer.labels
                table[f"{target.task} probability"] = answer.probabilities.max(1)
            else:
                table[f"{target.task} true"] = codes
                table[f"{target.task} predicted"] = answer.values
        return pd.DataFrame(table)


def _summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Average the random draws, and add the mean of the three classifiers as a judge of its own.

    The classifiers answer for the same cells, so their errors move together: the mean of their interval ends is a
    slightly wide interval of their mean.
    """
    keys, figures = ["task", "method", "judge", "metric"], ["value", "low", "high", "cells"]
    scores = rows.groupby(keys, sort=False)[figures].mean().reset_index()
    independent = scores[scores["judge"].isin([judge.name for judge in JUDGES])]
    mean = (
        independent.groupby(["task", "method", "metric"], sort=False)[figures].mean().reset_index().assign(judge="mean")
    )
    return pd.concat([scores, mean[scores.columns]], ignore_index=True).astype({"cells": int})


def _go_on(should_stop: ShouldStop, answers: Generator | None = None) -> None:
    if should_stop():
        if answers is not None:
            with warnings.catch_warnings(action="ignore"):  # joblib: answers that nobody waits for any more
                answers.close()
        raise Stopped
