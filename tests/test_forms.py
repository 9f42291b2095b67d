"""The forms in which a model reads expression, against the same computed by hand."""

import numpy as np
import pytest
import torch
from scipy import sparse

from yoto_core.model import forms
from yoto_core.model.forms import as_read, level_of, mean_and_spread, pair_as_read

COUNTS = np.array([[3.0, 1, 0, 6], [0, 0, 0, 5], [2, 2, 4, 0], [0, 0, 0, 0], [8, 0, 1, 1]], dtype=np.float32)
LOGGED = np.log1p(COUNTS)
LEVEL = COUNTS.mean(0)


def over_the_panel(counts, level, panel):
    """By hand: the panel's total in each cell brought to its mean among training cells."""
    total = counts[:, panel].sum(1, keepdims=True)
    factor = np.divide(level[panel].sum(), total, out=np.zeros_like(total), where=total > 0)
    return np.log1p(counts * factor)


def test_the_level_is_the_mean_before_the_logarithm():
    for columns in (LOGGED, sparse.csr_matrix(LOGGED)):
        found = level_of(columns)
        assert (found.shape, found.dtype) == ((4,), np.float32)
        np.testing.assert_allclose(found, LEVEL, rtol=1e-5)


def test_over_all_genes_values_stay_and_binary_ones_say_only_what_was_seen():
    x, level, mask = torch.from_numpy(LOGGED), torch.from_numpy(LEVEL), torch.ones(1, 4)
    assert as_read(x, "all genes", level, mask) is x
    binary = as_read(x, "binary", level, mask)
    assert binary.dtype == x.dtype
    assert binary.tolist() == (COUNTS > 0).astype(float).tolist()


def test_each_mask_is_a_panel_with_a_total_of_its_own():
    masks = torch.tensor([[1.0, 1, 1, 1], [1, 0, 0, 1]])
    found = as_read(torch.from_numpy(LOGGED), "panel", torch.from_numpy(LEVEL), masks).numpy()
    assert found.shape == (2, 5, 4)
    np.testing.assert_allclose(found[0], over_the_panel(COUNTS, LEVEL, [0, 1, 2, 3]), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        found[1][:, [0, 3]], over_the_panel(COUNTS, LEVEL, [0, 3])[:, [0, 3]], rtol=1e-4, atol=1e-6
    )


def test_a_cell_without_any_panel_gene_and_values_beyond_all_bounds_stay_finite():
    x = torch.tensor([[0.0, 0.0], [300.0, 1.0], [60.0, 0.0]])
    found = as_read(x, "panel", torch.tensor([1.0, 1.0]), torch.ones(1, 2))
    assert torch.isfinite(found).all()
    assert found[0, 0].tolist() == [0, 0]
    assert found[0, 2].tolist() == pytest.approx([np.log1p(2.0), 0])


@pytest.mark.parametrize("normalize", ["all genes", "panel", "binary"])
@pytest.mark.parametrize("rows", [2, 8_192])
def test_mean_and_spread_are_those_of_the_form_whatever_the_size_of_a_block(normalize, rows, monkeypatch):
    monkeypatch.setattr(forms, "ROWS", rows)
    panel = torch.tensor([1.0, 0, 1, 1])
    level = torch.from_numpy(LEVEL)
    mean, spread = mean_and_spread(sparse.csr_matrix(LOGGED), normalize, level, panel)
    whole = as_read(torch.from_numpy(LOGGED), normalize, level, panel[None]).reshape(5, 4).numpy()
    np.testing.assert_allclose(mean, whole.mean(0), rtol=1e-5)
    np.testing.assert_allclose(spread, whole.std(0), rtol=1e-4)


def test_a_gene_that_never_varies_has_no_spread_and_not_the_root_of_less_than_nought():
    constant = sparse.csr_matrix(np.full((7, 1), 0.1, dtype=np.float32))
    _, spread = mean_and_spread(constant, "all genes", torch.ones(1), torch.ones(1))
    assert spread[0] == pytest.approx(0, abs=1e-3)


def test_held_out_cells_are_brought_to_the_level_of_training_cells():
    learn, judge = pair_as_read(LOGGED[:3], LOGGED[3:], "panel")
    level = COUNTS[:3].mean(0)
    np.testing.assert_allclose(learn, over_the_panel(COUNTS[:3], level, [0, 1, 2, 3]), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(judge, over_the_panel(COUNTS[3:], level, [0, 1, 2, 3]), rtol=1e-4, atol=1e-6)
