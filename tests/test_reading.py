import warnings
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from tests.conftest import CELLS, GENES, make_toy
from yoto_core.data.reading import Dataset, from_anndata, read_dataset
from yoto_core.errors import DataError

HARD_NAMES = ["<script>alert(1)</script>", "🧬 état", "x" * 200, "with space", "per%cent", "0"]


def written(adata: anndata.AnnData, tmp_path: Path) -> Path:
    path = tmp_path / "data.h5ad"
    adata.write_h5ad(path)
    return path


@pytest.fixture(params=["file", "memory"])
def read(request, tmp_path):
    """Read an AnnData from memory, and again by way of a file."""

    def through(adata: anndata.AnnData, **options) -> Dataset:
        if request.param == "memory":
            return from_anndata(adata, name="data.h5ad", **options)
        return read_dataset(written(adata, tmp_path), **options)

    return through


# --- what is read


@pytest.mark.parametrize("form", ["csr_matrix", "csc_matrix", "csr_array", "csc_array", "dense", "fortran"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64, np.uint16])
def test_any_form_of_matrix_is_read_as_the_same_csr(form, dtype, toy, toy_data, read):
    values = toy.X.toarray().astype(dtype)
    made = {"dense": np.asarray, "fortran": np.asfortranarray}.get(form, getattr(sparse, form, None))(values)
    data = read(anndata.AnnData(made, obs=toy.obs, var=toy.var))
    assert isinstance(data.matrix, sparse.csr_matrix)
    assert data.matrix.dtype == np.float32
    assert data.matrix.has_canonical_format
    assert np.array_equal(data.matrix.toarray(), values)
    assert (data.chosen, data.kind) == ("X", "counts")
    assert data.digest == toy_data.digest


def test_a_dense_matrix_longer_than_a_block_keeps_its_rows(read):
    values = np.arange(1, 2_501, dtype=np.float32)[:, None] * np.ones((1, 2), dtype=np.float32)
    assert np.array_equal(read(anndata.AnnData(values)).matrix.toarray(), values)


def test_the_record_names_the_data_its_cells_and_its_genes(toy_file):
    data = read_dataset(toy_file)
    assert (data.name, data.n_cells, data.n_genes) == ("toy.h5ad", CELLS, len(GENES))
    assert data.genes.symbols == GENES
    assert data.genes.ids[1] == "ENSG00000000001"
    assert list(data.obs.columns) == ["cell_type", "condition", "age", "donor"]
    assert data.obs.index[0] == "cell0"
    assert read_dataset(str(toy_file), name="mine").name == "mine"


def test_a_file_is_known_by_its_content_not_its_ending(toy_file, tmp_path):
    path = tmp_path / "data.txt"
    path.write_bytes(toy_file.read_bytes())
    assert read_dataset(path).n_cells == CELLS


def test_reading_leaves_the_file_free_to_be_replaced(toy_file, tmp_path):
    path = tmp_path / "data.h5ad"
    path.write_bytes(toy_file.read_bytes())
    read_dataset(path)
    with h5py.File(path, "r+") as file:
        del file["X"]


def test_reading_changes_nothing_of_an_anndata(toy):
    before = toy.copy()
    toy.X.data[0] = 0  # a stored zero, which the core drops from its own copy
    stored = toy.X.nnz
    from_anndata(toy)
    assert toy.X.nnz == stored
    assert toy.obs.equals(before.obs)


def test_a_view_and_a_backed_anndata_are_read_like_the_real_thing(toy, tmp_path):
    whole = from_anndata(toy)
    assert from_anndata(toy[:50]).n_cells == 50
    backed = anndata.read_h5ad(written(toy, tmp_path), backed="r")
    assert from_anndata(backed).digest == whole.digest
    backed.file.close()


def test_unsorted_double_and_zero_entries_are_tidied(read):
    messy = sparse.csr_matrix(
        (np.array([1, 2, 3, 0, 4.0]), np.array([1, 0, 1, 2, 2]), np.array([0, 4, 5])), shape=(2, 3)
    )
    data = read(anndata.AnnData(messy))
    assert np.array_equal(data.matrix.toarray(), [[2, 4, 0], [0, 0, 4]])
    assert data.matrix.nnz == 3


# --- which matrix


