"""What the machine cannot do is said as such, wherever it is met: never called damage, and never a reason to delete."""

import errno
import io
import os
import re
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
from streamlit.runtime.scriptrunner import StopException

from pages.ui import once, uploads
from tests.conftest import make_toy
from tests.shared_app import app, fine, messages, visited_server
from tests.shared_runs import CONDITION, config_for, finished, save, toy_on_disk
from yoto_core import memory, pipeline
from yoto_core.__main__ import main
from yoto_core.data import reading as data_reading
from yoto_core.data.hdf5 import damaged
from yoto_core.data.reading import read_dataset
from yoto_core.errors import DataError, MachineError, PlaceError, RunError, limit_of, memory_named, out_of_memory
from yoto_core.files import PROJECT, home, read_json, reading, write_json
from yoto_core.prediction.cells import open_cells
from yoto_core.store import library, portable, runs
from yoto_core.store.status import last_word
from yoto_core.worker import carry_out

WAYS_TO_SAY_IT = [
    MemoryError(),
    np._core._exceptions._ArrayMemoryError((1 << 40,), np.dtype(float)),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried"),
    OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
    OSError("Can't synchronously read data (memory allocation failed for raw data chunk)"),
]
NEXT = "Close other programs or use fewer cells."


@pytest.fixture(autouse=True)
def _visited(monkeypatch):
    visited_server(monkeypatch)


def raise_it(error):
    def refuse(*_args, **_named):
        raise error

    return refuse


@pytest.fixture
def too_large(tmp_path, monkeypatch):
    """A file that needs more memory than is free, as there is next to none."""
    path = tmp_path / "large.h5ad"
    make_toy().write_h5ad(path)
    monkeypatch.setattr(memory, "free_memory", lambda: 10_000)
    return path


TOO_LARGE = r"large\.h5ad needs about [0-9.]+ kB of memory; 10 kB are free\."


@pytest.mark.parametrize("error", WAYS_TO_SAY_IT, ids=lambda error: type(error).__name__)
def test_every_library_is_understood_when_it_has_no_memory(error):
    assert out_of_memory(error)
    behind = ValueError("could not read")
    behind.__cause__ = error
    assert out_of_memory(behind)
    assert str(damaged("cells.h5ad", error)) == f"cells.h5ad needs more memory than this machine has. {NEXT}"
    with pytest.raises(PlaceError, match=r"^panel\.csv of the run needs more memory than this machine has\."):
        with_reading(error)


def test_a_library_that_memory_does_not_hold_is_understood_too():
    assert out_of_memory(ImportError("libtorch_cpu.so: failed to map segment from shared object"))
    assert not out_of_memory(ImportError("No module named 'torch'"))


def with_reading(error):
    with reading("panel.csv"):
        raise error


@pytest.mark.parametrize(
    "error", [ValueError("x"), RuntimeError("no such task"), OSError("truncated file"), KeyError("memory")]
)
def test_nothing_else_is_taken_for_it(error):
    assert not out_of_memory(error)
    assert limit_of(error, "cells.h5ad") is None
    with pytest.raises(type(error)), memory_named("cells.h5ad"):
        raise error


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ESTALE])
def test_what_the_system_refuses_is_not_damage(number):
    said = f"cannot be read ({os.strerror(number)})."
    error = damaged("cells.h5ad", OSError(number, os.strerror(number)))
    assert isinstance(error, MachineError)
    assert error.args[0] == f"cells.h5ad {said}"
    with pytest.raises(PlaceError) as refused:
        with_reading(OSError(number, os.strerror(number)))
    assert refused.value.args[0] == f"panel.csv of the run {said}"


def test_a_filter_that_is_not_here_is_not_damage():
    error = damaged("cells.h5ad", OSError("Can't read data (required filter 'lz4' is not registered)"))
    assert isinstance(error, DataError)
    assert error.args[0].startswith("cells.h5ad is compressed in a way that cannot be read here (")


def test_bytes_that_are_wrong_are_still_damage(tmp_path):
    whole = toy_on_disk().read_bytes()
    (tmp_path / "cut.h5ad").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"^cut\.h5ad is cut short or damaged \("):
        read_dataset(tmp_path / "cut.h5ad")
    with pytest.raises(RunError, match=r"^panel\.csv of the run is damaged\."):
        with_reading(OSError("no magic bytes"))


