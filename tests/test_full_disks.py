"""A disk that is full, and one that may only be read: one sentence each, exit code 2, and nothing that was there is touched."""

import contextlib
import io
import subprocess

import pytest

from tests.conftest import make_toy
from tests.shared_app import app, fine, go, messages, visited_server
from tests.shared_runs import finished, save, toy_on_disk
from yoto_core.__main__ import main
from yoto_core.errors import PlaceError, RunError
from yoto_core.store import library, runs
from yoto_core.store.export import write_predictions
from yoto_core.store.folders import runs_folder
from yoto_core.store.history import delete_run, history
from yoto_core.store.labels import read_label, rename
from yoto_core.store.status import read_status, write_status
from yoto_core.work import queue

FULL = r"^The disk that holds .* is full\. Free some space, then run again\.$"
READ_ONLY = r"cannot be written \(Read-only file system\)\. Choose a folder you may write to; YOTO_HOME names the one for runs\.$"


@pytest.fixture
def disk(tmp_path):
    """A small file system of its own (skipped where none can be mounted)."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "yoto", place]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield place
    # Lazily: a run that pages hold in memory keeps its model mapped.
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture
def held(disk, monkeypatch):
    """A home on that disk with one finished run and one upload."""
    monkeypatch.setenv("YOTO_HOME", str(disk / "home"))
    folder = save(finished())
    rename(folder, "The first")
    with toy_on_disk().open("rb") as file:
        library.keep(file, "toy.h5ad")
    return folder


def fill(disk):
    """Not one byte more."""
    with (disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(4096))


def contents(disk):
    return {path: path.read_bytes() for path in disk.rglob("*") if path.is_file()}


def an_upload(_folder):
    content = io.BytesIO()
    make_toy(cells=60, seed=5).write_h5ad(path := runs_folder().parents[2] / "new.h5ad")
    content = io.BytesIO(path.read_bytes())
    library.keep(content, "new.h5ad")


def a_name(folder):
    rename(folder, "Another name, of which there is more than fits")


def a_new_run(folder):
    runs.same_again(folder)


def a_status(folder):
    write_status(folder, read_status(folder))


def predictions(ending):
    def write(folder):
        labelled = finished().predict(make_toy())
        write_predictions(runs_folder().parents[1] / f"out{ending}", labelled, toy_on_disk())

    write.__name__ = f"predictions as {ending}"
    return write


WRITES = [an_upload, a_name, a_new_run, predictions(".csv"), predictions(".h5ad")]
each = pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)


@each
def test_a_full_disk_is_one_sentence_and_nothing_there_is_touched(write, disk, held):
    fill(disk)
    before = contents(disk)
    with pytest.raises(PlaceError, match=FULL):
        write(held)
    assert contents(disk) == before
    (disk / "filler").unlink()
    write(held)


@each
def test_a_disk_that_may_only_be_read_is_one_sentence(write, disk, held):
    before = contents(disk)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    with pytest.raises(PlaceError, match=READ_ONLY):
        write(held)
    assert contents(disk) == before


def test_a_status_is_written_on_a_full_disk_all_the_same(disk, held):
    fill(disk)
    a_status(held)
    assert read_status(held).state == "done"
    assert runs.load_run(held).evaluation is not None


def shell_writes(folder, disk):
    toy = str(toy_on_disk())
    return {
        "select": ["select", toy, "--task", "condition", "--panel-size", "3"],
        "predict to csv": ["predict", folder.name, toy, "--out", str(disk / "out.csv")],
        "predict to h5ad": ["predict", folder.name, toy, "--out", str(disk / "out.h5ad")],
        "export": ["export", folder.name, "--out", str(disk / "model.yoto")],
    }


@pytest.mark.parametrize("command", ["select", "predict to csv", "predict to h5ad", "export"])
@pytest.mark.parametrize("how", ["full", "read only"])
def test_the_shell_says_so_in_one_line_and_exits_with_two(how, command, disk, held, capsys):
    if how == "full":
        fill(disk)
    else:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    before = contents(disk)
    assert main(shell_writes(held, disk)[command]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("yoto: ")
    assert said.endswith(
        "is full. Free some space, then run again." if how == "full" else READ_ONLY[22:-1].replace("\\", "")
    )
    assert contents(disk) == before


def test_what_is_there_can_be_read_where_nothing_can_be_written(disk, held, capsys, monkeypatch):
    visited_server(monkeypatch)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    assert main(["list"]) == 0
    assert main(["show", held.name]) == 0
    assert "The first" in capsys.readouterr().out
    queue.tend()
    assert [row.run_id for row in history()] == [held.name]
    at = app(run=held.name)
    for page in ("Train", "Panel", "Metrics", "Maps", "Enrichment", "Predict", "Runs", "Data", "Design"):
        fine(go(at, page))
        assert not [said for said in messages(at) if "cannot be written" in said]
    with pytest.raises(RunError, match=READ_ONLY):
        delete_run(held)
    assert read_label(held).name == "The first"
