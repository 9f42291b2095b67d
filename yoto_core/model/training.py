"""Train once: the network learns to predict while the genes it may read become fewer.

Shapes: B cells in a batch, N training cells, G candidate genes, A active genes, R replicas, M ranked genes.

Start   genes are ordered in closed form by how well they tell the classes of every task apart (`start`); the best enter
        a pool with scores that fall with the logarithm of their rank.
Choose  at every step each replica perturbs its scores with Gumbel noise, lets a random number of the best genes through
        (`selector.straight_through_mask`) and follows the gradient of all tasks' losses. The pool shrinks geometrically,
        and genes that have fallen out are really removed from the tensors.
Fit     the mean score over replicas orders the genes for good; the same network goes on learning on random prefixes of
        that order, so that one set of weights serves every panel size (nested dropout: Rippel et al., ICML 2014). The
        state with the best score on validation cells is kept. From here on expression is read in the form that
        `genes.normalize` asks for (`forms`): before, there is no panel to normalise over.

Replicas see the cells with Poisson bootstrap weights: genes that only one sample of the cells would choose lose their
rank in the mean (stability selection: Meinshausen & Bühlmann, J R Stat Soc B 2010, doi:10.1111/j.1467-9868.2010.00740.x).
The schedule "fixed" is the form of Chopard et al. (TMLR 2026): all candidates, equal scores, the panel size throughout.
"""

import copy
import math
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from yoto_core import runtime
from yoto_core.config import Normalize, RunConfig
from yoto_core.data.problem import Problem
from yoto_core.model import selector
from yoto_core.model.checkpoint import NO_CHECKPOINTS, Checkpoints, Snapshot
from yoto_core.model.forms import as_read, level_of, mean_and_spread
from yoto_core.model.network import Answers, Network, answers_for, heads_for
from yoto_core.model.optimiser import Adam
from yoto_core.model.panel_model import PanelModel, averaged, freeze, standardise
from yoto_core.model.start import informed_order
from yoto_core.progress import OnProgress, Progress, ShouldStop, Stopped, never
from yoto_core.scores.metrics import headline

SCORES = "scores_RA"
SMALLEST_PREFIX = 4  # genes; masks below this teach little
SHRINK_UNTIL = 0.6  # share of the choosing steps after which the pool stays at its last size
SHRINK_EVERY = 25  # steps between cuts of the pool
INCLUDED = 1e6  # added to the scores of genes that the panel must hold
LAST_RATE = 0.05  # share of the learning rate left at the end of its cosine
REPORTS = 40
CHOOSING_BALANCE = 1.0  # genes are chosen for all classes alike
FITTING_BALANCE = 0.5  # the model then meets them closer to their real shares, which keeps common classes precise


@dataclass(frozen=True)
class TrainResult:
    """What training hands on.

    `order` holds M positions among the candidates, best first: the first k are the panel of size k, for every k up to M
    (twice the panel size where there are as many candidates). `model` reads all M; `model.at_size(k)` the first k.
    """

    order: np.ndarray
    scores: np.ndarray
    model: PanelModel
    history: tuple[dict[str, float], ...] = field(repr=False)
    seconds: float


@runtime.one_thread_each()
def choose_genes(problem: Problem, config: RunConfig, *, should_stop: ShouldStop = never) -> np.ndarray:
    """(K,) positions of the panel among the candidates, best first: the same selection as `train`, start included, no fitting.

    Raises:
        Stopped: `should_stop` said so between two steps.
    """
    run = _Training(problem, config)
    for step in range(config.training.steps):
        if should_stop():
            raise Stopped
        run.choose(step)
    run.settle()
    return run.pool[: run.panel_size]