def scaled(adata):
    values = np.log1p(adata.X.toarray())
    return (values - values.mean(0)) / (values.std(0) + 1e-3)


def test_a_counts_layer_goes_before_everything(toy, read):
    toy.layers["counts"] = toy.X.copy()
    toy.X = scaled(toy)
    data = read(toy)
    assert (data.chosen, data.kind) == ("layers/counts", "counts")
    assert [(verdict.name, verdict.kind) for verdict in data.verdicts] == [("layers/counts", "counts"), ("X", "scaled")]
    assert data.matrix.sum() == toy.layers["counts"].sum()


def test_raw_goes_before_scaled_values_and_brings_its_own_genes(toy, read):
    toy.raw = toy
    toy = toy[:, :20].copy()
    toy.X = scaled(toy)
    data = read(toy)
    assert (data.chosen, data.n_genes, data.genes.symbols) == ("raw.X", len(GENES), GENES)


def test_a_named_matrix_is_taken_with_its_genes(toy, read):
    toy.raw = toy
    toy = toy[:, :20].copy()
    assert read(toy, matrix="X").n_genes == 20
    assert read(toy, matrix="raw.X").n_genes == len(GENES)


def test_another_layer_is_taken_only_when_asked_for(toy, read):
    toy.layers["spliced"] = toy.X.copy()
    toy.X = toy.X.log1p()
    assert (read(toy).chosen, read(toy).kind) == ("X", "log-normalised")
    assert (read(toy, matrix="layers/spliced").chosen, read(toy, matrix="layers/spliced").kind) == (
        "layers/spliced",
        "counts",
    )


def test_a_matrix_that_is_not_there_is_refused(toy, read):
    with pytest.raises(DataError, match=r"The file has no matrix “raw\.X”\. It has X\."):
        read(toy, matrix="raw.X")


def test_scaled_values_alone_are_refused_with_the_evidence(toy, read):
    toy.X = scaled(toy)
    with pytest.raises(
        DataError, match=r"No usable expression matrix \(X: .*so the genes were centred\)\. Save raw counts in X"
    ):
        read(toy)


def test_a_layer_is_enough_where_x_is_missing(toy, read):
    toy.layers["counts"] = toy.X
    toy.X = None
    assert read(toy).chosen == "layers/counts"


def test_the_scaled_pbmc_that_ships_with_scanpy_is_read_from_raw():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scanpy ships this file in an old format, and says so when it reads it
        import scanpy

        adata = scanpy.datasets.pbmc68k_reduced()
    data = from_anndata(adata)
    assert (data.chosen, data.kind, data.n_genes) == ("raw.X", "log-normalised", 765)
    assert {verdict.name: verdict.kind for verdict in data.verdicts}["X"] == "scaled"


# --- names


def test_repeated_genes_and_cells_are_told_apart_and_reported(toy, read):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # anndata warns of what this test is about
        toy.var_names = ["TWICE", "TWICE", *GENES[2:]]
        toy.obs_names = ["same", "same", "same", *toy.obs_names[3:]]
        data = read(toy)
    assert data.genes.symbols[:3] == ("TWICE", "TWICE-1", GENES[2])
    assert data.genes.repeated == ("TWICE",)
    assert list(data.obs.index[:4]) == ["same", "same-1", "same-2", "cell3"]
    assert data.repeated_cells == ("same",)


def test_columns_named_by_numbers_can_be_asked_for_by_text(toy):
    toy.obs[7] = toy.obs["cell_type"]
    assert "7" in from_anndata(toy).obs


def test_two_columns_of_one_name_are_refused(toy):
    toy.obs = pd.concat([toy.obs, toy.obs[["age"]]], axis=1)
    with pytest.raises(
        DataError, match=r"The obs column “age” occurs more than once\. Rename or drop one and save again\."
    ):
        from_anndata(toy)


