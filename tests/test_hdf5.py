"""A data file is only data: it takes nothing from other files, changes none, and asks for no more than it holds."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from tests.conftest import CELLS, GENES, make_toy
from yoto_core import memory
from yoto_core.data import hdf5
from yoto_core.data.checks import check_data
from yoto_core.data.reading import from_anndata, read_dataset
from yoto_core.data.stored import embedding_names, read_embedding, stored_colors
from yoto_core.errors import DataError, MachineError
from yoto_core.prediction.cells import open_cells
from yoto_core.report import data_as_text, describe_data
from yoto_core.store.export import write_predictions

SECRET = b"root:x:0:0:the secret of somebody else\n" * 40


@pytest.fixture
def secret(tmp_path):
    """A file of somebody else's, by the side of ours."""
    path = tmp_path / "secret.txt"
    path.write_bytes(SECRET)
    return path


@pytest.fixture
def neighbour(tmp_path):
    """Data of another user."""
    path = tmp_path / "neighbour.h5ad"
    toy = make_toy()
    toy.obs["diagnosis"] = "nobody's business"
    toy.write_h5ad(path)
    return path


@pytest.fixture
def path(toy_file, tmp_path):
    """A file of ours that may be changed."""
    return Path(shutil.copyfile(toy_file, tmp_path / "cells.h5ad"))


def external(file, place, secret, *, count=CELLS):
    file.create_dataset(place, shape=(count,), dtype="S4", external=[(str(secret), 0, 4 * count)])


def obs_of_external_bytes(file, secret, neighbour):
    del file["obs/cell_type"]
    external(file, "obs/cell_type", secret)


def counts_of_external_bytes(file, secret, neighbour):
    del file["X"]
    size = CELLS * len(GENES)
    file.create_dataset("X", shape=(CELLS, len(GENES)), dtype="u1", external=[(str(secret), 0, size)])


def external_bytes_deep_inside(file, secret, neighbour):
    external(file.create_group("uns/a/b/c"), "colours", secret, count=3)


def obs_of_a_neighbour(file, secret, neighbour):
    del file["obs"]
    file["obs"] = h5py.ExternalLink(str(neighbour), "/obs")


def one_column_of_a_neighbour(file, secret, neighbour):
    file["obs/more"] = h5py.ExternalLink(str(neighbour), "/obs/diagnosis")
    file["obs"].attrs["column-order"] = [*file["obs"].attrs["column-order"], "more"]


def a_link_that_leads_nowhere(file, secret, neighbour):
    file["uns/more"] = h5py.ExternalLink("not there.h5ad", "/obs")


def a_soft_link_through_an_external_one(file, secret, neighbour):
    file["elsewhere"] = h5py.ExternalLink(str(neighbour), "/")
    del file["obs"]
    file["obs"] = h5py.SoftLink("/elsewhere/obs")


def a_virtual_matrix(file, secret, neighbour):
    del file["X"]
    layout = h5py.VirtualLayout(shape=(CELLS, 60), dtype="f4")
    layout[:] = h5py.VirtualSource(str(neighbour), "X/data", shape=(CELLS, 60))
    file.create_virtual_dataset("X", layout)


def categories_without_a_link(file, secret, neighbour):
    """As anndata wrote categories before 0.8: a reference, here to a dataset that no walk meets."""
    del file["obs/cell_type"]
    codes = file.create_dataset("obs/cell_type", data=np.zeros(CELLS, dtype="i1"))
    external(file, "obs/hidden", secret, count=3)
    codes.attrs["categories"] = file["obs/hidden"].ref
    hidden = file["obs/hidden"]
    file.keep = hidden  # an open dataset is not thrown away before its link
    del file["obs/hidden"]


REACHING = (
    obs_of_external_bytes, counts_of_external_bytes, external_bytes_deep_inside, obs_of_a_neighbour,
    one_column_of_a_neighbour, a_link_that_leads_nowhere, a_soft_link_through_an_external_one, a_virtual_matrix,
)  # fmt: skip


