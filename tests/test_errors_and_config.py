import dataclasses
import json
import math
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.shared_runs import finished
from yoto_core.config import (
    EvaluationConfig,
    GenesConfig,
    RunConfig,
    SelectorConfig,
    SplitConfig,
    TaskConfig,
    TrainingConfig,
    answer_columns,
    choices,
    setting_paths,
)
from yoto_core.errors import ConfigError, DataError, RunError, YotoError
from yoto_core.store.runs import create_run

OWNERS = (TaskConfig, GenesConfig, SplitConfig, SelectorConfig, EvaluationConfig, TrainingConfig, RunConfig)
SETTINGS = [(owner, spec) for owner in OWNERS for spec in dataclasses.fields(owner) if "label" in spec.metadata]
NUMBERS = [(owner, spec) for owner, spec in SETTINGS if spec.type in (int, float)]
CHOICES = [(owner, spec) for owner, spec in SETTINGS if choices(owner, spec)]
TEXTS = [(owner, spec) for owner, spec in SETTINGS if spec.type is str]
TASKS = (TaskConfig(obs="cell_type"),)


def ids(pairs):
    return [f"{owner.__name__}.{spec.name}" for owner, spec in pairs]


def make(owner, **values):
    needed = {TaskConfig: {"obs": "cell_type"}, RunConfig: {"tasks": TASKS}}.get(owner, {})
    return owner(**{**needed, **values})


def test_a_test_cannot_reach_the_network():
    with socket.socket() as sock, pytest.raises(AssertionError, match="nothing here may use the network"):
        sock.connect(("192.0.2.1", 80))


@pytest.mark.parametrize("kind", [DataError, ConfigError, RunError])
def test_an_error_says_what_is_wrong_and_what_next_in_one_line(kind):
    error = kind("The thing is 5.", hint="Choose 4.")
    assert isinstance(error, YotoError)
    assert str(error) == "The thing is 5. Choose 4."
    assert (error.args[0], error.hint) == ("The thing is 5.", "Choose 4.")


def test_an_error_cannot_be_made_without_a_next_step():
    with pytest.raises(TypeError, match="hint"):
        DataError("The thing is 5.")


@pytest.mark.parametrize(("owner", "spec"), SETTINGS, ids=ids(SETTINGS))
def test_every_setting_has_a_label_a_help_sentence_and_a_default(owner, spec):
    assert spec.metadata["label"].strip() == spec.metadata["label"] != ""
    assert spec.metadata["help"].endswith(".")
    assert spec.default is not dataclasses.MISSING


@pytest.mark.parametrize(("owner", "spec"), NUMBERS, ids=ids(NUMBERS))
def test_every_number_has_bounds_that_hold_its_default(owner, spec):
    assert spec.metadata["low"] <= spec.default <= spec.metadata["high"]


@pytest.mark.parametrize("end", ["low", "high"])
@pytest.mark.parametrize(("owner", "spec"), NUMBERS, ids=ids(NUMBERS))
def test_the_bounds_themselves_are_allowed(owner, spec, end):
    assert getattr(make(owner, **{spec.name: spec.metadata[end]}), spec.name) == spec.metadata[end]


