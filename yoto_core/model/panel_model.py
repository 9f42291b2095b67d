"""The trained predictor: it reads the panel's genes and nothing else.

Shapes: B cells, K panel genes, R replicas (their outputs are averaged), H hidden units, C classes of a task.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from yoto_core.config import Normalize
from yoto_core.model.forms import as_read
from yoto_core.model.network import Head, Network

BATCH = 65_536  # cells
CLIP = 5.0  # standard deviations: one odd count must not decide a cell
SCALES = ("mean", "spread", "level")
GENE_AXIS = {"mean": 0, "spread": 0, "level": 0, "gene_weights_RAH": 1}


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
    """Weights over exactly K genes, most important first; `genes` gives the order of the input columns."""

    genes: tuple[str, ...]
    gene_ids: tuple[str, ...]
    heads: tuple[Head, ...]
    tensors: dict[str, Tensor] = field(repr=False)  # mean, spread and level (K,), and the network's weights
    normalize: Normalize = "all genes"  # the form in which it reads expression (`forms`)

    def predict(self, x_BK: np.ndarray, *, absent: Sequence[int] = ()) -> tuple[Prediction, ...]:
        """Every task's answer for cells × panel genes (log-normalised, columns in the order of `genes`).

        The genes at the places `absent` are taken as average: each stands at its training mean, whatever its column says.
        """
        if x_BK.ndim != 2 or x_BK.shape[1] != len(self.genes):
            raise ValueError(f"expected (cells, {len(self.genes)}) but got {x_BK.shape}")
        starts = range(0, max(len(x_BK), 1), BATCH)
        mask_1K = torch.ones(1, len(self.genes))
        mask_1K[:, list(absent)] = 0.0
        network = self._network()
        blocks = [self._outputs(network, x_BK[start : start + BATCH], mask_1K) for start in starts]
        outputs = [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
        return tuple(_prediction(head, output) for head, output in zip(self.heads, outputs, strict=True))

    def at_size(self, k: int) -> "PanelModel":
        """The same model for the first k genes: it was trained on every prefix, so nothing is trained again."""
        tensors = {
            name: value.narrow(GENE_AXIS[name], 0, k).contiguous() if name in GENE_AXIS else value
            for name, value in self.tensors.items()
        }
        return replace(self, genes=self.genes[:k], gene_ids=self.gene_ids[:k], tensors=tensors)

    def formed(self, x_BK: np.ndarray, *, absent: Sequence[int] = ()) -> np.ndarray:
        """The same values in the form that the model reads: what training and new cells are compared in."""
        mask_1K = torch.ones(1, len(self.genes))
        mask_1K[:, list(absent)] = 0.0
        return self._formed(x_BK, mask_1K).reshape(x_BK.shape).numpy()

    def _formed(self, x_BK: np.ndarray, mask_1K: Tensor) -> Tensor:
        x = torch.as_tensor(x_BK, dtype=torch.float32)
        return as_read(x, self.normalize, self.tensors.get("level", torch.ones(len(self.genes))), mask_1K)

    @torch.no_grad()
    def _outputs(self, network: Network, x_BK: np.ndarray, mask_1K: Tensor) -> list[np.ndarray]:
        """Per task (B, C) probabilities or (B, 1) standardised numbers, averaged over replicas."""
        x = standardise(self._formed(x_BK, mask_1K), self.tensors["mean"], self.tensors["spread"])
        return averaged(self.heads, network(x, mask_1K.expand(network.gene_weights_RAH.shape[:2])))

    def _network(self) -> Network:
        replicas, genes, hidden = self.tensors["gene_weights_RAH"].shape
        network = Network(genes, self.heads, replicas=replicas, hidden=hidden)
        network.load_state_dict({name: value for name, value in self.tensors.items() if name not in SCALES})
        return network


def standardise(x_BK: Tensor, mean_K: Tensor, spread_K: Tensor) -> Tensor:
    """(B, K) in training standard deviations, at most 5 to either side."""
    return (x_BK - mean_K).div_(spread_K).clamp_(-CLIP, CLIP)


def averaged(heads: tuple[Head, ...], scores: tuple[Tensor, ...]) -> list[np.ndarray]:
    """Per task the mean over replicas of (R, B, C) class probabilities or standardised numbers: (B, C) or (B, 1)."""
    pairs = zip(heads, scores, strict=True)
    return [(torch.softmax(output, -1) if head.classes else output).mean(0).numpy() for head, output in pairs]


def tempered(probabilities_BC: np.ndarray, temperature: float) -> np.ndarray:
    """The same ranking of classes, less certain for a temperature above 1, more certain below (Guo et al., ICML 2017)."""
    if temperature == 1.0:
        return probabilities_BC
    logits = np.log(np.maximum(probabilities_BC, 1e-12)) / np.float32(temperature)
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def freeze(
    network: Network,
    scales: dict[str, Tensor],
    genes: tuple[str, ...],
    ids: tuple[str, ...],
    *,
    normalize: Normalize,
) -> PanelModel:
    """A predictor from a network whose inputs are already exactly these genes, and their mean, spread and level."""
    weights = {name: value.detach().clone().contiguous() for name, value in network.state_dict().items()}
    return PanelModel(genes, ids, network.heads, {**weights, **scales}, normalize)


def _prediction(head: Head, output_BC: np.ndarray) -> Prediction:
    if head.classes:
        return Prediction(head.task, head.classes, output_BC.argmax(1), tempered(output_BC, head.temperature))
    return Prediction(head.task, (), output_BC[:, 0] * head.spread + head.mean)
