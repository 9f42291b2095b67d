import math

import anndata
import numpy as np
import pytest
import scanpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from tests.conftest import GENES, NOISE_GENES, make_toy
from yoto_core.config import GenesConfig
from yoto_core.data.checks import check_data
from yoto_core.data.preprocess import choose_candidates, expression_of, gene_values, log_normalise
from yoto_core.data.reading import from_anndata
from yoto_core.data.scales import COUNTS, PER_CELL, UNKNOWN, Scale, factors, logged, undo_log, unit_of
from yoto_core.errors import ConfigError
from yoto_core.prediction.cells import open_cells

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


BASES = [None, math.e, 2.0, 10.0]
STORED = {  # how the same cells may be stored, and how they are read then
    "counts": (lambda x: x, COUNTS),
    "proportions": (lambda x: x / x.sum(1, keepdims=True), Scale(None, 1.0)),
    "percent": (lambda x: x / x.sum(1, keepdims=True) * 100, Scale(None, 100.0)),
    "cpm": (lambda x: x / x.sum(1, keepdims=True) * 1e6, Scale(None, 1e6)),
    "log": (lambda x: np.log1p(x / x.sum(1, keepdims=True) * 1e4), Scale(math.e, 1e4)),
    "log2": (lambda x: np.log2(1 + x / x.sum(1, keepdims=True) * 1e4), Scale(2.0, 1e4)),
    "log10": (lambda x: np.log10(1 + x / x.sum(1, keepdims=True) * 1e4), Scale(10.0, 1e4)),
    "log of cpm": (lambda x: np.log1p(x / x.sum(1, keepdims=True) * 1e6), Scale(math.e, 1e6)),
    "log of counts": (np.log1p, Scale(math.e, "own")),
    "log2 of counts": (lambda x: np.log2(1 + x), Scale(2.0, "own")),
}


def stored(adata, how):
    """The same cells, stored in one of the ways of `STORED`."""
    make, _ = STORED[how]
    return anndata.AnnData(
        sparse.csr_matrix(make(adata.X.toarray().astype(float))).astype(np.float32), adata.obs, adata.var
    )


@pytest.mark.parametrize("how", STORED)
def test_however_the_cells_are_stored_the_model_reads_the_same(how, toy, tmp_path):
    expected = log_normalise(toy.X, COUNTS).toarray()
    adata = stored(toy, how)
    data = from_anndata(adata)
    assert data.scale == STORED[how][1]
    assert data.scale.unit == PER_CELL
    close = {"rtol": 2e-5, "atol": 1e-5}
    np.testing.assert_allclose(log_normalise(data.matrix, data.scale).toarray(), expected, **close)
    np.testing.assert_allclose(gene_values(data, GENES[3]), expected[:, 3], **close)
    for form in (sparse.csr_matrix, sparse.csc_matrix, sparse.csr_matrix.toarray):
        adata.X = form(sparse.csr_matrix(adata.X))
        adata.write_h5ad(tmp_path / "new.h5ad")
        with open_cells(tmp_path / "new.h5ad") as cells:
            blocks = np.concatenate([block for _, block in cells.blocks([3, -1, 0], rows=70)])
        np.testing.assert_allclose(blocks[:, [0, 2]], expected[:, [3, 0]], **close)
        assert not blocks[:, 1].any()


@pytest.mark.parametrize("base", [2.0, 10.0])
def test_of_an_unknown_total_only_the_base_is_converted(base):
    values = sparse.csr_matrix(np.array([[0.5, 0, 2.0]], dtype=np.float32))
    read = log_normalise(values, Scale(base)).toarray()
    np.testing.assert_allclose(read, values.toarray() * math.log(base), rtol=1e-6)
    assert Scale(base).unit == "log(1 + normalised expression)"


@given(
    values=arrays(np.float32, (4, 3), elements=st.floats(0, 8, width=32)),
    base=st.sampled_from(BASES),
    total=st.sampled_from([None, "own", 1.0, 1e4, 1e6]),
)
def test_conversion_keeps_zeros_precision_and_pattern(values, base, total):
    matrix = sparse.csr_matrix(values)
    read = log_normalise(matrix, Scale(base, total))
    assert read.dtype == np.float32
    assert np.isfinite(read.data).all()
    assert np.array_equal(read.indices, matrix.indices)
    assert (read.data >= 0).all()


@pytest.mark.parametrize(
    ("how", "level", "said"),
    [
        ("counts", None, ""),
        ("log", "note", "It is used as it is."),
        ("log2", "note", "It is brought to natural logarithms of 10,000 per cell."),
        ("percent", "note", "It is brought to 10,000 per cell and logged."),
    ],
)
def test_how_a_matrix_is_read_is_said_with_the_evidence(how, level, said, toy):
    data = from_anndata(stored(toy, how))
    found = [f for f in check_data(data) if f.message.startswith("X ")]
    assert [(f.level, f.hint) for f in found] == ([(level, said)] if level else [])
    for finding in found:
        assert data.verdicts[0].evidence in finding.message


