"""Files by themselves: plain JSON, what may not be written over, and what is said where the machine or the content is to blame."""

import errno
import fcntl
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from yoto_core import files
from yoto_core.errors import ConfigError, MachineError, PlaceError, RunError
from yoto_core.files import home, keep_apart, locked, plain, read_json, reading, saving, write_json, write_text


def system(number, path=None):
    return OSError(number, os.strerror(number), path) if path else OSError(number, os.strerror(number))


# --- where


def test_the_home_is_the_one_that_is_named_or_a_folder_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("YOTO_HOME", str(tmp_path / "named"))
    assert home() == tmp_path / "named"
    monkeypatch.setenv("HOME", str(tmp_path))
    for unset in (lambda: monkeypatch.setenv("YOTO_HOME", ""), lambda: monkeypatch.delenv("YOTO_HOME")):
        unset()
        assert home() == tmp_path / ".yoto"


@pytest.mark.parametrize(
    ("name", "writer"),
    [
        (".panel.csv.0a1b2c.417.part", 417),
        (".two\nlines.0a.7.part", 7),
        ("panel.csv.0a.417.part", None),
        (".panel.csv.0a.x.part", None),
        (".panel.csv.0a.417.part.csv", None),
        (".part", None),
    ],
)
def test_a_name_is_that_of_an_unfinished_file_or_of_none(name, writer):
    assert files.writer_of(name) == writer


def test_the_assets_are_found_beside_the_core():
    assert (files.ASSETS / "README.md").is_file()
    assert files.ASSETS.parent == files.PROJECT == Path(files.__file__).parents[1]


# --- content


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": (1, 2.5, None, True)}, {"a": [1, 2.5, None, True]}),
        ({1: np.int64(3), "x": np.float32(0.5)}, {"1": 3, "x": 0.5}),
        ([math.nan, np.float64("nan"), np.bool_(True)], [None, None, True]),
        ({"deep": [{"in": (math.nan,)}]}, {"deep": [{"in": [None]}]}),
        ("ß", "ß"),
    ],
    ids=str,
)
def test_values_are_written_as_json_knows_them(value, text, tmp_path):
    assert plain(value) == text
    write_json(tmp_path / "x.json", {"value": value})
    assert read_json(tmp_path / "x.json") == {"value": text}


def test_json_is_readable_by_people_and_ends_its_last_line(tmp_path):
    write_json(tmp_path / "x.json", {"a": "ü"})
    assert (tmp_path / "x.json").read_text(encoding="utf-8") == '{\n "a": "ü"\n}\n'


def test_an_endless_number_is_no_json(tmp_path):
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        write_json(tmp_path / "x.json", {"a": math.inf})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("lasting", [True, False])
def test_only_what_shall_last_waits_for_the_disk(lasting, monkeypatch, tmp_path):
    waited = []
    monkeypatch.setattr("os.fsync", waited.append)
    write_text(tmp_path / "x.txt", "a", lasting=lasting)
    write_json(tmp_path / "x.json", {}, lasting=lasting)
    assert len(waited) == (2 if lasting else 0)
    write_text(tmp_path / "x.txt", "b")
    write_json(tmp_path / "x.json", {})
    assert len(waited) == (4 if lasting else 2)


# --- nothing is written where something is read


def test_a_file_that_is_read_is_not_written_over_whatever_its_name(tmp_path):
    (tmp_path / "cells.h5ad").write_text("x")
    (tmp_path / "link.h5ad").symlink_to("cells.h5ad")
    for out in (tmp_path / "cells.h5ad", tmp_path / "link.h5ad", tmp_path / "." / "cells.h5ad"):
        with pytest.raises(ConfigError) as refused:
            keep_apart(out, {"the data": tmp_path / "cells.h5ad"})
        assert refused.value.args[0] == f"Writing {out} would replace the data."
        assert refused.value.hint == "Name another file or folder."