@pytest.mark.parametrize("value", ["below", "above", math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(("owner", "spec"), NUMBERS, ids=ids(NUMBERS))
def test_a_number_outside_its_bounds_is_refused_with_the_bounds(owner, spec, value):
    low, high = spec.metadata["low"], spec.metadata["high"]
    value = {"below": low - 1, "above": high + 1}.get(value, value)
    with pytest.raises(ConfigError, match=r" is .+\. Choose a value from .+ to .+\.$") as caught:
        make(owner, **{spec.name: value})
    assert str(caught.value).startswith(spec.metadata["label"])
    assert "e+" not in str(caught.value)


@pytest.mark.parametrize("value", ["32", None, True, [3], 3 + 1j])
@pytest.mark.parametrize(("owner", "spec"), NUMBERS, ids=ids(NUMBERS))
def test_what_is_not_a_number_is_refused(owner, spec, value):
    with pytest.raises(ConfigError, match=r"not a number\. Give a number\.$"):
        make(owner, **{spec.name: value})


@pytest.mark.parametrize(("owner", "spec"), [p for p in NUMBERS if p[1].type is int])
def test_a_fraction_is_refused_where_a_whole_number_is_meant(owner, spec):
    with pytest.raises(ConfigError, match=r"\.5, not a whole number\. Give a whole number\.$"):
        make(owner, **{spec.name: spec.default + 0.5})


@pytest.mark.parametrize("value", [32, 32.0, np.int64(32), np.float32(32)])
def test_a_whole_number_of_any_type_is_kept_as_an_int(value):
    kept = SelectorConfig(panel_size=value).panel_size
    assert kept == 32
    assert type(kept) is int


@pytest.mark.parametrize("value", [2, np.int32(2), np.float64(2)])
def test_a_number_of_any_type_is_kept_as_a_float_where_fractions_are_allowed(value):
    assert type(TaskConfig(obs="a", weight=value).weight) is float


@pytest.mark.parametrize("value", ["other", "", None, 1])
@pytest.mark.parametrize(("owner", "spec"), CHOICES, ids=ids(CHOICES))
def test_a_value_that_is_not_a_choice_is_refused_with_the_choices(owner, spec, value):
    with pytest.raises(ConfigError, match=rf"is not a choice\. Use one of {', '.join(choices(owner, spec))}\.$"):
        make(owner, **{spec.name: value})


@pytest.mark.parametrize("value", [None, 5, ("X",)])
@pytest.mark.parametrize(("owner", "spec"), TEXTS, ids=ids(TEXTS))
def test_a_name_must_be_text(owner, spec, value):
    with pytest.raises(ConfigError, match=r"not a name\. Give a name, or “” for none\.$"):
        make(owner, **{spec.name: value})


@pytest.mark.parametrize("value", ["", None, 5])
def test_a_task_must_name_a_column(value):
    with pytest.raises(ConfigError, match=r"A task names no obs column\. Name the column to predict\."):
        TaskConfig(obs=value)


def test_a_run_needs_a_task():
    with pytest.raises(ConfigError, match=r"No task is chosen\. Choose at least one obs column to predict\."):
        RunConfig(tasks=())


def test_a_task_named_twice_is_refused():
    with pytest.raises(ConfigError, match=r"Task “age” is named twice\. Name each obs column once\."):
        RunConfig(tasks=(TaskConfig(obs="age"), TaskConfig(obs="age", kind="regression")))


def test_the_held_out_group_cannot_be_a_task():
    with pytest.raises(ConfigError, match=r"“donor” is both a task and the held-out group\. .*choose another group"):
        RunConfig(tasks=(TaskConfig(obs="donor"),), split=SplitConfig(group="donor"))


def test_a_gene_cannot_be_included_and_excluded():
    with pytest.raises(
        ConfigError, match=r"^CD8A is both included and excluded\. Remove it from one of the two lists\."
    ):
        GenesConfig(include=("MS4A1", "CD8A"), exclude=("CD8A",))


def test_more_included_genes_than_places_are_refused():
    with pytest.raises(ConfigError, match=r"3 genes must be included but the panel holds 2\. Raise the panel size"):
        RunConfig(tasks=TASKS, genes=GenesConfig(include=("a", "b", "c")), selector=SelectorConfig(panel_size=2))


@pytest.mark.parametrize("name", ["include", "exclude", "exclude_families"])
@pytest.mark.parametrize("value", ["MS4A1", None, (1, 2), {"MS4A1"}], ids=["text", "none", "numbers", "set"])
def test_a_gene_list_must_be_a_list_of_names(name, value):
    with pytest.raises(ConfigError, match=rf"genes\.{name} is “.+”, not a list of names\. Give a list of names\."):
        GenesConfig(**{name: value})


def test_a_config_cannot_be_changed_after_it_was_checked():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SelectorConfig().panel_size = 5


def test_a_changed_copy_is_checked_again():
    with pytest.raises(ConfigError, match=r"Panel size \(genes\) is 0\. Choose a value from 1 to 1,000\."):
        dataclasses.replace(SelectorConfig(), panel_size=0)


# --- to a file and back


def sections():
    def values(owner):
        made = {}
        for spec in dataclasses.fields(owner):
            low, high = spec.metadata.get("low"), spec.metadata.get("high")
            if "label" not in spec.metadata:
                continue
            if choices(owner, spec):
                made[spec.name] = st.sampled_from(choices(owner, spec))
            elif spec.type is int:
                made[spec.name] = st.integers(low, high)
            elif spec.type is float:
                made[spec.name] = st.floats(low, high, allow_nan=False)
            else:
                made[spec.name] = st.text(max_size=8)
        return made

    names = st.lists(st.text(min_size=1, max_size=6), unique=True, max_size=3)
    tasks = st.lists(st.builds(TaskConfig, obs=st.text(min_size=1, max_size=9), **values(TaskConfig)), min_size=1)
    return st.builds(
        lambda tasks, genes, **rest: RunConfig(tasks=tasks, genes=genes, **rest),
        tasks=tasks.map(lambda tasks: tuple({task.obs: task for task in tasks}.values())),
        genes=names.map(lambda listed: GenesConfig(exclude=listed, exclude_families=listed)),
        split=st.builds(SplitConfig, **{**values(SplitConfig), "group": st.just("")}),
        selector=st.builds(SelectorConfig, **values(SelectorConfig)),
        training=st.builds(TrainingConfig, **values(TrainingConfig)),
        evaluation=st.builds(EvaluationConfig, **values(EvaluationConfig)),
        seed=values(RunConfig)["seed"],
    )


@given(sections())
def test_a_config_comes_back_equal_from_json(config):
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict(), allow_nan=False))) == config


