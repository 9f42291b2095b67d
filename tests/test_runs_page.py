"""The Runs page, the sidebar and the ways back to a run, as a user meets them."""

import gc
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from pages.ui import collector
from tests.shared_app import app, fine, go, visited_server, words
from tests.shared_runs import CONDITION, TYPE, config_for, finished, save, toy_dataset, toy_on_disk
from yoto_core.errors import RunError
from yoto_core.files import write_json
from yoto_core.report import config_changes
from yoto_core.store import library, runs
from yoto_core.store.folders import runs_folder
from yoto_core.store.history import (
    delete_run,
    headline_scores,
    history,
    history_row,
    history_table,
    scores_text,
)
from yoto_core.store.labels import Label, read_label, rename
from yoto_core.store.status import last_word, of_process, of_this_process, read_status, stop_asked, write_status

_visited_server = pytest.fixture(autouse=True)(visited_server)


def open_page(title, **link):
    return go(app(**link), title)


def created(owner="", sweep=""):
    return runs.create_run(
        config_for(CONDITION, panel_size=3), data_path=toy_on_disk(), data_name="toy",
        data_digest=toy_dataset().digest, label=Label(owner=owner, sweep=sweep, sizes=(3,)),
    )  # fmt: skip


def test_without_runs_the_page_says_so_and_leads_on():
    at = open_page("Runs")
    assert words(at.info) == "There are no runs yet."
    assert fine(at.button(key="unlock").click().run()).header[0].value == "Data"
    at = open_page("Runs", data="demo")
    assert fine(at.button(key="unlock").click().run()).header[0].value == "Design"


def test_every_run_is_a_row():
    folder = save(finished())
    rename(folder, "  The <b>first</b>\none ")
    at = open_page("Runs")
    table = at.dataframe[0].value
    assert list(table["name"]) == ["The <b>first</b> one"]
    assert list(table["state"]) == ["Done"]
    assert list(table["genes"]) == [8]
    assert table["megabytes"][0] > 0.01


def test_scores_are_shown_task_by_task_and_never_averaged_over_metrics():
    folder = save(finished())
    scores = headline_scores(finished().evaluation.scores)
    assert [score[:2] for score in scores] == [("cell_type", "macro_f1"), ("condition", "macro_f1"), ("age", "r2")]
    write_status(folder, replace(last_word(folder), scores=scores))
    assert last_word(folder).scores == scores
    values = [f"{value:.2f}" for _, _, value in scores]
    shown = f"cell_type {values[0]} · condition {values[1]} · age R² {values[2]}"
    assert list(open_page("Runs").dataframe[0].value["scores"]) == [shown]


def test_scores_below_zero_have_a_real_minus_and_none_is_minus_zero():
    assert scores_text((("a", "macro_f1", -0.001), ("b", "r2", -0.18))) == "a 0.00 · b R² −0.18"
    assert scores_text(()) == ""


def test_a_run_of_an_earlier_version_lists_without_its_mean_over_metrics():
    folder = save(finished())
    values = {name: value for name, value in last_word(folder).__dict__.items() if name != "scores"}
    write_json(folder / "status.json", {**values, "score": 0.5})
    assert last_word(folder).scores == ()
    assert list(open_page("Runs").dataframe[0].value["scores"]) == [""]


@pytest.mark.parametrize("scores", [0.5, [["cell_type", "macro_f1"]], [["cell_type", "macro_f1", "high"]], [1]])
def test_scores_of_another_form_are_a_damaged_run(scores):
    folder = save(finished())
    write_json(folder / "status.json", {**last_word(folder).__dict__, "scores": scores})
    with pytest.raises(RunError, match=r"status\.json"):
        last_word(folder)


def test_the_open_run_can_be_opened_named_and_copied():
    folder = save(finished())
    at = open_page("Runs", run=folder.name)
    assert fine(at.button(key="open").click().run()).header[0].value == "Panel"
    at = open_page("Runs", run=folder.name)
    at.text_input[0].set_value("for the meeting")
    next(button for button in at.button if button.label == "Save the name").click()
    assert list(fine(at.run()).dataframe[0].value["name"]) == ["for the meeting"]
    assert read_label(folder).name == "for the meeting"


def test_deleting_a_run_asks_first():
    folder, other = save(finished()), save(finished())
    at = open_page("Runs", run=folder.name)
    fine(at.button(key="delete").click().run())
    assert folder.exists()
    assert {"delete_sure", "delete_not"} <= {button.key for button in at.button}
    delete_run(folder)  # what the button in the dialog does; AppTest cannot press it there
    fine(at.run())
    assert "run" not in at.query_params
    assert [row.run_id for row in history()] == [other.name]


