"""A run folder is whole or not there, reads back equal, and a damaged or newer one is refused in one sentence."""

import csv
import errno
import json
import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.conftest import make_toy
from tests.shared_runs import TYPE, config_for, fill_the_disk, finished, save
from yoto_core import files, pipeline, report
from yoto_core.config import GenesConfig, RunConfig
from yoto_core.data.reading import read_dataset
from yoto_core.errors import RunError, YotoError
from yoto_core.evaluation.stability import Stability
from yoto_core.explore.profiles import profile
from yoto_core.files import read_json, write_json, write_text
from yoto_core.progress import silent
from yoto_core.scores.methods import headline_rows
from yoto_core.store import exploration, folders, runs
from yoto_core.store.card import model_card
from yoto_core.store.folders import create_folder, run_folder, runs_folder
from yoto_core.store.history import history
from yoto_core.store.portable import load_model
from yoto_core.store.status import Status, ask_to_stop, queued, read_status, stop_asked, write_status

EVERY_FILE = {
    "sizes.csv",
    "config.json", "data.json", "status.json", "panel.csv", "history.csv", "model.safetensors", "model.json",
    "predictions.parquet", "metrics.json",
}  # fmt: skip


@pytest.fixture
def folder():
    return save(finished())


def names_in(folder):
    return {path.name for path in folder.iterdir()}


def test_a_run_reads_back_equal(folder):
    run, back = finished(), runs.load_run(folder)
    assert back.config == run.config
    assert back.panel == run.panel
    assert (back.timing, back.versions) == (run.timing, run.versions)
    assert {key: back.summary[key] for key in run.summary} == json.loads(json.dumps(run.summary))
    pd.testing.assert_frame_equal(back.panel_table, run.panel_table, check_dtype=False)
    pd.testing.assert_frame_equal(back.history, run.history, check_dtype=False)
    assert set(back.model.tensors) == set(run.model.tensors)
    assert all(torch.equal(back.model.tensors[name], run.model.tensors[name]) for name in run.model.tensors)
    assert (back.model.genes, back.model.gene_ids, back.model.heads) == (
        run.model.genes, run.model.gene_ids, run.model.heads,
    )  # fmt: skip
    for name in ("scores", "sizes", "classes", "predictions", "tests"):
        pd.testing.assert_frame_equal(getattr(back.evaluation, name), getattr(run.evaluation, name), check_dtype=False)
    assert back.evaluation.panels == run.evaluation.panels
    assert back.evaluation.folds == run.evaluation.folds
    assert back.evaluation.best_all == run.evaluation.best_all
    pd.testing.assert_frame_equal(back.losses, run.losses, check_dtype=False)
    for task, counts in run.evaluation.confusion.items():
        pd.testing.assert_frame_equal(back.evaluation.confusion[task], counts, check_dtype=False)


def test_stability_is_kept_with_the_run_and_stands_in_its_table(folder):
    run = finished()
    found = Stability((0.05, 1.0, 0.5, 0.5, 0.0, 0.25, 0.75, 0.9), 0.57, 20, 0.24, float("nan"), 6)
    runs.save_stability(folder, pipeline.with_stability(run, found))
    back = runs.load_run(folder)
    assert back.stability.genes == found.genes
    assert (back.stability.overlap, back.stability.shuffled, back.stability.groups) == (0.57, 0.24, 6)
    assert math.isnan(back.stability.shuffled_overlap)
    assert tuple(back.panel_table["stability"]) == found.genes
    assert tuple(pd.read_csv(folder / "panel.csv")["stability"]) == found.genes


def test_a_run_folder_holds_its_files_and_no_temporary_one(folder):
    assert names_in(folder) >= EVERY_FILE
    assert not [name for name in names_in(folder) if name.startswith(".")]
    assert runs.load_run(str(folder)).panel == finished().panel


def test_a_saved_model_predicts_what_the_model_in_memory_predicts(folder, toy):
    pd.testing.assert_frame_equal(runs.load_run(folder).predict(toy), finished().predict(toy), check_exact=True)