@pytest.mark.parametrize("name", HARD_NAMES, ids=lambda name: name[:10])
def test_any_column_gene_and_class_name_is_kept_as_it_is(name, toy, read):
    column = name.replace("/", "|")  # HDF5 takes no / in the name of a column
    toy.obs[column] = [name, "other"] * (CELLS // 2)
    toy.var_names = [name, *GENES[1:]]
    data = read(toy)
    assert data.genes.symbols[0] == name
    assert set(data.obs[column].astype(str)) == {name, "other"}


# --- labels of every type


N = np.arange(CELLS)
OBS = {
    "text": np.where(N % 2, "a", "b"),
    "text with gaps": pd.Series(np.where(N % 2, "a", None), dtype=object),
    "category": pd.Categorical(np.where(N % 2, "a", "b"), categories=["a", "b", "never"]),
    "category with gaps": pd.Categorical(np.where(N % 2, "a", None), categories=["a", "never"]),
    "category of numbers": pd.Categorical(N % 4),
    "ordered": pd.Categorical(N % 3, ordered=True),
    "whole": N,
    "fraction": N / 7,
    "fraction with gaps": np.where(N % 2, np.nan, N),
    "small whole": N.astype(np.uint8),
    "bool": N % 2 == 0,
    "nullable bool": pd.array(N % 2 == 0, dtype="boolean"),
    "nullable bool with gaps": pd.array([None, *(N[1:] % 2 == 0)], dtype="boolean"),
    "nullable whole": pd.array([None, *N[1:]], dtype="Int64"),
}
MEMORY_ONLY = {
    "mixed": ["a", 1, None, 2.5, True, b"x"] * (CELLS // 6),
    "dates": pd.date_range("2020", periods=CELLS),
    "spans": pd.to_timedelta(N, unit="D"),
    "string type": pd.array(np.where(N % 2, "a", None), dtype="string"),
    "complex": N * 1j,
}


@pytest.mark.parametrize("name", OBS)
def test_labels_of_any_type_survive_the_file(name, toy, read):
    toy.obs["label"] = pd.Series(OBS[name]).set_axis(toy.obs_names)
    label = read(toy).obs["label"]
    wanted = pd.Series(OBS[name])
    assert label.isna().tolist() == wanted.isna().tolist()
    assert [str(a) for a in label.dropna()] == [str(b) for b in wanted.dropna()]


@pytest.mark.parametrize("name", MEMORY_ONLY)
def test_labels_that_no_file_can_hold_are_read_from_memory(name, toy):
    toy.obs["label"] = pd.Series(MEMORY_ONLY[name]).set_axis(toy.obs_names)
    assert len(from_anndata(toy).digest) == 64


def test_no_labels_at_all_are_read_too(toy, read):
    assert read(anndata.AnnData(toy.X, var=toy.var)).obs.shape == (CELLS, 0)


# --- the digest


def test_the_digest_is_the_same_from_file_and_memory(toy_file, toy_data):
    assert read_dataset(toy_file).digest == toy_data.digest == from_anndata(make_toy()).digest


@pytest.mark.parametrize(
    "change",
    [
        lambda adata: adata.X.data.__setitem__(0, 99),
        lambda adata: adata.obs.__setitem__("age", adata.obs["age"] + 1),
        lambda adata: adata.obs.__setitem__("new", "a"),
        lambda adata: adata.obs.__delitem__("donor"),
        lambda adata: setattr(adata, "var_names", ["NEW", *GENES[1:]]),
        lambda adata: setattr(adata, "obs_names", ["new", *adata.obs_names[1:]]),
    ],
    ids=["value", "label", "column added", "column gone", "gene name", "cell name"],
)
def test_the_digest_changes_with_anything_that_changes(change, toy, toy_data):
    change(toy)
    assert from_anndata(toy).digest != toy_data.digest


# --- bad input


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"There is no file gone\.h5ad\. Check the path\."):
        read_dataset(tmp_path / "gone.h5ad")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(DataError, match=r"^cells is a folder\. Give the \.h5ad file inside it\.$"):
        read_dataset(tmp_path, name="cells")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"bad\.h5ad is empty \(0 bytes\)\. Copy or download the file again\."),
        (b"gene,cell\n1,2\n", r"bad\.h5ad is not an \.h5ad file\. Save the data with adata\.write_h5ad\(\.\.\.\)\."),
        (b"\x1f\x8b\x08" + bytes(100), r"bad\.h5ad is compressed with gzip, not an \.h5ad file\. Unpack it"),
        (b"\x89HDF", r"bad\.h5ad is not an \.h5ad file\."),
        (b"\x89HDF\r\n\x1a\n", r"bad\.h5ad is (not an \.h5ad file|cut short or damaged)"),
        (b"\x89HDF\r\n\x1a\n" + bytes(500), r"bad\.h5ad is (not an \.h5ad file|cut short or damaged \(.+\))"),
    ],
    ids=["empty", "csv", "gzip", "four bytes", "signature", "signature and zeros"],
)
def test_what_is_not_hdf5_is_refused(content, message, tmp_path):
    path = tmp_path / "bad.h5ad"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_dataset(path)


