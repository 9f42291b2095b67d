"""One design trained several times over: what is planned, how far it is, and how it compares."""

import json
from dataclasses import replace
from typing import get_args

import pandas as pd
import pytest

from tests.shared_runs import AGE, CONDITION, TYPE, config_for, finished, save, toy_dataset, toy_on_disk
from yoto_core.errors import ConfigError
from yoto_core.files import write_json
from yoto_core.plots.sweep import sweep_figure
from yoto_core.progress import Phase
from yoto_core.store.folders import runs_folder
from yoto_core.store.history import headline_scores, history
from yoto_core.store.labels import Label
from yoto_core.store.status import Status, last_word, read_status, write_status
from yoto_core.work import jobs, sweep
from yoto_core.work.sweep import (
    Standing,
    Sweep,
    comparison,
    standing,
    start_sweep,
    stop_sweep,
    summary,
    sweep_rows,
    varied,
)

CONFIG = config_for(TYPE, CONDITION, AGE, panel_size=8)
ALL = ("cell_type", "condition", "age")


def test_one_training_serves_every_smaller_size():
    (planned,) = Sweep((4, 8, 2), 1, (ALL,)).plan(CONFIG)
    assert planned == CONFIG


def test_each_size_is_trained_only_when_asked_for():
    planned = Sweep((8, 4, 4), 2, (ALL, ("age",)), each_size=True).plan(CONFIG)
    varied = [(c.selector.panel_size, c.seed, tuple(task.obs for task in c.tasks)) for c in planned]
    assert varied == [(size, seed, names) for names in (ALL, ("age",)) for size in (4, 8) for seed in (0, 1)]


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (Sweep((4,), 0, (ALL,)), "The comparison is empty."),
        (Sweep((), 1, (ALL,)), "The comparison is empty."),
        (Sweep((4,), 200, (ALL,)), "The comparison needs 200 trainings."),
        (Sweep((4,), 1, (("nothing",),)), "No task is chosen."),
        (Sweep((5000,), 1, (ALL,)), "Panel size"),
    ],
)
def test_a_sweep_that_cannot_be_is_one_sentence(wanted, sentence):
    with pytest.raises(ConfigError, match=sentence):
        wanted.plan(CONFIG)


@pytest.mark.parametrize(
    ("vary", "seeds"),
    [
        ("training", [(5, 2), (6, 2), (7, 2)]),
        ("split", [(5, 2), (5, 3), (5, 4)]),
        ("both", [(5, 2), (6, 3), (7, 4)]),
    ],
)
def test_repeats_vary_the_training_the_split_or_both(vary, seeds):
    config = replace(CONFIG, seed=5, split=replace(CONFIG.split, seed=2))
    planned = Sweep((8,), 3, (ALL,), vary=vary).plan(config)
    assert [(c.seed, c.split.seed) for c in planned] == seeds
    table = pd.DataFrame(seeds, columns=["seed", "split_seed"])
    assert varied(table) == vary
    assert varied(table.head(1)) is None


@pytest.fixture
def _never_started(monkeypatch):
    monkeypatch.setattr(sweep.queue, "tend", lambda _runs=None: None)


@pytest.mark.usefixtures("_never_started")
def test_a_sweep_is_one_job_of_many_runs():
    wanted = Sweep((4, 8), 2, (ALL, ("age",)))
    sweep_id = start_sweep(
        wanted, CONFIG, data_path=toy_on_disk(), data_name="toy", data_digest=toy_dataset().digest, owner="anna"
    )
    rows = history("anna")
    assert len(rows) == 4
    assert {row.label for row in rows} == {Label(owner="anna", sweep=sweep_id, sizes=(4, 8))}
    assert all(row.status.waiting for row in rows)
    assert {row.run_id for row in sweep_rows(sweep_id)} == {row.run_id for row in rows}
    assert standing(sweep_id) == Standing(done=0.0, ended=0, total=4, live=True)
    table = comparison(rows)
    assert set(table["genes"]) == {4, 8}
    assert table["value"].isna().all()
    assert summary(table).empty
    stop_sweep(sweep_id)
    assert {row.status.state for row in history()} == {"stopped"}
    assert standing(sweep_id) == Standing(done=1.0, ended=4, total=4, live=False)


def test_a_sweep_that_is_unknown_has_no_runs():
    assert sweep_rows("b" * 32) == []
    assert standing("b" * 32) == Standing(done=0.0, ended=0, total=0, live=False)


def test_the_progress_of_a_run_never_falls():
    reports = [(phase, done) for phase in get_args(Phase) if phase != "predicting" for done in (0, 1, 2, 3)]
    shares = [Status(state="running", phase=phase, done=done, total=2).share for phase, done in reports]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert Status(state="running").share == 0.0


@pytest.fixture
def compared():
    """Two finished runs of one sweep that differ in seed, with scores at two sizes."""
    for seed in (0, 1):
        folder = save(replace(finished(), config=replace(finished().config, seed=seed)))
        write_json(folder / "label.json", Label(sweep="a" * 32, sizes=(4, 8)).__dict__)
        write_status(folder, replace(last_word(folder), scores=headline_scores(finished().evaluation.scores)))
    return history()


def test_every_size_and_task_of_every_run_is_compared(compared):
    table = comparison(compared)
    assert len(table) == 2 * 2 * 3
    assert set(table["seed"]) == {0, 1}
    assert set(table["split_seed"]) == {0}
    assert varied(table) == "training"
    curve = finished().evaluation.sizes
    wanted = curve[(curve["part"] == "held-out") & (curve["method"] == "own") & (curve["size"] == 4)]
    found = table[(table["genes"] == 4) & (table["seed"] == 0)]
    assert dict(zip(found["task"], found["value"], strict=True)) == pytest.approx(
        dict(zip(wanted["task"], wanted["value"], strict=True))
    )


def test_repeats_are_summarised(compared):
    found = summary(comparison(compared))
    assert len(found) == 2 * 3
    assert set(found["repeats"]) == {2}
    assert (found["lowest"] <= found["mean"]).all()
    assert (found["mean"] <= found["highest"]).all()


def test_the_chart_draws_a_line_per_task(compared):
    figure = sweep_figure(summary(comparison(compared)), "light")
    assert {trace.name for trace in figure.data} == set(ALL)
    assert list(figure.data[0].x) == [4, 8]
    assert not sweep_figure(pd.DataFrame(columns=["tasks", "task", "genes", "mean", "lowest", "highest"]), "dark").data


def test_a_run_of_an_earlier_version_was_split_by_its_only_seed():
    folder = save(replace(finished(), config=replace(finished().config, seed=7)))
    values = json.loads((folder / "config.json").read_text())
    del values["split"]["seed"]
    write_json(folder / "config.json", values)
    (row,) = history()
    assert (row.seed, row.split_seed) == (7, 7)


@pytest.mark.usefixtures("_never_started")
def test_a_run_of_a_sweep_is_stopped_like_any_other():
    start_sweep(Sweep((4,), 1, (ALL,)), CONFIG, data_path=toy_on_disk(), data_name="toy", data_digest="0")
    (row,) = history()
    jobs.stop(runs_folder() / row.run_id)
    assert read_status(runs_folder() / row.run_id).state == "stopped"
