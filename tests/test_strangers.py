"""A shared server: whoever has a link may look, only the owner may change, and nobody's file name reaches another."""

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from pages.ui import once
from tests.shared_app import app, fine, go, messages, visited_server, words
from tests.shared_runs import CONDITION, config_for, finished, save, toy_dataset, toy_on_disk
from yoto_core.errors import PlaceError, RunError
from yoto_core.files import home, saving
from yoto_core.store import library, runs
from yoto_core.store.history import delete_run
from yoto_core.store.labels import Label, may_change, read_label, rename
from yoto_core.store.status import last_word, of_this_process, stop_asked, write_status
from yoto_core.work import jobs, queue
from yoto_core.work.sweep import may_change_sweep, stop_sweep

_visited_server = pytest.fixture(autouse=True)(visited_server)
ME, YOU = "a" * 32, "b" * 32
NOT_YOURS = r"^Only the browser that started this run may change it\. Run it again, or make a new design"


@pytest.fixture(autouse=True)
def _shared(monkeypatch):
    monkeypatch.setenv("YOTO_SHARED", "1")


def created(owner=ME, sweep="", **status):
    folder = runs.create_run(
        config_for(CONDITION, panel_size=3), data_path=toy_on_disk(), data_name="toy",
        data_digest=toy_dataset().digest, label=Label(owner=owner, sweep=sweep, sizes=(3,)),
    )  # fmt: skip
    write_status(folder, replace(of_this_process(last_word(folder)), **status))
    return folder


def as_owner(owner, title, **link):
    """A page in the browser of this owner."""
    at = app(**link)
    at.session_state["owner"] = owner
    return go(at, title)


def keys(at):
    return {button.key for button in at.button if button.key}


# --- who may change a run


@pytest.mark.parametrize("owner", [YOU, "", "A" * 32])
def test_a_forged_call_is_refused_by_whatever_would_change_the_run(owner):
    done = save(finished())
    rename(done, "mine")
    working, ended = created(), created(state="stopped")
    for folder in (working, ended, done):  # the last one has no owner
        for change in (
            lambda folder=folder: jobs.stop(folder, owner=owner),
            lambda folder=folder: queue.resume(folder, owner=owner),
            lambda folder=folder: rename(folder, "yours", owner=owner),
            lambda folder=folder: delete_run(folder, owner=owner),
        ):
            with pytest.raises(RunError, match=NOT_YOURS):
                change()
        assert not stop_asked(folder)
    assert read_label(done).name == "mine"


def test_a_forged_stop_of_a_comparison_is_refused():
    folders = [created(sweep="c" * 32, state="queued", submitted=1.0) for _ in range(2)]
    assert may_change_sweep("c" * 32, ME)
    assert not may_change_sweep("c" * 32, YOU)
    with pytest.raises(RunError, match=NOT_YOURS):
        stop_sweep("c" * 32, owner=YOU)
    assert {last_word(folder).state for folder in folders} == {"queued"}
    stop_sweep("c" * 32, owner=ME)
    assert {last_word(folder).state for folder in folders} == {"stopped"}


def test_the_owner_the_shell_and_ones_own_machine_may(monkeypatch):
    folder = created(owner=ME)
    assert may_change(folder, ME)
    assert may_change(folder, None)
    nobodys = created(owner="")
    assert not may_change(nobodys, ME)
    assert may_change(nobodys, None)
    monkeypatch.setenv("YOTO_SHARED", "0")
    assert may_change(folder, YOU)
    assert may_change(nobodys, ME)


def test_every_page_says_who_asks_for_a_change():
    changing = {
        "jobs.stop", "stop_sweep", "queue.resume", "rename", "delete_run", "storage.remove", "library.keep", "library.take_in",
    }  # fmt: skip
    calls = [
        (path.name, node)
        for path in (Path(__file__).parents[1] / "pages").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in changing
    ]
    assert len(calls) >= 8
    assert [name for name, node in calls if "owner" not in {keyword.arg for keyword in node.keywords}] == []


# --- what a stranger sees of a run


def test_a_stranger_with_the_link_looks_on_and_the_owner_may_stop():
    folder = created()
    assert {"stop", f"stop_{folder.name}"} <= keys(as_owner(ME, "Train", run=folder.name))
    at = as_owner(YOU, "Train", run=folder.name)
    assert "At work" in words(at.sidebar.caption)
    assert not keys(at) & {"stop", f"stop_{folder.name}"}


def test_a_stranger_may_run_it_again_but_not_resume_it():
    folder = created(state="stopped", message="Stopped on request.")
    assert {"resume", "again", "redesign"} <= keys(as_owner(ME, "Train", run=folder.name))
    at = as_owner(YOU, "Train", run=folder.name)
    assert keys(at) & {"resume", "again", "redesign"} == {"again", "redesign"}


def test_the_log_is_its_owners_as_it_may_name_folders_of_the_server():
    folder = created(state="failed", message="It failed.")
    (folder / "log.txt").write_text("secret")
    assert [box.label for box in as_owner(ME, "Train", run=folder.name).expander] == ["Log"]
    assert not as_owner(YOU, "Train", run=folder.name).expander


def test_a_stranger_may_see_a_comparison_and_not_stop_it():
    created(sweep="c" * 32)
    assert {"sweep_stop", f"stop_{'c' * 32}"} <= keys(as_owner(ME, "Runs", sweep="c" * 32))
    assert not keys(as_owner(YOU, "Runs", sweep="c" * 32)) & {"sweep_stop", f"stop_{'c' * 32}"}