def test_data_that_no_memory_holds_are_named_as_such(too_large, capsys):
    with pytest.raises(MachineError, match=f"^{TOO_LARGE}"):
        read_dataset(too_large)
    with pytest.raises(MachineError, match=f"^{TOO_LARGE}"), open_cells(too_large):
        pass
    for command in (["inspect", too_large], ["select", too_large, "--task", "condition", "--panel-size", "3"]):
        assert main([str(part) for part in command]) == 2
        said = rf"yoto: {TOO_LARGE} Close other programs, use fewer cells or genes, or a larger machine\.\n"
        assert re.fullmatch(said, capsys.readouterr().err)


def test_a_file_without_rights_is_not_called_something_else(monkeypatch, tmp_path):
    (tmp_path / "mine.h5ad").write_bytes(toy_on_disk().read_bytes())
    monkeypatch.setattr("pathlib.Path.open", raise_it(PermissionError(errno.EACCES, os.strerror(errno.EACCES))))
    with pytest.raises(MachineError, match=r"^mine\.h5ad cannot be read \(Permission denied\)\."):
        read_dataset(tmp_path / "mine.h5ad")


@pytest.mark.parametrize("error", WAYS_TO_SAY_IT[:4], ids=lambda error: type(error).__name__)
def test_a_model_that_memory_does_not_hold_is_not_damaged(error, monkeypatch):
    packed, folder = portable.pack(portable.saved_model(finished())), save(finished())
    monkeypatch.setattr(runs, "load", raise_it(error))
    monkeypatch.setattr(portable, "load", raise_it(error))
    with pytest.raises(PlaceError, match=r"^model\.safetensors of the run needs more memory than this machine has\."):
        runs.load_run(folder)
    with pytest.raises(PlaceError, match=r"^panel\.yoto needs more memory than this machine has\."):
        portable.unpack(packed, name="panel.yoto")


def kept_files():
    return {path.name for path in (home() / "data").iterdir()}


def send(content, name):
    at = app()
    at.file_uploader[0].upload(name, content)
    return fine(at.run())


def test_an_upload_that_memory_does_not_hold_stays_and_is_explained(too_large):
    at = send(too_large.read_bytes(), "large.h5ad")
    assert any(re.match(TOO_LARGE, text) for text in messages(at))
    assert len(kept_files()) == 2


def test_an_upload_of_no_use_is_forgotten_unless_it_was_there_before():
    send(b"no data", "bad.h5ad")
    assert kept_files() == set()
    key = library.keep(io.BytesIO(b"no data"), "of another.h5ad")
    send(b"no data", "bad.h5ad")
    assert kept_files() == {f"{key}.h5ad", f"{key}.names.json"}


def test_what_somebody_else_kept_meanwhile_stays():
    mine = library.take_in(io.BytesIO(b"same"), "mine.h5ad")
    theirs = library.take_in(io.BytesIO(b"same"), "theirs.h5ad")
    assert (mine.is_new, theirs.is_new) == (True, False)
    library.forget(mine)
    library.forget(theirs)
    assert library.find(mine.key)[0].read_bytes() == b"same"
    alone = library.take_in(io.BytesIO(b"other"), "alone.h5ad")
    library.forget(alone)
    library.forget(alone)
    assert f"{alone.key}.h5ad" not in kept_files()


def a_run(**about):
    folder = runs.create_run(
        config_for(CONDITION, panel_size=3), data_path=toy_on_disk(), data_name="toy.h5ad",
        data_digest=finished().summary["digest"],
    )  # fmt: skip
    write_json(folder / "data.json", {**read_json(folder / "data.json"), **about})
    return folder


@pytest.mark.parametrize("error", WAYS_TO_SAY_IT[:4], ids=lambda error: type(error).__name__)
def test_a_run_that_memory_does_not_hold_fails_by_the_machine(error, monkeypatch):
    folder = a_run()
    monkeypatch.setattr(pipeline, "choose_panel", raise_it(error))
    status = carry_out(folder)
    assert (status.state, status.fault, status.hint) == ("failed", "machine", NEXT)
    assert status.message == "The run needs more memory than this machine has."


