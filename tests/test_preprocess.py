import math

import anndata
import numpy as np
import pytest
import scanpy
from scipy import sparse

from tests.conftest import GENES, NOISE_GENES, make_toy
from yoto_core.config import GenesConfig
from yoto_core.data.preprocess import choose_candidates, expression_of, log_normalise
from yoto_core.data.reading import from_anndata
from yoto_core.data.scales import COUNTS, Scale
from yoto_core.errors import ConfigError

ALL = np.arange(300)


def symbols(data, *, cells=ALL, **settings):
    return choose_candidates(data, cells, GenesConfig(**settings)).symbols


# --- log-normalised values


@pytest.mark.parametrize("extra", [0, 1e4], ids=["small", "large"])
def test_counts_are_normalised_and_logged_as_scanpy_does(extra, toy):
    toy.X.data += extra
    ours = log_normalise(toy.X, COUNTS)
    scanpy.pp.normalize_total(toy, target_sum=10_000)
    scanpy.pp.log1p(toy)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours.toarray(), toy.X.toarray(), rtol=1e-5)


def test_logged_values_stay_as_they_are(toy):
    assert (log_normalise(toy.X.log1p(), Scale(math.e)) != toy.X.log1p()).nnz == 0


def test_values_of_an_unknown_total_are_only_logged(toy):
    assert (log_normalise(toy.X, Scale()) != toy.X.log1p()).nnz == 0


@pytest.mark.parametrize(
    "scale", [COUNTS, Scale(), Scale(total=1.0), Scale(math.e), Scale(2.0, "own"), Scale(2.0, 1e6)], ids=str
)
def test_normalising_leaves_its_argument_alone(scale, toy):
    before = toy.X.copy()
    log_normalise(toy.X, scale)
    assert (before != toy.X).nnz == 0


def test_a_cell_without_counts_stays_empty():
    matrix = sparse.csr_matrix(np.array([[0, 0], [1, 3]], dtype=np.float32))
    assert log_normalise(matrix, COUNTS).toarray()[0].tolist() == [0, 0]


def test_the_values_of_a_cell_depend_on_that_cell_alone(toy_data):
    whole = log_normalise(toy_data.matrix, COUNTS)
    assert (log_normalise(toy_data.matrix[:7], COUNTS) != whole[:7]).nnz == 0


# --- candidates


def test_all_detected_genes_are_candidates_in_the_order_of_the_data(toy_data):
    made = choose_candidates(toy_data, ALL, GenesConfig())
    assert made.symbols == GENES
    assert made.n_genes == len(GENES)
    assert made.ids == toy_data.genes.ids
    assert made.genes.tolist() == list(range(len(GENES)))
    assert made.included == ()


def rare_genes(detected):
    """A toy whose first noise genes are seen in so many of the first cells, and in all of the last hundred."""
    toy = make_toy()
    dense = toy.X.toarray()
    for gene, cells in zip(NOISE_GENES, detected, strict=False):
        dense[:200, GENES.index(gene)] = np.arange(200) < cells
        dense[200:, GENES.index(gene)] = 1
    return from_anndata(anndata.AnnData(sparse.csr_matrix(dense), obs=toy.obs, var=toy.var))


@pytest.mark.parametrize(
    ("percent", "left"), [(0, (3, 9, 10, 11)), (1, (3, 9, 10, 11)), (5, (10, 11)), (5.5, (11,)), (6, ())]
)
def test_genes_are_judged_by_training_cells_alone(percent, left):
    detected = (0, 1, 2, 3, 9, 10, 11)
    kept = symbols(rare_genes(detected), cells=np.arange(200), min_cells_percent=percent)
    seen = dict(zip(NOISE_GENES, detected, strict=False))
    assert {seen[gene] for gene in kept if gene in seen} == set(left)


def test_held_out_cells_change_nothing_of_what_is_offered(toy_data, toy):
    toy.X = toy.X.toarray()
    toy.X[200:] = toy.X[200:][:, ::-1] * 3
    changed = from_anndata(toy)
    other = choose_candidates(changed, ALL[:200], GenesConfig(min_cells_percent=50))
    made = choose_candidates(toy_data, ALL[:200], GenesConfig(min_cells_percent=50))
    assert 0 < made.n_genes < len(GENES)
    assert made.symbols == other.symbols
    assert (expression_of(toy_data, made)[:200] != expression_of(changed, other)[:200]).nnz == 0


