"""The network: one encoder shared by all tasks, one head per task, several replicas side by side.

Shapes: B cells, A active genes, K panel genes, R replicas, H hidden units, C classes of a task.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from yoto_core.targets import Target


@dataclass(frozen=True)
class Head:
    """What one task's head gives: its name, its classes (none for a number) and the scale of a number."""

    task: str
    classes: tuple[str, ...]
    mean: float = 0.0
    spread: float = 1.0

    @property
    def n_outputs(self) -> int:
        """One score per class, or one standardised number."""
        return len(self.classes) or 1


def heads_for(targets: Sequence[Target], training_cells: np.ndarray) -> tuple[Head, ...]:
    """A head per task; numbers are standardised by the labelled training cells."""
    heads = []
    for target in targets:
        if target.kind == "classification":
            heads.append(Head(target.task, target.classes))
        else:
            numbers = target.values[training_cells]
            heads.append(Head(target.task, (), float(np.nanmean(numbers)), float(np.nanstd(numbers))))
    return tuple(heads)


class Network(nn.Module):
    """R replicas of gene layer → ReLU → heads, trained as one batched computation."""

    def __init__(
        self, n_genes: int, heads: Sequence[Head], *, replicas: int, hidden: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.heads = tuple(heads)

        def normal(*shape: int, fan_in: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(shape, generator=generator) * math.sqrt(2.0 / fan_in))

        # Sized for the panel, not for all genes: most inputs are gone when the weights matter.
        self.gene_weights_RAH = normal(replicas, n_genes, hidden, fan_in=max(n_genes, 1))
        self.bias_RH = nn.Parameter(torch.zeros(replicas, hidden))
        self.head_weights_RHC = nn.ParameterList(
            normal(replicas, hidden, head.n_outputs, fan_in=2 * hidden) for head in heads
        )
        self.head_bias_RC = nn.ParameterList(nn.Parameter(torch.zeros(replicas, head.n_outputs)) for head in heads)

    def forward(self, x_BA: Tensor, mask_RA: Tensor) -> tuple[Tensor, ...]:
        """One (R, B, C) tensor of scores per task, from the genes that each replica's mask lets through."""
        weights_RAH = mask_RA[..., None] * self.gene_weights_RAH
        hidden_RBH = torch.relu(torch.matmul(x_BA, weights_RAH) + self.bias_RH[:, None])
        return tuple(
            torch.matmul(hidden_RBH, weights) + bias[:, None]
            for weights, bias in zip(self.head_weights_RHC, self.head_bias_RC, strict=True)
        )


def task_losses(
    outputs: Sequence[Tensor], labels: Sequence[Tensor], class_weights: Sequence[Tensor | None]
) -> list[Tensor]:
    """Per task the mean loss over its labelled cells, or nothing (0) in a batch without any.

    Labels are class codes with -1, or standardised numbers with NaN, where a cell is unlabelled.
    Cross-entropy for classes (weighted), Huber loss for numbers.
    """
    losses = []
    for output_RBC, label_B, weight_C in zip(outputs, labels, class_weights, strict=True):
        labelled = label_B >= 0 if weight_C is not None else ~torch.isnan(label_B)
        if not labelled.any():
            losses.append(output_RBC.sum() * 0.0)
            continue
        kept_RBC, wanted_B = output_RBC[:, labelled], label_B[labelled]
        replicas = kept_RBC.shape[0]
        if weight_C is not None:
            losses.append(
                nn.functional.cross_entropy(kept_RBC.flatten(0, 1), wanted_B.repeat(replicas), weight=weight_C)
            )
        else:
            losses.append(nn.functional.huber_loss(kept_RBC[..., 0], wanted_B.expand(replicas, -1)))
    return losses


def balanced_weights(target: Target, training_cells: np.ndarray) -> Tensor | None:
    """(C,) class weights that let each class count alike (scikit-learn's "balanced"), or None for a number."""
    if target.kind == "regression":
        return None
    counts = target.counts(training_cells)
    return torch.tensor(counts.sum() / (len(counts) * counts), dtype=torch.float32)