def test_lists_and_numpy_numbers_make_the_config_that_json_gives_back():
    config = RunConfig(
        tasks=[TaskConfig(obs="a", weight=np.float32(0.5))], genes=GenesConfig(include=["MS4A1"]), seed=np.int64(3)
    )
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert hash(config) == hash(dataclasses.replace(config))


def test_sections_left_out_take_their_defaults():
    assert RunConfig.from_dict({"tasks": [{"obs": "cell_type"}]}) == RunConfig(tasks=TASKS)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tasks": [{"obs": "a"}], "colour": 1}, r"There is no setting “colour”\. Known here: "),
        ({"tasks": [{"obs": "a"}], "selector": {"size": 1}}, r"There is no setting “size”\. Known here: panel_size"),
        ({"tasks": [{"obs": "a", "color": 1}]}, r"There is no setting “color”\. Known here: kind, obs, weight\."),
        ({"tasks": [{}]}, r"A task names no obs column\. Name the column to predict\."),
        ({"tasks": []}, r"No task is chosen\."),
        ({}, r"No task is chosen\."),
        ({"tasks": ["cell_type"]}, r"hold “cell_type” where a section is meant\. Use a config\.json of this program\."),
        ({"tasks": [{"obs": "a"}], "selector": 5}, r"hold “5” where a section is meant\."),
        ({"tasks": "cell_type"}, r"These are not the settings of a run\. Use a config\.json of this program\."),
        ([], r"These are not the settings of a run\."),
        (None, r"These are not the settings of a run\."),
    ],
    ids=str,
)
def test_settings_that_are_no_config_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        RunConfig.from_dict(values)


def test_from_dict_leaves_its_argument_alone():
    values = RunConfig(tasks=TASKS).to_dict()
    before = json.dumps(values)
    RunConfig.from_dict(values)
    assert json.dumps(values) == before


# --- the shell's --set


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("selector.panel_size", "24", 24),
        ("training.learning_rate", "1e-3", 0.001),
        ("split.group", "donor", "donor"),
        ("genes.matrix", "raw.X", "raw.X"),
        ("selector.schedule", "fixed", "fixed"),
        ("seed", "7", 7),
        ("threads", "1", 1),
    ],
)
def test_one_setting_is_changed_from_text_and_nothing_else(path, text, value):
    config = RunConfig(tasks=TASKS)
    changed = config.with_value(path, text).to_dict()
    section, _, name = path.rpartition(".")
    assert (changed[section] if section else changed)[name] == value
    (changed[section] if section else changed).pop(name)
    kept = config.to_dict()
    (kept[section] if section else kept).pop(name)
    assert changed == kept


@pytest.mark.parametrize("path", setting_paths())
def test_every_setting_path_can_be_set_to_its_default(path):
    config = RunConfig(tasks=TASKS)
    section, _, name = path.rpartition(".")
    assert config.with_value(path, str(getattr(getattr(config, section) if section else config, name))) == config