def test_categories_that_are_in_no_group_are_refused(path, secret):
    with h5py.File(path, "r+") as file:
        categories_without_a_link(file, secret, None)
    with pytest.raises(DataError, match=r"cells\.h5ad (holds a reference to what is not|is cut short or damaged)"):
        read_dataset(path)


@pytest.mark.parametrize("reach", REACHING)
def test_whatever_a_file_names_outside_itself_is_refused_before_it_is_read(reach, path, secret, neighbour):
    with h5py.File(path, "r+") as file:
        reach(file, secret, neighbour)
    whole = neighbour.read_bytes()
    said = r"^cells\.h5ad holds (a link to another file|values that .+), at \S+: nothing outside a file is read for it\. Put"
    with pytest.raises(DataError, match=said):
        read_dataset(path)
    with pytest.raises(DataError, match=said), open_cells(path):
        pass
    assert (secret.read_bytes(), neighbour.read_bytes()) == (SECRET, whole)


def test_a_file_that_reaches_out_gives_the_pages_no_colours_and_no_maps(path, secret):
    toy = make_toy()
    with h5py.File(path, "r+") as file:
        external(file, "uns/cell_type_colors", secret, count=4)
        file.create_dataset("obsm/X_umap", shape=(CELLS, 2), dtype="f4", external=[(str(secret), 0, 8 * CELLS)])
    assert stored_colors(path, "cell_type", toy.obs) == {}
    assert embedding_names(path, CELLS) == ()
    with pytest.raises(DataError, match="nothing outside a file is read"):
        read_embedding(path, "X_umap")


def test_predictions_are_never_written_into_another_file(path, neighbour, tmp_path):
    table = pd.DataFrame({"cell_type": pd.Categorical(["B"] * CELLS)})
    whole = neighbour.read_bytes()
    with h5py.File(path, "r+") as file:
        obs_of_a_neighbour(file, None, neighbour)
    with pytest.raises(DataError, match="holds a link to another file, at obs"):
        write_predictions(tmp_path / "out.h5ad", table, path)
    assert neighbour.read_bytes() == whole
    assert not (tmp_path / "out.h5ad").exists()


def test_links_that_stay_inside_a_file_are_followed(path, toy_data):
    with h5py.File(path, "r+") as file:
        file.move("X", "matrix")
        file["X"] = h5py.SoftLink("/matrix")
        file["layers/again"] = file["matrix"]  # a hard link
    found = read_dataset(path)
    assert found.digest == toy_data.digest
    assert [verdict.name for verdict in found.verdicts] == ["X", "layers/again"]


def test_older_categories_by_reference_are_read(path):
    with h5py.File(path, "r+") as file:
        del file["obs/cell_type"]
        file["obs/__categories/cell_type"] = np.array(["B", "T"], dtype=h5py.string_dtype())
        codes = file.create_dataset("obs/cell_type", data=(np.arange(CELLS) % 2).astype("i1"))
        codes.attrs["categories"] = file["obs/__categories/cell_type"].ref
        file["obs"].attrs["encoding-version"] = "0.1.0"
    assert list(read_dataset(path).obs["cell_type"][:3]) == ["B", "T", "B"]


def test_links_in_circles_end(path):
    with h5py.File(path, "r+") as file:
        file["uns/round"] = file["uns"]
        file["obsm/round"] = h5py.SoftLink("/obsm")
    assert read_dataset(path).n_cells == CELLS
    with h5py.File(path, "r+") as file:
        file["obs/round"] = file["obs"]
    assert read_dataset(path).n_cells == CELLS
    with h5py.File(path, "r+") as file:
        file["obs"].attrs["column-order"] = ["age", "round"]
    with pytest.raises(
        DataError, match=r"obs column “round” of cells\.h5ad is no list of labels but stored as “dataframe”"
    ):
        read_dataset(path)


