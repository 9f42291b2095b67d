"""Odd contents of a data file end in one sentence or in the right reading: never in a traceback, never misread."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from tests.conftest import CELLS, GENES, make_toy
from yoto_core.config import TaskConfig
from yoto_core.data.columns import describe_columns
from yoto_core.data.reading import from_anndata, read_dataset
from yoto_core.data.targets import class_names, encode_target
from yoto_core.errors import ConfigError, DataError
from yoto_core.prediction.cells import open_cells
from yoto_core.report import data_as_text, describe_data

TEXT = h5py.string_dtype()
ENUM = h5py.enum_dtype({"low": 0, "high": 1}, basetype="i1")
N = np.arange(CELLS)


def toy_with(path: Path, change: Callable[[h5py.File], object]) -> Path:
    """A sound file at `path`, then changed."""
    make_toy().write_h5ad(path)
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def replaced(file: h5py.File, place: str, how: Callable[[h5py.Group, str], object]) -> None:
    """Put something else at `place`."""
    group, _, key = place.rpartition("/")
    del file[place]
    how(file[group] if group else file, key)


def refused(change, tmp_path):
    """What both readers say to a file that was changed so: the same."""
    path = toy_with(tmp_path / "odd.h5ad", change)
    said = []
    for read in (read_dataset, lambda path: open_cells(path).__enter__()):
        with pytest.raises(DataError) as caught:
            read(path)
        said.append(str(caught.value))
    assert said[0] == said[1]
    return said[0]


def values(data, **options):
    return lambda group, key: group.create_dataset(key, data=data, **options)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1e39, r"holds 1 value that is NaN or infinite\."),
        (1e35, r"holds 1e\+35: no measurement is that large\."),
        (1e-35, r"holds 1e-35: no measurement is that small\."),
    ],
)
def test_a_value_that_nothing_measures_is_found_where_the_sample_missed_it(value, said):
    counts = np.ones((5_000, 100))
    counts[150, 7] = value  # between the first two blocks of the sample
    with pytest.raises(DataError, match=f"^X {said}"):
        from_anndata(AnnData(counts))


@pytest.mark.parametrize(("value", "said"), [(1e300, "large"), (1e-300, "small")])
def test_a_matrix_of_what_nothing_measures_is_refused(value, said, tmp_path):
    found = refused(lambda file: replaced(file, "X", values(np.full((CELLS, len(GENES)), value))), tmp_path)
    assert f": no measurement is that {said}). Save raw counts in X or in layers['counts']." in found


def column(data, **options):
    """The column `age` of obs replaced."""
    return lambda file: replaced(file, "obs/age", values(data, **options))


COLUMNS = {
    "records": (np.zeros(CELLS, dtype=[("a", "i4"), ("b", "f8")]), "records of several fields"),
    "table": (np.zeros((CELLS, 2)), "an array of 2 dimensions"),
    "scalar": (3.0, "an array of 0 dimensions"),
    "nothing": (h5py.Empty("f8"), "an array of 0 dimensions"),
    "opaque": (np.zeros(CELLS, dtype="V4"), "things that are neither numbers nor text"),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_column_that_is_no_list_of_labels_is_refused_by_name(kind, tmp_path):
    data, what = COLUMNS[kind]
    said = refused(column(data), tmp_path)
    assert said == (
        f"The obs column “age” of odd.h5ad is no list of labels but {what}."
        " Drop it, or keep one number or text for each row, and save again."
    )


def test_lists_in_a_column_are_refused_by_name(tmp_path):
    said = refused(
        lambda file: replaced(
            file, "obs/age", lambda g, k: g.create_dataset(k, shape=(CELLS,), dtype=h5py.vlen_dtype("i4"))
        ),
        tmp_path,
    )
    assert "is no list of labels but things that are neither numbers nor text" in said


def table(**attributes):
    return lambda file: file["obs"].attrs.update(attributes)


def part(path, data, **options):
    """A part of the column cell_type, which is stored as categories and codes."""
    return lambda file: replaced(file, f"obs/cell_type/{path}", values(data, **options))


TABLES = {
    "column twice": (table(**{"column-order": ["age", "age"]}), "The obs column “age” occurs more than once."),
    "column absent": (table(**{"column-order": ["age", "gone"]}), "(obs column “gone”: it is not there)"),
    "column without a name": (table(**{"column-order": ["age", ""]}), "A column in obs of odd.h5ad has no name."),
    "name with a line": (table(**{"column-order": ["a\nb"]}), "(obs column “a\\nb”: it is not there)"),
    "order is a number": (table(**{"column-order": 3}), "(obs: which columns it has is not said)"),
    "order of numbers": (table(**{"column-order": [1, 2]}), "(obs: which columns it has is not said)"),
    "no order": (lambda f: f["obs"].attrs.__delitem__("column-order"), "(obs: which columns it has is not said)"),
    "index is a number": (table(_index=3), "(obs: which of its columns names the rows is not said)"),
    "index absent": (table(_index="gone"), "(obs index: it is not there)"),
    "no index": (lambda f: f["obs"].attrs.__delitem__("_index"), "(obs: which of its columns names the rows is not said)"),
    "kind is a number": (table(**{"encoding-type": 3}), "its obs is no table"),
    "version unknown": (table(**{"encoding-version": "9.9"}), "tables of version 9.9 are not known"),
    "matrix as a column": (table(**{"column-order": ["/X"]}), "is no list of labels but stored as “csr_matrix”"),
    "itself as a column": (table(**{"column-order": ["/obs"]}), "is no list of labels but stored as “dataframe”"),
    "column too short": (column(N[:-1]), "(obs column “age”: 299 values for 300 rows)"),
    "codes out of range": (part("codes", np.full(CELLS, 99, dtype="i1")), "(obs column “cell_type”: codes need to be"),
    "codes of fractions": (part("codes", N / 7), "(obs column “cell_type”: codes need to be array-like integers)"),
    "categories twice": (part("categories", ["a", "a", "b", "c"], dtype=TEXT), "(obs column “cell_type”: Categorical categories must be unique)"),
    "categories of nothing": (part("categories", [0.0, 1, 2, np.nan]), "(obs column “cell_type”: Categorical categories cannot be null)"),
    "no codes": (lambda f: f["obs/cell_type"].__delitem__("codes"), "(obs column “cell_type”: it has no codes)"),
    "group of things": (lambda f: replaced(f, "obs/age", lambda g, k: g.create_group(k)), "is no list of labels but a group of things"),
}  # fmt: skip


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_that_contradicts_itself_is_refused_with_what_is_wrong(kind, tmp_path):
    change, said = TABLES[kind]
    assert said in refused(change, tmp_path)


def test_a_column_of_fixed_names_is_read_as_these_names(tmp_path):
    data = read_dataset(toy_with(tmp_path / "odd.h5ad", column(N % 2, dtype=ENUM)))
    assert list(data.obs["age"][:3]) == ["low", "high", "low"]


@pytest.mark.parametrize("stored", [">i4", ">f8", "f2", "u8", "?"])
def test_numbers_of_any_type_and_byte_order_are_read_as_labels(stored, tmp_path):
    data = read_dataset(toy_with(tmp_path / "odd.h5ad", column((N % 2).astype(stored))))
    assert [float(value) for value in data.obs["age"][:3]] == [0, 1, 0]
    assert data_as_text(describe_data(data))


def test_bytes_are_read_as_the_text_they_are_and_broken_text_is_kept_apart(tmp_path):
    names = np.array(["é".encode(), b"\xff\xfe", b"a\0b", b""], dtype="S4")[N % 4]
    data = read_dataset(toy_with(tmp_path / "odd.h5ad", column(names)))
    assert list(data.obs["age"][:4]) == ["é", "\ufffd\ufffd", "a\0b", ""]
    assert data_as_text(describe_data(data))


def test_names_of_cells_that_are_numbers_or_hold_odd_signs_are_read(tmp_path):
    def change(file):
        index = file["obs"].attrs["_index"]
        replaced(file, f"obs/{index}", values(np.array([b"a\0b", b"c\nd"], dtype="S3")[N % 2]))

    data = read_dataset(toy_with(tmp_path / "odd.h5ad", change))
    assert data.obs.index[:2].tolist() == ["a\0b", "c\nd"]
    assert data.repeated_cells == ("a\0b", "c\nd")


def test_a_table_without_columns_is_read_and_said_to_hold_no_labels(tmp_path):
    data = read_dataset(toy_with(tmp_path / "odd.h5ad", table(**{"column-order": np.array([], dtype=float)})))
    assert data.obs.shape == (CELLS, 0)
    assert describe_data(data)["columns"] == []


# --- numbers without measure, wherever labels go

NUMBERS = {
    "infinite": [np.inf, -np.inf],
    "largest": [1.7e308, -1.7e308],
    "1e300": [1e300, 2e300],
    "smallest": [5e-324, 1e-323],
    "near": [1e16, 1e16 + 2],
}


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("all_of_them", [True, False])
def test_labels_without_measure_are_described_and_refused_or_taken_as_classes(kind, all_of_them):
    given = np.resize(NUMBERS[kind], CELLS) if all_of_them else np.array([*NUMBERS[kind], *(N[2:] / 7)])
    toy = make_toy()
    toy.obs["odd"] = given
    data = from_anndata(toy)
    facts = describe_data(data)
    assert data_as_text(facts)
    about = next(column for column in describe_columns(data.obs) if column.name == "odd")
    assert "inf" not in about.reason
    for task in ("classification", "regression"):
        with suppress(ConfigError):
            encoded = encode_target(data.obs, TaskConfig(obs="odd", kind=task), min_class_cells=1)
            assert np.isfinite(encoded.values[encoded.labelled]).all()


def test_a_number_too_large_to_predict_is_named():
    obs = pd.DataFrame({"odd": [*N[1:].astype(float), 1e300]})
    with pytest.raises(ConfigError) as refused_number:
        encode_target(obs, TaskConfig(obs="odd", kind="regression"), min_class_cells=1)
    assert str(refused_number.value) == (
        "Column “odd” holds 1e+300, which is too large to predict. Leave such values out, or predict them as classes."
    )


def test_numbers_that_differ_by_too_little_are_refused():
    for given in (1e15 + N % 7, 1e-310 * N):
        with pytest.raises(ConfigError, match=r"these differ by too little to predict\. Subtract their mean"):
            encode_target(pd.DataFrame({"odd": given}), TaskConfig(obs="odd", kind="regression"), min_class_cells=1)


def test_a_class_of_a_very_large_number_is_not_written_out():
    assert list(class_names(pd.Series([1e300, 2.0]))) == ["1e+300", "2.0"]
    assert list(class_names(pd.Series([1e14, 2.0]))) == ["100000000000000", "2"]
