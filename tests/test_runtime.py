"""A run in somebody's notebook or server: torch, chance and threads are the caller's, before, meanwhile and after."""

import os
import random
import signal
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

import yoto_core
from tests.conftest import make_toy
from tests.shared_runs import CONDITION, TYPE, chosen, config_for, toy_dataset
from yoto_core import pipeline, runtime
from yoto_core.errors import ConfigError
from yoto_core.model import training
from yoto_core.model.network import Head, Network
from yoto_core.progress import Stopped

CONFIGS = (config_for(TYPE, CONDITION, panel_size=5), config_for(TYPE, panel_size=4))
GOLDEN = (
    "STIM3",
    "STIM2",
    "B1",
    "T1",
    "NK2",
)  # of the first config, chosen when first weights still came from torch's own chance
THREADS = 3  # of the caller; no number that anything here would choose


@pytest.fixture(autouse=True)
def _callers_threads():
    """The caller computes with threads of its own choice."""
    before = torch.get_num_threads()
    blas = max(blas_threads())
    torch.set_num_threads(THREADS)
    in_a_new_thread(lambda: threadpool_limits(limits=2, user_api="blas"))
    yield
    in_a_new_thread(lambda: threadpool_limits(limits=blas, user_api="blas"))
    torch.set_num_threads(before)


def in_a_new_thread(ask):
    """The answer of a thread that has done nothing before, and is gone afterwards."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(ask).result(timeout=120)


def blas_threads():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def all_state():
    """What belongs to the caller, here and in a thread that has not used torch before."""
    return {
        "torch": torch.get_rng_state().tolist(),
        "numpy": [part.tolist() if isinstance(part, np.ndarray) else part for part in np.random.get_state()],
        "python": random.getstate(),
        "threads": torch.get_num_threads(),
        "threads elsewhere": in_a_new_thread(torch.get_num_threads),
        "blas": blas_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "grad": torch.is_grad_enabled(),
        "type": torch.get_default_dtype(),
        "warnings": list(warnings.filters),
        "signals": [signal.getsignal(number) for number in signal.valid_signals()],
        "environment": dict(os.environ),
    }


def assert_same(found, wanted):
    pd.testing.assert_frame_equal(found.run.panel_table, wanted.run.panel_table, check_exact=True)
    pd.testing.assert_frame_equal(found.run.history, wanted.run.history, check_exact=True)
    for name, tensor in wanted.trained.model.tensors.items():
        assert torch.equal(found.trained.model.tensors[name], tensor), name


def test_select_leaves_torch_and_chance_as_they_were():
    before = all_state()
    run = yoto_core.select(make_toy(), CONFIGS[1])
    run.predict(make_toy())
    assert all_state() == before


def test_a_run_that_is_stopped_or_refused_leaves_them_too():
    before = all_state()
    with pytest.raises(Stopped):
        yoto_core.select(make_toy(), CONFIGS[1], should_stop=lambda: True)
    assert all_state() == before
    with pytest.raises(ConfigError):
        yoto_core.select(make_toy(), config_for(TYPE, panel_size=500))
    assert all_state() == before


def test_an_error_of_the_callers_own_leaves_them_too():
    before = all_state()

    def fail(progress):
        if progress.phase == "training":
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        yoto_core.select(make_toy(), CONFIGS[1], on_progress=fail)
    assert all_state() == before


def test_training_takes_one_thread_of_torch_and_threads_begun_meanwhile_keep_theirs():
    seen = set()

    def look(progress):
        if progress.phase == "training":
            seen.add((torch.get_num_threads(), in_a_new_thread(torch.get_num_threads), *blas_threads()))

    pipeline.choose_panel(toy_dataset(), CONFIGS[1], on_progress=look)
    assert seen == {(1, THREADS, 1)}


def test_the_number_of_torchs_threads_changes_no_bit():
    torch.set_num_threads(1)
    wanted = pipeline.choose_panel(toy_dataset(), CONFIGS[0])
    torch.set_num_threads(THREADS)
    assert_same(pipeline.choose_panel(toy_dataset(), CONFIGS[0]), wanted)


def test_first_weights_are_those_that_torch_draws_after_the_same_seed():
    heads = (Head("a", ("x", "y", "z")), Head("b", ()))
    network = Network(7, heads, replicas=2, hidden=16, generator=runtime.draws(11))
    torch.manual_seed(11)
    assert torch.equal(network.gene_weights_RAH, torch.randn(2, 7, 16) / 4)
    for weights, outputs in zip(network.head_weights_RHC, (3, 1), strict=True):
        assert torch.equal(weights, torch.randn(2, 16, outputs) / 4)


def test_the_panel_is_the_one_that_earlier_versions_chose():
    assert chosen(CONFIGS[0]).run.panel.genes == GOLDEN


def test_whoever_draws_from_torch_meanwhile_changes_no_training(monkeypatch):
    wanted = chosen(CONFIGS[0])
    order = training.informed_order

    def with_a_neighbour(*args, **named):
        torch.manual_seed(7)
        torch.rand(11)
        return order(*args, **named)

    monkeypatch.setattr(training, "informed_order", with_a_neighbour)
    assert_same(pipeline.choose_panel(toy_dataset(), CONFIGS[0], on_progress=lambda _: torch.rand(3)), wanted)


def test_trainings_side_by_side_end_as_they_do_alone_and_leave_everything_as_it_was():
    wanted = [chosen(config) for config in CONFIGS]
    before = all_state()
    together = threading.Barrier(len(CONFIGS), timeout=120)
    met = threading.local()

    def step_by_step():
        met.steps = getattr(met, "steps", 0) + 1
        if met.steps <= 50:  # side by side for certain, and ending when they like
            together.wait()
        return False

    def run(config):
        found = pipeline.choose_panel(toy_dataset(), config, should_stop=step_by_step)
        return found, torch.get_num_threads()

    with ThreadPoolExecutor(len(CONFIGS)) as pool:
        found = list(pool.map(run, CONFIGS))
    for (one, threads), alone in zip(found, wanted, strict=True):
        assert_same(one, alone)
        assert threads == THREADS
    assert all_state() == before


def test_linear_algebra_keeps_to_one_thread_until_the_last_of_several_is_done():
    first_in, second_in, first_out = (threading.Event() for _ in range(3))

    def first():
        with runtime.one_thread_each():
            first_in.set()
            assert second_in.wait(60)
        first_out.set()

    def second():
        assert first_in.wait(60)
        with runtime.one_thread_each():
            second_in.set()
            assert first_out.wait(60)
            return blas_threads()

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.submit(first), pool.submit(second)
        one.result(timeout=120)
        assert other.result(timeout=120) == {1}
    assert blas_threads() == {2}


def test_a_limit_of_the_callers_own_holds_again_afterwards():
    with threadpool_limits(limits=3, user_api="blas"):
        with runtime.one_thread_each():
            assert blas_threads() == {1}
        assert blas_threads() == {3}
    assert blas_threads() == {2}


def test_asking_a_model_takes_nothing_back_from_who_draws_meanwhile():
    model = chosen(CONFIGS[1]).run.model
    cells, done, drawn = np.zeros((4, len(model.genes)), dtype=np.float32), threading.Event(), []
    torch.manual_seed(5)

    def draw():
        while not done.is_set():
            drawn.append(torch.rand(1).item())

    neighbour = threading.Thread(target=draw)
    neighbour.start()
    for _ in range(300):
        model.predict(cells)
    done.set()
    neighbour.join()
    generator = torch.Generator().manual_seed(5)
    assert drawn == [torch.rand(1, generator=generator).item() for _ in drawn]
