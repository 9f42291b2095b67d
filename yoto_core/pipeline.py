"""Run the pipeline: every room once, in order, from a data set and a config to a finished run in memory."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from yoto_core import runtime
from yoto_core.config import RunConfig
from yoto_core.data.checks import Finding, check_data, check_fit
from yoto_core.data.preprocess import Candidates, choose_candidates, expression_of
from yoto_core.data.problem import Problem
from yoto_core.data.reading import Dataset, from_anndata
from yoto_core.data.splits import Split, split_folds
from yoto_core.data.targets import Target, encode_target, without_unseen
from yoto_core.errors import ConfigError
from yoto_core.evaluation.answers import Fold, answer_fold
from yoto_core.evaluation.attribution import explain
from yoto_core.evaluation.evaluator import Evaluation, evaluate
from yoto_core.evaluation.losses import COLUMNS, gene_losses
from yoto_core.evaluation.reference import Reference, describe_training
from yoto_core.evaluation.stability import Stability, measure_stability
from yoto_core.model.calibration import DEFAULT_THRESHOLD, calibrated
from yoto_core.model.checkpoint import NO_CHECKPOINTS, Checkpoints
from yoto_core.model.panel import Panel
from yoto_core.model.panel_model import PanelModel
from yoto_core.model.training import TrainResult, train
from yoto_core.prediction.predict import label
from yoto_core.progress import OnProgress, Progress, ShouldStop, never, silent


@dataclass(frozen=True)
class Design:
    """A config met its data: who is held out, which genes may enter, what each task asks, and what to know about it."""

    candidates: Candidates
    targets: tuple[Target, ...]  # with the classes that the training cells show
    split: Split
    findings: tuple[Finding, ...]
    folds: tuple[Split, ...]  # what the scores come from: `split`, and the others where they are cross-validated
    scored: tuple[Target, ...]  # with the classes that the training cells of any fold show


@dataclass(frozen=True)
class Run:
    """A finished run: the panel, the model that reads it, and its scores (None where stopped before they were measured)."""

    config: RunConfig
    panel: Panel
    panel_table: pd.DataFrame = field(repr=False)
    model: PanelModel = field(repr=False)
    history: pd.DataFrame = field(repr=False)
    evaluation: Evaluation | None
    summary: dict[str, object] = field(repr=False)  # about the data: digest, shape, verdicts, split, findings
    timing: dict[str, float]
    versions: dict[str, str] = field(repr=False)
    reference: Reference | None = field(default=None, repr=False)  # None in runs of older versions
    losses: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(COLUMNS)), repr=False)
    stability: Stability | None = field(default=None, repr=False)  # None where it was not measured

    def at_size(self, k: int) -> "Run":
        """The panel of the first k genes and its model, without training again; scores are in `evaluation.sizes`.

        Raises:
            ConfigError: k is not between 1 and the panel size.
        """
        if not 1 <= k <= self.panel.panel_size:
            raise ConfigError(f"The run has no panel of {k} genes.", hint=f"Choose from 1 to {self.panel.panel_size}.")
        config = replace(self.config, selector=replace(self.config.selector, panel_size=k))
        return replace(
            self,
            config=config,
            panel=self.panel.at_size(k),
            panel_table=self.panel_table.head(k),
            model=self.model.at_size(k),
            evaluation=None,
            reference=None,
            losses=self.losses.head(0),
            stability=None,
        )

    def predict(
        self,
        data: AnnData | str | Path,
        *,
        impute: bool = False,
        threshold: float = DEFAULT_THRESHOLD,
        matrix: str = "auto",
    ) -> pd.DataFrame:
        """Label new cells, an AnnData (`n_obs` × `n_vars`, rows are cells) or a file: one row per cell, columns per task.

        Raises:
            DataError: Panel genes are missing and `impute` is False, or fewer than half of them are there.
        """
        return label(self.model, data, impute=impute, threshold=threshold, matrix=matrix).table


def select(
    adata: AnnData, config: RunConfig, *, on_progress: OnProgress = silent, should_stop: ShouldStop = never
) -> Run:
    """Choose a panel, train its model and score both, in this process and without files.

    Args:
        adata: Labelled cells, shape `n_obs` × `n_vars`, rows are cells.
        config: What to predict, how many genes, and everything else.
        on_progress: Called with a `Progress` at every step.
        should_stop: Asked between steps; True raises `Stopped`.

    Raises:
        DataError: The data cannot be used.
        ConfigError: The config does not fit the data.
        Stopped: `should_stop` said so.
    """
    data = from_anndata(adata, matrix=config.genes.matrix)
    chosen = explained(choose_panel(data, config, on_progress=on_progress, should_stop=should_stop))
    run = replace(chosen.run, evaluation=compare(chosen, on_progress=on_progress, should_stop=should_stop))
    if config.evaluation.stability == "yes":
        run = with_stability(run, stability(chosen, on_progress=on_progress, should_stop=should_stop))
    return run


def design(data: Dataset, config: RunConfig) -> Design:
    """Split the cells, choose the candidate genes and check that the config fits (ConfigError); cheap, nothing is trained."""
    encoded = [encode_target(data.obs, task, min_class_cells=config.split.min_class_cells) for task in config.tasks]
    folds = split_folds(data.obs, encoded, config.split)
    split = folds[0]
    targets = tuple(without_unseen(target, split.train) for target in encoded)
    for fold in folds[1:]:
        _ = [
            without_unseen(target, fold.train) for target in encoded
        ]  # a fold that cannot train is refused before it is run
    seen = np.unique(np.concatenate([fold.train for fold in folds]))
    scored = tuple(without_unseen(target, seen) for target in encoded)
    candidates = choose_candidates(data, split.train, config.genes)
    findings = check_data(data) + check_fit(config, candidates, scored, split)
    return Design(candidates, targets, split, findings, folds, scored)


@dataclass(frozen=True)
class Chosen:
    """A run whose panel is chosen and not yet judged, with what that needs."""

    run: Run
    problem: Problem
    trained: TrainResult
    fitted: Design = field(repr=False)
    data: Dataset = field(repr=False)

    @property
    def order(self) -> np.ndarray:
        """(K,) the panel's positions among the candidates."""
        return self.trained.order[: self.run.panel.panel_size]


