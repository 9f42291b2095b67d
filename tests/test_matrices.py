import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from tests.conftest import make_cells
from yoto_core.data import matrices
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


# --- what is said of the likeliest, word for word, and the limits of each trace


@pytest.mark.parametrize(
    ("matrix", "evidence"),
    [
        (
            scaled_to(COUNTED, 2_431)[:, FEW],
            "15,068 sampled values from 0.6322 to 353.9: the values of a cell are whole multiples of one number, and to what total"
            " they were scaled is not known: normalised, not logged",
        ),
        (
            np.log1p(scaled_to(COUNTED, 1e4))[:, FEW],
            "15,068 sampled values from 1.281 to 7.284: after e^x - 1 the values of a cell are whole multiples of one number, and"
            " they fit counts scaled to 10,000: logged in base e",
        ),
        (
            np.log1p(np.log1p(scaled_to(COUNTED, 1e4))),
            "41,194 sampled values from 0.7325 to 2.114: the values are those of normalised cells only after e^x - 1 and then"
            " e^x - 1",
        ),
        (
            corrected(COUNTED)[:, FEW],
            "15,007 sampled values from 0.004557 to 439: fractions too large for logarithms, row sums vary: taken as counts after"
            " a correction, as for ambient RNA",
        ),
        (
            np.log1p(scaled_to(corrected(COUNTED), 1e4))[:, FEW],
            "15,007 sampled values from 0.0547 to 7.329: fractions up to 7.3, row sums vary: taken as natural logarithms of"
            " normalised counts",
        ),
        (
            scaled_to(corrected(COUNTED), 1)[:, FEW],
            "15,007 sampled values from 5.623e-06 to 0.1523: fractions that sum to no more than 1 in any cell: taken as"
            " proportions, not logged",
        ),
    ],
    ids=["multiples", "logged multiples", "twice", "corrected", "logged", "proportions"],
)
def test_the_evidence_is_said_word_for_word(matrix, evidence):
    assert told(matrix).evidence == evidence


def depths(cells, *, falling, high=5.0, totals=1.0):
    """Fractions of cells that show 10 to 29 genes, each cell's values all about alike, lower or higher the more it shows."""
    seen = 10 + np.arange(cells) % 20
    height = np.linspace(1, high, 20)[:: -1 if falling else 1][np.arange(cells) % 20] * totals
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.uniform(0.9, 1.1, n) * h for n, h in zip(seen, height, strict=True)])
    return Sample(values + 0.123, seen)


def test_fractions_that_are_too_large_for_logarithms_are_told_by_the_depth_of_their_cells():
    fallen, risen = classify("X", depths(60, falling=True, high=40)), classify("X", depths(60, falling=False, high=40))
    assert (fallen.kind, fallen.scale, fallen.sure) == ("normalised", Scale(), False)
    assert fallen.evidence.endswith(
        ": fractions too large for logarithms, and cells that show more genes have lower values: taken as normalised, not logged"
    )
    assert (risen.kind, risen.scale, risen.sure) == ("counts", COUNTS, False)
    assert "fractions too large for logarithms, row sums vary: taken as counts after a correction" in risen.evidence


def test_small_fractions_of_which_rich_cells_have_more_are_counts_and_others_logs():
    fallen, risen = classify("X", depths(60, falling=True, high=2)), classify("X", depths(60, falling=False, high=2))
    assert (fallen.kind, fallen.scale) == ("log-normalised", Scale(E))
    assert (risen.kind, risen.scale, risen.sure) == ("counts", COUNTS, False)
    assert risen.evidence.endswith(
        ": fractions, and cells that show more genes have higher values: taken as counts after a correction, as for ambient RNA"
    )


def test_cells_whose_totals_would_fall_far_apart_were_not_logged():
    found = classify("X", depths(60, falling=False, high=9))
    assert found.kind == "counts"
    assert ": fractions whose cells differ too much for logarithms, row sums vary: taken as counts" in found.evidence


@pytest.mark.parametrize(("high", "kind"), [(19.9, "log-normalised"), (20.0, "counts")])
def test_nothing_above_twenty_was_logged(high, kind):
    assert classify("X", of_values([0.5, high])).kind == kind


@pytest.mark.parametrize(
    ("values", "whole"),
    [
        ([1, 2, 7], True),
        ([0.0, 3.0], True),
        ([1.009, 2, 7], True),
        ([1.011, 2, 7], False),
        ([0.4, 1, 2], False),  # which would round to nought
        ([1, 2, 2_500.4], True),  # single precision of a logarithm cannot tell whether that is whole
        ([1, 1_999.4], False),
        ([1, 2_500.4], True),
        ([1, 2_500.4, 3_000.4], False),  # half of the values have to be told
    ],
    ids=str,
)
def test_values_are_whole_within_a_hundredth_where_that_can_be_told(values, whole):
    assert matrices._whole(np.array(values, dtype=float)) is whole


