"""How good is the panel? Its own model, independent classifiers on it, and every rival of the same size, on held-out cells."""

import collections
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import joblib
import numpy as np
import pandas as pd

from yoto_core import runtime
from yoto_core.config import RunConfig
from yoto_core.data.problem import Problem
from yoto_core.data.targets import Target
from yoto_core.evaluation.reference import gene_costs
from yoto_core.evaluation.sizes import CURVE_JUDGE, CURVE_METHODS, coarse_sizes, headline_only, own_curve
from yoto_core.model.forms import pair_as_read
from yoto_core.model.panel_model import Prediction
from yoto_core.model.training import TrainResult
from yoto_core.progress import OnProgress, Progress, ShouldStop, Stopped
from yoto_core.scores import metrics
from yoto_core.scores.baselines import BASELINES, LearningCells, panel_of
from yoto_core.scores.judges import CHANCE, JUDGES, Judge


@dataclass(frozen=True)
class Evaluation:
    """Scores on held-out cells.

    `scores` has one row per task × method × judge × metric: value, and low/high (95 % bootstrap) for the headline metric.
    `sizes` has one row per part (validation, held-out) × size × task × method: the headline score of YOTO's own model at
    every size, and of one classifier on YOTO's and the rivals' panels at some sizes.
    `classes` has one row per task × class for YOTO's own model; `confusion` its counts (true × predicted).
    `costs` says what a missing panel gene costs (`reference.gene_costs`); empty in runs of older versions.
    """

    scores: pd.DataFrame = field(repr=False)
    sizes: pd.DataFrame = field(repr=False)
    classes: pd.DataFrame = field(repr=False)
    confusion: dict[str, pd.DataFrame] = field(repr=False)
    predictions: pd.DataFrame = field(repr=False)
    panels: dict[str, tuple[str, ...]] = field(repr=False)
    costs: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)


@dataclass(frozen=True)
class _Question:
    """One learner to be asked about one task, on the genes of one method; `size` where it is a point of a size curve."""

    method: str
    judge: Judge
    target: Target
    genes: np.ndarray | None  # positions among the candidates; None for all
    draw: int = 0
    size: int | None = None


