"""Adam (Kingma & Ba, ICLR 2015, arXiv:1412.6980) on named tensors whose gene axis can be cut, memory and all.

torch's own optimiser holds its memory by parameter identity, which cutting would break, and loads torch's compiler on its
first step, which takes longer than a whole training here.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

BETAS = (0.9, 0.99)
EPSILON = 1e-8


class Adam:
    """Parameters with their running first and second moments."""

    def __init__(self, parameters: Mapping[str, Tensor]) -> None:
        self.parameters = dict(parameters)
        self.first = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        self.second = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        self.steps = 0

    @torch.no_grad()
    def descend(self, loss: Tensor, rates: Mapping[str, float]) -> None:
        """One step against the gradient of `loss`, for the named parameters at their rates; others stay."""
        names = [name for name in self.parameters if rates.get(name, 0.0) > 0]
        gradients = torch.autograd.grad(loss, [self.parameters[name] for name in names])
        self.steps += 1
        for name, gradient in zip(names, gradients, strict=True):
            first, second = self.first[name], self.second[name]
            first.lerp_(gradient, 1 - BETAS[0])
            second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
            spread = (second / (1 - BETAS[1] ** self.steps)).sqrt_().add_(EPSILON)
            self.parameters[name].addcdiv_(first, spread, value=-rates[name] / (1 - BETAS[0] ** self.steps))

    @torch.no_grad()
    def keep(self, names: tuple[str, ...], places: Tensor) -> None:
        """Keep only these places of the second axis of the named parameters and of what is remembered of them."""
        for name in names:
            self.parameters[name].data = self.parameters[name].data.index_select(1, places)
            self.first[name] = self.first[name].index_select(1, places)
            self.second[name] = self.second[name].index_select(1, places)