@pytest.fixture
def worker():
    """A process that works on nothing and may be ended."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process.pid
    process.kill()
    process.communicate()


def test_a_run_that_works_cannot_be_deleted_but_stopped(worker):
    folder = created()
    write_status(folder, of_process(last_word(folder), worker))
    with pytest.raises(RunError, match="A run that waits or works cannot be deleted"):
        delete_run(folder)
    at = open_page("Data")
    assert "At work" in words(at.sidebar.caption)
    fine(at.button(key=f"stop_{folder.name}").click().run())
    assert (folder / "STOP").exists()


def test_the_runs_of_a_comparison_are_one_job_in_the_sidebar(worker):
    folders = [created(sweep="a" * 32) for _ in range(3)]
    for folder, changes in zip(folders, ({}, {"state": "done"}, {"state": "queued", "submitted": 1.0}), strict=True):
        write_status(folder, replace(of_process(last_word(folder), worker), **changes))
    at = open_page("Data")
    stops = [button.key for button in at.sidebar.button if button.key.startswith("stop_")]
    assert stops == [f"stop_{'a' * 32}"]
    assert fine(at.button(key=f"show_{'a' * 32}").click().run()).header[0].value == "Runs"
    assert at.query_params["sweep"] == "a" * 32
    assert [box.value for box in at.selectbox] == ["a" * 32]
    fine(at.button(key=stops[0]).click().run())
    assert stop_asked(folders[0])
    assert [last_word(folder).state for folder in folders[1:]] == ["done", "stopped"]


def test_the_end_of_a_run_is_told_once_and_again_after_it_was_resumed():
    folder = created()
    write_status(folder, of_this_process(last_word(folder)))
    at = open_page("Train", run=folder.name)
    for state in ("failed", "done"):
        write_status(folder, replace(last_word(folder), state=state))
        assert words(fine(at.run()).toast).count("3 genes for condition") == 1
        assert words(fine(at.run()).toast) == ""
        write_status(folder, of_this_process(last_word(folder)))  # resumed
        fine(at.run())


def test_libraries_are_left_out_of_the_garbage_collection_that_follows_every_run():
    collector._leave_out.clear()
    gc.unfreeze()
    open_page("Runs")
    assert gc.get_freeze_count() > 10_000


def test_a_design_that_has_moved_on_is_said_on_the_results():
    with toy_on_disk().open("rb") as file:
        key = library.keep(file, "toy.h5ad")
    config = finished().config
    folder = runs.create_run(
        config, data_path=library.find(key)[0], data_name="toy.h5ad", data_digest=finished().summary["digest"]
    )
    runs.save_panel(folder, finished())
    write_json(folder / "status.json", replace(last_word(folder), state="stopped", has_panel=True).__dict__)
    at = open_page("Runs", run=folder.name)
    at = fine(at.button(key="duplicate").click().run())
    assert at.header[0].value == "Design"
    size = next(item for item in at.number_input if item.label == "Panel size (genes)")
    assert size.value == 8
    assert words(go(at, "Panel").info).count("design has changed") == 0
    at = go(at, "Design")
    next(item for item in at.number_input if item.label == "Panel size (genes)").set_value(5)
    fine(at.run())
    shown = words(go(at, "Panel").info)
    assert "The design has changed since this run (Panel size (genes): 8 → 5)" in shown


def test_an_interrupted_run_offers_to_resume_and_to_run_again():
    folder = created()
    write_status(folder, replace(of_this_process(last_word(folder)), pid=2**22 + 1))
    at = open_page("Train", run=folder.name)
    assert {"resume", "again", "redesign"} <= {button.key for button in at.button}
    assert "The process that ran it is gone." in words(at.error)


def test_a_shared_server_shows_nobody_the_runs_of_others(monkeypatch):
    monkeypatch.setenv("YOTO_SHARED", "1")
    done, working = save(finished()), created("somebody else")
    write_status(working, of_this_process(last_word(working)))
    at = open_page("Runs")
    assert words(at.info) == "There are no runs yet."
    assert "At work" not in words(at.sidebar.caption)
    at = open_page("Train", run=working.name)  # a link is an invitation
    assert "At work" in words(at.sidebar.caption)
    assert open_page("Panel", run=done.name).subheader[0].value == "8 genes"


def test_a_comparison_on_a_shared_server_is_shown_to_whoever_has_its_link(monkeypatch):
    monkeypatch.setenv("YOTO_SHARED", "1")
    created("somebody else", sweep="a" * 32)
    assert not open_page("Runs").selectbox
    at = open_page("Runs", sweep="a" * 32)
    assert [box.value for box in at.selectbox] == ["a" * 32]
    assert words(at.info) == "There are no runs yet."  # of this browser
    assert not open_page("Runs", sweep="../../etc").selectbox


def test_changes_of_a_design_are_named_in_the_words_of_the_form():
    before = config_for(TYPE, panel_size=6)
    after = replace(config_for(TYPE, CONDITION, panel_size=4), threads=7, seed=3)
    assert config_changes(before, before) == ()
    assert config_changes(before, after) == (
        "tasks: cell_type (classification, weight 1) → cell_type (classification, weight 1), condition"
        " (classification, weight 1)",
        "Training seed: 0 → 3",
        "Panel size (genes): 6 → 4",
    )


@pytest.mark.parametrize("name", ["config.json", "status.json", "data.json", "label.json"])
@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_damaged_run_is_still_a_row_and_can_be_deleted(name, content):
    folder = save(finished())
    (folder / name).write_text(content)
    (row,) = history()
    assert row.run_id == folder.name
    assert len(history_table([row])) == 1
    fine(open_page("Runs", run=folder.name))
    delete_run(folder)
    assert list(runs_folder().iterdir()) == []


def test_a_name_that_is_too_long_is_refused():
    with pytest.raises(RunError, match=r"The name has 81 characters\. Use at most 80\."):
        rename(created(), "x" * 81)


def test_the_history_of_one_owner_is_only_theirs():
    mine = created("me")
    created("you")
    assert [row.run_id for row in history("me")] == [mine.name]
    assert len(history()) == 2
    assert history_row(mine).status == read_status(mine)
    assert time.time() - history_row(mine).status.created < 60
