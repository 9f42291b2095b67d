"""What the numbers say in sentences: calibrated, with cells and donors, and silent where nothing can be known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.shared_runs import CONDITION, TYPE, chosen, config_for, finished
from yoto_core import pipeline, verdicts
from yoto_core.config import SplitConfig
from yoto_core.evaluation.stability import Stability


@pytest.fixture(scope="module")
def run():
    return finished()


@pytest.fixture(scope="module")
def crossed():
    found = pipeline.explained(chosen(config_for(TYPE, CONDITION, panel_size=6, split=SplitConfig(group="donor"))))
    return replace(found.run, evaluation=pipeline.compare(found))


def with_scores(run, method, **values):
    """The run with other figures in the headline rows of a method for cell_type."""
    scores = run.evaluation.scores.copy()
    rows = verdicts.headline_rows(scores)
    here = rows[(rows["task"] == "cell_type") & (rows["method"] == method)].index
    for name, value in values.items():
        scores.loc[here, name] = value
    return replace(run, evaluation=replace(run.evaluation, scores=scores))


def with_test(run, **values):
    tests = run.evaluation.tests.copy()
    for name, value in values.items():
        tests.loc[tests["task"] == "cell_type", name] = value
    return replace(run, evaluation=replace(run.evaluation, tests=tests))


def test_the_verdict_tells_score_chance_all_genes_and_best_baseline(run):
    changed = with_scores(run, "yoto", value=0.8, low=0.71, high=0.88)
    changed = with_scores(changed, "all", value=0.9)
    changed = with_scores(changed, "forest", value=0.79)
    changed = with_scores(changed, "wilcoxon", value=0.70)
    changed = with_scores(changed, "logistic", value=0.75)
    changed = with_test(changed, p=0.001, chance=0.251, beaten=True)
    changed = replace(changed, evaluation=replace(changed.evaluation, best_all={"cell_type": "all_components"}))
    assert verdicts.verdict(changed, "cell_type") == (
        "cell_type: macro-F1 0.80 with the panel (95 % interval 0.71 to 0.88; 75 cells). This beats chance (p = 0.001; shuffled"
        " labels give 0.25 on average). All 60 candidate genes give 0.90 (logistic regression on 50 principal"
        " components of all genes): the panel keeps 89% of that. Best baseline of the same size: 0.79 (Random-forest importance)."
    )


def test_what_could_not_be_shown_is_not_called_shown_not_to_be(run):
    poor = with_test(run, p=0.2, chance=0.25, beaten=False)
    said = verdicts.chance_words(poor, "cell_type")
    assert said == (
        "It could not be shown to beat chance with these 75 cells (p = 0.200, wanted at most 0.01; shuffled labels give 0.25 on"
        " average)."
    )
    assert said in verdicts.verdict(poor, "cell_type")
    assert "keeps" not in verdicts.verdict(poor, "cell_type")  # no share of what all genes can do
    assert verdicts.beats_chance(poor, "cell_type") is False
    assert verdicts.beats_chance(run, "cell_type") is True
    untold = with_test(run, p=np.nan, beaten=False)
    assert verdicts.chance_words(untold, "cell_type") == (
        "Whether this beats chance cannot be told: the labels cannot be shuffled."
    )


def test_numbers_are_held_against_the_mean(run):
    tests = run.evaluation.tests.assign(beaten=False)
    poor = replace(run, evaluation=replace(run.evaluation, tests=tests))
    assert "could not be shown to beat always answering the mean" in verdicts.verdict(poor, "age")


def test_runs_of_older_versions_are_not_called_better_or_worse_than_chance(run):
    old = replace(run, evaluation=replace(run.evaluation, tests=run.evaluation.tests.iloc[:0]))
    assert verdicts.chance_words(old, "cell_type") == ""
    assert verdicts.beats_chance(old, "cell_type") is None


@pytest.mark.parametrize(
    ("row", "group", "words"),
    [
        ({"low": 0.7, "high": 0.9, "cells": 1200, "groups": 0}, "", "95 % interval 0.70 to 0.90; 1,200 cells"),
        (
            {"low": 0.7, "high": 0.9, "cells": 1200, "groups": 8}, "donor",
            "95 % interval 0.70 to 0.90; 1,200 cells of 8 donors",
        ),
        (
            {"low": np.nan, "high": np.nan, "cells": 300, "groups": 1}, "donor",
            "no interval, as 1 donor is too few for one (5 are needed); 300 cells of 1 donor",
        ),
        (
            {"low": np.nan, "high": np.nan, "cells": 300, "groups": 4}, "patient_id",
            "no interval, as 4 patients are too few for one (5 are needed); 300 cells of 4 patients",
        ),
        ({"low": np.nan, "high": np.nan, "cells": 1, "groups": 0}, "", "1 cell"),
    ],
)  # fmt: skip
def test_an_interval_names_its_cells_and_donors_or_says_why_there_is_none(row, group, words):
    assert verdicts.interval_words(row, group) == words


def test_there_is_one_verdict_per_task_and_none_without_scores(run):
    assert [sentence.partition(":")[0] for sentence in verdicts.verdicts(run)] == ["cell_type", "condition", "age"]
    (sentence,) = verdicts.verdicts(replace(run, evaluation=None))
    assert sentence == "The scores were not measured: the run was stopped or is still running."


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (0.85, "Measuring the panel alone costs cell_type 0.05: 0.85 where all genes are measured."),
        (0.75, "Measuring the panel alone gains cell_type 0.05: 0.75 where all genes are measured."),
        (0.812, "Measuring the panel alone costs cell_type 0.01: 0.81 where all genes are measured."),
        (0.801, "Measuring the panel alone costs cell_type nothing: 0.80 where all genes are measured."),
    ],
)
def test_what_the_assay_costs_is_told_from_the_runs_own_scores(run, other, words):
    changed = with_scores(with_scores(run, "yoto", value=0.8), "sequenced", value=other)
    assert verdicts.assay_cost(changed, "cell_type") == words


def test_what_sharing_costs_is_told_where_it_was_measured(run, crossed):
    changed = with_scores(with_scores(run, "yoto", value=0.8), "alone", value=0.83)
    assert verdicts.sharing_cost(changed, "cell_type") == (
        "Sharing the panel with the other tasks costs cell_type 0.03: 0.83 with a panel of its own."
    )
    scores = run.evaluation.scores
    single = replace(run, evaluation=replace(run.evaluation, scores=scores[scores["method"] != "alone"]))
    assert verdicts.sharing_cost(single, "cell_type") == ""


def test_stability_is_told_beside_shuffled_labels():
    found = Stability((0.5, 1.0), 0.57, 20, 0.24, 0.07, 0)
    assert verdicts.stability_words(found, group="", wanted=True) == (
        "Stability: chosen again from 20 subsamples (80% of the cells not held out), a gene of this panel comes back in 75% of"
        " them on average (with shuffled labels 24%); two such panels overlap by 0.57 (Jaccard; with shuffled labels 0.07)."
    )
    assert "(80% of the 6 donors not held out)" in verdicts.stability_words(
        replace(found, groups=6), group="donor", wanted=True
    )
    assert verdicts.stability_words(None, group="", wanted=False) == ""
    assert verdicts.stability_words(None, group="", wanted=True).startswith("Stability is measured last")
    none = Stability((np.nan,), np.nan, 0, np.nan, np.nan, 0)
    assert verdicts.stability_words(none, group="", wanted=True).startswith("Stability could not be measured")


def test_the_rule_behind_needed_for_names_the_number_of_losses_and_what_was_drawn():
    table = pd.DataFrame({"p": [0.1, np.nan, 0.2], "groups": [0, 0, 0]})
    assert verdicts.needed_rule(table, group="") == (
        "Needed for: when the gene is missing, the trained model's F1 of the class falls on held-out cells by more than drawing"
        " the cells again explains (paired bootstrap; false discovery rate 5% over 2 gene × class losses)."
    )
    assert "drawing the donors again" in verdicts.needed_rule(table.assign(groups=6), group="donor")
    assert "drawing the cells of 2 donors (which says little of others) again" in verdicts.needed_rule(
        table.assign(groups=2), group="donor"
    )
    assert verdicts.needed_rule(table.assign(p=np.nan), group="").startswith("Needed for: not told")
    assert verdicts.needed_rule(table.iloc[:0], group="") == ""


def test_a_cross_validation_is_told_with_the_overlap_of_its_panels(run, crossed):
    assert verdicts.folds_words(run) == ""
    said = verdicts.folds_words(crossed)
    assert said.startswith(
        "Cross-validated: 6 panels were chosen, each without one donor, and judged on what each had not seen; all scores are"
        " over 300 held-out cells together. Two of these panels overlap by 0."
    )
    table = verdicts.fold_table(crossed)
    assert list(table["held_out"]) == [", ".join(fold.held_out) for fold in crossed.evaluation.folds]
    assert table["shared"][0] == 6  # the panel shown is that of the first fold
    assert list(table["cell_type"]) == [fold.scores["cell_type"] for fold in crossed.evaluation.folds]
    assert "300 cells of 6 donors" in verdicts.verdict(crossed, "cell_type")


def test_where_folds_prefer_different_models_of_all_genes_it_is_said(crossed):
    changed = replace(crossed, evaluation=replace(crossed.evaluation, best_all={"cell_type": ""}))
    assert "(the better model of each fold)" in verdicts.verdict(changed, "cell_type")
