"""Uploaded files are kept once under what they contain, and found again by that key alone."""

import errno
import hashlib
import io
import os

import pytest

from yoto_core.data.reading import read_dataset
from yoto_core.demo import DEMO_FILE, DEMO_NAME, demo_config
from yoto_core.errors import DataError, RunError
from yoto_core.files import home
from yoto_core.store import library


def test_a_file_is_kept_under_the_digest_of_its_bytes_and_found_by_it():
    content = os.urandom(5000)
    key = library.keep(io.BytesIO(content), "cells.h5ad")
    assert key == hashlib.sha256(content).hexdigest()
    path, name = library.find(key)
    assert path.read_bytes() == content
    assert name == "cells.h5ad"
    assert library.key_of(path) == key


def test_a_file_larger_than_a_chunk_is_kept_whole(monkeypatch):
    monkeypatch.setattr(library, "CHUNK", 1000)
    content = os.urandom(3500)
    path, _ = library.find(library.keep(io.BytesIO(content), "x"))
    assert path.read_bytes() == content


def test_the_same_content_is_kept_once_and_each_owner_has_a_name_for_it():
    keys = {library.keep(io.BytesIO(b"same"), f"{who}.h5ad", owner=who) for who in ("first", "second")}
    assert len(keys) == 1
    (key,) = keys
    assert [library.find(key, who)[1] for who in ("first", "second")] == ["first.h5ad", "second.h5ad"]
    assert library.find(key, "a browser whose cookie is gone")[1] == "second.h5ad"
    assert len(list((home() / "data").glob("*.h5ad"))) == 1


@pytest.mark.parametrize("shelf", ["data", "models"])
def test_on_a_shared_server_a_name_is_only_its_owners(monkeypatch, shelf):
    find = library.find if shelf == "data" else library.find_model
    key = library.keep(io.BytesIO(b"same"), "patient 7", owner="me", shelf=shelf)
    monkeypatch.setenv("YOTO_SHARED", "1")
    assert find(key, "me")[1] == "patient 7"
    neutral = f"{key[:8]}{'.h5ad' if shelf == 'data' else '.yoto'}"
    assert find(key, "you")[1] == find(key)[1] == neutral
    library.keep(io.BytesIO(b"same"), "mine", owner="you", shelf=shelf)
    assert (find(key, "me")[1], find(key, "you")[1]) == ("patient 7", "mine")


def test_a_name_of_an_earlier_version_is_shown_on_ones_own_machine_alone(monkeypatch):
    key = hashlib.sha256(b"old").hexdigest()
    (home() / "data").mkdir(parents=True)
    (home() / "data" / f"{key}.h5ad").write_bytes(b"old")
    (home() / "data" / f"{key}.name").write_text("patient 7", encoding="utf-8")
    assert library.find(key, "me")[1] == "patient 7"
    monkeypatch.setenv("YOTO_SHARED", "1")
    assert library.find(key, "me")[1] == f"{key[:8]}.h5ad"
    library.forget(library.take_in(io.BytesIO(b"old"), "mine", owner="me"))
    assert library.find(key, "me")[1] == f"{key[:8]}.h5ad"


@pytest.mark.parametrize("content", ["{", "[]", '{"me": 1}', '{"me": {}}', "\0"])
def test_a_damaged_list_of_names_costs_the_names_alone(content):
    key = library.keep(io.BytesIO(b"content"), "cells.h5ad", owner="me")
    (home() / "data" / f"{key}.names.json").write_text(content)
    assert library.find(key, "me")[1] == f"{key[:8]}.h5ad"
    library.keep(io.BytesIO(b"content"), "again.h5ad", owner="me")
    assert library.find(key, "me")[1] == "again.h5ad"


@pytest.mark.parametrize("name", ["../../evil.h5ad", "/etc/passwd", "ü <script>.h5ad", "", "a\nb"])
def test_a_name_is_only_shown_and_never_becomes_a_path(name):
    key = library.keep(io.BytesIO(b"content"), name)
    path, shown = library.find(key)
    assert shown == name
    assert path.parent == home() / "data"
    assert {file.name for file in (home() / "data").iterdir()} == {f"{key}.h5ad", f"{key}.names.json"}


def test_models_stand_on_a_shelf_of_their_own():
    key = library.keep(io.BytesIO(b"model"), "panel.yoto", shelf="models")
    path, name = library.find_model(key)
    assert (path.parent.name, path.suffix, name) == ("models", ".yoto", "panel.yoto")
    with pytest.raises(DataError, match=r"^The data of this link are not on this machine\."):
        library.find(key)
    with pytest.raises(
        RunError, match=r"^The model of this link is not on this machine\. Load the \.yoto file again\.$"
    ):
        library.find_model("a" * 64)


def test_a_file_whose_name_was_lost_is_found_all_the_same():
    key = library.keep(io.BytesIO(b"content"), "cells.h5ad")
    (home() / "data" / f"{key}.names.json").unlink()
    assert library.find(key)[0].read_bytes() == b"content"


@pytest.mark.parametrize("key", ["", "..", "a" * 64, "A" * 64, "../../../etc/passwd", "demo2", "a" * 64 + "\n"])
def test_an_unknown_key_is_said(key):
    with pytest.raises(DataError, match=r"^The data of this link are not on this machine\. Load the file again\.$"):
        library.find(key)


def test_a_full_disk_is_said_and_leaves_nothing_behind(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(RunError, match="is full"):
        library.keep(io.BytesIO(b"content"), "cells.h5ad")
    assert list((home() / "data").iterdir()) == []


def test_a_broken_stream_leaves_nothing_behind():
    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise ValueError("connection lost")

    with pytest.raises(ValueError, match="connection lost"):
        library.keep(Broken(), "cells.h5ad")
    assert list((home() / "data").iterdir()) == []


def test_a_file_elsewhere_or_gone_has_no_key(tmp_path):
    (tmp_path / ("a" * 64 + ".h5ad")).write_bytes(b"")
    assert library.key_of(tmp_path / ("a" * 64 + ".h5ad")) is None
    assert library.key_of(home() / "data" / ("b" * 64 + ".h5ad")) is None


def test_the_demo_has_a_key_of_its_own_and_holds_what_its_design_asks_for():
    assert library.find(library.DEMO_KEY) == (DEMO_FILE, DEMO_NAME)
    assert library.key_of(DEMO_FILE) == library.DEMO_KEY
    data = read_dataset(DEMO_FILE)
    assert (data.n_cells, data.n_genes, data.kind) == (2800, 14053, "counts")
    assert {task.obs for task in demo_config().tasks} <= set(data.obs)
    assert data.obs["cell_type"].nunique() == 13