def test_the_expression_of_candidates_is_theirs_normalised_by_all_genes(toy_data):
    made = choose_candidates(toy_data, ALL, GenesConfig(exclude=GENES[:5]))
    expression = expression_of(toy_data, made)
    assert expression.shape == (300, made.n_genes)
    assert (expression != log_normalise(toy_data.matrix, COUNTS)[:, 5:]).nnz == 0


def test_included_genes_are_candidates_even_where_nothing_detects_them():
    data = rare_genes((0, 1))
    made = choose_candidates(data, np.arange(200), GenesConfig(include=("NOISE1", "noise0", "ENSG00000000000")))
    assert [made.symbols[i] for i in made.included] == ["NOISE1", "NOISE0", "B1"]


def test_a_gene_included_under_two_names_counts_once(toy_data):
    made = choose_candidates(toy_data, ALL, GenesConfig(include=("B1", "ENSG00000000000", "b1")))
    assert made.included == (0,)


@pytest.mark.parametrize("excluded", [("B2",), ("b2",), ("ENSG00000000001.4",)])
def test_excluded_genes_are_no_candidates(excluded, toy_data):
    assert symbols(toy_data, exclude=excluded) == tuple(gene for gene in GENES if gene != "B2")


@pytest.mark.parametrize(
    ("families", "gone"),
    [(("mito",), {"MT-CO1", "MT-ND1"}), (("ribo", "malat"), {"RPL3", "RPS6", "MALAT1"}), (("haemoglobin",), set())],
)
def test_families_can_be_left_out_whole(families, gone, toy_data):
    assert set(GENES) - set(symbols(toy_data, exclude_families=families)) == gone


def test_a_gene_asked_for_by_name_stays_though_its_family_goes(toy_data):
    kept = symbols(toy_data, exclude_families=("mito",), include=("MT-CO1",))
    assert "MT-CO1" in kept
    assert "MT-ND1" not in kept


@pytest.mark.parametrize(("verb", "field"), [("included", "include"), ("excluded", "exclude")])
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("MALAT2",), r"Gene MALAT2, to be {}, is not in the data\. Did you mean MALAT1"),
        (
            ("QQQQQQQ",),
            r"Gene QQQQQQQ, to be {}, is not in the data\. Check the spelling, or remove it from the list\.",
        ),
        (("QQQQQQQ", "B1", "XXXXXXX"), r"Gene QQQQQQQ, to be {}, is not in the data \(and 1 more\)\. Check"),
    ],
    ids=["near", "far", "two"],
)
def test_a_listed_gene_that_is_not_there_is_named_with_its_neighbours(verb, field, names, message, toy_data):
    with pytest.raises(ConfigError, match=message.format(verb)):
        symbols(toy_data, **{field: names})


def test_a_gene_on_both_lists_under_two_names_is_refused(toy_data):
    with pytest.raises(ConfigError, match=r"^B2 is both included and excluded\. Remove it from one of the two lists\."):
        symbols(toy_data, include=("B2",), exclude=("ENSG00000000001",))


def test_an_unknown_family_is_refused_with_the_known_ones(toy_data):
    with pytest.raises(
        ConfigError, match=r"There is no gene family “mitoo”\. Families are mito, ribo, haemoglobin, malat, "
    ):
        symbols(toy_data, exclude_families=("mito", "mitoo"))


def test_too_strict_a_limit_is_refused_with_its_value(toy):
    toy.X = toy.X.toarray()
    toy.X[:] = np.arange(300)[:, None] % 3 == 0
    data = from_anndata(toy)
    with pytest.raises(ConfigError, match=r"No candidate gene is left: none is detected in 40 % of the training cells"):
        symbols(data, min_cells_percent=40)


def test_excluding_every_gene_is_refused(toy_data):
    with pytest.raises(
        ConfigError, match=r"No candidate gene is left: .* Lower that percentage or exclude fewer genes\."
    ):
        symbols(toy_data, exclude=GENES)