class Evaluator:
    """Everything the scores share: the cells to learn from, the held-out cells, and the config."""

    def __init__(self, problem: Problem, config: RunConfig) -> None:
        self.problem, self.config, self.stopping = problem, config, threading.Event()
        self.candidates, self.targets, self.split = problem.candidates, problem.targets, problem.split
        cells = np.concatenate([self.split.train, self.split.validation])
        if len(cells) > config.evaluation.max_cells:
            rng = runtime.random_state(config.seed, "comparison cells")
            cells = rng.choice(cells, config.evaluation.max_cells, replace=False)
        cells = np.sort(cells)
        self.learning = LearningCells(problem.expression[cells], cells, config.seed)
        self.held_out = problem.expression[self.split.test]

    @runtime.one_thread_each()
    def evaluate(
        self,
        trained: TrainResult,
        alone: Mapping[str, TrainResult],
        *,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> Evaluation:
        """Score the panel, its rivals, and panels of every size.

        Args:
            trained: The run's training.
            alone: Per task the training that served this task alone; empty where there is none.
            on_progress: Told before every rival is chosen and after every learner has answered.
            should_stop: Asked at the same moments.

        Raises:
            Stopped: `should_stop` said so.
        """
        k = self.config.selector.panel_size
        model, order = trained.model.at_size(k), trained.order[:k]
        own = model.predict(self.held_out[:, order].toarray())
        rows = [r for t, a in zip(self.targets, own, strict=True) for r in self._rows(t, "yoto", "yoto", a.values)]
        for target in self.targets:
            if target.task in alone:
                answer = self._answer_alone(alone[target.task], k)
                rows += self._rows(target, "alone", "yoto", answer)
        rankings = self._rankings(trained, on_progress, should_stop)
        curve_rows = own_curve(self.problem, trained, self.config)
        questions = [*self._questions(rankings, alone, k), *self._size_questions(rankings)]
        answers = joblib.Parallel(n_jobs=self.config.threads, prefer="threads", return_as="generator")(
            joblib.delayed(self._ask)(question) for question in questions
        )
        for done, (question, answer) in enumerate(zip(questions, answers, strict=True)):
            found = self._rows(question.target, question.method, question.judge.name, answer, question.draw)
            if question.size is None:
                rows += found
            else:
                curve_rows += [{"part": "held-out", "size": question.size, **row} for row in headline_only(found)]
            on_progress(Progress("scoring", done + 1, len(questions), "Scoring the panel and its rivals"))
            if should_stop():
                self.stopping.set()  # who is still to be asked answers at once: joblib complains of unheard answers
                collections.deque(answers, maxlen=0)
                raise Stopped
        return Evaluation(
            scores=_summarise(pd.DataFrame(rows)),
            sizes=pd.DataFrame(curve_rows),
            classes=self._classes(own),
            confusion={t.task: self._confusion(t, a) for t, a in zip(self.targets, own, strict=True) if t.classes},
            predictions=self._predictions(own),
            panels={name: tuple(self.candidates.symbols[g] for g in found[0][:k]) for name, found in rankings.items()},
            costs=gene_costs(model, self.problem, order),
        )

    def _rankings(
        self, trained: TrainResult, on_progress: OnProgress, should_stop: ShouldStop
    ) -> dict[str, list[np.ndarray]]:
        """Per method its nested ranking, as long as YOTO's; several for random genes."""
        rankings = {"yoto": [trained.order]}
        for done, baseline in enumerate(BASELINES):
            _go_on(should_stop)
            on_progress(Progress("scoring", done, len(BASELINES), "Choosing the rivals' genes"))
            draws = self.config.evaluation.random_panels if baseline.name == "random" else 1
            rankings[baseline.name] = [
                panel_of(
                    baseline, replace(self.learning, seed=self.config.seed + draw), self.targets, len(trained.order)
                )
                for draw in range(draws)
            ]
        return rankings

    def _questions(
        self, rankings: Mapping[str, Sequence[np.ndarray]], alone: Mapping[str, TrainResult], k: int
    ) -> Iterator[_Question]:
        for target in self.targets:
            yield _Question("chance", CHANCE, target, None)
            for judge in JUDGES:
                for method, found in rankings.items():
                    for draw, ranking in enumerate(found):
                        yield _Question(method, judge, target, ranking[:k], draw)
                if target.task in alone:
                    yield _Question("alone", judge, target, alone[target.task].order[:k])
                yield _Question("all", judge, target, None)

    def _size_questions(self, rankings: Mapping[str, Sequence[np.ndarray]]) -> Iterator[_Question]:
        for target in self.targets:
            for method in CURVE_METHODS:
                ranking = rankings[method][0]
                for size in coarse_sizes(len(ranking)):
                    yield _Question(method, CURVE_JUDGE, target, ranking[:size], size=size)

    def _ask(self, question: _Question) -> np.ndarray:
        if self.stopping.is_set():
            return np.empty(0)
        train_x, train_y = self.learning.labelled(question.target)
        test_x = self.held_out
        if question.genes is not None:
            # A panel is narrow: dense columns are the faster form for every learner.
            train_x, test_x = train_x[:, question.genes].toarray(), test_x[:, question.genes].toarray()
            train_x, test_x = pair_as_read(train_x, test_x, self.config.genes.normalize)
        return question.judge.answer(question.target, train_x, train_y, test_x, seed=self.config.seed)

    def _answer_alone(self, trained: TrainResult, k: int) -> np.ndarray:
        columns = self.held_out[:, trained.order[:k]].toarray()
        return trained.model.at_size(k).predict(columns)[0].values

    def _rows(
        self, target: Target, method: str, judge: str, answer: np.ndarray, draw: int = 0
    ) -> list[dict[str, object]]:
        rng = runtime.random_state(self.config.seed, f"{target.task} {method} {judge} {draw}")
        found = metrics.score_rows(
            target, self.split.test, answer, self.split.groups, draws=self.config.evaluation.bootstrap, rng=rng
        )
        return [{"task": target.task, "method": method, "judge": judge, **row} for row in found]

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


def _go_on(should_stop: ShouldStop) -> None:
    if should_stop():
        raise Stopped
