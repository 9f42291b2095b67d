"""The network: one encoder shared by all tasks, one head per task, several replicas side by side.

Shapes: B cells, A active genes, R replicas, H hidden units, C classes of a task.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn

from yoto_core.data.targets import Target
from yoto_core.records import Within


@dataclass(frozen=True)
class Head:
    """What one task's head gives: its name, its classes (none for a number) and the scale of a number.

    Class probabilities are softened or sharpened by `temperature`, which validation cells set (`calibration`).
    """

    task: Annotated[str, Within(1)]
    classes: tuple[str, ...]
    mean: float = 0.0
    spread: Annotated[float, Within(0)] = 1.0
    temperature: Annotated[float, Within(1e-3, 1e3)] = 1.0

    @property
    def n_outputs(self) -> int:
        """One score per class, or one standardised number."""
        return len(self.classes) or 1


def heads_for(targets: Sequence[Target], training_cells: np.ndarray) -> tuple[Head, ...]:
    """A head per task; numbers are standardised by the labelled training cells (indices)."""
    heads = []
    for target in targets:
        if target.classes:
            heads.append(Head(target.task, target.classes))
        else:
            numbers = target.values[training_cells]
            heads.append(Head(target.task, (), float(np.nanmean(numbers)), float(np.nanstd(numbers))))
    return tuple(heads)


class Network(nn.Module):
    """R replicas of gene layer → ReLU → heads, trained as one batched computation."""

    def __init__(
        self,
        n_genes: int,
        heads: Sequence[Head],
        *,
        replicas: int,
        hidden: int,
        generator: torch.Generator | None = None,
    ) -> None:
        """First weights are drawn from the generator; without one they are zeros, to be loaded."""
        super().__init__()
        self.heads = tuple(heads)

        def first(*shape: int) -> Tensor:
            return torch.zeros(shape) if generator is None else torch.randn(shape, generator=generator)

        # Scaled for a panel of a few dozen inputs: most genes are masked whenever these weights are used.
        self.gene_weights_RAH = nn.Parameter(first(replicas, n_genes, hidden) / 4)
        self.bias_RH = nn.Parameter(torch.zeros(replicas, hidden))
        self.head_weights_RHC = nn.ParameterList(
            nn.Parameter(first(replicas, hidden, head.n_outputs) / math.sqrt(hidden)) for head in heads
        )
        self.head_bias_RC = nn.ParameterList(nn.Parameter(torch.zeros(replicas, head.n_outputs)) for head in heads)

    def forward(self, x_BA: Tensor, mask_RA: Tensor) -> tuple[Tensor, ...]:
        """One (R, B, C) tensor of scores per task, from the genes that each replica's mask lets through."""
        hidden_RBH = torch.relu(torch.matmul(x_BA, mask_RA[..., None] * self.gene_weights_RAH) + self.bias_RH[:, None])
        return tuple(
            torch.matmul(hidden_RBH, weights) + bias[:, None]
            for weights, bias in zip(self.head_weights_RHC, self.head_bias_RC, strict=True)
        )


@dataclass(frozen=True)
class Answers:
    """What one task expects of N training cells, and how much each cell counts in each replica."""

    labels_N: Tensor  # class codes or standardised numbers; anything where the weight is zero
    weights_RN: Tensor  # zero where a cell is unlabelled
    task_weight: float
    is_class: bool

    def loss(self, output_RBC: Tensor, cells: Tensor) -> Tensor:
        """Sum over replicas of the weighted mean loss over the labelled cells of a batch; zero where it has none."""
        labels_B, weights_RB = self.labels_N[cells], self.weights_RN[:, cells]
        if self.is_class:
            each_RB = nn.functional.cross_entropy(
                output_RBC.flatten(0, 1), labels_B.repeat(len(output_RBC)), reduction="none"
            ).view(weights_RB.shape)
        else:
            each_RB = nn.functional.huber_loss(
                output_RBC[..., 0], labels_B.expand(len(output_RBC), -1), reduction="none", delta=2.0
            )
        mean_R = (each_RB * weights_RB).sum(1) / weights_RB.sum(1).clamp_min(1e-6)
        return self.task_weight * mean_R.sum()


def answers_for(target: Target, head: Head, cells: np.ndarray, times_RN: Tensor, *, balance: float) -> Answers:
    """The answers of one task for training cells (indices), which replica r counts `times_RN[r]` times.

    A class of n cells weighs n to the power of 1 - `balance`: with 1 every class counts alike, with 0 every cell.
    """
    labelled = target.labelled[cells]
    if target.classes:
        codes = target.values[cells]
        counts = np.maximum(target.counts(cells), 1)
        share = np.where(labelled, counts[codes] ** -balance, 0.0)
        share *= labelled.sum() / share.sum()
        labels = torch.tensor(np.maximum(codes, 0))
    else:
        share = labelled.astype(float)
        numbers = (np.where(labelled, target.values[cells], head.mean) - head.mean) / head.spread
        labels = torch.tensor(numbers, dtype=torch.float32)
    weights = times_RN * torch.tensor(share, dtype=torch.float32)
    return Answers(labels, weights, target.weight, bool(target.classes))