@pytest.mark.parametrize(
    "path", ["", "panel_size", "selector", "selector.", "selector.size", "tasks.kind", "a.b.c", "tasks"]
)
def test_an_unknown_setting_is_refused_with_the_known_ones(path):
    with pytest.raises(
        ConfigError, match=rf"There is no setting “{path}”\. Settings are seed, threads, genes\.matrix, "
    ):
        RunConfig(tasks=TASKS).with_value(path, "1")


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("selector.panel_size", "many", r"selector\.panel_size is “many”, not a whole number\. Give a whole number\."),
        ("selector.panel_size", "32.5", r"selector\.panel_size is “32\.5”, not a whole number\. Give a whole number\."),
        ("training.temperature", "hot", r"training\.temperature is “hot”, not a number\. Give a number\."),
        ("training.temperature", "nan", r"Temperature is nan\. Choose a value from 0\.001 to 100\."),
        ("selector.panel_size", "2000", r"Panel size \(genes\) is 2,000\. Choose a value from 1 to 1,000\."),
        ("selector.schedule", "slow", r"Schedule: “slow” is not a choice\. Use one of annealed, fixed\."),
    ],
)
def test_text_that_does_not_fit_a_setting_is_refused(path, text, message):
    with pytest.raises(ConfigError, match=message):
        RunConfig(tasks=TASKS).with_value(path, text)


@pytest.mark.parametrize("part", ["probability", "second", "second probability", "not sure", "true", "predicted"])
@pytest.mark.parametrize("turned", [False, True])
def test_tasks_whose_answers_would_share_a_column_are_refused(part, turned):
    names = ["cell_type", f"cell_type {part}"][:: -1 if turned else 1]
    with pytest.raises(ConfigError) as refused:
        RunConfig(tasks=tuple(TaskConfig(obs=name) for name in names))
    message = refused.value.args[0]
    assert message.startswith(f"Tasks “{names[0]}” and “{names[1]}” would both write their answers to a column “")
    assert refused.value.hint == "Rename one of the two obs columns and load the data again."


def test_tasks_that_share_a_column_only_inside_an_h5ad_are_refused_too():
    with pytest.raises(ConfigError, match=r"^Tasks “a/b” and “a_b” would both write their answers to a column “a_b”\."):
        RunConfig(tasks=(TaskConfig(obs="a/b"), TaskConfig(obs="a_b")))


@pytest.mark.parametrize("name", ["cell", "cell_index"])
def test_a_task_called_as_the_cells_are_in_the_answers_is_refused(name):
    with pytest.raises(ConfigError, match=rf"^Task “{name}” is called as the answers call their cells\. Rename"):
        RunConfig(tasks=(TaskConfig(obs=name),))


def test_a_task_may_be_called_as_a_part_of_the_answers_where_nothing_is_shared():
    names = ("cell_type", "condition probability", "x not sure", "validation cell_type", "step", "part", "cells")
    assert len(RunConfig(tasks=tuple(TaskConfig(obs=name) for name in names)).tasks) == len(names)


def test_the_columns_of_answers_are_those_that_the_tables_have(toy):
    run = finished()
    known = {column for task in run.config.tasks for column in answer_columns(task.obs)}
    assert set(run.predict(toy)) <= known
    assert set(run.evaluation.predictions) - {"cell_index"} <= known
    assert {f"{run.config.tasks[0].obs} {part}" for part in ("second", "not sure")} <= set(run.predict(toy))


def test_an_earlier_run_whose_tasks_share_a_column_is_read_and_not_made_again():
    values = {**RunConfig(tasks=TASKS).to_dict(), "tasks": [{"obs": "a"}, {"obs": "a probability"}]}
    old = RunConfig.from_dict(values, stored=True)
    assert replace(old, seed=3).tasks == old.tasks
    assert "stored" not in old.to_dict()
    with pytest.raises(ConfigError, match="Tasks “a” and “a probability”"):
        create_run(old, data_path=Path("x.h5ad"), data_name="x", data_digest="0")
    with pytest.raises(ConfigError, match="There is no setting “stored”"):
        RunConfig.from_dict({**values, "stored": True})