def test_a_run_without_scores_reads_back_without_them():
    back = runs.load_run(save(finished(), scored=False))
    assert back.evaluation is None
    assert back.panel == finished().panel


def test_gene_names_that_look_like_numbers_or_missing_values_stay_names():
    run = finished()
    odd = ("NA", "1.0", "nan", "0012", "", "None", "TRUE", "µ—β")
    names = dict(zip(run.panel.genes, odd, strict=True))
    panel = replace(run.panel, genes=odd)
    table = run.panel_table.assign(gene=run.panel_table["gene"].map(names))
    back = runs.load_run(save(replace(run, panel=panel, panel_table=table)))
    assert back.panel.genes == odd


def test_a_config_reads_back_equal_whatever_was_set():
    config = config_for(TYPE, panel_size=7, seed=11)
    folder = runs.create_run(config, data_path="x.h5ad", data_name="x", data_digest="0")
    assert runs.read_config(folder) == config
    assert read_json(folder / "config.json")["schema"] == runs.SCHEMA
    assert Path(read_json(folder / "data.json")["path"]).is_absolute()


def test_a_new_run_waits_under_an_unguessable_id():
    folder = runs.create_run(config_for(), data_path="x.h5ad", data_name="x", data_digest="0")
    assert folders.RUN_ID.fullmatch(folder.name)
    assert folder == run_folder(folder.name)
    assert read_status(folder).state == "queued"
    assert names_in(folder) == {"config.json", "data.json", "status.json"}


@pytest.mark.parametrize(
    "name", ["panel.csv", "history.csv", "model.safetensors", "model.json", "predictions.parquet", "metrics.json"]
)
def test_a_full_disk_while_saving_is_said_and_leaves_the_files_before_as_they_were(folder, name, monkeypatch):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    fill_the_disk(monkeypatch, name)
    changed = replace(finished(), panel_table=finished().panel_table.assign(reason="another"))
    write = runs.save_evaluation if name in ("predictions.parquet", "metrics.json") else runs.save_panel
    with pytest.raises(RunError, match=r"^The disk that holds .* is full\. Free some space, then run again\.$"):
        write(folder, changed)
    assert names_in(folder) >= EVERY_FILE
    assert not [name for name in names_in(folder) if name.startswith(".")]
    assert (folder / name).read_bytes() == before[folder / name]