@runtime.one_thread_each()
def choose_panel(
    data: Dataset,
    config: RunConfig,
    *,
    on_progress: OnProgress = silent,
    should_stop: ShouldStop = never,
    checkpoints: Checkpoints = NO_CHECKPOINTS,
) -> Chosen:
    """Choose the panel and train its model; `explained`, `compare` and `stability` say what it is worth.

    With `checkpoints` a training that was lost goes on where it was.

    Raises:
        ConfigError: The config does not fit the data.
        Stopped: `should_stop` said so.
    """
    on_progress(Progress("preparing", 0, 1, "Splitting cells and choosing candidate genes"))
    fitted = design(data, config)
    problem = Problem(expression_of(data, fitted.candidates), fitted.candidates, fitted.targets, fitted.split)
    trained = _trained(problem, config, on_progress=on_progress, should_stop=should_stop, checkpoints=checkpoints)
    order = trained.order[: config.selector.panel_size]
    model = trained.model.at_size(config.selector.panel_size)
    panel = _panel(fitted.candidates, trained, config)
    run = Run(
        config=config,
        panel=panel,
        panel_table=panel.table().assign(stability=np.nan, tasks="", reason=""),
        model=model,
        history=pd.DataFrame(trained.history),
        evaluation=None,
        summary=_summary(data, fitted),
        timing={"training_seconds": trained.seconds},
        versions=runtime.versions(),
        reference=describe_training(model, problem, order, data.kind, data.scale.unit),
    )
    return Chosen(run, problem, trained, fitted, data)


@runtime.one_thread_each()
def explained(chosen: Chosen) -> Chosen:
    """The same with what every gene is needed for: its losses on held-out cells, and a reason in the panel's table."""
    run = chosen.run
    losses = gene_losses(run.model, chosen.problem, chosen.order, seed=run.config.seed)
    reasons = explain(chosen.problem, chosen.order, losses)
    table = run.panel_table.assign(
        tasks=[", ".join(reason.needed_for) for reason in reasons], reason=[reason.sentence for reason in reasons]
    )
    return replace(chosen, run=replace(run, losses=losses, panel_table=table))


def compare(chosen: Chosen, *, on_progress: OnProgress = silent, should_stop: ShouldStop = never) -> Evaluation:
    """Score the panel, the baselines and every size on held-out cells; a cross-validation chooses a panel in every fold.

    Raises:
        Stopped: `should_stop` said so.
    """
    config, splits, answers = chosen.run.config, chosen.fitted.folds, []
    for number, split in enumerate(splits):
        told = _counted(on_progress, number, len(splits))
        problem, trained = chosen.problem, chosen.trained
        if number:
            problem = _problem_of(chosen, split)
            trained = _trained(problem, config, on_progress=told, should_stop=should_stop)
        fold = Fold(problem, trained, _alone(problem, config, told, should_stop))
        answers.append(answer_fold(fold, config, on_progress=told, should_stop=should_stop))
    return evaluate(answers, chosen.fitted.scored, config)