def of_totals(*totals):
    """Cells of two values that sum to these."""
    return Sample(
        np.array([part for total in totals for part in (0.25 * total, 0.75 * total)]), np.full(len(totals), 2)
    )


def test_one_total_is_the_middle_one_with_the_width_of_nine_tenths():
    sample = of_totals(90.0, 100.4, 110.0)
    total, width = matrices._one_total(sample, sample.values)
    assert total == 100  # within a hundredth of a power of ten
    assert width == pytest.approx((109.04 - 91.04) / 100.4)
    assert matrices._one_total(of_totals(102.0, 102.0, 102.0), of_totals(102.0, 102.0, 102.0).values) == (102, 0)
    two = of_totals(5.0, 5.0)
    assert matrices._one_total(two, two.values)[1] == math.inf


@pytest.mark.parametrize(("spread", "one"), [(0.0215, True), (0.0230, False)])
def test_totals_within_two_hundredths_are_one_total(spread, one):
    sample = of_totals(*np.linspace(1 - spread / 2, 1 + spread / 2, 101) * 5_000.5)
    assert ("sum to about" in classify("X", sample).evidence) is one


def multiples_of(unit, *groups):
    """One cell: its smallest value, and so many of others as multiples of it."""
    values = np.concatenate([[1.0], *(np.full(number, by) for by, number in groups)]) * unit
    return matrices._multiples(Sample(values, np.array([0, len(values)])), values)


def test_the_share_of_whole_multiples_is_over_those_clearly_above_the_smallest():
    assert multiples_of(0.37, (2.0, 40), (2.5, 20)) == pytest.approx(2 / 3)
    assert multiples_of(0.37, (2.0, 50), (1.4, 50), (30.5, 50)) == 1
    assert multiples_of(0.37, (2.0005, 25), (2.003, 25)) == 0.5  # whole within a thousandth of the value
    assert multiples_of(0.37, (2.0, 49)) == 0  # too few to tell
    assert matrices._multiples(of_values([1.0] * 60), np.ones(60)) == 0


def test_the_total_behind_multiples_is_the_power_of_ten_that_makes_counts_of_whole_cells():
    depth = 2_013 + 17 * np.arange(40)
    for total in (1e4, 1e5, 1e6):
        sample = Sample(total / depth, np.ones(40, dtype=int))
        assert matrices._total_behind(sample, sample.values) == total
    few = Sample(1e4 / depth[:19], np.ones(19, dtype=int))
    assert matrices._total_behind(few, few.values) is None
    assert matrices._total_behind(Sample(2_431 / depth, np.ones(40, dtype=int)), 2_431 / depth) is None


def test_a_total_that_makes_counts_of_fewer_than_half_of_the_cells_is_none():
    depth = 2_013 + 17 * np.arange(40)
    for told, total in ((25, None), (31, 1e4)):
        unit = np.concatenate([1e4 / depth[:told], np.full(60 - told, 1e7)])
        assert matrices._total_behind(Sample(unit, np.ones(60, dtype=int)), unit) == total


@pytest.mark.parametrize(("cells", "said"), [(1, "no whole cells were compared"), (2, "row sums vary")])
def test_row_sums_vary_from_two_cells_on(cells, said):
    found = classify("X", Sample(np.array([0.5, 1.2, 0.7, 2.3])[: 2 * cells], np.full(cells, 2)))
    assert found.evidence.endswith(f", {said}: taken as natural logarithms of normalised counts")


def test_twenty_cells_are_enough_to_compare_their_totals_and_depths_and_nineteen_are_not():
    totals = np.linspace(1, 10, 20)
    assert matrices._spread(of_totals(*totals), of_totals(*totals).values) == pytest.approx(math.log(9.55 / 1.45))
    assert math.isnan(matrices._spread(of_totals(*totals[:19]), of_totals(*totals[:19]).values))
    assert matrices._depth(depths(20, falling=True)) == pytest.approx(-1)
    assert matrices._depth(depths(20, falling=False)) == pytest.approx(1)
    assert math.isnan(matrices._depth(depths(19, falling=True)))


@pytest.mark.parametrize(("more", "tellable"), [(115, True), (114, False)])
def test_depth_tells_something_where_some_cells_show_a_seventh_more_genes(more, tellable):
    seen = np.repeat([100, more], 15)
    height = np.repeat([1.0, 2.0], 15)
    found = matrices._depth(Sample(np.repeat(height, seen), seen))
    assert found == pytest.approx(1) if tellable else math.isnan(found)


def test_cells_whose_values_are_all_alike_have_no_depth():
    seen = 10 + np.arange(40) % 20
    assert math.isnan(matrices._depth(Sample(np.ones(seen.sum()), seen)))


def test_totals_are_written_whole_from_a_hundred_on():
    assert [matrices._number(total) for total in (1e6, 2_431.4, 100, 99.96, 1, 0.01)] == [
        "1,000,000", "2,431", "100", "99.96", "1", "0.01",
    ]  # fmt: skip


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
