import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from yoto_core.model.selector import (
    distance_sums,
    gumbel,
    hard_mask,
    neuralsort_rows,
    relaxed_mask,
    straight_through_mask,
    top_k,
)

FLOATS = st.floats(-50, 50, width=32)
SCORES = arrays.arrays("float64", st.tuples(st.integers(1, 3), st.integers(2, 25)), elements=FLOATS).map(
    torch.from_numpy
)
# A tenth apart at least, so that rounding cannot swap two of them.
DISTINCT = st.lists(st.integers(-300, 300), min_size=2, max_size=25, unique=True).map(
    lambda values: torch.tensor([values], dtype=torch.float64) / 10
)
TIED = arrays.arrays(
    "float32", st.tuples(st.integers(1, 3), st.integers(1, 25)), elements=st.sampled_from([-1, 0, 2])
).map(torch.from_numpy)
TEMPERATURES = st.sampled_from([0.01, 0.5, 1.0, 20.0])


def noisy(genes, *, replicas=1, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * gumbel((replicas, genes), generator).double()


def alike(scores_RG, k):
    """The same size for every replica."""
    return torch.full((len(scores_RG),), k)


def every_row(scores_RG, rows=None):
    """The same rows (all of them unless named) for every replica."""
    rows = torch.arange(1, scores_RG.shape[1] + 1) if rows is None else torch.as_tensor(rows)
    return rows.expand(len(scores_RG), -1)


def brute_rows(scores_RG, rows, temperature):
    """NeuralSort as it is written in the paper, with the G × G matrix of distances."""
    size = scores_RG.shape[-1]
    distances = (scores_RG[..., :, None] - scores_RG[..., None, :]).abs()  # (R, G, G)
    logits = [((size + 1 - 2 * i) * scores_RG - distances.sum(-1)) / temperature for i in rows.tolist()]
    return torch.stack([torch.softmax(row, -1) for row in logits], -2)


# --- the sums and rows against a brute-force implementation


@given(SCORES)
def test_distance_sums_equal_those_of_all_pairs(scores):
    brute = (scores[:, :, None] - scores[:, None, :]).abs().sum(-1)
    torch.testing.assert_close(distance_sums(scores), brute, rtol=1e-9, atol=1e-9)


@given(SCORES, TEMPERATURES)
def test_rows_equal_those_of_the_whole_matrix(scores, temperature):
    rows = torch.arange(1, scores.shape[1] + 1)
    made = neuralsort_rows(scores, every_row(scores, rows), temperature)
    torch.testing.assert_close(made, brute_rows(scores, rows, temperature), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(made.sum(-1), torch.ones(made.shape[:2], dtype=torch.float64))


@pytest.mark.parametrize("rows", [[1], [3, 4, 5], [7, 2]])
def test_any_rows_can_be_asked_for_alone(rows):
    scores, rows = noisy(20, replicas=2), torch.tensor(rows)
    every = neuralsort_rows(scores, every_row(scores), 0.5)
    torch.testing.assert_close(neuralsort_rows(scores, every_row(scores, rows), 0.5), every[:, rows - 1])


def test_each_replica_can_ask_for_rows_of_its_own():
    scores, rows = noisy(20, replicas=2), torch.tensor([[1, 2], [9, 4]])
    every = neuralsort_rows(scores, every_row(scores), 0.5)
    expected = torch.stack([every[i, rows[i] - 1] for i in range(2)])
    torch.testing.assert_close(neuralsort_rows(scores, rows, 0.5), expected)


@given(DISTINCT, TEMPERATURES)
def test_row_i_is_largest_at_the_i_th_largest_score(scores, temperature):
    rows = torch.arange(1, scores.shape[1] + 1)
    made = neuralsort_rows(scores, every_row(scores, rows), temperature)
    assert torch.equal(made.argmax(-1), scores.argsort(descending=True))


def test_at_a_low_temperature_the_rows_are_the_permutation():
    scores = torch.tensor([[0.0, 3.0, 1.0, 2.0]])
    rows = neuralsort_rows(scores, every_row(scores), 0.01)
    expected = torch.tensor([[0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [1, 0, 0, 0]], dtype=torch.float32)
    torch.testing.assert_close(rows[0], expected)


@given(SCORES, st.randoms(use_true_random=False))
def test_the_order_of_the_genes_does_not_matter(scores, random):
    order = torch.tensor(random.sample(range(scores.shape[1]), scores.shape[1]))
    rows = every_row(scores, [1, 2])
    torch.testing.assert_close(
        neuralsort_rows(scores[:, order], rows, 0.5), neuralsort_rows(scores, rows, 0.5)[..., order]
    )


@given(SCORES, FLOATS)
def test_a_constant_added_to_all_scores_changes_nothing(scores, constant):
    rows = every_row(scores, [1, 2])
    made = neuralsort_rows(scores + constant, rows, 1.0)
    torch.testing.assert_close(made, neuralsort_rows(scores, rows, 1.0), rtol=1e-5, atol=1e-5)


def test_the_gradient_of_the_sums_is_the_true_one():
    scores = noisy(7, replicas=2).requires_grad_()
    assert torch.autograd.gradcheck(distance_sums, scores)
    assert torch.autograd.gradcheck(lambda s: relaxed_mask(s, alike(s, 3), 0.7, window=64), scores)


def test_thousands_of_genes_in_single_precision_still_rank_alike():
    scores = noisy(11_000, scale=1.0)
    rows = torch.tensor([[1, 8, 32, 64]])
    exact = neuralsort_rows(scores, rows, 0.5)
    made = neuralsort_rows(scores.float(), rows, 0.5)
    torch.testing.assert_close(made.double(), exact, rtol=0, atol=0.02)


# --- the hard mask


@given(TIED | SCORES, st.data())
def test_the_mask_has_exactly_k_ones_whatever_the_ties(scores, data):
    k = data.draw(st.integers(1, scores.shape[1]))
    mask = hard_mask(scores, alike(scores, k))
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    assert (mask.sum(-1) == k).all()
    chosen = top_k(scores, k)
    assert all(len(set(row)) == k for row in chosen.tolist())
    assert (mask.gather(-1, chosen) == 1).all()
    if k < scores.shape[1]:
        assert (scores.gather(-1, chosen).amin(-1) >= scores.masked_fill(mask == 1, -torch.inf).amax(-1)).all()


@given(TIED)
def test_ties_go_to_the_lower_position(scores):
    for row, order in zip(scores.tolist(), top_k(scores, scores.shape[1]).tolist(), strict=True):
        assert order == sorted(range(len(row)), key=lambda i: (-row[i], i))


@given(SCORES)
def test_a_smaller_choice_is_the_beginning_of_a_larger_one(scores):
    every = top_k(scores, scores.shape[1])
    for k in range(1, scores.shape[1]):
        assert torch.equal(top_k(scores, k), every[:, :k])


@given(TIED | SCORES, st.data())
def test_each_replica_has_exactly_as_many_ones_as_its_own_size(scores, data):
    replicas, genes = scores.shape
    sizes = torch.tensor(data.draw(st.lists(st.integers(1, genes), min_size=replicas, max_size=replicas)))
    assert torch.equal(hard_mask(scores, sizes).sum(-1).long(), sizes)
    together = straight_through_mask(scores, sizes, 0.5)
    for i in range(replicas):
        alone = straight_through_mask(scores[i : i + 1], sizes[i : i + 1], 0.5)
        torch.testing.assert_close(together[i : i + 1], alone)
    relaxed = relaxed_mask(scores, sizes, 0.5, window=64)
    for i, size in enumerate(sizes.tolist()):
        full = brute_rows(scores[i : i + 1], torch.arange(1, size + 1), 0.5).sum(-2)
        torch.testing.assert_close(relaxed[i : i + 1], full, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sizes", [[200, 3], [3, 200], [64, 65], [1, 1]])
def test_a_window_serves_replicas_of_very_different_sizes(sizes):
    scores, sizes = noisy(250, replicas=2), torch.tensor(sizes)
    relaxed = relaxed_mask(scores, sizes, 0.5, window=64)
    for i, size in enumerate(sizes.tolist()):
        last = brute_rows(scores[i : i + 1], torch.arange(max(0, size - 64) + 1, size + 1), 0.5).sum(-2)
        torch.testing.assert_close(relaxed[i : i + 1], last)


# --- the relaxed mask


@given(SCORES, TEMPERATURES, st.data())
def test_the_relaxed_mask_is_the_full_sum_where_the_window_holds_it(scores, temperature, data):
    k = data.draw(st.integers(1, scores.shape[1]))
    mask = relaxed_mask(scores, alike(scores, k), temperature, window=data.draw(st.integers(k, 64)))
    full = brute_rows(scores, torch.arange(1, k + 1), temperature).sum(-2)
    torch.testing.assert_close(mask, full, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(mask.sum(-1), torch.full((len(scores),), float(k), dtype=torch.float64))
    assert (mask >= 0).all()


@pytest.mark.parametrize(("genes", "k", "window"), [(100, 40, 16), (300, 200, 64), (70, 70, 64), (70, 65, 64)])
def test_a_window_smaller_than_k_sums_its_own_rows_only(genes, k, window):
    scores = noisy(genes)
    last = brute_rows(scores, torch.arange(k - window + 1, k + 1), 0.5).sum(-2)
    mask = relaxed_mask(scores, alike(scores, k), 0.5, window=window)
    torch.testing.assert_close(mask, last)
    assert mask.sum().item() == pytest.approx(window)


@pytest.mark.parametrize(
    ("genes", "k", "scale", "error"),
    [
        (300, 100, 1.0, 1e-6),
        (300, 200, 1.0, 1e-6),
        (1_000, 300, 1.0, 1e-4),
        (1_000, 500, 3.0, 1e-4),
        (300, 100, 0.1, 0.01),
    ],
)
def test_the_windowed_gradient_is_the_full_one_at_the_cut_and_beyond(genes, k, scale, error):
    scores, weights = noisy(genes, scale=scale), noisy(genes, seed=1)

    def gradient(window):
        leaf = scores.clone().requires_grad_()
        (relaxed_mask(leaf, alike(leaf, k), 0.5, window=window) * weights).sum().backward()
        return leaf.grad

    full, windowed = gradient(k), gradient(64)
    rank = scores.argsort(descending=True).argsort()
    for place in (rank >= k, (rank - k).abs() < 24):  # the genes outside, and those on both sides of the cut
        assert (full - windowed)[place].norm() <= error * full[place].norm()


# --- both together


@given(TIED | SCORES, TEMPERATURES, st.data())
def test_forward_the_mask_is_hard_and_backward_it_is_relaxed(scores, temperature, data):
    k = data.draw(st.integers(1, scores.shape[1]))
    weights = torch.arange(1, scores.shape[1] + 1, dtype=scores.dtype)
    hard, soft = scores.clone().requires_grad_(), scores.clone().requires_grad_()
    mask = straight_through_mask(hard, alike(hard, k), temperature)
    assert torch.equal(mask.detach(), hard_mask(scores, alike(scores, k)))
    (mask * weights).sum().backward()
    (relaxed_mask(soft, alike(soft, k), temperature, window=64) * weights).sum().backward()
    torch.testing.assert_close(hard.grad, soft.grad)
    assert hard.grad.isfinite().all()


def test_the_gradient_reaches_every_gene():
    scores = noisy(40, scale=0.1).requires_grad_()
    (straight_through_mask(scores, alike(scores, 5), 5.0) * torch.arange(40)).sum().backward()
    assert (scores.grad != 0).all()


def test_replicas_do_not_see_each_other():
    scores = noisy(30, replicas=3)
    together = straight_through_mask(scores, alike(scores, 7), 0.5)
    alone = torch.cat([straight_through_mask(scores[i : i + 1], torch.tensor([7]), 0.5) for i in range(3)])
    torch.testing.assert_close(together, alone)


# --- the noise


def test_noise_is_the_same_for_the_same_seed_and_always_finite():
    assert torch.equal(noisy(1_000, seed=3), noisy(1_000, seed=3))
    assert not torch.equal(noisy(1_000, seed=3), noisy(1_000, seed=4))
    assert noisy(300_000).isfinite().all()


def test_noise_has_the_mean_and_spread_of_a_gumbel():
    drawn = noisy(200_000)
    assert drawn.mean().item() == pytest.approx(0.5772, abs=0.02)
    assert drawn.std().item() == pytest.approx(1.2825, abs=0.02)


def test_noisy_scores_draw_the_first_gene_by_its_plackett_luce_chance():
    scores = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    first = (scores + noisy(3, replicas=40_000)).argmax(-1)
    share = torch.bincount(first, minlength=3) / len(first)
    torch.testing.assert_close(share, torch.softmax(scores, 0).float(), rtol=0, atol=0.01)
