"""Train once: the network learns to predict while the number of active genes falls from all candidates to the panel.

Shapes: B cells in a batch, G candidate genes, A genes still active, R replicas.

Every step perturbs the scores with Gumbel noise, lets the best genes through (`selector.straight_through_mask`) and
follows the gradient of all tasks' losses. In the annealed schedule the number let through falls geometrically from G to
the panel size, and genes that have fallen out are really removed from the tensors, so later steps cost no more than the
genes that are left. In the fixed schedule (the paper's form) it is the panel size from the first step.
"""

import time
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from yoto_core import runtime, selector
from yoto_core.config import RunConfig
from yoto_core.metrics import headline
from yoto_core.model import Network, balanced_weights, heads_for, task_losses
from yoto_core.panel_model import PanelModel, panel_model
from yoto_core.problem import Problem
from yoto_core.progress import OnProgress, Progress, ShouldStop, Stopped
from yoto_core.targets import Target

FINAL_SHARE = 0.4  # of the steps, at the panel size
SLACK = 1.5  # the pool may hold this many times the genes let through before it is cut
INCLUDED = 1e6  # added to the scores of genes that the panel must hold
REPORTS = 60


@dataclass(frozen=True)
class TrainResult:
    """What training hands on: K positions among the candidates (best first) with their scores, and the predictor."""

    order: np.ndarray
    scores: np.ndarray
    stability: np.ndarray
    model: PanelModel
    history: tuple[dict[str, float], ...] = field(repr=False)
    seconds: float