def test_a_likely_kind_is_a_doubt_with_a_way_to_say_better(toy):
    toy.X = sparse.csr_matrix(toy.X.toarray() * np.random.default_rng(0).uniform(0.6, 1, toy.shape).astype(np.float32))
    data = from_anndata(toy)
    (found,) = [f for f in check_data(data) if f.message.startswith("X is read as counts (")]
    assert found.hint == "If that is wrong, choose on the Data page how to read it, or give raw counts."
    logs = from_anndata(toy, matrix="X as natural logarithms")
    assert (logs.chosen, logs.kind, logs.scale) == ("X", "log-normalised", Scale(math.e))
    assert (log_normalise(logs.matrix, logs.scale) != logs.matrix).nnz == 0


def test_the_unit_of_a_run_of_an_older_version_is_sure_for_counts_alone():
    for kind, unit in (("counts", PER_CELL), ("log-normalised", "log(1 + normalised expression)")):
        assert unit_of({"matrix": "X", "matrices": [{"name": "X", "kind": kind}]}) == unit
    assert unit_of({"matrix": "X", "matrices": [], "unit": "<b>[x](http://x)"}) == "log(1 + normalised expression)"


# --- the scale by itself


@pytest.mark.parametrize(
    ("scale", "as_read", "unit"),
    [
        (Scale(math.e), True, UNKNOWN),
        (Scale(math.e, 1e4), True, PER_CELL),
        (Scale(math.e, 1e6), False, PER_CELL),
        (Scale(math.e, "own"), False, PER_CELL),
        (Scale(2.0), False, UNKNOWN),
        (Scale(2.0, 1e4), False, PER_CELL),
        (Scale(None, 1e4), False, PER_CELL),
        (Scale(), False, UNKNOWN),
        (COUNTS, False, PER_CELL),
    ],
    ids=str,
)
def test_a_scale_says_whether_anything_is_left_to_do_and_in_what_unit_it_ends(scale, as_read, unit):
    assert (scale.as_read, scale.unit) == (as_read, unit)


@pytest.mark.parametrize(
    ("scale", "factor"),
    [(Scale(), 1.0), (Scale(None, 1e6), 0.01), (Scale(2.0, 1e4 / 1.5), 1.5), (Scale(math.e, 2_500.0), 4.0)],
)
def test_a_known_total_is_brought_to_ten_thousand(scale, factor):
    assert factors(np.empty(0), scale) == pytest.approx(factor)
    values = np.array([0.0, 1.0, 7.0])
    np.testing.assert_allclose(logged(values, factors(np.empty(0), scale), scale), np.log1p(factor * values))


def test_each_cell_of_counts_has_a_factor_of_its_own_and_an_empty_one_none():
    found = factors(np.array([20_000.0, 0.0, 0.5], dtype=np.float32), COUNTS)
    assert found.tolist() == [0.5, 0.0, 20_000.0]
    assert found.dtype == np.float32


@pytest.mark.parametrize("base", [2.0, 10.0, math.e])
def test_a_logarithm_is_undone_in_its_base_without_loss_for_small_values(base):
    small = np.array([1e-12, 0.5, 3.0])
    np.testing.assert_allclose(undo_log(small, base), np.expm1(small * math.log(base)), rtol=1e-14)
    assert undo_log(small.astype(np.float32), base).dtype == np.float32


def test_values_may_be_converted_in_their_own_place():
    values = np.array([1.0, 2.0])
    assert logged(values, 0.5, Scale(None, 2e4), out=values) is values
    np.testing.assert_allclose(values, np.log1p([0.5, 1.0]))


@pytest.mark.parametrize(
    ("summary", "unit"),
    [
        ({"unit": PER_CELL, "matrix": "X", "matrices": []}, PER_CELL),
        ({"unit": "<b>transcripts</b>"}, UNKNOWN),
        ({"matrix": "X", "matrices": [{"name": "X", "kind": "counts"}]}, PER_CELL),
        (
            {"matrix": "X", "matrices": [{"name": "X", "kind": "log-normalised"}, {"name": "raw.X", "kind": "counts"}]},
            UNKNOWN,
        ),
        ({"matrix": "X"}, UNKNOWN),
        ({}, UNKNOWN),
    ],
    ids=str,
)
def test_the_unit_of_a_saved_run_is_one_of_two_whatever_its_file_says(summary, unit):
    assert unit_of(summary) == unit


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
    with pytest.raises(
        ConfigError,
        match=(
            r"^No candidate gene is left: none is detected in 40 % of the training cells \(at least 3\) and not excluded\."
            r" Lower that percentage or exclude fewer genes\.$"
        ),
    ):
        symbols(data, min_cells_percent=40)


def test_excluding_every_gene_is_refused(toy_data):
    with pytest.raises(
        ConfigError, match=r"No candidate gene is left: .* Lower that percentage or exclude fewer genes\."
    ):
        symbols(toy_data, exclude=GENES)