def test_a_run_tells_whose_fault_its_failure_was():
    ended = [carry_out(a_run(digest="0")), carry_out(a_run(path=None))]
    assert [(status.state, status.fault) for status in ended] == [("failed", "input"), ("failed", "ours")]


def test_a_status_of_an_earlier_version_names_nobody():
    folder = a_run()
    values = read_json(folder / "status.json")
    del values["fault"]
    write_json(folder / "status.json", {**values, "state": "failed"})
    assert last_word(folder).fault == ""
    assert asdict(replace(last_word(folder), fault="ours"))["fault"] == "ours"


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyError("unexpected"), 1), (MemoryError(), 2), (DataError("An unexpected word.", hint="Go on."), 2)],
)
def test_the_exit_code_follows_the_fault_and_no_word(error, code, monkeypatch, capsys):
    monkeypatch.setattr(pipeline, "choose_panel", raise_it(error))
    command = ["select", str(toy_on_disk()), "--task", "condition", "--panel-size", "3"]
    assert main(command) == code
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("command", ["predict", "show", "inspect"])
def test_no_command_ends_in_a_traceback_where_memory_ends(command, monkeypatch, capsys, tmp_path):
    folder = save(finished())
    monkeypatch.setattr(data_reading, "_look", raise_it(MemoryError()))
    monkeypatch.setattr("yoto_core.report.as_text", raise_it(MemoryError()))
    rest = {"predict": [str(folder), str(toy_on_disk()), "--out", str(tmp_path / "x.csv")], "show": [str(folder)]}
    assert main([command, *rest.get(command, [str(toy_on_disk())])]) == 2
    thing = folder.name if command == "show" else "toy.h5ad"
    assert capsys.readouterr().err.endswith(f"yoto: {thing} needs more memory than this machine has. {NEXT}\n")


def shell(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "yoto_core", *arguments], cwd=PROJECT, stderr=subprocess.PIPE, text=True, **options
    )


def test_a_reader_who_has_seen_enough_ends_a_command_quietly():
    read, written = os.pipe()
    os.close(read)
    child = shell("inspect", str(toy_on_disk()), stdout=written)
    os.close(written)
    assert child.communicate()[1] == ""
    assert child.returncode == 0


def test_a_request_to_stop_during_the_start_is_answered_without_a_traceback(tmp_path):
    # A module of the same name as one that the shell loads first says when the loading has begun.
    (tmp_path / "tqdm.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nimport time\ntime.sleep(60)\n"
    )
    child = shell("list", env=os.environ | {"PYTHONPATH": str(tmp_path)}, stdout=subprocess.PIPE)
    assert child.communicate()[1] == "yoto: stopped.\n"
    assert child.returncode == 130


def test_a_request_to_stop_inside_generated_code_gives_the_same_code(tmp_path):
    # Python notes where an interrupt came inside exec(), and would end by the signal whatever the program returns.
    code = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
    (tmp_path / "anndata.py").write_text(f"exec({code!r})\n")
    child = shell("inspect", "x", env=os.environ | {"PYTHONPATH": str(tmp_path)}, stdout=subprocess.PIPE)
    assert child.communicate()[1] == "yoto: stopped.\n"
    assert child.returncode == 130


def test_an_upload_that_a_rerun_broke_in_on_is_read_by_the_next_run(monkeypatch):
    let_go, read = [], once.read_dataset
    monkeypatch.setattr(uploads, "let_go", lambda file, *_copies: let_go.append(file.name))

    def broken_in_on(*_args, **_options):
        monkeypatch.setattr(once, "read_dataset", read)
        raise StopException

    monkeypatch.setattr(once, "read_dataset", broken_in_on)
    at = send(toy_on_disk().read_bytes(), "cells.h5ad")
    assert "data" not in at.query_params
    assert let_go == []
    at = fine(at.run())
    assert "data" in at.query_params
    assert let_go == ["cells.h5ad"]


def test_a_refused_upload_is_said_until_it_is_taken_out_of_the_box():
    at = send(b"no data", "bad.h5ad")
    for _ in range(2):
        assert any(text.startswith("bad.h5ad is not an .h5ad file.") for text in messages(fine(at.run())))
    at.file_uploader[0].set_value(None)
    assert not messages(fine(at.run()))
    assert kept_files() == set()