def train(
    problem: Problem,
    config: RunConfig,
    *,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> TrainResult:
    """Choose exactly `panel_size` candidates and fit the model that reads them, from training and validation cells.

    Raises:
        Stopped: `should_stop` said so between two steps.
    """
    started = time.perf_counter()
    run = _Training(problem, config)
    report_every = max(1, run.total_steps // REPORTS)
    for step in range(run.total_steps):
        if should_stop():
            raise Stopped
        loss = run.step(step)
        if step % report_every == 0 or step == run.total_steps - 1:
            on_progress(Progress("training", step + 1, run.total_steps, "Choosing genes", run.record(step, loss)))
    return run.result(time.perf_counter() - started)


class _Training:
    """The moving parts of one training: network, scores, optimiser and the pool of genes still active."""

    def __init__(self, problem: Problem, config: RunConfig) -> None:
        self.config, self.expression = config, problem.expression
        self.candidates, self.targets, self.split = problem.candidates, problem.targets, problem.split
        candidates, targets, split = self.candidates, self.targets, self.split
        settings = config.training
        self.generator = runtime.prepare(config.seed, config.threads)
        self.panel_size, self.pool = config.selector.panel_size, np.arange(candidates.n_genes)
        training = self.expression[split.train]
        self.mean, self.spread = _moments(training)
        heads = heads_for(targets, split.train)
        self.network = Network(candidates.n_genes, heads, replicas=1, hidden=settings.hidden, generator=self.generator)
        self.scores = torch.nn.Parameter(torch.zeros(1, candidates.n_genes))
        self.included = torch.zeros(candidates.n_genes)
        self.included[list(candidates.included)] = INCLUDED
        self.labels = [_labels(target, head.mean, head.spread) for target, head in zip(targets, heads, strict=True)]
        self.class_weights = [balanced_weights(target, split.train) for target in targets]
        self.optimiser = torch.optim.Adam(
            [
                {"params": list(self.network.parameters()), "lr": settings.learning_rate},
                {"params": [self.scores], "lr": settings.score_learning_rate},
            ]
        )
        steps_per_epoch = -(-len(split.train) // settings.batch_size)
        self.total_steps = settings.epochs * steps_per_epoch
        self.order = self._shuffled_cells()
        self.history: list[dict[str, float]] = []

    def step(self, step: int) -> float:
        """One gradient step on one batch of training cells; returns the loss."""
        progress = step / max(self.total_steps - 1, 1)
        k = self._active(progress)
        self._cut_pool(k)
        cells = self._next_cells()
        settings = self.config.training
        noise = settings.noise_start + (settings.noise_end - settings.noise_start) * progress
        perturbed = (
            self.scores
            + self.included
            + noise * selector.gumbel(tuple(self.scores.shape), generator=self.generator, device=self.scores.device)
        )
        mask_RA = selector.straight_through_mask(perturbed, k, settings.temperature)
        outputs = self.network(self._inputs(cells), mask_RA)
        losses = task_losses(outputs, [label[cells] for label in self.labels], self.class_weights)
        weights = [target.weight for target in self.targets]
        loss = sum(weight * part for weight, part in zip(weights, losses, strict=True)) / sum(weights)
        penalty = self.network.gene_weights_RAH.norm(dim=-1).sum() * settings.group_penalty
        self.optimiser.zero_grad()
        (loss + penalty).backward()
        self.optimiser.step()
        return float(loss.detach())

    def record(self, step: int, loss: float) -> dict[str, float]:
        """The figures of this moment: genes active, loss, and each task's score on validation cells."""
        k = self._active(step / max(self.total_steps - 1, 1))
        with torch.no_grad():
            mask = selector.hard_mask(self.scores + self.included, k)
            outputs = self.network(self._inputs(self.split.validation), mask)
        row: dict[str, float] = {"step": step + 1, "active_genes": k, "cells": len(self.split.train), "loss": loss}
        for target, output in zip(self.targets, outputs, strict=True):
            predicted = output.mean(0).numpy()
            answer = (
                predicted.argmax(1)
                if target.classes
                else predicted[:, 0] * np.nanstd(target.values[self.split.train])
                + np.nanmean(target.values[self.split.train])
            )
            row[f"validation {target.task}"] = headline(target, self.split.validation, answer)
        self.history.append(row)
        return row

    def result(self, seconds: float) -> TrainResult:
        """The panel as the scores now stand, and the network cut down to it."""
        self._cut_pool(self.panel_size, slack=1.0)
        scores = self.scores.detach()[0]
        ranked = selector.top_k(scores + self.included, self.panel_size).numpy()
        self._keep(ranked)
        order = self.pool
        model = panel_model(
            self.network,
            self.mean,
            self.spread,
            tuple(self.candidates.symbols[gene] for gene in order),
            tuple(self.candidates.ids[gene] for gene in order),
        )
        kept = self.scores.detach()[0].numpy()
        return TrainResult(order, kept, np.ones(len(order)), model, tuple(self.history), seconds)

    def _active(self, progress: float) -> int:
        """Genes let through at this share (0 to 1) of the training: G falling geometrically to the panel size."""
        if self.config.selector.schedule == "fixed":
            return self.panel_size
        fallen = min(1.0, progress / (1 - FINAL_SHARE))
        total = self.candidates.n_genes
        return max(self.panel_size, round(total * (self.panel_size / total) ** fallen))

    def _cut_pool(self, k: int, *, slack: float = SLACK) -> None:
        """Remove the genes with the lowest scores once the pool is larger than it need be (annealed schedule only)."""
        if self.config.selector.schedule == "fixed" or len(self.pool) <= max(self.panel_size, slack * k):
            return
        keep = selector.top_k((self.scores + self.included).detach()[0], max(self.panel_size, k)).sort().values.numpy()
        self._keep(keep)

    def _keep(self, places: np.ndarray) -> None:
        """Shrink every tensor with a gene axis, Adam's memory included, to these places of the pool."""
        index = torch.as_tensor(places.copy())
        self.pool = self.pool[places]
        self.mean, self.spread, self.included = self.mean[index], self.spread[index], self.included[index]
        for parameter in (self.network.gene_weights_RAH, self.scores):
            state = self.optimiser.state[parameter]
            for name in ("exp_avg", "exp_avg_sq"):
                if name in state:
                    state[name] = state[name].index_select(1, index)
            parameter.grad = None
            parameter.data = parameter.data.index_select(1, index)

    def _inputs(self, cells: np.ndarray) -> Tensor:
        """(B, A) standardised expression of these cells (indices) over the active genes."""
        block = self.expression[cells]
        if len(self.pool) < block.shape[1]:
            block = block[:, self.pool]
        return (torch.from_numpy(block.toarray()) - self.mean) / self.spread

    def _shuffled_cells(self) -> np.ndarray:
        return self.split.train[torch.randperm(len(self.split.train), generator=self.generator).numpy()]

    def _next_cells(self) -> np.ndarray:
        batch, self.order = np.split(self.order, [self.config.training.batch_size])
        if not len(self.order):
            self.order = self._shuffled_cells()
        return batch


def _moments(matrix_BG: object) -> tuple[Tensor, Tensor]:
    """(G,) mean and standard deviation (1 where constant) of each column of a sparse matrix."""
    mean = np.asarray(matrix_BG.mean(axis=0)).ravel()
    square = np.asarray(matrix_BG.multiply(matrix_BG).mean(axis=0)).ravel()
    spread = np.sqrt(np.maximum(square - mean**2, 0.0))
    spread[spread == 0] = 1.0
    return torch.tensor(mean, dtype=torch.float32), torch.tensor(spread, dtype=torch.float32)


def _labels(target: Target, mean: float, spread: float) -> Tensor:
    if target.classes:
        return torch.tensor(target.values)
    return torch.tensor((target.values - mean) / spread, dtype=torch.float32)