def test_the_owner_of_a_run_may_name_and_delete_it_on_the_runs_page():
    folder = save(finished())
    assert "delete" not in keys(as_owner(ME, "Runs", run=folder.name))  # it is nobody's
    mine = runs.same_again(folder, owner=ME)
    write_status(mine, replace(last_word(mine), state="stopped"))
    at = as_owner(ME, "Runs", run=mine.name)
    assert not at.button(key="delete").disabled
    assert [box.label for box in at.text_input] == ["Name"]


# --- whose name a file has


def kept(owner, name, shelf="data"):
    with toy_on_disk().open("rb") as file:
        return library.keep(file, name, owner=owner, shelf=shelf)


def everything(at):
    """All that a page says, in the main part and the sidebar."""
    return " ".join([words(at.text), words(at.caption), *messages(at), words(at.sidebar.text), words(at.markdown)])


@pytest.mark.parametrize("page", ["Data", "Design", "Predict"])
def test_a_name_stays_with_who_gave_it_however_often_the_file_was_read(page):
    key = kept(ME, "patient 7.h5ad")
    link = {"data": key, "cells": key}
    if page == "Predict":
        link["run"] = save(finished()).name
    for _ in range(2):
        at = as_owner(ME, page, **link)
        assert "patient 7.h5ad" in everything(at)
        at = as_owner(YOU, page, **link)
        assert f"{key[:8]}.h5ad" in everything(at)
        assert "patient" not in everything(at)
    kept(YOU, "mine.h5ad")
    assert "mine.h5ad" in everything(as_owner(YOU, page, **link))
    assert "patient 7.h5ad" in everything(as_owner(ME, page, **link))


def test_nothing_that_all_tabs_share_holds_a_name():
    key = kept(ME, "patient 7.h5ad")
    mine = once.data(key, matrix="auto", owner=ME)
    assert mine.name == once.facts(mine)["name"] == "patient 7.h5ad"
    theirs = once.data(key, matrix="auto", owner=YOU)
    assert theirs.name == once.facts(theirs)["name"] == f"{key[:8]}.h5ad"
    assert theirs.matrix is mine.matrix  # read once all the same
    path = library.find(key)[0]
    assert once._data(str(path), path.stat().st_mtime_ns, "auto", _name="x").name == ""


def test_an_error_names_a_file_as_who_asks_knows_it(tmp_path):
    cut = tmp_path / "cut.h5ad"
    cut.write_bytes(toy_on_disk().read_bytes()[:-5000])
    with cut.open("rb") as file:
        key = library.keep(file, "patient 7.h5ad", owner=ME)
    for owner, name in ((ME, "patient 7.h5ad"), (YOU, f"{key[:8]}.h5ad"), (ME, "patient 7.h5ad")):
        (said,) = [text for text in messages(as_owner(owner, "Data", data=key)) if "damaged" in text]
        assert said.startswith(f"{name} is cut short or damaged")


def test_a_run_carries_the_name_that_its_owner_gave():
    key = kept(ME, "patient 7.h5ad")
    folder = runs.create_run(
        finished().config, data_path=library.find(key)[0], data_name="patient 7.h5ad",
        data_digest=finished().summary["digest"], label=Label(owner=ME),
    )  # fmt: skip
    at = as_owner(YOU, "Train", run=folder.name)
    assert "patient" not in words(at.sidebar.text)  # the data are still called as YOU know them


# --- the storage section


def open_storage(owner, **link):
    at = app(**link)
    at.session_state["owner"] = owner
    at.session_state["storage"] = True
    return fine(at.run())


def test_the_storage_section_lists_ones_own_files_and_the_totals(monkeypatch):
    kept(ME, "mine.h5ad")
    kept(YOU, "theirs.yoto", shelf="models")
    at = open_storage(ME)
    assert list(at.dataframe[0].value["name"]) == ["mine.h5ad"]
    assert "Yours: 1 file, " in words(at.caption)
    assert "Everybody's on this server: " in words(at.caption)
    assert not at.button(key="remove_idle").disabled
    assert at.button(key="remove_chosen").disabled
    monkeypatch.setenv("YOTO_SHARED", "0")
    assert set(open_storage(ME).dataframe[0].value["name"]) == {"mine.h5ad", "theirs.yoto"}


def test_without_kept_files_there_is_no_storage_section_and_the_demo_is_none():
    assert "Storage" not in [box.label for box in app(data="demo").expander]


def test_the_limits_stand_beside_the_upload_box(monkeypatch):
    assert "At most 2 GB per file, 10 GB for all your files" in words(app().caption)
    monkeypatch.setenv("YOTO_KEPT_DAYS", "soon")
    assert any("YOTO_KEPT_DAYS is “soon”." in text for text in messages(fine(app())))


def test_data_that_were_removed_meanwhile_are_said_once_and_are_not_loaded_any_more():
    key = kept(ME, "mine.h5ad")
    at = as_owner(ME, "Data", data=key)
    for path in (home() / "data").iterdir():
        path.unlink()
    assert "The data of this link are not on this machine." in " ".join(messages(fine(at.run())))
    assert "data" not in at.query_params
    assert not messages(fine(at.run()))


def test_a_shared_server_does_not_say_where_it_keeps_things(monkeypatch):
    with (
        pytest.raises(PlaceError, match=r"^The disk of this server is full\. Tell whoever runs the server\.$"),
        saving(),
    ):
        raise OSError(28, "No space left on device", str(home() / "data" / "x"))
    with (
        pytest.raises(PlaceError, match=r"^The disk of this server cannot be written \(Permission denied\)\."),
        saving(),
    ):
        raise OSError(13, "Permission denied", str(home() / "data" / "x"))
    monkeypatch.setenv("YOTO_SHARED", "0")
    with pytest.raises(PlaceError, match="yoto-home"), saving():
        raise OSError(28, "No space left on device", str(home() / "data" / "x"))
