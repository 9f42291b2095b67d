"""The differentiable choice of genes: Plackett–Luce noise, NeuralSort rows, and a hard top-k mask.

Shapes: G candidate genes, R replicas that learn side by side.

A score per gene is perturbed by Gumbel noise, so that sorting draws a ranking from the Plackett–Luce distribution.
Forward, the mask holds exactly k ones at the k largest perturbed scores. Backward, it is the sum of the first k rows of
the relaxed permutation matrix of NeuralSort (Grover et al., ICLR 2019, arXiv:1903.08850, equation 5):

    row_i = softmax(((G + 1 - 2i)·s - A·1) / temperature),    A_jl = |s_j - s_l|,    i = 1..k

The use of such a mask to train selection and prediction at once follows Chopard et al., TMLR 2026 (arXiv:2512.17678).
"""

import torch
from torch import Tensor


def gumbel(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Standard Gumbel noise."""
    uniform = torch.rand(shape, generator=generator).clamp_(1e-20, 1 - 1e-7)
    return -torch.log(-torch.log(uniform))


def distance_sums(scores_RG: Tensor) -> Tensor:
    """(R, G) sum over l of |s_j - s_l|, from one sort and cumulative sums: O(G log G) instead of O(G²).

    For the scores in descending order o_1 ≥ … ≥ o_G the sum at place j is
    (Σ_{l<j} o_l - (j-1)·o_j) + ((G-j)·o_j - Σ_{l>j} o_l).
    """
    size = scores_RG.shape[-1]
    ordered, order = scores_RG.sort(dim=-1, descending=True)
    before = ordered.cumsum(-1) - ordered
    after = ordered.sum(-1, keepdim=True) - before - ordered
    place = torch.arange(size, device=scores_RG.device, dtype=scores_RG.dtype)
    sums = (before - place * ordered) + ((size - 1 - place) * ordered - after)
    return torch.zeros_like(scores_RG).scatter(-1, order, sums)


def neuralsort_rows(scores_RG: Tensor, rows_RW: Tensor, temperature: float) -> Tensor:
    """(R, W, G) the named rows (1-based, W per replica) of the relaxed permutation matrix; every row sums to one.

    The largest entry of row i stands at the i-th largest score, whatever the temperature (> 0).
    """
    size = scores_RG.shape[-1]
    slope_RW = (size + 1 - 2 * rows_RW).to(scores_RG.dtype)
    logits = slope_RW[..., None] * scores_RG[:, None, :] - distance_sums(scores_RG)[:, None, :]
    return torch.softmax(logits / temperature, dim=-1)


def top_k(scores: Tensor, k: int) -> Tensor:
    """(..., k) positions of the k largest scores, largest first; ties go to the lower position."""
    return torch.argsort(scores, dim=-1, descending=True, stable=True)[..., :k]


def hard_mask(scores_RG: Tensor, sizes_R: Tensor) -> Tensor:
    """(R, G) of zeros and, in each replica, exactly as many ones as its size, at its largest scores."""
    order_RG = torch.argsort(scores_RG, dim=-1, descending=True, stable=True)
    kept_RG = (torch.arange(scores_RG.shape[-1], device=scores_RG.device) < sizes_R[:, None]).to(scores_RG.dtype)
    return torch.zeros_like(scores_RG).scatter(-1, order_RG, kept_RG)


def relaxed_mask(scores_RG: Tensor, sizes_R: Tensor, temperature: float, *, window: int) -> Tensor:
    """(R, G) sum of the first k NeuralSort rows, k being each replica's size; beyond `window` rows, of the last of them.

    Row i is about 2·√(temperature·i) places wide, so rows far above the cut only pass weight among genes that stay in
    the mask whatever happens at the cut. The gradient is that of the full sum up to those rows; the cost is
    O(window · G) instead of O(k · G).
    """
    window = min(window, int(sizes_R.max()))
    rows_RW = sizes_R[:, None] - torch.arange(window, device=scores_RG.device)
    counted_RW = (rows_RW >= 1).to(scores_RG.dtype)
    rows_RWG = neuralsort_rows(scores_RG, rows_RW.clamp(min=1), temperature)
    return torch.einsum("rw,rwg->rg", counted_RW, rows_RWG)


def straight_through_mask(scores_RG: Tensor, sizes_R: Tensor, temperature: float, *, window: int = 64) -> Tensor:
    """(R, G) exactly as many ones as each replica's size going forward, the relaxed mask's gradient going backward."""
    relaxed = relaxed_mask(scores_RG, sizes_R, temperature, window=window)
    return hard_mask(scores_RG.detach(), sizes_R) + (relaxed - relaxed.detach())