def nothing(file):
    pass


def only_x(file):
    file["X"] = np.ones((3, 2))


def groups_that_are_no_tables(file):
    file.create_group("obs")["a"] = [1, 2, 3]
    file.create_group("var")["a"] = [1, 2]
    file["X"] = np.ones((3, 2))


def tables_of_an_old_anndata(file):
    file["obs"] = np.zeros(3, dtype=[("index", "S5")])
    file["var"] = np.zeros(2, dtype=[("index", "S5")])
    file["X"] = np.ones((3, 2))


def a_loom_file(file):
    file.create_group("row_attrs")
    file["matrix"] = np.ones((3, 2))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (nothing, r"it has no obs or var\. Save it again with adata\.write_h5ad"),
        (only_x, r"bad\.h5ad is HDF5 but not an \.h5ad: it has no obs or var\. Save it again"),
        (a_loom_file, r"bad\.h5ad is HDF5 but not an \.h5ad"),
        (groups_that_are_no_tables, r"bad\.h5ad is HDF5 but not an \.h5ad: its obs is no table\. Save it again"),
        (tables_of_an_old_anndata, r"bad\.h5ad was written by an anndata older than 0\.7\. Save it again with adata\."),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_hdf5_that_is_no_h5ad_is_refused(content, message, tmp_path):
    path = tmp_path / "bad.h5ad"
    with h5py.File(path, "w") as file:
        content(file)
    with pytest.raises(DataError, match=message):
        read_dataset(path)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.9999])
def test_a_file_cut_short_is_refused(share, toy_file, tmp_path):
    content = toy_file.read_bytes()
    path = tmp_path / "cut.h5ad"
    path.write_bytes(content[: max(9, int(share * len(content)))])
    with pytest.raises(
        DataError, match=r"cut\.h5ad is cut short or damaged \(.+\)\. Copy or save the file again\.$"
    ) as caught:
        read_dataset(path)
    assert "\n" not in str(caught.value)


def broken(part, place, value):
    def change(file):
        file[f"X/{part}"][place] = value

    return change


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix])
@pytest.mark.parametrize(
    "damage",
    [
        broken("indices", 5, 10_000),
        broken("indices", 5, -1),
        broken("indptr", 7, 100_000_000),
        broken("indptr", 7, -5),
        broken("indptr", -1, 100_000_000),
        broken("indptr", slice(2, None), 0),
        lambda file: file.__delitem__("X/indices"),
        lambda file: file.__delitem__("X/data"),
        lambda file: file["X"].attrs.__setitem__("shape", [3, 3]),
        lambda file: file["X"].attrs.__setitem__("encoding-type", "nonsense"),
    ],
    ids=["far", "negative", "pointer far", "pointer negative", "end far", "pointers gone", "a", "b", "shape", "kind"],
)
def test_a_matrix_that_points_outside_itself_is_refused_before_anything_follows_it(form, damage, toy, tmp_path):
    toy.X = form(toy.X)
    path = written(toy, tmp_path)
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(
        DataError,
        match=r"data\.h5ad is cut short or damaged \(.+\)|No usable .* \(X: (3 × 3 values, but|a sparse|stored as)",
    ):
        read_dataset(path)


def test_a_matrix_in_memory_that_points_outside_itself_is_refused(toy):
    toy.X.indices[5] = 10_000
    with pytest.raises(DataError, match=r"AnnData is cut short or damaged \(.+\)\. Copy or save the file again\."):
        from_anndata(toy)


def test_a_table_of_an_unknown_kind_is_refused(toy_file, tmp_path):
    path = tmp_path / "new.h5ad"
    path.write_bytes(toy_file.read_bytes())
    with h5py.File(path, "r+") as file:
        file["obs"].attrs["encoding-version"] = "99.0.0"
    with pytest.raises(
        DataError, match=r"new\.h5ad is cut short or damaged \(.*99\.0\.0.*\)\. Copy or save the file again\."
    ):
        read_dataset(path)


