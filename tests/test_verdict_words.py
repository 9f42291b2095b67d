"""The sentences about a run whose figures are given: every limit and every word, without training anything."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.shared_runs import AGE, TYPE, config_for
from yoto_core import verdicts
from yoto_core.config import SplitConfig
from yoto_core.evaluation.evaluator import Evaluation, FoldResult
from yoto_core.evaluation.stability import Stability
from yoto_core.model.panel import Panel
from yoto_core.pipeline import Run
from yoto_core.scores.methods import HEADLINE_JUDGES, JUDGE_LABELS, METHODS, headline_rows

EMPTY = pd.DataFrame()


def score(task, method, value, *, cells=75, groups=0, low=np.nan, high=np.nan):
    metric = "r2" if task == "age" else "macro_f1"
    return {
        "task": task, "method": method, "judge": HEADLINE_JUDGES.get(method, "logistic"), "metric": metric, "value": value,
        "low": low, "high": high, "cells": cells, "groups": groups,
    }  # fmt: skip


def run_with(*scores, tests=(), folds=(), best_all=None, group="", tasks=(TYPE, AGE)):
    """A run of two genes with these figures."""
    evaluation = Evaluation(
        pd.DataFrame(scores), EMPTY, EMPTY, {}, EMPTY, {},
        tests=pd.DataFrame(tests, columns=["task", "value", "p", "chance", "beaten", "cells", "groups"]),
        folds=tuple(folds), best_all=best_all or {},
    )  # fmt: skip
    config = config_for(*tasks, panel_size=2, split=SplitConfig(group=group))
    panel = Panel(("A", "B"), ("", ""), (2.0, 1.0), (False, False), 2)
    summary = {"candidate_genes": 1_234}
    return Run(config, panel, EMPTY, None, EMPTY, evaluation, summary, {}, {})


def against_chance(task="cell_type", *, p=0.001, chance=0.25, beaten=True):
    return {"task": task, "value": 0.8, "p": p, "chance": chance, "beaten": beaten, "cells": 75, "groups": 0}


# --- a score against all genes and the baselines


@pytest.mark.parametrize(
    ("whole", "mine", "said"),
    [
        (0.9, 0.8, "All 1,234 candidate genes give 0.90 (the better model of each fold): the panel keeps 89% of that."),
        (
            0.05,
            0.04,
            "All 1,234 candidate genes give 0.05 (the better model of each fold): the panel keeps 80% of that.",
        ),
        (0.049, 0.04, "All 1,234 candidate genes give 0.05 (the better model of each fold)."),
        (-0.3, 0.1, "All 1,234 candidate genes give −0.30 (the better model of each fold)."),
        (0.4, 0.0, "All 1,234 candidate genes give 0.40 (the better model of each fold): the panel keeps 0% of that."),
        (0.4, -0.1, "All 1,234 candidate genes give 0.40 (the better model of each fold)."),
    ],
)
def test_a_share_of_what_all_genes_do_is_given_where_they_do_something(whole, mine, said):
    run = run_with(score("cell_type", "yoto", mine), score("cell_type", "all", whole))
    assert verdicts.verdict(run, "cell_type").endswith(said)
    poor = replace(run, evaluation=replace(run.evaluation, tests=pd.DataFrame([against_chance(beaten=False, p=0.3)])))
    assert "keeps" not in verdicts.verdict(poor, "cell_type")


@pytest.mark.parametrize(
    ("task", "best", "name"),
    [
        ("cell_type", "all_variable", "logistic regression on the 2,000 most variable genes"),
        ("age", "all_components", "ridge regression on 50 principal components of all genes"),
        ("age", "", "the better model of each fold"),
    ],
)
def test_the_model_of_all_genes_is_named_by_its_kind_and_what_it_reads(task, best, name):
    assert verdicts.all_genes_name(run_with(best_all={task: best}), task) == name


def test_the_best_baseline_is_none_of_our_own_models_nor_all_genes_nor_chance():
    others = [score("cell_type", name, 0.99) for name in ("own", "alone", "sequenced", "chance")]
    rivals = [
        score("cell_type", "hvg", 0.5),
        score("cell_type", "random", np.nan),
        score("cell_type", "wilcoxon", 0.61),
    ]
    said = verdicts.verdict(run_with(score("cell_type", "yoto", 0.7), *others, *rivals), "cell_type")
    assert (
        said
        == "cell_type: macro-F1 0.70 with the panel (75 cells). Best baseline of the same size: 0.61 (Wilcoxon markers)."
    )
    assert verdicts.verdict(run_with(score("age", "yoto", 0.7)), "age") == "age: R² 0.70 with the panel (75 cells)."
    assert verdicts.verdict(run_with(score("cell_type", "hvg", 0.7)), "cell_type") == (
        "cell_type: too few labelled held-out cells to score."
    )


def test_every_task_has_its_verdict_in_the_order_of_the_config_and_the_notes_say_each_metric_once():
    run = run_with(score("age", "yoto", 0.7), score("cell_type", "yoto", 0.8), tasks=(AGE, TYPE))
    assert [text.partition(":")[0] for text in verdicts.verdicts(run)] == ["age", "cell_type"]
    score_help, r2, f1 = verdicts.metric_notes(run)
    assert score_help == verdicts.SCORE_HELP
    assert r2.startswith("R² is the share of the number's spread")
    assert f1.startswith("Macro-F1 (0 to 1) is the mean over classes")
    assert len(verdicts.metric_notes(run_with(tasks=(TYPE,)))) == 2


# --- chance


@pytest.mark.parametrize(
    ("task", "test", "said"),
    [
        ("cell_type", against_chance(), "This beats chance (p = 0.001; shuffled labels give 0.25 on average)."),
        (
            "age", against_chance("age", p=0.01, chance=-0.12),
            "This beats always answering the mean (p = 0.010; shuffled labels give −0.12 on average).",
        ),
        (
            "cell_type", against_chance(p=0.02, beaten=False),
            "It could not be shown to beat chance with these 75 cells of 6 donors (p = 0.020, wanted at most 0.01; shuffled labels"
            " give 0.25 on average).",
        ),
        (
            "age", against_chance("age", p=np.nan, chance=np.nan, beaten=False),
            "Whether this beats always answering the mean cannot be told: the labels cannot be shuffled.",
        ),
    ],
)  # fmt: skip
def test_chance_is_told_word_for_word(task, test, said):
    run = run_with(score(task, "yoto", 0.8), tests=[{**test, "groups": 6}], group="donor_id")
    assert verdicts.chance_words(run, task) == said
    other = "age" if task == "cell_type" else "cell_type"
    assert verdicts.chance_words(run, other) == ""
    assert verdicts.beats_chance(run, other) is None


# --- what sharing and the assay cost


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (0.8, "costs age nothing: 0.80"),
        (0.8099, "costs age nothing: 0.81"),
        (0.8101, "costs age 0.01: 0.81"),
        (0.7901, "costs age nothing: 0.79"),
        (0.7899, "gains age 0.01: 0.79"),
        (0.5, "gains age 0.30: 0.50"),
    ],
)
def test_a_hundredth_of_a_score_is_called_nothing(other, said):
    run = run_with(score("age", "yoto", 0.8), score("age", "alone", other), score("age", "sequenced", other))
    assert (
        verdicts.sharing_cost(run, "age") == f"Sharing the panel with the other tasks {said} with a panel of its own."
    )
    assert verdicts.assay_cost(run, "age") == f"Measuring the panel alone {said} where all genes are measured."


def test_a_cost_that_was_not_measured_is_not_told():
    assert verdicts.sharing_cost(run_with(score("age", "yoto", 0.8)), "age") == ""
    assert verdicts.assay_cost(run_with(score("age", "sequenced", 0.8)), "age") == ""


# --- intervals, stability, needs


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (0, "75 cells"),
        (1, "no interval, as 1 donor is too few for one (5 are needed)"),
        (4, "no interval, as 4 donors are too few for one (5 are needed)"),
        (5, "75 cells of 5 donors"),
    ],
)
def test_five_groups_are_not_too_few(groups, said):
    row = {"low": np.nan, "high": np.nan, "cells": 75, "groups": groups}
    assert verdicts.interval_words(row, "donor").startswith(said)


def test_stability_of_nothing_says_why_and_of_groups_how_many():
    none = Stability((np.nan,), np.nan, 0, np.nan, np.nan, 0)
    assert verdicts.stability_words(none, group="", wanted=True) == (
        "Stability could not be measured: no subsample of the cells holds two classes of a task."
    )
    assert verdicts.stability_words(None, group="", wanted=True) == (
        "Stability is measured last, when the scores and maps are there."
    )
    one = Stability((1.0,), 1.0, 19, 0.5, 0.5, 3)
    assert "chosen again from 19 subsamples (80% of the 3 mice not held out)" in verdicts.stability_words(
        one, group="mouse_id", wanted=False
    )


@pytest.mark.parametrize(
    ("groups", "unit"),
    [
        (0, "cells"),
        (1, "cells of 1 donor (which says little of others)"),
        (4, "cells of 4 donors (which says little of others)"),
        (5, "donors"),
    ],
)
def test_what_was_drawn_again_is_named(groups, unit):
    table = pd.DataFrame({"p": [0.1] * 1_200 + [np.nan], "groups": [groups] * 1_201})
    assert verdicts.needed_rule(table, group="donor") == (
        f"Needed for: when the gene is missing, the trained model's F1 of the class falls on held-out cells by more than drawing the"
        f" {unit} again explains (paired bootstrap; false discovery rate 5% over 1,200 gene × class losses)."
    )
    assert verdicts.needed_rule(table.iloc[:0], group="donor") == ""
    fewer = table.assign(groups=[0] * 1_200 + [groups])  # a task whose labels fewer groups carry does not lead
    assert verdicts.needed_rule(fewer, group="donor") == verdicts.needed_rule(table, group="donor")
    assert verdicts.needed_rule(table.assign(p=np.nan), group="donor") == (
        "Needed for: not told, as no task is predicted better than chance on the held-out cells."
    )


# --- folds


def fold(genes, held_out=(), cells=40, **scores):
    return FoldResult(held_out=tuple(held_out), cells=cells, genes=tuple(genes), scores=scores)


@pytest.mark.parametrize(
    ("held_out", "group", "each"),
    [
        ((("D1",), ("D2",)), "donor", "one donor"),
        ((("D1",), ("D2", "D3")), "donor", "some donors"),
        (((), ()), "", "one part of the cells"),
    ],
)
def test_a_cross_validation_says_what_each_panel_did_without(held_out, group, each):
    folds = [fold("AB", held_out[0], cells=800), fold("AC", held_out[1], cells=434)]
    run = run_with(folds=folds, group=group)
    assert verdicts.folds_words(run) == (
        f"Cross-validated: 2 panels were chosen, each without {each}, and judged on what each had not seen; all scores are over"
        f" 1,234 held-out cells together. Two of these panels overlap by 0.33 (Jaccard) on average. The panel shown is that of the"
        f" first fold."
    )
    assert verdicts.folds_words(run_with(folds=folds[:1], group=group)) == ""


def test_the_table_of_folds_counts_from_one_and_says_what_each_shares_with_the_panel_shown():
    run = run_with(folds=[fold("AB", ("D1", "D2"), age=0.5), fold("BC", ("D3",), cells=7, age=0.25)], group="donor")
    assert verdicts.fold_table(run).to_dict("records") == [
        {"fold": 1, "held_out": "D1, D2", "cells": 40, "shared": 2, "age": 0.5},
        {"fold": 2, "held_out": "D3", "cells": 7, "shared": 1, "age": 0.25},
    ]


# --- the names of methods and judges


def test_methods_and_judges_are_called_what_the_pages_call_them():
    assert METHODS == {
        "yoto": "YOTO panel", "own": "YOTO's own model", "random": "Random genes", "hvg": "Most variable genes",
        "wilcoxon": "Wilcoxon markers", "logistic": "Logistic-regression markers", "forest": "Random-forest importance",
        "sequenced": "YOTO panel, all genes measured", "alone": "YOTO, this task alone", "all": "All candidate genes",
        "chance": "Chance",
    }  # fmt: skip
    assert list(JUDGE_LABELS) == [
        "logistic", "forest", "knn", "own", "all_best", "all_variable", "all_components", "chance",
    ]  # fmt: skip
    assert (JUDGE_LABELS["own"], JUDGE_LABELS["chance"]) == ("YOTO's own model", "Shuffled labels")


def test_one_judge_stands_for_each_method():
    rows = [
        {"task": "t", "method": method, "judge": judge, "metric": metric, "value": 0.5}
        for method in ("yoto", "own", "all", "chance", "hvg")
        for judge in JUDGE_LABELS
        for metric in ("macro_f1", "r2", "accuracy", "mae")
    ]
    found = headline_rows(pd.DataFrame(rows))
    assert set(found["metric"]) == {"macro_f1", "r2"}
    assert dict(zip(found["method"], found["judge"], strict=True)) == {
        "yoto": "logistic", "own": "own", "all": "all_best", "chance": "chance", "hvg": "logistic",
    }  # fmt: skip
    assert len(found) == 5 * 2
