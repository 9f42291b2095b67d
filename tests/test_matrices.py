import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from tests.conftest import make_cells
from yoto_core.data.matrices import READINGS, Verdict, choose, classify, parse_choice, read_as
from yoto_core.data.scales import COUNTS, Scale
from yoto_core.data.whole_cells import Sample, sample_cells
from yoto_core.errors import DataError

E = math.e
NO_CELLS = np.empty(0, dtype=int)


def of_values(values):
    """A sample of values whose cells are not known."""
    return Sample(np.asarray(values, dtype=np.float64), NO_CELLS)


def told(matrix):
    return classify("X", sample_cells(sparse.csr_matrix(matrix, dtype=np.float32)))


def scaled_to(counts, total):
    return counts / counts.sum(1, keepdims=True) * total


def corrected(counts, seed=1):
    """Counts less a share of the soup, as an ambient correction leaves them."""
    soup = 0.1 * counts.sum(1, keepdims=True) * counts.sum(0) / counts.sum()
    return np.maximum(counts - soup * np.random.default_rng(seed).uniform(0.5, 1, counts.shape), 0)


COUNTED = make_cells(cells=260, genes=240, seed=3)
FEW = np.argsort(-COUNTED.var(0))[:60]  # genes as a choice of variable ones leaves them


@pytest.mark.parametrize(
    ("values", "kind", "evidence"),
    [
        ([1, 2, 1, 7], "counts", "4 sampled values from 1 to 7: all whole numbers"),
        (
            np.ones(5),
            "binary",
            "5 sampled values from 1 to 1: all 1, which says whether a gene was seen and not how much",
        ),
        ([-0.5, 1.0], "scaled", "2 sampled values from -0.5 to 1: negative values, so the genes were centred"),
        ([-1.0, 1.0], "scaled", "negative values"),
        ([], "unreadable", "every sampled value is zero"),
        ([1.0, np.nan], "unreadable", "50.0% of sampled values are NaN or infinite"),
        ([1.0, 2.0, 3.0, np.inf], "unreadable", "25.0% of sampled values are NaN or infinite"),
    ],
)
def test_values_alone_tell_what_is_no_expression_and_the_evidence_is_stated(values, kind, evidence):
    verdict = classify("X", of_values(values))
    assert (verdict.name, verdict.kind) == ("X", kind)
    assert evidence in verdict.evidence
    assert verdict.usable == (kind in ("counts", "binary"))


