"""The trained predictor: it reads the panel's genes and nothing else.

Shapes: B cells, K panel genes, R replicas (their outputs are averaged), H hidden units, C classes of a task.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from yoto_core.model import Head, Network

BATCH = 65_536


@dataclass(frozen=True)
class Prediction:
    """One task's answers for B cells: labels with their class probabilities, or numbers."""

    task: str
    classes: tuple[str, ...]
    values: np.ndarray = field(repr=False)  # (B,) class codes, or numbers
    probabilities: np.ndarray | None = field(default=None, repr=False)  # (B, C)

    @property
    def labels(self) -> np.ndarray:
        """(B,) class names, or the numbers themselves."""
        return np.array(self.classes, dtype=object)[self.values] if self.classes else self.values


@dataclass(frozen=True)
class PanelModel:
    """Weights over exactly K genes; `genes` gives the order of the input columns."""

    genes: tuple[str, ...]
    gene_ids: tuple[str, ...]
    heads: tuple[Head, ...]
    tensors: dict[str, Tensor] = field(repr=False)  # mean (K,), spread (K,), and the network's weights

    def predict(self, x_BK: np.ndarray) -> tuple[Prediction, ...]:
        """Every task's answer for cells × panel genes (log-normalised, columns in the order of `genes`)."""
        if x_BK.ndim != 2 or x_BK.shape[1] != len(self.genes):
            raise ValueError(f"expected (cells, {len(self.genes)}) but got {x_BK.shape}")
        blocks = [self._outputs(x_BK[start : start + BATCH]) for start in range(0, max(len(x_BK), 1), BATCH)]
        outputs = [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
        predictions = []
        for head, output_BC in zip(self.heads, outputs, strict=True):
            if head.classes:
                predictions.append(Prediction(head.task, head.classes, output_BC.argmax(1), output_BC))
            else:
                predictions.append(Prediction(head.task, (), output_BC[:, 0] * head.spread + head.mean))
        return tuple(predictions)

    @torch.no_grad()
    def _outputs(self, x_BK: np.ndarray) -> list[np.ndarray]:
        """Per task (B, C) probabilities or (B, 1) standardised numbers, averaged over replicas."""
        x = (torch.as_tensor(x_BK, dtype=torch.float32) - self.tensors["mean"]) / self.tensors["spread"]
        network = self._network()
        outputs = network(x, torch.ones(network.gene_weights_RAH.shape[:2]))
        return [
            (torch.softmax(scores, -1) if head.classes else scores).mean(0).numpy()
            for head, scores in zip(self.heads, outputs, strict=True)
        ]

    def _network(self) -> Network:
        replicas, genes, hidden = self.tensors["gene_weights_RAH"].shape
        network = Network(genes, self.heads, replicas=replicas, hidden=hidden, generator=torch.Generator())
        network.load_state_dict({name: value for name, value in self.tensors.items() if name not in ("mean", "spread")})
        return network.eval()


def panel_model(
    network: Network, mean_K: Tensor, spread_K: Tensor, genes: tuple[str, ...], gene_ids: tuple[str, ...]
) -> PanelModel:
    """Freeze a network whose inputs are already exactly the panel's genes."""
    tensors = {name: value.detach().clone().contiguous() for name, value in network.state_dict().items()}
    return PanelModel(genes, gene_ids, network.heads, {**tensors, "mean": mean_K, "spread": spread_K})
