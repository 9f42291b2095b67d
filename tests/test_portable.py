"""One file carries a model away and comes back the same; anything else under that name is refused with a sentence."""

import hashlib
import io
import json
import pickle
import re
import zipfile

import pandas as pd
import pytest
from safetensors.torch import save as to_bytes

import yoto_core
from tests.conftest import make_toy
from tests.shared_runs import finished, save
from yoto_core.errors import RunError
from yoto_core.store import portable
from yoto_core.store.card import literal, model_card
from yoto_core.store.saved import saved_model


@pytest.fixture(scope="module")
def saved():
    return saved_model(finished())


@pytest.fixture(scope="module")
def content(saved):
    return portable.pack(saved)


def rewritten(content, changes, *, checksums):
    """The same file with members replaced; `checksums` renews the manifest's as an honest writer would."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members |= changes
    if checksums:
        manifest = json.loads(members["manifest.json"])
        manifest["sha256"] = {n: hashlib.sha256(c).hexdigest() for n, c in members.items() if n != "manifest.json"}
        members["manifest.json"] = json.dumps(manifest).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_a_model_comes_back_from_its_file_and_answers_alike(saved, tmp_path):
    path = yoto_core.export_model(saved, tmp_path / "panel.yoto")
    back, new = yoto_core.load_model(path), make_toy(cells=80, seed=5)
    pd.testing.assert_frame_equal(back.predict(new), saved.predict(new))
    pd.testing.assert_frame_equal(back.losses, saved.losses, check_dtype=False)
    assert back.about == saved.about
    assert back.reference.most_extreme == saved.reference.most_extreme


def test_load_run_opens_a_run_folder_and_an_exported_file(saved, tmp_path):
    path, new = yoto_core.export_model(saved, tmp_path / "panel.yoto"), make_toy(cells=40, seed=6)
    from_file, from_folder = yoto_core.load_run(path), yoto_core.load_run(save(finished()))
    assert from_folder.panel.genes == from_file.model.genes
    pd.testing.assert_frame_equal(from_file.predict(new, threshold=0.9), from_folder.predict(new, threshold=0.9))


def test_what_held_out_cells_showed_travels_with_the_model(saved, content):
    back = portable.unpack(content, name="x.yoto")
    for name in ("scores", "classes", "losses"):
        pd.testing.assert_frame_equal(getattr(back, name), getattr(saved, name), check_dtype=False)
    for task, counts in finished().evaluation.confusion.items():
        pd.testing.assert_frame_equal(back.confusion[task], counts, check_dtype=False)
    pd.testing.assert_frame_equal(back.trade_offs["cell_type"], saved.trade_offs["cell_type"], check_dtype=False)


def test_a_file_from_before_confusion_was_kept_is_still_read(content):
    values = json.loads(zipfile.ZipFile(io.BytesIO(content)).read("reference.json"))
    del values["confusion"]
    older = rewritten(content, {"reference.json": json.dumps(values).encode()}, checksums=True)
    assert portable.unpack(older, name="x.yoto").confusion == {}


@pytest.mark.parametrize(
    ("member", "change"),
    [
        ("reference.json", {"about": {"cells": "many"}}),
        ("reference.json", {"trade_offs": {"cell_type": {"threshold": [0.5]}}}),
        ("reference.json", {"scores": {"task": ["cell_type"]}}),
        ("model.json", {"normalize": "by magic"}),
    ],
)
def test_facts_that_do_not_hold_together_are_refused_even_with_right_checksums(content, member, change):
    values = {**json.loads(zipfile.ZipFile(io.BytesIO(content)).read(member)), **change}
    changed = rewritten(content, {member: json.dumps(values).encode()}, checksums=True)
    with pytest.raises(RunError, match="does not hold a whole model"):
        portable.unpack(changed, name="x.yoto")


def test_weights_that_are_no_numbers_are_refused(content):
    tensors = {name: value.clone() for name, value in finished().model.tensors.items()}
    tensors["mean"][0] = float("nan")
    changed = rewritten(content, {"model.safetensors": to_bytes(tensors)}, checksums=True)
    with pytest.raises(RunError, match="does not hold a whole model"):
        portable.unpack(changed, name="x.yoto")


def test_a_run_folder_and_its_export_answer_alike(saved):
    folder, new = save(finished()), make_toy(cells=40, seed=6)
    from_folder = yoto_core.load_model(folder)
    pd.testing.assert_frame_equal(from_folder.predict(new), saved.predict(new))
    assert set(from_folder.trade_offs) == {"cell_type", "condition", "age"}


def test_the_same_model_gives_the_same_bytes(saved, content):
    assert portable.pack(saved) == content


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_truncated_file_is_refused(content, share):
    with pytest.raises(RunError, match=re.escape("x.yoto is cut short or damaged.")):
        portable.unpack(content[: int(len(content) * share)], name="x.yoto")


@pytest.mark.parametrize("member", portable.MEMBERS)
def test_an_edited_member_is_refused_by_its_checksum(content, member):
    with pytest.raises(RunError, match=re.escape(f"{member} in x.yoto was changed after the export")):
        portable.unpack(rewritten(content, {member: b"{}"}, checksums=False), name="x.yoto")


@pytest.mark.parametrize("member", ["model.safetensors", "model.json", "reference.json"])
def test_members_that_hold_something_else_are_refused_even_with_right_checksums(content, member):
    with pytest.raises(RunError, match="does not hold a whole model"):
        portable.unpack(rewritten(content, {member: b"{}"}, checksums=True), name="x.yoto")


def test_a_model_of_other_genes_than_its_weights_is_refused(content, saved):
    values = {**json.loads(zipfile.ZipFile(io.BytesIO(content)).read("model.json"))}
    values["genes"] = values["genes"][:-1]
    changed = rewritten(content, {"model.json": json.dumps(values).encode()}, checksums=True)
    with pytest.raises(RunError, match="does not hold a whole model"):
        portable.unpack(changed, name="x.yoto")


def test_a_newer_schema_is_refused_with_its_number(content):
    manifest = json.dumps({"format": portable.FORMAT, "schema": 99, "sha256": {}}).encode()
    with pytest.raises(RunError, match=r"x.yoto has schema 99; this version reads up to 2. Update YOTO."):
        portable.unpack(rewritten(content, {"manifest.json": manifest}, checksums=False), name="x.yoto")


class Trap:
    """Would leave a mark if it were ever unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_in_disguise_is_refused_by_its_content_and_never_opened(protocol):
    with pytest.raises(RunError, match=r"x.yoto is a pickle, which can run code; it is not opened"):
        portable.unpack(pickle.dumps(Trap(), protocol=protocol), name="x.yoto")


def test_a_pickle_inside_a_zip_is_refused(content):
    with pytest.raises(RunError, match="pickled objects"):
        portable.unpack(rewritten(content, {"archive/data.pkl": pickle.dumps(Trap())}, checksums=False), name="x.yoto")


@pytest.mark.parametrize("found", [b"", b"hello", b"\x89HDF\r\n\x1a\n"])
def test_other_files_are_told_apart(found):
    with pytest.raises(RunError, match=r"is empty \(0 bytes\)|is not a model file of YOTO"):
        portable.unpack(found, name="x.yoto")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RunError, match=r"There is no model file gone.yoto. Check the path."):
        yoto_core.load_model(tmp_path / "gone.yoto")


def test_the_card_tells_data_tasks_panel_versions_scores_and_limits(saved):
    card = model_card(saved)
    for part in ("## Data", "## Tasks", "## Panel", "## Scores on held-out cells", "## Limits", "## Made with"):
        assert part in card
    for word in ("toy.h5ad", "192 cells trained", "torch", *(literal(gene) for gene in saved.model.genes)):
        assert word in card


def test_text_of_the_data_is_no_markup_in_the_card():
    assert literal("<b>[x](y)\n# z") == r"\<b\>\[x\]\(y\) \# z"