def test_more_objects_than_any_file_of_cells_holds_are_refused(path, monkeypatch):
    monkeypatch.setattr(hdf5, "MOST_OBJECTS", 50)
    with h5py.File(path, "r+") as file:
        for i in range(50):
            file.create_group(f"uns/{i}")
    with pytest.raises(DataError, match=r"cells\.h5ad holds more than 50 objects\."):
        read_dataset(path)


def test_groups_that_nest_without_end_are_refused(path):
    with h5py.File(path, "r+") as file:
        group = file["uns"]
        for _ in range(300):
            group = group.create_group("a")
    with pytest.raises(DataError, match=r"cells\.h5ad nests groups more than 100 deep\."):
        read_dataset(path)


def test_only_one_module_opens_hdf5():
    root = Path(hdf5.__file__).parents[2]
    for source in [*root.glob("yoto_core/**/*.py"), *root.glob("pages/**/*.py"), root / "app.py"]:
        text = source.read_text(encoding="utf-8")
        opening = "h5py.File(" in text or "read_h5ad(" in text or "read_zarr(" in text
        assert not opening or source == Path(hdf5.__file__), source


# Small files that declare what they do not hold.


def wide_and_empty(file):
    """20,000 × 1,000,000 values that were never written: 80 GB in a file of some kilobytes."""
    for table, count in (("obs", 20_000), ("var", 1_000_000)):
        del file[table]
        group = file.create_group(table)
        group.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"})
        group.attrs["column-order"] = np.array([], dtype=h5py.string_dtype())
        index = np.arange(count).astype("S7")
        group.create_dataset("_index", data=index, compression="gzip")
    del file["X"]
    file.create_dataset("X", shape=(20_000, 1_000_000), dtype="f4", chunks=(1, 1_000))


def column_of_fill_values(file):
    """A column that was never written, and an index that is that column too."""
    del file["obs/age"]
    file.create_dataset("obs/age", shape=(300_000_000,), dtype="f8", fillvalue=1.0, chunks=(1_000_000,))
    file["obs"].attrs.update({"column-order": ["age"], "_index": "age"})


def index_of_fill_values(file):
    del file["obs/_index"]
    file.create_dataset("obs/_index", shape=(30_000_000,), dtype="S20", fillvalue=b"cell", chunks=(100_000,))
    file["obs"].attrs["column-order"] = np.array([], dtype=h5py.string_dtype())


def values_never_written(file):
    del file["X/data"]
    file.create_dataset("X/data", shape=(1 << 33,), dtype="f4", chunks=(1 << 20,))


@pytest.mark.parametrize(
    ("inflate", "said"),
    [
        (wide_and_empty, r"declares 20,000 × 1,000,000 values at X, more than a file of [0-9.]+ [kM]B can hold"),
        (column_of_fill_values, r"declares 2\.4 GB at obs/age, more than a file of [0-9.]+ [kM]B can hold"),
        (index_of_fill_values, r"declares 600 MB at obs/_index, more than a file of [0-9.]+ [kM]B can hold"),
        (values_never_written, r"declares 8,589,934,592 values at X/data, more than a file of [0-9.]+ [kM]B can hold"),
    ],
)
def test_what_a_file_cannot_hold_is_refused_before_memory_is_asked_for(inflate, said, path):
    with h5py.File(path, "r+") as file:
        inflate(file)
    with pytest.raises(DataError, match=rf"^cells\.h5ad {said}\. Save it again"):
        read_dataset(path)
    with pytest.raises(DataError, match=said), open_cells(path):
        pass


def share_one_text(file, place, *, text, times):
    """A column of which every value points to the same text."""
    del file[place]
    column = file.create_dataset(place, shape=(1,), maxshape=(None,), chunks=(1 << 16,), dtype=h5py.string_dtype())
    column[0] = text
    pointer = column.id.read_direct_chunk((0,))[1][:16]
    column.resize((times,))
    for start in range(0, times, 1 << 16):
        column.id.write_direct_chunk((start,), pointer * (1 << 16))