def stability(chosen: Chosen, *, on_progress: OnProgress = silent, should_stop: ShouldStop = never) -> Stability:
    """Choose the panel again from subsamples (`stability.measure_stability`; Stopped where `should_stop` said so)."""
    return measure_stability(
        chosen.problem, chosen.run.config, chosen.order, on_progress=on_progress, should_stop=should_stop
    )


def with_stability(run: Run, found: Stability) -> Run:
    """The run with its stability, which also stands in the panel's table."""
    return replace(run, stability=found, panel_table=run.panel_table.assign(stability=list(found.genes)))


def _trained(
    problem: Problem,
    config: RunConfig,
    *,
    on_progress: OnProgress,
    should_stop: ShouldStop,
    checkpoints: Checkpoints = NO_CHECKPOINTS,
) -> TrainResult:
    """A training whose model is calibrated on its validation cells."""
    trained = train(problem, config, on_progress=on_progress, should_stop=should_stop, checkpoints=checkpoints)
    order = trained.order[: config.selector.panel_size]
    model = calibrated(trained.model.at_size(config.selector.panel_size), problem, order)
    return replace(trained, model=replace(trained.model, heads=model.heads))


def _problem_of(chosen: Chosen, split: Split) -> Problem:
    """The learning problem of another fold: its own candidates, and the classes that its training cells show."""
    candidates = choose_candidates(chosen.data, split.train, chosen.run.config.genes)
    targets = tuple(without_unseen(target, split.train) for target in chosen.fitted.scored)
    return Problem(expression_of(chosen.data, candidates), candidates, targets, split)


def _alone(
    problem: Problem, config: RunConfig, on_progress: OnProgress, should_stop: ShouldStop
) -> dict[str, TrainResult]:
    """Per task a training that serves this task alone; none where there is one task, or they are not asked for."""
    found: dict[str, TrainResult] = {}
    if config.evaluation.alone == "yes" and len(problem.targets) > 1:
        for done, target in enumerate(problem.targets):
            on_progress(Progress("scoring", done, len(problem.targets), f"Training for {target.task} alone"))
            single = replace(problem, targets=(target,))
            found[target.task] = train(single, config, on_progress=silent, should_stop=should_stop)
    return found


def _counted(on_progress: OnProgress, number: int, folds: int) -> OnProgress:
    """Reports of one fold as reports of scoring all folds; the first fold's training was reported as what it is."""
    if folds == 1:
        return on_progress

    def told(progress: Progress) -> None:
        share = progress.done / max(progress.total, 1)
        message = f"Fold {number + 1} of {folds}: {progress.message[:1].lower()}{progress.message[1:]}"
        on_progress(Progress("scoring", round(100 * (number + share)), 100 * folds, message))

    return told


def _panel(candidates: Candidates, trained: TrainResult, config: RunConfig) -> Panel:
    included, k = set(candidates.included), config.selector.panel_size
    order = trained.order[:k]
    return Panel(
        genes=tuple(candidates.symbols[gene] for gene in order),
        gene_ids=tuple(candidates.ids[gene] for gene in order),
        scores=tuple(float(score) for score in trained.scores[:k]),
        included=tuple(int(gene) in included for gene in order),
        panel_size=k,
    )


def _summary(data: Dataset, fitted: Design) -> dict[str, object]:
    split = fitted.split
    return {
        "name": data.name,
        "digest": data.digest,
        "cells": data.n_cells,
        "genes": data.n_genes,
        "candidate_genes": fitted.candidates.n_genes,
        "matrix": data.chosen,
        "kind": data.kind,
        "unit": data.scale.unit,
        "matrices": [{"name": v.name, "kind": v.kind, "evidence": v.evidence, "genes": v.genes} for v in data.verdicts],
        "split": {"train": len(split.train), "validation": len(split.validation), "test": len(split.test)},
        "held_out_groups": list(split.held_out),
        "folds": [{"held_out": list(fold.held_out), "cells": len(fold.test)} for fold in fitted.folds],
        "tasks": [
            {"task": t.task, "kind": t.kind, "classes": list(t.classes), "labelled": int(np.sum(t.labelled))}
            for t in fitted.targets
        ],
        "findings": [{"level": f.level, "message": f.message, "hint": f.hint} for f in fitted.findings],
    }
