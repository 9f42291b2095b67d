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


def test_the_same_content_is_kept_once_under_its_latest_name():
    keys = {library.keep(io.BytesIO(b"same"), name) for name in ("first.h5ad", "second.h5ad")}
    assert len(keys) == 1
    assert library.find(keys.pop())[1] == "second.h5ad"
    assert len(list((home() / "data").glob("*.h5ad"))) == 1


@pytest.mark.parametrize("name", ["../../evil.h5ad", "/etc/passwd", "ü <script>.h5ad", "", "a\nb"])
def test_a_name_is_only_shown_and_never_becomes_a_path(name):
    key = library.keep(io.BytesIO(b"content"), name)
    path, shown = library.find(key)
    assert shown == name
    assert path.parent == home() / "data"
    assert {file.name for file in (home() / "data").iterdir()} == {f"{key}.h5ad", f"{key}.name"}


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
    (home() / "data" / f"{key}.name").unlink()
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