def test_nothing_is_written_into_a_folder_that_is_read(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    for out in (folder, folder / "new.csv", folder / "deep" / "new.csv"):
        with pytest.raises(ConfigError) as refused:
            keep_apart(out, {"the model": str(folder)})
        assert refused.value.args[0] == f"Writing {out} would change the model."


def test_beside_what_is_read_and_over_what_is_gone_anything_may_be_written(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "cells.h5ad").write_text("x")
    (tmp_path / "other.h5ad").write_text("x")
    read = {"the model": tmp_path / "run", "the data": tmp_path / "cells.h5ad", "the list": tmp_path / "gone.txt"}
    for out in (tmp_path, tmp_path / "run2", tmp_path / "new.csv", tmp_path / "other.h5ad", tmp_path / "gone.txt"):
        keep_apart(out, read)


def test_every_thing_that_is_read_is_looked_at(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text("x")
    with pytest.raises(ConfigError, match="would replace the second"):
        keep_apart(tmp_path / "b", {"the first": tmp_path / "a", "the second": tmp_path / "b"})


# --- what is said


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        KeyError("x"),
        IndexError("x"),
        TypeError("x"),
        AttributeError("x"),
        AssertionError("x"),
        OSError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_content_that_is_not_what_it_should_be_is_damaged(error):
    with pytest.raises(RunError) as said, reading("panel.csv"):
        raise error
    assert (said.value.args[0], said.value.hint) == (
        "panel.csv of the run is damaged.", "Run it again from the same design.",
    )  # fmt: skip
    assert not isinstance(said.value, MachineError)
    assert said.value.__cause__ is error


def test_a_file_that_is_gone_says_how_far_the_run_got(tmp_path):
    with pytest.raises(RunError) as said:
        read_json(tmp_path / "metrics.json")
    assert (said.value.args[0], said.value.hint) == (
        "The run has no metrics.json.", "It did not get that far; run it again.",
    )  # fmt: skip


@pytest.mark.parametrize("text", ["[]", "3", "null", "{", "", "\xff"])
def test_json_that_holds_no_object_is_damaged(text, tmp_path):
    (tmp_path / "x.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match=r"^x\.json of the run is damaged\."):
        read_json(tmp_path / "x.json")


def test_a_defect_of_ours_is_not_called_damage():
    defect = RuntimeError("a bug")
    with pytest.raises(RuntimeError) as met, reading("panel.csv"):
        raise defect
    assert met.value is defect


@pytest.mark.parametrize(
    ("error", "said", "hint"),
    [
        (system(errno.ENOSPC, "/there/x.csv"), "The disk that holds /there is full.", "Free some space, then run again."),
        (system(errno.EDQUOT, "/there/x.csv"), "The disk that holds /there is full.", "Free some space, then run again."),
        (
            system(errno.EROFS, "/there/x.csv"), f"/there cannot be written ({os.strerror(errno.EROFS)}).",
            "Choose a folder you may write to; YOTO_HOME names the one for runs.",
        ),
        (
            system(errno.ENOMEM), "Saving the run needs more memory than this machine has.",
            "Close other programs or use fewer cells.",
        ),
    ],
    ids=["full", "quota", "read only", "memory"],
)  # fmt: skip
def test_a_place_that_refuses_is_named_with_the_reason(error, said, hint):
    with pytest.raises(PlaceError) as refused, saving():
        raise error
    assert (refused.value.args[0], refused.value.hint) == (said, hint)
    assert refused.value.__cause__ is error


def test_a_refusal_without_a_file_names_the_home():
    with pytest.raises(PlaceError) as refused, saving():
        raise OSError("odd")
    assert refused.value.args[0] == f"{home()} cannot be written (odd)."


def test_what_is_not_the_place_s_fault_passes_while_saving():
    with pytest.raises(ValueError, match="of ours"), saving():
        raise ValueError("of ours")


def test_a_lock_holds_others_off_until_it_is_given_back(tmp_path):
    def taken():
        descriptor = os.open(tmp_path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    open_before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    with locked(tmp_path):
        assert taken()
    assert not taken()
    with pytest.raises(ValueError, match="inside"), locked(tmp_path):
        raise ValueError("inside")
    assert not taken()
    if open_before:
        assert len(list(Path("/proc/self/fd").iterdir())) == open_before
    with (
        pytest.raises(PlaceError, match=r" cannot be written \(No such file or directory\)\."),
        locked(tmp_path / "gone"),
    ):
        pass


def test_a_written_file_is_read_back_as_it_was(tmp_path):
    write_text(tmp_path / "x.txt", "ü\n")
    assert (tmp_path / "x.txt").read_bytes() == "ü\n".encode()
    assert json.loads(json.dumps(plain({"a": {2: (1,)}}))) == {"a": {"2": [1]}}