@runtime.one_thread_each()
def train(
    problem: Problem,
    config: RunConfig,
    *,
    on_progress: OnProgress,
    should_stop: ShouldStop,
    checkpoints: Checkpoints = NO_CHECKPOINTS,
) -> TrainResult:
    """Rank the candidates and fit the model that reads them, from training and validation cells.

    With an earlier state in `checkpoints` it goes on from there, to the same result bit for bit.

    Raises:
        Stopped: `should_stop` said so between two steps.
    """
    started = time.perf_counter() - (checkpoints.last.values["seconds"] if checkpoints.last else 0.0)
    run = _Training(problem, config, checkpoints.last)
    first, choosing = run.step, config.training.steps
    total = choosing + config.training.fit_steps
    every = max(1, total // REPORTS)
    for step in range(first, total):
        if step >= choosing and not run.settled:
            run.settle()
        loss = run.fit(step - choosing) if run.settled else run.choose(step)
        if should_stop():
            raise Stopped
        if step % every == 0 or step == total - 1:
            on_progress(Progress("training", step + 1, total, "Choosing genes", run.record(step, loss)))
        run.step = step + 1
        checkpoints.offer(lambda: run.snapshot(time.perf_counter() - started))
    return run.result(time.perf_counter() - started)


class _Training:
    """The moving parts of one training: network, scores, optimiser, and the pool of genes still active."""

    def __init__(self, problem: Problem, config: RunConfig, earlier: Snapshot | None = None) -> None:
        self.problem, self.settings = problem, config.training
        self.normalize, self.settled = config.genes.normalize, False
        self.fixed = config.selector.schedule == "fixed"
        self.panel_size = config.selector.panel_size
        self.n_ranked = min(2 * self.panel_size, problem.candidates.n_genes)
        self.generator = runtime.draws(config.seed)
        replicas = self.settings.replicas
        self.pool, scores = self._start() if earlier is None else _start_of(earlier)
        heads = heads_for(problem.targets, problem.split.train)
        first_weights = runtime.draws(config.seed)
        self.network = Network(
            len(self.pool), heads, replicas=replicas, hidden=self.settings.hidden, generator=first_weights
        )
        self.scores_RA = torch.nn.Parameter(scores.repeat(replicas, 1))
        included = np.isin(self.pool, problem.candidates.included)
        self.included_A = torch.tensor(included, dtype=torch.float32) * INCLUDED
        self._read_columns()
        times_RN = torch.poisson(torch.ones(replicas, len(problem.split.train)), generator=self.generator)
        self.answers = self._answers(times_RN, CHOOSING_BALANCE)
        self.optimiser = Adam({**dict(self.network.named_parameters()), SCORES: self.scores_RA})
        self.history: list[dict[str, float]] = []
        self.best = (-math.inf, self.network.state_dict())
        self.step = 0  # steps done
        if earlier is not None:
            self._restore(earlier)

    def choose(self, step: int) -> float:
        """One step of choosing; returns the loss per replica."""
        settings, done = self.settings, step / max(self.settings.steps - 1, 1)
        if step % SHRINK_EVERY == 0:
            self._shrink(done)
        noise = settings.noise_start * (settings.noise_end / settings.noise_start) ** done
        perturbed = self.scores_RA + self.included_A + noise * selector.gumbel(self.scores_RA.shape, self.generator)
        mask_RA = selector.straight_through_mask(perturbed, self._sizes(self.panel_size), settings.temperature)
        return self._descend(mask_RA, settings.learning_rate * _cosine(done), settings.score_learning_rate)

    def settle(self) -> None:
        """Order the genes for good and keep the first M of them."""
        ranked = selector.top_k((self.scores_RA.detach() + self.included_A).mean(0), self.n_ranked)
        self.settled = True
        self._keep(ranked)
        self.answers = self._answers(torch.ones_like(self.answers[0].weights_RN), FITTING_BALANCE)
        self.final_scores = self.scores_RA.detach().mean(0).numpy()

    def fit(self, step: int) -> float:
        """One step of fitting on random prefixes of the settled order; returns the loss per replica."""
        done = step / max(self.settings.fit_steps - 1, 1)
        ones_RA = torch.ones(self.settings.replicas, len(self.pool))
        mask_RA = ones_RA * (torch.arange(len(self.pool)) < self._sizes(self.n_ranked)[:, None])
        return self._descend(mask_RA, self.settings.learning_rate * _cosine(done), 0.0)

    def record(self, step: int, loss: float) -> dict[str, float]:
        """Figures of this moment: genes active, loss, and each task's score on validation cells at the panel size."""
        cells = self.problem.split.validation
        with torch.no_grad():
            sizes_R = torch.full((self.settings.replicas,), self.panel_size)
            order_A = -torch.arange(len(self.pool)) if self.settled else self.scores_RA.detach() + self.included_A
            mask_RA = selector.hard_mask(order_A.float().expand_as(self.scores_RA).contiguous(), sizes_R)
            outputs = averaged(
                self.network.heads, self.network(self._inputs(self.validation_columns, mask_RA), mask_RA)
            )
        active = self.panel_size if self.settled else len(self.pool) if step else self.problem.candidates.n_genes
        row: dict[str, float] = {"step": step + 1, "active_genes": active, "cells": len(self.problem.split.train)}
        row["loss"] = loss
        scores = []
        for target, head, output in zip(self.problem.targets, self.network.heads, outputs, strict=True):
            answer = output.argmax(1) if head.classes else output[:, 0] * head.spread + head.mean
            scores.append(headline(target, cells, answer))
            row[f"validation {target.task}"] = scores[-1]
        self.history.append(row)
        if self.settled and np.nanmean(scores) >= self.best[0]:
            self.best = (float(np.nanmean(scores)), copy.deepcopy(self.network.state_dict()))
        return row

    def result(self, seconds: float) -> TrainResult:
        """The settled order, and the network in its best state."""
        if math.isfinite(self.best[0]):
            self.network.load_state_dict(self.best[1])
        candidates = self.problem.candidates
        symbols = tuple(candidates.symbols[gene] for gene in self.pool)
        ids = tuple(candidates.ids[gene] for gene in self.pool)
        scales = {"mean": self.mean_A, "spread": self.spread_A, "level": self.level_A}
        model = freeze(self.network, scales, symbols, ids, normalize=self.form)
        return TrainResult(self.pool, self.final_scores, model, tuple(self.history), seconds)

    @property
    def form(self) -> Normalize:
        """How expression is read now: in the chosen form once the genes are settled."""
        return self.normalize if self.settled else "all genes"

    def snapshot(self, seconds: float) -> Snapshot:
        """All that `_restore` needs to go on from here; what follows from the data and the config is made again."""
        best_score, best_state = self.best
        tensors = {
            "pool": torch.from_numpy(self.pool),
            "draws": self.generator.get_state(),
            **{f"value {name}": value for name, value in self.optimiser.parameters.items()},
            **{f"first {name}": value for name, value in self.optimiser.first.items()},
            **{f"second {name}": value for name, value in self.optimiser.second.items()},
        }
        if math.isfinite(best_score):
            tensors |= {f"best {name}": value for name, value in best_state.items()}
        if self.settled:
            tensors["final scores"] = torch.from_numpy(self.final_scores)
        values = {
            "step": self.step, "optimiser_steps": self.optimiser.steps, "settled": self.settled, "seconds": seconds,
            "best": best_score, "history": self.history,
        }  # fmt: skip
        return Snapshot(tensors, values)

    @torch.no_grad()
    def _restore(self, earlier: Snapshot) -> None:
        """Become what the snapshot was taken from."""
        values = earlier.values
        for name, parameter in self.optimiser.parameters.items():
            parameter.copy_(earlier.tensors[f"value {name}"])
            self.optimiser.first[name] = earlier.tensors[f"first {name}"]
            self.optimiser.second[name] = earlier.tensors[f"second {name}"]
        self.optimiser.steps, self.step, self.history = values["optimiser_steps"], values["step"], values["history"]
        self.best = (values["best"], _named(earlier, "best "))
        if values["settled"]:
            self.final_scores = earlier.tensors["final scores"].numpy()
            self.settled = True
            self._read_columns()
            self.answers = self._answers(torch.ones_like(self.answers[0].weights_RN), FITTING_BALANCE)
        self.generator.set_state(earlier.tensors["draws"])

    def _start(self) -> tuple[np.ndarray, Tensor]:
        """The first pool (positions among the candidates) and the (A,) scores that its genes start with."""
        n_genes = self.problem.candidates.n_genes
        if self.fixed:
            return np.arange(n_genes), torch.zeros(n_genes)
        size = min(max(self.settings.pool, 2 * self.n_ranked), n_genes)
        order = informed_order(self.problem, panel_size=self.panel_size, size=size)
        return order, -torch.log1p(torch.arange(len(order)))

    def _read_columns(self) -> None:
        """Expression of the pool's genes, read from that of all candidates."""
        columns = self.problem.expression[:, self.pool]
        self.training_columns = columns[self.problem.split.train]
        self.validation_columns = columns[self.problem.split.validation]
        self._scale_columns()

    def _scale_columns(self) -> None:
        """How to standardise the pool's genes in the form they are read in now, from training cells."""
        self.level_A = torch.from_numpy(level_of(self.training_columns))
        panel_A = (torch.arange(len(self.pool)) < self.panel_size).float()
        mean, spread = mean_and_spread(self.training_columns, self.form, self.level_A, panel_A)
        self.mean_A = torch.tensor(mean, dtype=torch.float32)
        self.spread_A = torch.tensor(spread + 1e-3, dtype=torch.float32)

    def _answers(self, times_RN: Tensor, balance: float) -> list[Answers]:
        cells = self.problem.split.train
        return [
            answers_for(target, head, cells, times_RN, balance=balance)
            for target, head in zip(self.problem.targets, self.network.heads, strict=True)
        ]

    def _inputs(self, columns: object, mask_RA: Tensor) -> Tensor:
        formed = as_read(torch.from_numpy(columns.toarray()), self.form, self.level_A, mask_RA)
        return standardise(formed, self.mean_A, self.spread_A)

    def _sizes(self, largest: int) -> Tensor:
        """(R,) how many genes each replica's mask lets through: log-uniform up to `largest`, or fixed."""
        if self.fixed:
            return torch.full((self.settings.replicas,), min(largest, self.panel_size))
        smallest = min(SMALLEST_PREFIX, largest)
        share_R = torch.rand(self.settings.replicas, generator=self.generator)
        return torch.exp(math.log(smallest) + share_R * math.log(largest / smallest)).round().long()

    def _descend(self, mask_RA: Tensor, rate: float, score_rate: float) -> float:
        cells = torch.randint(self.training_columns.shape[0], (self.settings.batch_size,), generator=self.generator)
        outputs = self.network(self._inputs(self.training_columns[cells.numpy()], mask_RA), mask_RA)
        losses = [answer.loss(output, cells) for answer, output in zip(self.answers, outputs, strict=True)]
        loss = torch.stack(losses).sum()
        rates = {name: score_rate if name == SCORES else rate for name in self.optimiser.parameters}
        self.optimiser.descend(loss, rates)
        return float(loss.detach()) / self.settings.replicas

    def _shrink(self, done: float) -> None:
        """Cut the pool geometrically from its first size to twice the ranked genes (annealed schedule only)."""
        if self.fixed:
            return
        first, last = max(self.settings.pool, 2 * self.n_ranked), self.n_ranked
        wanted = max(last, int(first * (last / first) ** min(1.0, done / SHRINK_UNTIL)))
        if wanted < 0.9 * len(self.pool):
            scores_A = (self.scores_RA.detach() + self.included_A).mean(0)
            self._keep(selector.top_k(scores_A, wanted).sort().values)

    def _keep(self, places: Tensor) -> None:
        """Shrink every tensor with a gene axis, Adam's memory included, to these places of the pool."""
        self.pool = self.pool[places.numpy()]
        self.included_A = self.included_A[places]
        self.optimiser.keep(("gene_weights_RAH", SCORES), places)
        # Cut what is there: all candidates of many cells take seconds to look through.
        kept = places.numpy()
        self.training_columns, self.validation_columns = (
            self.training_columns[:, kept],
            self.validation_columns[:, kept],
        )
        self._scale_columns()


def _start_of(earlier: Snapshot) -> tuple[np.ndarray, Tensor]:
    """The pool as it was, and scores of its size to be overwritten."""
    pool = earlier.tensors["pool"].numpy()
    return pool, torch.zeros(len(pool))


def _named(earlier: Snapshot, prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in earlier.tensors.items() if name.startswith(prefix)}


def _cosine(done: float) -> float:
    """Share of the learning rate at this share (0 to 1) of a phase."""
    return LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * done))