@pytest.mark.parametrize(
    ("matrix", "kind", "scale", "evidence"),
    [
        (COUNTED, "counts", COUNTS, "all whole numbers"),
        (scaled_to(COUNTED, 1), "normalised", Scale(None, 1.0), "the values of every cell sum to about 1: normalised, not"),
        (scaled_to(COUNTED, 100), "normalised", Scale(None, 100.0), "sum to about 100: normalised, not logged"),
        (scaled_to(COUNTED, 1e6), "normalised", Scale(None, 1e6), "sum to about 1,000,000: normalised, not logged"),
        (
            np.log1p(scaled_to(COUNTED, 1e4)), "log-normalised", Scale(E, 1e4),
            "row sums after e^x - 1 are all close to 10,000: logged in base e",
        ),
        (
            np.log2(1 + scaled_to(COUNTED, 1e4)), "log-normalised", Scale(2.0, 1e4),
            "row sums after 2^x - 1 are all close to 10,000: logged in base 2",
        ),
        (
            np.log10(1 + scaled_to(COUNTED, 1e4)), "log-normalised", Scale(10.0, 1e4),
            "row sums after 10^x - 1 are all close to 10,000: logged in base 10",
        ),
        (np.log1p(scaled_to(COUNTED, 1e6)), "log-normalised", Scale(E, 1e6), "all close to 1,000,000"),
        (np.log1p(scaled_to(COUNTED, 2_431)), "log-normalised", Scale(E, pytest.approx(2_431)), "close to 2,431"),
        (
            np.log1p(COUNTED), "log-normalised", Scale(E, "own"),
            "all whole numbers after e^x - 1: counts logged in base e and never normalised",
        ),
        (np.log2(1 + COUNTED), "log-normalised", Scale(2.0, "own"), "counts logged in base 2 and never normalised"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_totals_of_cells_and_whole_numbers_tell_the_kind_and_the_base(matrix, kind, scale, evidence):
    verdict = told(matrix)
    assert (verdict.kind, verdict.scale, verdict.sure) == (kind, scale, True)
    assert evidence in verdict.evidence


@pytest.mark.parametrize("total", [1e4, 1e6, 2_431.0])
@pytest.mark.parametrize("base", [None, E, 2.0, 10.0])
def test_whole_multiples_tell_the_base_and_often_the_total_of_a_few_chosen_genes(base, total):
    values = scaled_to(COUNTED, total)[:, FEW]
    verdict = told(values if base is None else np.log1p(values) / math.log(base))
    assert verdict.kind == ("normalised" if base is None else "log-normalised")
    assert verdict.scale == Scale(base, None if total == 2_431 else total)
    assert "are whole multiples of one number" in verdict.evidence
    assert verdict.sure


def test_genes_dropped_after_scaling_leave_the_total_known():
    values = np.log1p(scaled_to(COUNTED, 1e4))
    rare = np.argsort(COUNTED.sum(0))[:20]
    verdict = told(np.delete(values, rare, axis=1))
    assert verdict.scale == Scale(E, 1e4)


@pytest.mark.parametrize("genes", [slice(None), FEW], ids=["all genes", "few genes"])
def test_corrected_counts_are_counts(genes):
    verdict = told(corrected(COUNTED)[:, genes])
    assert (verdict.kind, verdict.scale, verdict.sure) == ("counts", COUNTS, False)
    assert "taken as counts after a correction, as for ambient RNA" in verdict.evidence


def test_logs_that_carry_no_trace_are_taken_as_natural_and_that_is_said():
    verdict = told(np.log1p(scaled_to(corrected(COUNTED), 1e4))[:, FEW])
    assert (verdict.kind, verdict.scale, verdict.sure) == ("log-normalised", Scale(E), False)
    assert "row sums vary: taken as natural logarithms of normalised counts" in verdict.evidence


@pytest.mark.parametrize(("high", "kind"), [(6.2, "log-normalised"), (1_234.5, "counts")])
def test_without_whole_cells_the_range_decides_and_that_is_said(high, kind):
    verdict = classify("X", of_values([0.5, high]))
    assert (verdict.kind, verdict.sure) == (kind, False)
    assert ", no whole cells were compared: taken as" in verdict.evidence


def test_proportions_of_a_few_genes_are_taken_as_proportions():
    verdict = told(scaled_to(corrected(COUNTED), 1)[:, FEW])
    assert (verdict.kind, verdict.scale, verdict.sure) == ("normalised", Scale(None, 1.0), False)


@pytest.mark.parametrize("genes", [slice(None), FEW], ids=["all genes", "few genes"])
@pytest.mark.parametrize("again", [np.log1p, lambda x: np.log2(1 + x)], ids=["e", "2"])
def test_a_logarithm_taken_twice_is_refused_with_the_evidence(again, genes):
    verdict = told(again(np.log1p(scaled_to(COUNTED, 1e4)))[:, genes])
    assert verdict.kind == "logged twice"
    assert "those of normalised cells only after" in verdict.evidence
    with pytest.raises(DataError, match=r"X is logged twice: .* Choose a matrix of counts or logs"):
        choose((verdict,), "X")


@given(
    seed=st.integers(0, 50),
    base=st.sampled_from([E, 2.0, 10.0]),
    total=st.sampled_from([1e3, 1e4, 1e5, 1e6]),
    share=st.sampled_from([0.25, 0.5, 1.0]),
)
def test_no_logged_data_are_refused_or_taken_for_counts(seed, base, total, share):
    counts = make_cells(cells=120, genes=120, seed=seed)
    genes = np.random.default_rng(seed).permutation(120)[: int(120 * share)]
    verdict = told((np.log1p(scaled_to(counts, total)) / math.log(base))[:, genes])
    assert (verdict.kind, verdict.scale.base) == ("log-normalised", base)


@given(seed=st.integers(0, 50), share=st.sampled_from([0.5, 1.0]))
def test_no_corrected_counts_are_taken_for_logs(seed, share):
    counts = corrected(make_cells(cells=120, genes=120, seed=seed), seed)
    genes = np.random.default_rng(seed).permutation(120)[: int(120 * share)]
    assert told(counts[:, genes]).kind == "counts"


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=30), st.booleans())
def test_any_values_get_exactly_one_verdict(values, whole):
    array = np.array(values, dtype=np.float64)
    array = array[array != 0]
    lengths = np.array([len(array) // 2, 0, len(array) - len(array) // 2]) if whole else NO_CELLS
    verdict = classify("X", Sample(array, lengths))
    assert verdict.evidence
    if np.isfinite(array).all() and (array < 0).any():
        assert verdict.kind == "scaled"


# --- choosing among several


def verdicts(**kinds):
    return tuple(Verdict(name.replace("__", "/").replace("_", "."), kind, "seen") for name, kind in kinds.items())


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        ({"layers__counts": "counts", "raw_X": "log-normalised", "X": "scaled"}, "layers/counts"),
        ({"raw_X": "log-normalised", "X": "counts"}, "X"),
        ({"raw_X": "log-normalised", "X": "log-normalised"}, "raw.X"),
        ({"raw_X": "log-normalised", "X": "scaled"}, "raw.X"),
        ({"layers__counts": "unreadable", "X": "normalised"}, "X"),
        ({"raw_X": "normalised", "X": "log-normalised"}, "X"),
        # Whole numbers in another layer are no reason to leave X: think of spliced counts, or of a binary layer.
        ({"X": "log-normalised", "layers__ambiguous": "counts"}, "X"),
        ({"X": "scaled", "layers__ambiguous": "log-normalised", "layers__umi": "counts"}, "layers/umi"),
    ],
    ids=str,
)
def test_auto_takes_the_first_usual_matrix_of_the_best_kind(found, chosen):
    assert choose(verdicts(**found), "auto").name == chosen


def test_the_user_may_name_another_matrix():
    assert choose(verdicts(raw_X="counts", layers__umi="normalised"), "layers/umi").name == "layers/umi"


def test_a_matrix_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(DataError, match=r"The file has no matrix “layers/umi”\. It has raw\.X, X\."):
        choose(verdicts(raw_X="counts", X="scaled"), "layers/umi")


@pytest.mark.parametrize("kind", ["scaled", "unreadable", "logged twice"])
def test_a_named_matrix_that_cannot_be_used_is_refused_with_the_evidence(kind):
    with pytest.raises(DataError, match=rf"X is {kind}: seen\. Choose a matrix of counts or logs\."):
        choose(verdicts(raw_X="counts", X=kind), "X")


def test_a_file_without_a_usable_matrix_is_refused_with_the_evidence_for_each():
    with pytest.raises(
        DataError, match=r"No usable expression matrix \(raw\.X: seen; X: seen\)\. Save raw counts in X"
    ):
        choose(verdicts(raw_X="unreadable", X="scaled"), "auto")


def test_of_two_of_one_kind_the_one_with_more_genes_is_taken():
    few, many = Verdict("raw.X", "log-normalised", "seen", genes=30), Verdict("X", "log-normalised", "seen", genes=60)
    assert choose((few, many), "auto") == many
    assert choose((Verdict("raw.X", "counts", "seen", genes=30), many), "auto").name == "raw.X"


def test_ones_are_no_counts_and_taken_last():
    assert choose(verdicts(layers__binary="binary", X="scaled", layers__umi="counts"), "auto").name == ("layers/umi")
    assert choose(verdicts(X="binary"), "auto").name == "X"


# --- read as the user says


@pytest.mark.parametrize("reading", READINGS)
def test_a_matrix_is_read_as_the_user_says(reading):
    found = choose(verdicts(X="log-normalised", layers__a="counts"), f"layers/a as {reading}")
    kind, scale = READINGS[reading]
    assert (found.name, found.kind, found.scale, found.sure) == ("layers/a", kind, scale, True)
    assert found.evidence == f"read as {reading}, as asked; seen"


def test_what_is_known_of_totals_stays_known_where_the_user_agrees():
    found = Verdict("X", "log-normalised", "seen", Scale(2.0, 1e4))
    assert read_as(found, "logarithms in base 2").scale == Scale(2.0, 1e4)
    assert read_as(found, "natural logarithms").scale == Scale(E)


def test_a_matrix_named_like_a_reading_is_itself():
    names = ("X", "layers/x as counts")
    assert parse_choice("layers/x as counts", names) == ("layers/x as counts", "")
    assert parse_choice("X as counts", names) == ("X", "counts")
    assert parse_choice("auto as counts", names) == ("auto", "counts")
    assert parse_choice("X as nonsense", names) == ("X as nonsense", "")


@pytest.mark.parametrize("kind", ["scaled", "unreadable"])
def test_negative_values_are_not_read_as_counts_even_when_asked(kind):
    with pytest.raises(DataError, match=f"X is {kind}: seen"):
        choose(verdicts(X=kind), "X as counts")