def test_one_long_text_for_every_cell_is_refused(path):
    with h5py.File(path, "r+") as file:
        share_one_text(file, "obs/donor", text="x" * 50_000, times=1 << 16)
        file["obs"].attrs.update({"column-order": ["donor"], "_index": "donor"})
    with pytest.raises(DataError, match=r"cells\.h5ad declares texts longer than all that is stored at obs/donor"):
        read_dataset(path)


def with_collections(path, change):
    """The same file with every collection of texts changed: `change` gets the bytes from its first text on."""
    content, at = bytearray(path.read_bytes()), 0
    while (at := content.find(b"GCOL", at)) >= 0:
        content[at + 16 : at + 32] = change(content[at + 16 : at + 32])
        at += 4
    path.write_bytes(content)


def test_texts_that_hdf5_would_look_for_without_end_are_refused(path):
    with_collections(path, lambda first: bytes(16))  # free space of no length
    said = r"^cells\.h5ad is cut short or damaged \(texts lie in a collection that does not end\)\."
    with pytest.raises(DataError, match=said):
        read_dataset(path)
    with pytest.raises(DataError, match=said), open_cells(path):
        pass


def test_collections_of_texts_that_lie_in_one_another_are_refused_after_one_look(path):
    with path.open("ab") as file:
        file.write((hdf5.HEAP + (1 << 40).to_bytes(8, "little") + bytes([1, 0, 0, 0, 0, 0, 0, 0]) + bytes(8)) * 1_000)
    with pytest.raises(DataError, match=r"^cells\.h5ad is cut short or damaged \(collections of texts overlap\)\."):
        read_dataset(path)


def test_a_changed_file_is_looked_through_again(path):
    read_dataset(path)
    with_collections(path, lambda first: bytes(16))
    with pytest.raises(DataError, match="does not end"):
        read_dataset(path)


def test_a_list_of_columns_may_name_each_once(path):
    with h5py.File(path, "r+") as file:
        file["obs"].attrs["column-order"] = np.array(["age", "donor", "age"], dtype=h5py.string_dtype())
    with pytest.raises(DataError, match=r"The obs column “age” occurs more than once\."):
        read_dataset(path)
    with h5py.File(path, "r+") as file:
        file["obs"].attrs["column-order"] = np.array(["age"] * 2_000, dtype=h5py.string_dtype())
    with pytest.raises(DataError, match=r"The obs column “age” occurs more than once\. Rename or drop one"):
        read_dataset(path)


def test_a_piece_larger_than_the_memory_is_refused_however_little_of_it_is_wanted(path, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 60_000_000)
    with h5py.File(path, "r+") as file:
        del file["X"]
        file.create_dataset("X", data=np.ones((CELLS, 60)), chunks=(CELLS, 60), maxshape=(None, None))
        file.create_dataset("layers/wide", shape=(CELLS, 60), dtype="f4", chunks=(CELLS, 60_000), maxshape=(None, None))
    with pytest.raises(MachineError, match=r"layers/wide of cells\.h5ad needs about 72 MB of memory; 60 MB are free\."):
        read_dataset(path)


def test_a_matrix_that_fits_no_memory_is_refused_before_it_is_read(path, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 100_000)
    with pytest.raises(MachineError, match=r"cells\.h5ad needs about \d+ kB of memory; 100 kB are free\. Close other"):
        read_dataset(path)


def test_a_dense_matrix_is_given_up_where_memory_ends(path, monkeypatch):
    with h5py.File(path, "r+") as file:
        del file["X"]
        file["X"] = np.ones((CELLS, 60), dtype="f4")
    monkeypatch.setattr(memory, "free_memory", lambda: 100_000)
    with pytest.raises(MachineError, match=r"cells\.h5ad needs about 144 kB of memory; 100 kB are free\."):
        read_dataset(path)