def test_a_file_in_the_first_tabular_format_is_read_with_its_categories(tmp_path):
    path = tmp_path / "first.h5ad"
    text = h5py.string_dtype()
    with h5py.File(path, "w") as file:
        file["X"] = np.arange(12, dtype=np.float32).reshape(4, 3)
        for name, size, columns in (("obs", 4, ["label"]), ("var", 3, [])):
            table = file.create_group(name)
            table.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.1.0", "_index": "index"})
            table.attrs["column-order"] = np.array(columns, dtype=text)
            table.create_dataset("index", data=[f"{name}{i}" for i in range(size)], dtype=text)
        file["obs"].create_group("__categories").create_dataset("label", data=["a", "b"], dtype=text)
        file["obs"]["label"] = np.array([0, 1, 0, -1], dtype=np.int8)
        file["obs/label"].attrs["categories"] = file["obs/__categories/label"].ref
    data = read_dataset(path)
    assert data.obs["label"].astype(object).where(data.obs["label"].notna(), None).tolist() == ["a", "b", "a", None]
    assert data.genes.symbols == ("var0", "var1", "var2")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_download_that_ends_in_zeros_is_refused(share, toy_file, tmp_path):
    content = toy_file.read_bytes()
    kept = int(share * len(content))
    path = tmp_path / "half.h5ad"
    path.write_bytes(content[:kept] + bytes(len(content) - kept))
    with pytest.raises(DataError, match=r"half\.h5ad is cut short or damaged \(.+\)\. Copy or save the file again\."):
        read_dataset(path)


def test_no_cells_are_refused(toy, read):
    with pytest.raises(DataError, match=r"data\.h5ad holds 0 cells\. Check the filter that made it\."):
        read(toy[:0].copy())


def test_no_genes_are_refused(toy, read):
    with pytest.raises(DataError, match=r"data\.h5ad holds 0 genes\. Check the filter that made it\."):
        read(toy[:, :0].copy())


def test_no_matrix_is_refused(toy, read):
    toy.X = None
    with pytest.raises(DataError, match=r"data\.h5ad holds no expression matrix\. Save raw counts in X"):
        read(toy)


def all_zero(values):
    return values * 0


def not_a_number(values):
    values[values > 0] = np.nan
    return values


def negative(values):
    return values - 1


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
@pytest.mark.parametrize(
    ("change", "evidence"),
    [
        (all_zero, "every sampled value is zero"),
        (not_a_number, r"100\.0% of sampled values are NaN or infinite"),
        (negative, "negative values, so the genes were centred"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_impossible_matrix_is_refused_with_the_evidence(form, change, evidence, toy, read):
    toy.X = form(change(toy.X.toarray()))
    with pytest.raises(DataError, match=rf"No usable expression matrix \(X: .*{evidence}\)\. Save raw counts in X"):
        read(toy)


def large(cells=5_000):
    """Larger than the sample that a verdict is made from: 500,000 values."""
    return np.ones((cells, 100), dtype=np.float32)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, r"X holds 1 value that is NaN or infinite\. Set or filter them and save again\."),
        (np.inf, r"X holds 1 value that is NaN or infinite\."),
        (-3, r"X holds 1 negative value\. Choose a matrix of counts or logs, before scaling\."),
    ],
)
def test_a_single_impossible_value_that_the_sample_missed_is_found(form, value, message):
    values = large()
    values[150, 7] = value  # between the first two blocks of the sample
    with pytest.raises(DataError, match=message):
        from_anndata(anndata.AnnData(form(values)))


def test_several_impossible_values_are_counted():
    values = large()
    values[150:152, 7] = -1
    with pytest.raises(DataError, match=r"X holds 2 negative values\."):
        from_anndata(anndata.AnnData(sparse.csr_matrix(values)))


def test_a_matrix_of_another_shape_than_its_tables_is_refused(toy_file, tmp_path):
    path = tmp_path / "odd.h5ad"
    path.write_bytes(toy_file.read_bytes())
    with h5py.File(path, "r+") as file:
        del file["X"]
        file["X"] = np.ones((CELLS - 1, len(GENES)), dtype=np.float32)
    with pytest.raises(
        DataError, match=r"No usable expression matrix \(X: 299 × 60 values, but there are 300 cells and 60 genes\)\."
    ):
        read_dataset(path)
