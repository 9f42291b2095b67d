"""How long a run will take, in numbers and in words."""

from dataclasses import replace

import pytest

from tests.shared_runs import AGE, CONDITION, TYPE, config_for
from yoto_core.config import EvaluationConfig, RunConfig, SplitConfig, TrainingConfig
from yoto_core.demo import demo_config
from yoto_core.evaluation.forecast import (
    COSTS,
    STABILITY,
    Workload,
    about,
    costs_sentence,
    foresee,
    panel_parts,
    scheme_text,
    score_parts,
)

DEMO = Workload.of(demo_config(), [13, 2], 2_800, 9_000, None)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.3, "about 5 s"),
        (7.4, "about 5 s"),
        (7.5, "about 10 s"),
        (33, "about 30 s"),
        (54.9, "about 50 s"),
        (55, "about 1 min"),
        (100, "about 1.5 min"),
        (290, "about 5 min"),
        (299, "about 5 min"),
        (320, "about 5 min"),
        (333, "about 6 min"),
        (700, "about 12 min"),
        (5_399, "about 90 min"),
        (5_401, "about 2 h"),
        (5 * 3600, "about 5 h"),
    ],
)
def test_a_forecast_is_rounded_as_far_as_it_can_be_trusted(seconds, words):
    assert about(seconds) == words


def test_the_words_never_run_backwards():
    said = [about(seconds) for seconds in range(1, 20_000)]
    assert len(set(said)) == sum(a != b for a, b in zip(said, [None, *said], strict=False))


def test_every_constant_is_used_and_every_part_has_its_constant():
    assert set(panel_parts(DEMO)) | set(score_parts(DEMO)) == set(COSTS)
    assert all(cost >= 0 for cost in COSTS.values())


@pytest.mark.parametrize("grown", ["cells", "genes", "panel_size", "folds", "steps"])
def test_more_of_anything_never_takes_less(grown):
    more = replace(DEMO, **{grown: 3 * getattr(DEMO, grown)})
    one, other = foresee(DEMO), foresee(more)
    assert other.panel >= one.panel
    assert other.scores >= one.scores
    assert other.stability >= one.stability
    assert other.panel + other.scores > one.panel + one.scores


def test_the_parts_of_a_run_are_counted_as_stated():
    work = Workload(cells=30_000, genes=4_000, panel_size=16, outputs=(5, 3, 1), threads=4, steps=1_400)
    assert panel_parts(work) == pytest.approx({"start": 1, "read": 12, "train": 0.5, "train outputs": 0.45})
    assert score_parts(work) == pytest.approx(
        # 20,000 cells are compared, by twice the threads of the machine that was measured; 9 outputs, 3 tasks
        {"fold": 1, "all genes": 3.6, "panels": 1.44, "trees": 30, "train": 1.5}
    )
    assert score_parts(replace(work, alone=False))["train"] == 0
    assert score_parts(replace(work, outputs=(5,)))["train"] == 0  # a single task is alone already
    assert score_parts(replace(work, outputs=(5, 3)))["train"] == 1
    assert score_parts(replace(work, cells=100))["trees"] == pytest.approx(0.15)


def test_a_forecast_is_the_sum_of_its_parts_at_their_costs():
    work = replace(DEMO, folds=3)
    assert foresee(work).panel == pytest.approx(sum(COSTS[name] * units for name, units in panel_parts(work).items()))
    fold = sum(COSTS[name] * units for name, units in score_parts(work).items())
    assert foresee(replace(work, folds=1)).scores == pytest.approx(fold)


def test_a_run_of_ordinary_settings_is_the_one_that_was_measured():
    plain = Workload(cells=1, genes=1, panel_size=1, outputs=(2,))
    assert (plain.folds, plain.stability, plain.alone, plain.threads) == (1, True, True, 2)
    assert (plain.steps, plain.compared_cells) == (2_800, 20_000)
    trained = TrainingConfig()
    assert plain.steps == trained.steps * trained.replicas + trained.fit_steps
    assert plain.compared_cells == EvaluationConfig().max_cells


def test_every_fold_is_scored_and_chooses_a_panel_of_its_own():
    one, seven = foresee(DEMO), foresee(replace(DEMO, folds=7))
    assert seven.panel == one.panel
    assert seven.scores == pytest.approx(7 * one.scores + 6 * (one.panel - COSTS["start"]))


def test_stability_costs_nothing_where_it_is_not_asked_for():
    assert foresee(replace(DEMO, stability=False)).stability == 0
    assert foresee(DEMO).stability == pytest.approx(STABILITY * foresee(DEMO).scores)


def test_more_threads_shorten_the_scores_and_not_the_panel():
    one, other = foresee(DEMO), foresee(replace(DEMO, threads=8))
    assert other.panel == one.panel
    assert other.scores < one.scores


def test_the_size_of_a_run_is_read_from_its_config():
    config = RunConfig(
        tasks=(TYPE, CONDITION, AGE),
        split=SplitConfig(group="donor"),
        training=TrainingConfig(steps=100, fit_steps=80, replicas=2),
        evaluation=EvaluationConfig(stability="no", alone="no", max_cells=1_000),
        threads=3,
    )
    assert Workload.of(config, [4, 2, 1], 5_000, 900, 6) == Workload(
        cells=5_000, genes=900, panel_size=32, outputs=(4, 2, 1), folds=6, stability=False, alone=False, threads=3,
        steps=280, compared_cells=1_000,
    )  # fmt: skip
    assert score_parts(Workload.of(config, [4, 2, 1], 5_000, 900, 6))["train"] == 0


@pytest.mark.parametrize(
    ("scheme", "n_groups", "text"),
    [
        ("auto", None, "automatic: one split (no groups held out)"),
        ("auto", 7, "automatic: leave one donor out (7 donors)"),
        ("auto", 9, "automatic: one split (9 donors)"),
        ("one split", 7, "one split"),
        ("cross-validation", 7, "cross-validation: leave one donor out (7 donors)"),
        ("cross-validation", 9, "cross-validation in 5 folds of whole donors"),
        ("cross-validation", None, "cross-validation in 5 folds"),
    ],
)
def test_a_way_of_making_scores_says_what_it_means_for_the_data(scheme, n_groups, text):
    assert scheme_text(SplitConfig(group="donor" if n_groups else "", scheme=scheme), n_groups) == text


def test_the_costs_name_both_ways_and_when_the_panel_is_there():
    config = config_for(split=SplitConfig(group="donor"))
    work = replace(DEMO, folds=7)
    single, crossed = foresee(DEMO), foresee(work)
    assert costs_sentence(work, config.split, 7) == (
        f"One split: {about(single.scores)} after the panel. Cross-validation in 7 folds (one donor each):"
        f" {about(crossed.scores)}. Stability comes last: {about(single.stability)} more. The panel itself is on screen"
        f" first, after {about(single.panel)}."
    )
    said = costs_sentence(replace(work, stability=False), config.split, 12)
    assert "Cross-validation in 5 folds: about" in said
    assert "Stability" not in said
