"""One fold: every learner's answers for its held-out cells, from the fold's own training cells.

YOTO's own model, three classifiers on YOTO's panel and on the baselines' panels of the same size, two models of all candidate
genes, and the same again at several panel sizes. Nothing is scored here: folds are pooled first.
"""

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
from yoto_core.data.sampling import stratified
from yoto_core.data.splits import strata
from yoto_core.data.targets import Target
from yoto_core.evaluation.sizes import CURVE_METHODS, coarse_sizes, fine_sizes
from yoto_core.model.forms import pair_as_read
from yoto_core.model.panel_model import Prediction
from yoto_core.model.training import TrainResult
from yoto_core.progress import OnProgress, Progress, ShouldStop, Stopped
from yoto_core.scores.all_genes import GENES, AllGenes, Part, all_genes_answers
from yoto_core.scores.baselines import BASELINES, LearningCells, most_variable, panel_of
from yoto_core.scores.judges import HEADLINE_JUDGE, JUDGES, Judge


@dataclass(frozen=True)
class Fold:
    """What is evaluated: a problem with its split, the training made for it, and per task a training for that task alone."""

    problem: Problem
    trained: TrainResult
    alone: Mapping[str, TrainResult] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """One learner's answers for labelled cells: class codes of the fold's own classes, or numbers."""

    target: Target
    method: str
    judge: str
    part: str  # "held-out" or "validation"
    cells: np.ndarray = field(repr=False)  # indices
    values: np.ndarray = field(repr=False)
    size: int | None = None  # where it is a point of a size curve
    draw: int = 0


@dataclass(frozen=True)
class Answers:
    """All answers of one fold, its own model's predictions for every held-out cell, and the panels of every method."""

    problem: Problem
    answers: tuple[Answer, ...] = field(repr=False)
    own: tuple[Prediction, ...] = field(repr=False)
    panels: dict[str, tuple[str, ...]] = field(repr=False)
    best_all: dict[str, str]  # task -> the better of the two models of all genes, by validation cells


@dataclass(frozen=True)
class _Question:
    """One classifier to be asked about one task, on the genes of one method; all candidates where `judge` is None."""

    target: Target
    method: str
    judge: Judge | None = None
    genes: np.ndarray | None = None  # positions among the candidates
    size: int | None = None
    draw: int = 0


@runtime.one_thread_each()
def answer_fold(fold: Fold, config: RunConfig, *, on_progress: OnProgress, should_stop: ShouldStop) -> Answers:
    """Let every learner answer for the held-out cells of a fold.

    Raises:
        Stopped: `should_stop` said so, asked before every baseline and after every learner.
    """
    return _Asked(fold, config).all(on_progress, should_stop)


