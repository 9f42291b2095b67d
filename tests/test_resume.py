"""A training that was lost goes on from its checkpoint, and ends with the same panel bit for bit."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.shared_runs import AGE, CONDITION, TYPE, config_for, toy_dataset
from yoto_core import pipeline
from yoto_core.model import checkpoint
from yoto_core.model.checkpoint import Checkpoints, checkpoints_in, find_snapshot, keep_snapshot
from yoto_core.progress import Progress, Stopped

CONFIG = config_for(TYPE, CONDITION, AGE, panel_size=8)
TOTAL = CONFIG.training.steps + CONFIG.training.fit_steps


@pytest.fixture(scope="module")
def uninterrupted():
    return pipeline.choose_panel(toy_dataset(), CONFIG)


@pytest.fixture
def _at_every_step(monkeypatch):
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)


def lose(folder, after):
    """Train until this many steps are done and then be lost, with a checkpoint of the last whole step."""
    asked = []

    def should_stop():
        asked.append(1)
        return len(asked) > after

    with pytest.raises(Stopped):
        pipeline.choose_panel(toy_dataset(), CONFIG, should_stop=should_stop, checkpoints=checkpoints_in(folder))


def assert_same(found, wanted):
    assert found.run.panel == wanted.run.panel
    np.testing.assert_array_equal(found.trained.order, wanted.trained.order)
    np.testing.assert_array_equal(found.trained.scores, wanted.trained.scores)
    assert found.run.history.equals(wanted.run.history)
    assert found.trained.model.tensors.keys() == wanted.trained.model.tensors.keys()
    for name, tensor in wanted.trained.model.tensors.items():
        assert torch.equal(found.trained.model.tensors[name], tensor), name


@pytest.mark.usefixtures("_at_every_step")
@pytest.mark.parametrize("after", [1, 26, 60, 99, 100, 101, 140, TOTAL - 1])
def test_a_training_lost_at_any_step_ends_with_the_same_panel(after, tmp_path, uninterrupted):
    lose(tmp_path, after)
    found = find_snapshot(tmp_path)
    assert found.values["step"] == after
    torch.manual_seed(123)  # whatever the next process has drawn before
    assert_same(pipeline.choose_panel(toy_dataset(), CONFIG, checkpoints=checkpoints_in(tmp_path)), uninterrupted)


@pytest.mark.usefixtures("_at_every_step")
def test_a_training_lost_again_and_again_ends_with_the_same_panel(tmp_path, uninterrupted):
    for _ in range(4):
        lose(tmp_path, 40)
    assert find_snapshot(tmp_path).values["step"] == 160
    assert_same(pipeline.choose_panel(toy_dataset(), CONFIG, checkpoints=checkpoints_in(tmp_path)), uninterrupted)


@pytest.mark.usefixtures("_at_every_step")
@pytest.mark.parametrize("normalize", ["panel", "binary"])
def test_every_form_of_the_expression_goes_on_the_same(normalize, tmp_path):
    config = replace(CONFIG, genes=replace(CONFIG.genes, normalize=normalize))
    wanted = pipeline.choose_panel(toy_dataset(), config)
    asked = []
    with pytest.raises(Stopped):
        pipeline.choose_panel(
            toy_dataset(), config, should_stop=lambda: asked.append(1) or len(asked) > 130,
            checkpoints=checkpoints_in(tmp_path),
        )  # fmt: skip
    assert_same(pipeline.choose_panel(toy_dataset(), config, checkpoints=checkpoints_in(tmp_path)), wanted)


@pytest.mark.usefixtures("_at_every_step")
def test_steps_done_are_not_done_again(tmp_path):
    lose(tmp_path, 120)
    seen: list[Progress] = []
    pipeline.choose_panel(toy_dataset(), CONFIG, on_progress=seen.append, checkpoints=checkpoints_in(tmp_path))
    assert min(p.done for p in seen if p.phase == "training") > 120


def test_keeping_checkpoints_changes_nothing(tmp_path, monkeypatch, uninterrupted):
    monkeypatch.setattr(checkpoint, "EVERY", 0.05)
    assert_same(pipeline.choose_panel(toy_dataset(), CONFIG, checkpoints=checkpoints_in(tmp_path)), uninterrupted)


def test_checkpoints_are_kept_every_few_seconds_only(tmp_path):
    made = []
    offer = checkpoints_in(tmp_path).offer
    for _ in range(100):
        offer(lambda: made.append(1))
    assert made == []
    assert checkpoints_in(tmp_path).last is None


@pytest.mark.usefixtures("_at_every_step")
@pytest.mark.parametrize("content", [b"", b"{", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ", None])
def test_a_damaged_checkpoint_is_as_good_as_none(content, tmp_path):
    lose(tmp_path, 10)
    path = tmp_path / checkpoint.FILE
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    assert find_snapshot(tmp_path) is None


@pytest.mark.usefixtures("_at_every_step")
def test_a_checkpoint_is_exact(tmp_path):
    lose(tmp_path, 10)
    found = find_snapshot(tmp_path)
    keep_snapshot(tmp_path, found)
    again = find_snapshot(tmp_path)
    assert again.values == found.values
    assert all(torch.equal(again.tensors[name], tensor) for name, tensor in found.tensors.items())


def test_without_checkpoints_nothing_is_kept():
    Checkpoints().offer(lambda: pytest.fail("nobody asked for a snapshot"))