def test_a_full_disk_while_creating_a_run_leaves_nothing(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(RunError, match="is full"):
        runs.create_run(config_for(), data_path="x.h5ad", data_name="x", data_digest="0")
    assert list(runs_folder().iterdir()) == []


def test_a_write_that_fails_halfway_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def fail(part):
        part.write_text("half")
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        files.write_whole(path, fail)
    assert path.read_text() == "old"
    assert names_in(tmp_path) == {"file.txt"}


def test_a_file_that_is_written_while_it_is_written_is_whole_both_times(tmp_path):
    path, seen = tmp_path / "file.txt", []

    def write(part):
        part.write_text("first")
        write_text(path, "second")  # as another thread would
        seen.append(path.read_text())

    files.write_whole(path, write)
    assert (seen, path.read_text()) == (["second"], "first")
    assert names_in(tmp_path) == {"file.txt"}


def test_threads_that_write_one_file_never_meet(tmp_path):
    path, texts = tmp_path / "file.txt", [str(i) * 5_000 for i in range(8)]

    def write(text):
        for _ in range(30):
            write_text(path, text, lasting=False)
            assert path.read_text() in texts

    with ThreadPoolExecutor(len(texts)) as pool:
        list(pool.map(write, texts))
    assert names_in(tmp_path) == {"file.txt"}


@pytest.mark.parametrize("name", ["panel.csv", ".hidden", "a.12.part", "ü b\n.csv"])
def test_an_unfinished_file_names_its_writer(name, tmp_path):
    part, again = files.part_of(tmp_path / name), files.part_of(tmp_path / name)
    assert part != again
    assert files.writer_of(part.name) == os.getpid()
    part.touch()
    (tmp_path / name).touch()
    assert files.parts_of(tmp_path, os.getpid()) == [part]
    assert files.parts_of(tmp_path, os.getpid() + 1) == []


def test_a_final_word_waits_for_the_disk_and_a_sign_of_life_does_not(monkeypatch, folder):
    waited = []
    monkeypatch.setattr("os.fsync", waited.append)
    write_status(folder, replace(queued(), state="running"))
    assert waited == []
    write_status(folder, replace(queued(), state="done"))
    assert len(waited) == 1


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_a_folder_that_cannot_be_written_is_said(number, monkeypatch, tmp_path):
    def refuse(*_args, **_kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(RunError, match=r"cannot be written \(.*\)\. Choose a folder you may write to"):
        write_text(tmp_path / "file.txt", "text")


def test_a_home_that_is_a_file_is_said(monkeypatch, tmp_path):
    (tmp_path / "taken").write_text("")
    monkeypatch.setenv("YOTO_HOME", str(tmp_path / "taken"))
    with pytest.raises(RunError, match=r"cannot be written \(.*\)\. Choose a folder you may write to"):
        runs.create_run(config_for(), data_path="x.h5ad", data_name="x", data_digest="0")


@pytest.mark.parametrize("name", ["config.json", "model.json", "metrics.json"])
@pytest.mark.parametrize("schema", [runs.SCHEMA + 1, None, "one"])
def test_a_run_of_a_newer_version_is_refused(folder, name, schema):
    write_json(folder / name, {**read_json(folder / name), "schema": schema})
    with pytest.raises(RunError, match=rf"The run has schema .*; this version reads up to {runs.SCHEMA}. Update YOTO."):
        runs.load_run(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe\x00", b'{"schema": 1}', b"null"])
@pytest.mark.parametrize("name", sorted(EVERY_FILE - {"status.json", "history.csv"}))
def test_a_damaged_file_is_refused_in_one_sentence(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(YotoError) as caught:
        runs.load_run(folder)
    assert "\n" not in str(caught.value)
    no_tasks = name == "config.json" and content == b'{"schema": 1}'  # whole, but the settings of nothing
    assert ("No task is chosen." if no_tasks else name) in caught.value.args[0]
    assert caught.value.hint.endswith(".")


@pytest.mark.parametrize("name", sorted(EVERY_FILE - {"status.json", "history.csv", "metrics.json"}))
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(RunError, match=name):
        runs.load_run(folder)


def test_a_panel_that_lost_a_row_is_refused(folder):
    lines = (folder / "panel.csv").read_text().splitlines()
    (folder / "panel.csv").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(RunError, match=r"panel\.csv of the run is damaged"):
        runs.load_run(folder)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RunError, match=r"^There is no run folder nowhere\. Check the path\.$"):
        runs.load_run(tmp_path / "nowhere")


@pytest.mark.parametrize("run_id", ["", "..", "../../etc", "A" * 32, "a" * 31, "a" * 33, "<script>", "a" * 32 + "\n"])
def test_a_malformed_run_id_never_becomes_a_path(run_id):
    with pytest.raises(RunError, match=r"is not a run id\. A run id has 32 characters, 0-9 and a-f\.$"):
        run_folder(run_id)


def test_a_home_named_by_a_relative_path_is_the_same_for_every_process(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("YOTO_HOME", "mine")
    folder = runs.create_run(config_for(), data_path="x.h5ad", data_name="x", data_digest="0")
    assert folder.parent == tmp_path / "mine" / "runs"
    monkeypatch.chdir("/")
    assert folder.is_dir()


def test_an_unknown_run_id_is_said():
    with pytest.raises(RunError, match=f"There is no run {'0' * 32} on this machine. It may have been deleted."):
        run_folder("0" * 32)


def test_runs_are_listed_newest_first_and_nothing_else_is():
    assert history() == []
    first, second = (create_folder({"config.json": {}, "status.json": Status(created=t).__dict__}) for t in (1.0, 2.0))
    (runs_folder() / ".new-abc").mkdir()
    (runs_folder() / "notes").mkdir()
    assert [run.run_id for run in history()] == [second.name, first.name]


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"schema": 9}', '{"schema": 1, "tasks": 3}', '{"schema": 1, "tasks": [], "new": 1}']
)
def test_a_run_is_listed_although_its_config_cannot_be_read(folder, content):
    (folder / "config.json").write_text(content)
    (listed,) = history()
    assert listed.run_id == folder.name
    assert listed.status.state == "failed"
    assert listed.status.message
    assert listed.status.hint


@pytest.mark.parametrize("content", ["", "[]", '{"state": "done", "later_field": 1}'])
def test_a_run_is_listed_although_its_status_cannot_be_read(folder, content):
    (folder / "status.json").write_text(content)
    (listed,) = history()
    assert listed.status.state == "failed"
    with pytest.raises(RunError, match=r"status\.json of the run is damaged"):
        read_status(folder)


def test_history_can_be_read_while_it_is_being_written(folder):
    path = folder / "history.csv"
    for content, rows in (("", 0), ("step,lo", 0), ("step,loss\n", 0), ("step,loss\n1,0.5\n2,0.4\n3", 2)):
        path.write_text(content)
        assert len(runs.read_history(folder)) == rows
    path.unlink()
    assert runs.read_history(folder).empty


def test_a_stop_is_asked_by_a_file(folder):
    assert not stop_asked(folder)
    ask_to_stop(folder)
    ask_to_stop(folder)
    assert stop_asked(folder)


def test_a_running_run_whose_process_is_gone_is_interrupted(folder):
    gone = replace(queued(), state="running", pid=2**22 + 1)
    write_status(folder, gone)
    status = read_status(folder)
    assert (status.state, status.live) == ("interrupted", False)
    assert status.message == "The process that ran it is gone. It was killed or the machine went down."
    assert status.hint == "Resume the run."


def test_a_later_process_with_the_same_id_is_not_taken_for_the_run(folder):
    write_status(folder, replace(queued(), state="running", pid=os.getpid(), process_started=12.0))
    assert read_status(folder).state == "interrupted"


def test_nan_is_written_as_null_and_numpy_numbers_as_numbers(tmp_path):
    values = pd.DataFrame({"a": [1.5, float("nan")], "b": [1, 2]}).to_dict("records")
    write_json(tmp_path / "x.json", values)
    assert json.loads((tmp_path / "x.json").read_text()) == [{"a": 1.5, "b": 1}, {"a": None, "b": 2}]


def test_the_config_of_a_run_holds_every_setting(folder):
    values = read_json(folder / "config.json")
    values.pop("schema")
    assert RunConfig.from_dict(values) == finished().config


def test_a_run_of_the_first_schema_is_read_without_the_settings_that_are_gone(folder):
    values = read_json(folder / "config.json")
    config = runs.read_config(folder)
    old = {"dropout": 0.2, "label_smoothing": 0.05, "group_penalty": 0.001}
    write_json(folder / "config.json", {**values, "schema": 1, "training": {**values["training"], **old}})
    assert runs.read_config(folder) == config


# --- runs of earlier versions

SAVED = Path(__file__).parent / "saved_runs"


def test_a_run_of_schema_2_is_read_without_what_meant_something_else_then():
    run = runs.load_run(SAVED / "schema_2")
    assert run.panel.genes == ("T1", "MONO3", "AGE1", "B3")
    scores = run.evaluation.scores
    assert not set(scores["judge"]) & {"mean", "yoto"}
    assert not set(scores["method"]) & {"all", "chance"}
    assert scores[["low", "high"]].isna().all(axis=None)  # one donor was held out: its interval was none
    assert set(scores["groups"]) == {1}
    assert headline_rows(scores).set_index(["task", "method"])["value"]["cell_type", "own"] == pytest.approx(
        0.693, abs=1e-3
    )
    assert (
        run.panel_table["stability"].isna().all()
    )  # replicas of one training agreed: that told nothing of other cells
    assert run.stability is None
    assert run.losses.empty
    assert run.evaluation.tests.empty
    assert run.config.split.scheme == "one split"
    assert run.config.split.seed == run.config.seed == 3
    assert run.config.genes.normalize == "all genes"
    assert report.as_text(run).startswith("Panel of 4 genes from toy.h5ad")


def test_a_model_file_of_schema_1_still_labels_cells():
    saved = load_model(SAVED / "schema_1.yoto")
    table = saved.predict(make_toy(cells=40))
    assert (table["cell_type"].astype(str) == make_toy(cells=40).obs["cell_type"].astype(str)).mean() > 0.5
    matching = saved.look(make_toy()[:, [gene for gene in make_toy().var_names if gene != "T1"]].copy()).matching
    assert saved.missing_costs(matching)["cost"].tolist() == ["What T1 is worth was not measured in this run."]
    assert r"| cell\_type | macro\_f1 | 0.693 | 0.693 to 0.693 | 52 |" in model_card(saved)  # as that version wrote it


def test_the_card_of_a_run_with_few_held_out_donors_gives_no_interval():
    card = model_card(load_model(SAVED / "schema_2"))
    assert r"| cell\_type | macro\_f1 | 0.693 | none below 5 groups | 52 of 1 group |" in card


ODD_NAMES = ("=1+1", "-x", "+y", "@z", "'=q", "'plain'", "a\rb", "c\r\nd", "e\nf", "NA", "None", '"', ",", " g ", "\tt")


def test_a_run_whose_names_are_formulas_line_breaks_or_words_for_nothing_comes_back_as_it_was(tmp_path):
    toy = make_toy()
    toy.var_names = [*ODD_NAMES, *toy.var_names[len(ODD_NAMES) :]]
    toy.obs["cell_type"] = (
        toy.obs["cell_type"].map({"B": "=B", "Mono": "a\rb", "NK": "-NK", "T": "'T'"}).astype("category")
    )
    toy.write_h5ad(tmp_path / "odd.h5ad")
    data = read_dataset(tmp_path / "odd.h5ad")
    config = replace(config_for(TYPE, panel_size=8), genes=GenesConfig(include=("=1+1", "-x", "a\rb", "NA", "'=q")))
    found = pipeline.choose_panel(data, config)
    folder = runs.create_run(config, data_path=tmp_path / "odd.h5ad", data_name="odd", data_digest=data.digest)
    run = pipeline.explained(found).run
    evaluation = pipeline.compare(found, on_progress=silent, should_stop=lambda: False)
    run = replace(run, evaluation=evaluation)
    runs.save_panel(folder, run)
    runs.save_evaluation(folder, run)
    profiles = profile(found.problem, found.order)
    exploration.save_profiles(folder, profiles)
    back = runs.load_run(folder)
    assert back.panel == run.panel
    assert {"=1+1", "-x", "a\rb", "NA", "'=q"} <= set(back.panel.genes)
    assert list(back.panel_table["gene"]) == list(run.panel_table["gene"])
    assert list(back.losses["class"]) == list(run.losses["class"])
    assert list(back.losses["gene"]) == list(run.losses["gene"])
    assert list(back.evaluation.sizes["task"]) == list(evaluation.sizes["task"])
    read = exploration.load_profiles(folder)
    for name in ("candidates", "genes", "replacements"):
        assert list(getattr(read, name)["gene"]) == list(getattr(profiles, name)["gene"])
    assert list(read.classes["class"]) == list(profiles.classes["class"])
    for path in folder.glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "@", "+", "\t", "\r")) or cell in ("-x", "-NK")]