class _Asked:
    """Everything the questions share: the cells to learn from, the held-out cells, and the config."""

    def __init__(self, fold: Fold, config: RunConfig) -> None:
        self.fold, self.config, self.stopping = fold, config, threading.Event()
        self.problem, self.split = fold.problem, fold.problem.split
        self.k = config.selector.panel_size
        self.learning = learning_cells(self.problem, config)
        self.held_out = self.problem.expression[self.split.test]
        self.variable = most_variable(self.learning.matrix)[:GENES]

    def all(self, on_progress: OnProgress, should_stop: ShouldStop) -> Answers:
        """Ask them all."""
        own = self.fold.trained.model.at_size(self.k).predict(self._test_columns(self.fold.trained))
        rankings = self._rankings(on_progress, should_stop)
        found = [*self._own(own), *self._own_curve()]
        questions, best_all = [*self._questions(rankings)], {}
        answers = joblib.Parallel(n_jobs=self.config.threads, prefer="threads", return_as="generator")(
            joblib.delayed(self._ask)(question) for question in questions
        )
        for done, (question, answer) in enumerate(zip(questions, answers, strict=True)):
            if isinstance(answer, AllGenes):
                best_all[question.target.task] = answer.best
                found += [self._held_out(question, name, values) for name, values in answer.answers.items()]
            elif question.judge is not None:
                found.append(self._held_out(question, question.judge.name, answer))
            on_progress(Progress("scoring", done + 1, len(questions), "Scoring the panel and the baselines"))
            if should_stop():
                self.stopping.set()  # who is still to be asked answers at once: joblib complains of unheard answers
                collections.deque(answers, maxlen=0)
                raise Stopped
        symbols = self.problem.candidates.symbols
        panels = {name: tuple(symbols[gene] for gene in ranked[0][: self.k]) for name, ranked in rankings.items()}
        return Answers(self.problem, tuple(found), own, panels, best_all)

    def _rankings(self, on_progress: OnProgress, should_stop: ShouldStop) -> dict[str, list[np.ndarray]]:
        """Per method its nested ranking, as long as YOTO's; several for random genes."""
        order = self.fold.trained.order
        rankings = {"yoto": [order]}
        for done, baseline in enumerate(BASELINES):
            if should_stop():
                raise Stopped
            on_progress(Progress("scoring", done, len(BASELINES), "Choosing the baselines' genes"))
            draws = self.config.evaluation.random_panels if baseline.name == "random" else 1
            rankings[baseline.name] = [
                panel_of(
                    baseline, replace(self.learning, seed=self.config.seed + draw), self.problem.targets, len(order)
                )
                for draw in range(draws)
            ]
        return rankings

    def _questions(self, rankings: Mapping[str, Sequence[np.ndarray]]) -> Iterator[_Question]:
        for target in self.problem.targets:
            yield _Question(target, "all")
            for judge in JUDGES:
                for method, found in rankings.items():
                    for draw, ranking in enumerate(found):
                        yield _Question(target, method, judge, ranking[: self.k], draw=draw)
                if target.task in self.fold.alone:
                    yield _Question(target, "alone", judge, self.fold.alone[target.task].order[: self.k])
            if self.config.genes.normalize != "all genes":
                yield _Question(target, "sequenced", HEADLINE_JUDGE, rankings["yoto"][0][: self.k])
            for method in CURVE_METHODS:
                ranking = rankings[method][0]
                for size in coarse_sizes(len(ranking)):
                    yield _Question(target, method, HEADLINE_JUDGE, ranking[:size], size=size)

    def _ask(self, question: _Question) -> np.ndarray | AllGenes:
        if self.stopping.is_set():
            return np.empty(0)
        if question.judge is None:
            return self._all_genes(question.target)
        train_x, train_y = self.learning.labelled(question.target)
        pair = (train_x[:, question.genes].toarray(), self.held_out[:, question.genes].toarray())
        if question.method != "sequenced":
            pair = pair_as_read(*pair, self.config.genes.normalize)
        return question.judge.answer(question.target, pair[0], train_y, pair[1], seed=self.config.seed)

    def _all_genes(self, target: Target) -> AllGenes:
        matrix, cells = self.learning.matrix[:, self.variable], self.learning.cells
        labelled, validation = target.labelled[cells], np.isin(cells, self.split.validation)
        parts = [
            Part(matrix[np.flatnonzero(here)], target.values[cells][here])
            for here in (labelled & ~validation, labelled & validation)
        ]
        return all_genes_answers(target, *parts, self.held_out[:, self.variable])

    def _own(self, own: Sequence[Prediction]) -> Iterator[Answer]:
        """The answers of the panel's own model, and of the models of each task alone."""
        for target, answer in zip(self.problem.targets, own, strict=True):
            yield self._held_out(_Question(target, "own"), "own", answer.values)
            if target.task in self.fold.alone:
                trained = self.fold.alone[target.task]
                alone = trained.model.at_size(self.k).predict(self._test_columns(trained))[0].values
                yield self._held_out(_Question(target, "alone"), "own", alone)

    def _own_curve(self) -> Iterator[Answer]:
        """The own model's answers at every size, for validation and for held-out cells."""
        trained = self.fold.trained
        for part, cells in (("validation", self.split.validation), ("held-out", self.split.test)):
            columns = self.problem.panel_columns(cells, trained.order)
            for size in fine_sizes(len(trained.order)):
                predictions = trained.model.at_size(size).predict(columns[:, :size])
                for target, answer in zip(self.problem.targets, predictions, strict=True):
                    yield _labelled(target, "own", "own", part, cells, answer.values, size=size)

    def _held_out(self, question: _Question, judge: str, values: np.ndarray) -> Answer:
        return _labelled(
            question.target, question.method, judge, "held-out", self.split.test, values,
            size=question.size, draw=question.draw,
        )  # fmt: skip

    def _test_columns(self, trained: TrainResult) -> np.ndarray:
        return self.held_out[:, trained.order[: self.k]].toarray()


def learning_cells(problem: Problem, config: RunConfig) -> LearningCells:
    """The training and validation cells that classifiers and baselines learn from.

    At most `evaluation.max_cells` of them; where they are fewer than there are, rare classes keep their cells.
    """
    cells = np.sort(np.concatenate([problem.split.train, problem.split.validation]))
    kept = stratified(strata(problem.targets)[cells], config.evaluation.max_cells, seed=config.seed)
    return LearningCells(problem.expression[cells[kept]], cells[kept], config.seed)


def predictions_of(fold: Answers) -> pd.DataFrame:
    """The own model's answers for every held-out cell: cell_index; per task true, predicted and, for classes, probability."""
    test = fold.problem.split.test
    table: dict[str, object] = {"cell_index": test}
    for target, answer in zip(fold.problem.targets, fold.own, strict=True):
        codes = target.values[test]
        table[f"{target.task} true"] = (
            np.array([*target.classes, None], dtype=object)[codes] if target.classes else codes
        )
        table[f"{target.task} predicted"] = answer.labels
        if target.classes:
            table[f"{target.task} probability"] = answer.probabilities.max(1)
    return pd.DataFrame(table)


def _labelled(
    target: Target,
    method: str,
    judge: str,
    part: str,
    cells: np.ndarray,
    values: np.ndarray,
    *,
    size: int | None = None,
    draw: int = 0,
) -> Answer:
    here = target.labelled[cells]
    return Answer(target, method, judge, part, cells[here], values[here], size, draw)