def test_long_honest_names_are_read(path):
    with h5py.File(path, "r+") as file:
        del file["obs/donor"]
        names = np.array([f"{i:05d}" * 2_000 for i in range(CELLS)], dtype=h5py.string_dtype())
        file.create_dataset("obs/donor", data=names)
    assert read_dataset(path).obs["donor"].str.len().min() == 10_000


# What is no matrix of these cells and genes.


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (np.float32(3.0), "a single value, not cells × genes"),
        (np.ones(CELLS), "300, not cells × genes"),
        (np.ones((CELLS, 60, 2)), "300 × 60 × 2, not cells × genes"),
        (np.ones((60, CELLS)), "60 × 300 values, but there are 300 cells and 60 genes"),
        (np.ones((CELLS, 60), dtype=complex), "complex numbers, not the numbers of a matrix"),
        (np.full((CELLS, 60), b"1"), "texts, not the numbers of a matrix"),
        (np.full((CELLS, 60), "1", dtype=h5py.string_dtype()), "texts or objects, not the numbers of a matrix"),
        (np.zeros((CELLS, 60), dtype=[("a", "f4"), ("b", "f4")]), "records, not the numbers of a matrix"),
        (np.ones((CELLS, 60), dtype=h5py.enum_dtype({"A": 0, "B": 1})), "names for numbers, not the numbers of a"),
        (h5py.Empty("f4"), "a single value, not cells × genes"),
    ],
)
def test_what_is_no_matrix_of_numbers_is_refused_and_never_read_as_one(values, why, path):
    with h5py.File(path, "r+") as file:
        del file["X"]
        file["X"] = values
    said = rf"No usable expression matrix \(X: {why}"
    with pytest.raises(DataError, match=said):
        read_dataset(path)
    with pytest.raises(DataError, match=said), open_cells(path):
        pass


@pytest.mark.parametrize(
    "values", [np.ones((CELLS, 60), dtype=complex), np.full((CELLS, 60), "1"), sparse.eye(CELLS, 60, dtype=complex)]
)
def test_the_same_holds_for_an_object_in_memory(values):
    toy = make_toy()
    toy.layers["counts"], toy.X = toy.X, values.tocsr() if sparse.issparse(values) else values
    found = from_anndata(toy)
    assert found.chosen == "layers/counts"
    assert {verdict.name: verdict.kind for verdict in found.verdicts}["X"] == "unreadable"


@pytest.mark.parametrize("dtype", ["?", ">f4", "<f2", ">i4", "u8", "f8", "i1"])
def test_numbers_of_any_width_and_order_are_read(dtype, path):
    wanted = (np.random.default_rng(0).random((CELLS, 60)) < 0.3) * (1 if dtype == "?" else 3)
    with h5py.File(path, "r+") as file:
        del file["X"]
        file["X"] = wanted.astype(dtype)
    np.testing.assert_array_equal(read_dataset(path).matrix.toarray(), wanted)
    toy = make_toy()
    toy.X = sparse.csr_matrix(wanted)
    toy.write_h5ad(path)
    with h5py.File(path, "r+") as file:
        values = file["X/data"][:].astype(dtype)
        del file["X/data"]
        file["X/data"] = values
    np.testing.assert_array_equal(read_dataset(path).matrix.toarray(), wanted)


@pytest.mark.parametrize("label", [1e300, -1e300, np.inf, 5e-324])
def test_numbers_beyond_all_measure_are_described(label, path):
    toy = make_toy()
    toy.obs.loc[toy.obs_names[:5], "age"] = label
    toy.obs["whole"] = np.where(np.arange(CELLS) % 3, 1.0, label)
    toy.write_h5ad(path)
    data = read_dataset(path)
    assert "age" in data_as_text(describe_data(data))
    assert check_data(data) is not None
