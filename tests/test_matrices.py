import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from yoto_core.data.matrices import SAMPLE_BLOCKS, SAMPLE_VALUES, Verdict, choose, classify, sample_values
from yoto_core.errors import DataError

COUNTS = np.array([1, 2, 1, 7, 0.0])


@pytest.mark.parametrize(
    ("values", "kind", "evidence"),
    [
        (COUNTS[COUNTS > 0], "counts", "4 sampled values from 1 to 7: all whole numbers"),
        (np.ones(5), "counts", "5 sampled values from 1 to 1: all whole numbers"),
        (np.log1p(COUNTS[:4]), "log-normalised", "4 sampled values from 0.6931 to 2.079: fractions below 20"),
        (
            np.array([0.5, 1234.5]),
            "normalised",
            "2 sampled values from 0.5 to 1234: fractions too large for logarithms",
        ),
        (
            np.array([-0.5, 1.0]),
            "scaled",
            "2 sampled values from -0.5 to 1: negative values, so the genes were centred",
        ),
        (np.array([-1.0, 1.0]), "scaled", "negative values"),
        (np.array([]), "unreadable", "every sampled value is zero"),
        (np.array([1.0, np.nan]), "unreadable", "50.0% of sampled values are NaN or infinite"),
        (np.array([1.0, 2.0, 3.0, np.inf]), "unreadable", "25.0% of sampled values are NaN or infinite"),
    ],
)
def test_a_matrix_is_judged_by_its_values_and_the_evidence_is_stated(values, kind, evidence):
    verdict = classify("X", values)
    assert (verdict.name, verdict.kind) == ("X", kind)
    assert evidence in verdict.evidence
    assert verdict.usable == (kind in ("counts", "log-normalised", "normalised"))


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


@pytest.mark.parametrize("kind", ["scaled", "unreadable"])
def test_a_named_matrix_that_cannot_be_used_is_refused_with_the_evidence(kind):
    with pytest.raises(DataError, match=rf"X is {kind}: seen\. Choose a matrix of counts or logs\."):
        choose(verdicts(raw_X="counts", X=kind), "X")


def test_a_file_without_a_usable_matrix_is_refused_with_the_evidence_for_each():
    with pytest.raises(
        DataError, match=r"No usable expression matrix \(raw\.X: seen; X: seen\)\. Save raw counts in X"
    ):
        choose(verdicts(raw_X="unreadable", X="scaled"), "auto")


SHAPES = [(0, 0), (1, 1), (7, 3), (2_000, 300), (3, 100_000), (100_000, 4)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("form", ["dense", "csr", "csc", "coo", "csr_array", "h5 dense", "h5 csr"])
def test_a_sample_holds_stored_non_zero_values_only(shape, form, tmp_path):
    values = np.zeros(shape, dtype=np.float32)
    values.ravel()[::3] = 1 + np.arange(values.size, dtype=np.float32)[::3] % 97
    wanted = set(values[values != 0])
    with h5py.File(tmp_path / "x.h5", "w") as file:
        if form == "h5 csr":
            group = file.create_group("X")
            group["data"] = sparse.csr_matrix(values).data
            matrix = group
        else:
            make = {"dense": np.asarray, "h5 dense": lambda v: file.create_dataset("X", data=v)}
            matrix = make.get(form, getattr(sparse, form if "_" in form else f"{form}_matrix", None))(values)
        sample = sample_values(matrix)
    assert sample.dtype == np.float64
    assert len(sample) <= max(SAMPLE_VALUES, SAMPLE_BLOCKS * shape[1])
    assert len(sample) <= (values != 0).sum()
    assert set(sample) <= wanted
    assert bool(len(sample)) == bool(wanted)
    if values.size <= SAMPLE_VALUES:
        assert len(sample) == (values != 0).sum()  # a small matrix is seen whole and no value twice


def test_a_large_matrix_is_sampled_over_its_whole_length_without_repeats():
    matrix = sparse.csr_matrix(np.arange(1, 900_001, dtype=np.float64)[None, :])
    sample = sample_values(matrix)
    assert len(np.unique(sample)) == len(sample) == SAMPLE_VALUES
    assert (sample.min(), sample.max()) == (1, 900_000)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=30))
def test_any_values_get_exactly_one_verdict(values):
    array = np.array(values, dtype=np.float64)
    verdict = classify("X", array[array != 0])
    assert verdict.evidence
    if np.isfinite(array).all() and (array < 0).any():
        assert verdict.kind == "scaled"
