import h5py
import numpy as np
import pytest
from anndata.io import write_elem
from scipy import sparse

from yoto_core.data import whole_cells
from yoto_core.data.whole_cells import BLOCK_ROWS, BLOCK_VALUES, BLOCKS, sample_cells

SHAPES = [(0, 0), (1, 1), (7, 3), (2_000, 300), (3, 100_000), (100_000, 4)]
FORMS = ["dense", "csr", "csc", "coo", "csr_array", "h5 dense", "h5 csr", "h5 csc"]


def stored(values, form, file):
    """The same matrix in a form in which a file or an AnnData may hold it."""
    if form == "h5 dense":
        return file.create_dataset("X", data=values)
    if form.startswith("h5"):
        write_elem(file, "X", getattr(sparse, f"{form[3:]}_matrix")(values))
        return file["X"]
    return {"dense": np.asarray}.get(form, getattr(sparse, form if "_" in form else f"{form}_matrix", None))(values)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_a_sample_holds_whole_cells_of_non_zero_values(shape, form, tmp_path):
    values = np.zeros(shape, dtype=np.float32)
    values.ravel()[::3] = 1 + np.arange(values.size, dtype=np.float32)[::3] % 97
    with h5py.File(tmp_path / "x.h5", "w") as file:
        sample = sample_cells(stored(values, form, file))
    assert sample.values.dtype == np.float64
    assert sample.lengths.sum() == len(sample.values)
    assert len(sample.values) <= BLOCKS * max(BLOCK_VALUES, BLOCK_ROWS * shape[1])
    wanted = {tuple(row[row != 0]) for row in values}
    assert {tuple(row) for row in np.split(sample.values, np.cumsum(sample.lengths)[:-1])} <= (wanted or {()})
    if shape[0] <= BLOCKS * BLOCK_ROWS and form not in ("dense", "h5 dense"):
        assert len(sample.lengths) == shape[0]  # few cells are seen all, each once


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_matrix_gives_the_same_cells(form, tmp_path):
    values = sparse.random(3_000, 40, density=0.3, random_state=0).toarray()
    with h5py.File(tmp_path / "x.h5", "w") as file:
        sample = sample_cells(stored(values, form, file))
    totals = sample.of_cells(np.add)
    assert np.isin(np.round(totals, 6), np.round(values.sum(1), 6)).all()
    assert len(totals) >= 400


def test_a_large_matrix_is_sampled_over_its_whole_length_without_repeats():
    matrix = sparse.csr_matrix(np.arange(1, 900_001, dtype=np.float64).reshape(90_000, 10))
    sample = sample_cells(matrix)
    assert len(np.unique(sample.values)) == len(sample.values) == BLOCKS * BLOCK_VALUES
    assert (sample.values.min(), sample.values.max()) == (1, 900_000)


def test_stored_zeros_and_empty_cells_are_counted_as_none():
    matrix = sparse.csr_matrix((np.array([1.0, 0.0, 2.0]), [0, 1, 1], [0, 2, 2, 3]), shape=(3, 2))
    sample = sample_cells(matrix)
    assert sample.lengths.tolist() == [1, 0, 1]
    assert sample.of_cells(np.add).tolist() == [1.0, 2.0]
    assert sample.of_cells(np.minimum, np.array([5.0, 6.0])).tolist() == [5.0, 6.0]


def test_of_a_large_matrix_stored_by_columns_only_values_are_seen(monkeypatch):
    matrix = sparse.random(500, 40, density=0.3, format="csc", random_state=0)
    monkeypatch.setattr(whole_cells, "MAX_SCAN", 100)
    sample = sample_cells(matrix)
    assert len(sample.values)
    assert not len(sample.lengths)
    assert not len(sample.of_cells(np.add))


def test_a_scan_in_pieces_is_a_scan(monkeypatch):
    matrix = sparse.random(500, 40, density=0.3, format="csc", random_state=0)
    whole = sample_cells(matrix)
    monkeypatch.setattr(whole_cells, "PIECE", 97)
    assert np.array_equal(sample_cells(matrix).values, whole.values)
    assert np.array_equal(sample_cells(matrix).lengths, whole.lengths)


@pytest.mark.parametrize("pointers", [[0, 10**9, 3], [0, -4, 3], [5, 2, 1], [0, 3, 1]], ids=str)
def test_pointers_that_leave_the_matrix_are_not_followed(pointers, tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        write_elem(file, "X", sparse.csr_matrix(np.array([[1.0, 2.0], [0.0, 3.0]])))
        file["X/indptr"][...] = pointers
        sample = sample_cells(file["X"])
    assert sample.lengths.sum() in (0, len(sample.values))


@pytest.mark.parametrize("index", [-1, 99])
def test_rows_outside_a_matrix_stored_by_columns_are_not_followed(index, tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        write_elem(file, "X", sparse.csc_matrix(np.array([[1.0, 2.0], [0.0, 3.0]])))
        file["X/indices"][0] = index
        sample = sample_cells(file["X"])
    assert sorted(sample.values) == [1, 2, 3]
    assert not len(sample.lengths)


def test_a_row_that_is_too_long_is_not_read_whole(monkeypatch):
    monkeypatch.setattr(whole_cells, "MAX_BLOCK", 1_000)
    monkeypatch.setattr(whole_cells, "BLOCK_VALUES", 100)
    sample = sample_cells(sparse.csr_matrix(np.ones((1, 900_000), dtype=np.float32)))
    assert len(sample.values) <= BLOCKS * 1_000
    assert not len(sample.lengths)
