"""The corridor: every room once, in order, from a data set and a config to a finished run in memory."""

from collections.abc import Sequence
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
from yoto_core.data.splits import Split, split_cells
from yoto_core.data.targets import Target, encode_target, without_unseen
from yoto_core.errors import ConfigError
from yoto_core.evaluation.attribution import Reason, explain
from yoto_core.evaluation.evaluator import Evaluation, Evaluator
from yoto_core.evaluation.reference import Reference, describe_training
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
    targets: tuple[Target, ...]
    split: Split
    findings: tuple[Finding, ...]


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
    chosen = choose_panel(data, config, on_progress=on_progress, should_stop=should_stop)
    return replace(chosen.run, evaluation=compare(chosen, on_progress=on_progress, should_stop=should_stop))


def design(data: Dataset, config: RunConfig) -> Design:
    """Split the cells, choose the candidate genes and check that the config fits (ConfigError); cheap, nothing is trained."""
    encoded = [encode_target(data.obs, task, min_class_cells=config.split.min_class_cells) for task in config.tasks]
    split = split_cells(data.obs, encoded, config.split, seed=config.seed)
    targets = tuple(without_unseen(target, split.train) for target in encoded)
    candidates = choose_candidates(data, split.train, config.genes)
    findings = check_data(data) + check_fit(config, candidates, targets, split)
    return Design(candidates, targets, split, findings)


@dataclass(frozen=True)
class Chosen:
    """A run whose panel is chosen and not yet compared, with what the comparison needs."""

    run: Run
    problem: Problem
    trained: TrainResult

    @property
    def order(self) -> np.ndarray:
        """(K,) the panel's positions among the candidates."""
        return self.trained.order[: self.run.panel.panel_size]


def choose_panel(
    data: Dataset,
    config: RunConfig,
    *,
    on_progress: OnProgress = silent,
    should_stop: ShouldStop = never,
    checkpoints: Checkpoints = NO_CHECKPOINTS,
) -> Chosen:
    """Choose the panel and train its model; scores against rivals follow in `compare`.

    With `checkpoints` a training that was lost goes on where it was.

    Raises:
        ConfigError: The config does not fit the data.
        Stopped: `should_stop` said so.
    """
    on_progress(Progress("preparing", 0, 1, "Splitting cells and choosing candidate genes"))
    fitted = design(data, config)
    problem = Problem(expression_of(data, fitted.candidates), fitted.candidates, fitted.targets, fitted.split)
    trained = train(problem, config, on_progress=on_progress, should_stop=should_stop, checkpoints=checkpoints)
    order = trained.order[: config.selector.panel_size]
    model = calibrated(trained.model.at_size(config.selector.panel_size), problem, order)
    trained = replace(trained, model=replace(trained.model, heads=model.heads))
    panel = _panel(fitted.candidates, trained, config)
    reasons = explain(model, problem, order)
    run = Run(
        config=config,
        panel=panel,
        panel_table=_panel_table(panel, reasons),
        model=model,
        history=pd.DataFrame(trained.history),
        evaluation=None,
        summary=_summary(data, fitted),
        timing={"training_seconds": trained.seconds},
        versions=runtime.versions(),
        reference=describe_training(model, problem, order, data.kind, data.scale.unit),
    )
    return Chosen(run, problem, trained)


def compare(chosen: Chosen, *, on_progress: OnProgress = silent, should_stop: ShouldStop = never) -> Evaluation:
    """Score the panel, its rivals and every size on held-out cells (Stopped where `should_stop` said so)."""
    config, problem = chosen.run.config, chosen.problem
    alone: dict[str, TrainResult] = {}
    if config.evaluation.alone == "yes" and len(problem.targets) > 1:
        for done, target in enumerate(problem.targets):
            message = f"Training for {target.task} alone"
            on_progress(Progress("scoring", done, len(problem.targets), message))
            single = replace(problem, targets=(target,))
            alone[target.task] = train(single, config, on_progress=silent, should_stop=should_stop)
    evaluator = Evaluator(problem, config)
    return evaluator.evaluate(chosen.trained, alone, on_progress=on_progress, should_stop=should_stop)


def _panel(candidates: Candidates, trained: TrainResult, config: RunConfig) -> Panel:
    included, k = set(candidates.included), config.selector.panel_size
    order = trained.order[:k]
    return Panel(
        genes=tuple(candidates.symbols[gene] for gene in order),
        gene_ids=tuple(candidates.ids[gene] for gene in order),
        scores=tuple(float(score) for score in trained.scores[:k]),
        stability=tuple(float(share) for share in trained.stability[:k]),
        included=tuple(int(gene) in included for gene in order),
        panel_size=k,
    )


def _panel_table(panel: Panel, reasons: Sequence[Reason]) -> pd.DataFrame:
    table = panel.table()
    table["tasks"] = [", ".join(reason.tasks) for reason in reasons]
    table["reason"] = [reason.sentence for reason in reasons]
    return table


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
        "tasks": [
            {"task": t.task, "kind": t.kind, "classes": list(t.classes), "labelled": int(np.sum(t.labelled))}
            for t in fitted.targets
        ],
        "findings": [{"level": f.level, "message": f.message, "hint": f.hint} for f in fitted.findings],
    }
