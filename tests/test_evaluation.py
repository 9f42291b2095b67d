"""Scores of the panel and of baselines: all of them, on held-out cells only, of one split or of all folds, with intervals."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.conftest import CONDITION_GENES, GENES, TYPE_GENES, make_toy
from tests.shared_runs import AGE, CONDITION, TYPE, chosen, config_for, finished
from yoto_core import pipeline
from yoto_core.config import EvaluationConfig, GenesConfig, SplitConfig
from yoto_core.data.problem import Problem
from yoto_core.data.reading import from_anndata
from yoto_core.data.targets import Target
from yoto_core.evaluation.answers import Fold, answer_fold, learning_cells
from yoto_core.evaluation.evaluator import evaluate, mean_overlap
from yoto_core.progress import Stopped, never, silent
from yoto_core.scores import metrics
from yoto_core.scores.all_genes import BEST, COMPONENT, VARIABLE
from yoto_core.scores.baselines import BASELINES
from yoto_core.scores.judges import HEADLINE_JUDGE, JUDGES, BalancedNeighbours
from yoto_core.scores.methods import JUDGE_LABELS, METHODS, headline_rows
from yoto_core.scores.metrics import HEADLINE, MIN_GROUPS

MARKERS = [gene for genes in TYPE_GENES.values() for gene in genes]
METRICS = {"classification": {"accuracy", "balanced_accuracy", "macro_f1"}, "regression": {"r2", "mae", "spearman"}}
LEAVE_ONE_OUT = SplitConfig(group="donor")  # six donors in the toy


@pytest.fixture(scope="module")
def run():
    return finished()


@pytest.fixture(scope="module")
def crossed():
    """A cross-validation that leaves out each of the toy's six donors once."""
    found = pipeline.explained(chosen(config_for(TYPE, CONDITION, panel_size=6, split=LEAVE_ONE_OUT)))
    return replace(found.run, evaluation=pipeline.compare(found))


def score(run, task, method, judge="logistic", metric="macro_f1"):
    here = run.evaluation.scores.set_index(["task", "method", "judge", "metric"])
    return here.loc[(task, method, judge, metric), "value"]


def row_of(run, task, method):
    return headline_rows(run.evaluation.scores).set_index(["task", "method"]).loc[(task, method)]


def test_every_method_is_judged_by_every_classifier_on_every_task(run):
    scores = run.evaluation.scores
    panels = ["yoto", "alone", *(baseline.name for baseline in BASELINES)]
    pairs = {(method, judge.name) for method in panels for judge in JUDGES}
    pairs |= {("own", "own"), ("alone", "own"), ("sequenced", "logistic")}
    pairs |= {("all", name) for name in (BEST, VARIABLE, COMPONENT)}
    for task in run.config.tasks:
        here = scores[(scores["task"] == task.obs) & (scores["method"] != "chance")]
        assert set(zip(here["method"], here["judge"], strict=True)) == pairs
        assert set(here["metric"]) == METRICS[task.kind]
        assert len(here) == len(pairs) * 3
    assert set(scores["method"]) == set(METHODS)
    assert set(scores["judge"]) == set(JUDGE_LABELS)
    assert not scores.duplicated(["task", "method", "judge", "metric"]).any()


def test_one_headline_score_stands_for_each_method_and_task(run):
    rows = headline_rows(run.evaluation.scores)
    assert not rows.duplicated(["task", "method"]).any()
    assert set(zip(rows["task"], rows["method"], strict=True)) == {
        (task.obs, method) for task in run.config.tasks for method in METHODS
    }
    assert row_of(run, "cell_type", "yoto")["value"] == score(run, "cell_type", "yoto", HEADLINE_JUDGE.name)
    at_size = run.evaluation.sizes.set_index(["part", "task", "method", "size"])["value"]
    asked = run.panel.panel_size
    for task in run.config.tasks:  # the size curve and the comparison of methods show the same number
        assert at_size["held-out", task.obs, "yoto", asked] == row_of(run, task.obs, "yoto")["value"]
        assert at_size["held-out", task.obs, "own", asked] == row_of(run, task.obs, "own")["value"]


def test_every_baseline_holds_exactly_as_many_candidate_genes_as_the_panel(run):
    assert set(run.evaluation.panels) == {"yoto", *(baseline.name for baseline in BASELINES)}
    for genes in run.evaluation.panels.values():
        assert len(genes) == len(set(genes)) == run.config.selector.panel_size
        assert set(genes) <= set(GENES)
    assert run.evaluation.panels["yoto"] == run.panel.genes


def test_every_headline_score_lies_inside_its_interval(run):
    scores = run.evaluation.scores
    main = scores[scores["metric"].isin(HEADLINE.values())]
    varied = main[(main["method"] != "chance") & main["value"].notna()]
    assert (varied["low"] <= varied["value"] + 0.02).all()  # the bootstrap of a macro-F1 leans slightly down
    assert (varied["value"] <= varied["high"] + 0.02).all()
    assert (varied["low"] < varied["high"])[varied["value"] < 1].all()
    assert scores[~scores["metric"].isin(HEADLINE.values())][["low", "high"]].isna().all(axis=None)
    assert set(scores["cells"]) == {75}
    assert set(scores["groups"]) == {0}


def test_scores_are_in_their_ranges(run):
    scores = run.evaluation.scores
    shares = scores[scores["metric"].isin(METRICS["classification"])]["value"]
    assert shares.between(0, 1).all()
    assert scores[scores["metric"] == "r2"]["value"].le(1).all()
    assert scores[scores["metric"] == "mae"]["value"].ge(0).all()


@pytest.mark.parametrize(("task", "metric"), [("cell_type", "macro_f1"), ("condition", "macro_f1"), ("age", "r2")])
def test_planted_markers_beat_random_genes_and_chance(task, metric, run):
    for method in ("wilcoxon", "forest", "all"):
        assert row_of(run, task, method)["value"] > row_of(run, task, "chance")["value"] + 0.2
    assert score(run, "cell_type", "wilcoxon") > score(run, "cell_type", "random") + 0.1


def test_chance_is_what_shuffled_labels_give(run):
    assert row_of(run, "cell_type", "chance")["value"] == pytest.approx(0.25, abs=0.05)
    assert row_of(run, "condition", "chance")["value"] == pytest.approx(0.5, abs=0.05)
    assert row_of(run, "age", "chance")["value"] < 0
    tests = run.evaluation.tests.set_index("task")
    assert tests["beaten"].all()
    for task in ("cell_type", "condition", "age"):
        assert tests["chance"][task] == row_of(run, task, "chance")["value"]
        assert tests["value"][task] == pytest.approx(row_of(run, task, "yoto")["value"])


def test_the_better_model_of_all_genes_stands_for_them(run):
    for task in ("cell_type", "condition", "age"):
        best, metric = run.evaluation.best_all[task], "r2" if task == "age" else "macro_f1"
        assert best in (VARIABLE, COMPONENT)
        assert score(run, task, "all", BEST, metric) == score(run, task, "all", best, metric)


def test_a_panel_of_planted_genes_scores_above_one_of_noise():
    found = chosen(config_for(TYPE, panel_size=6))
    values = {}
    for name, genes in (("planted", MARKERS[:6:1]), ("noise", [f"NOISE{i}" for i in range(6)])):
        order = np.array([GENES.index(gene) for gene in genes])
        trained = replace(found.trained, order=order, model=found.trained.model.at_size(len(order)))
        fold = Fold(found.problem, trained)
        answers = answer_fold(fold, found.run.config, on_progress=silent, should_stop=never)
        scores = headline_rows(evaluate([answers], found.problem.targets, found.run.config).scores)
        values[name] = scores.set_index("method")["value"]["yoto"]
    assert values["planted"] > values["noise"] + 0.15
    assert values["noise"] < 0.5


def test_predictions_are_of_the_held_out_cells_alone(run):
    table = run.evaluation.predictions
    assert len(table) == run.summary["split"]["test"]
    assert table["cell_index"].is_unique
    toy = make_toy()
    true = toy.obs["cell_type"].astype(str).to_numpy()[table["cell_index"]]
    assert (table["cell_type true"] == true).all()
    assert (table["age true"] == toy.obs["age"].to_numpy()[table["cell_index"]]).all()
    assert table["cell_type probability"].between(0.25, 1).all()
    accuracy = (table["cell_type true"] == table["cell_type predicted"]).mean()
    assert score(run, "cell_type", "own", "own", "accuracy") == pytest.approx(accuracy)


def test_confusion_and_classes_count_every_labelled_held_out_cell(run):
    cells = run.summary["split"]["test"]
    assert set(run.evaluation.confusion) == {"cell_type", "condition"}
    classes_of = run.evaluation.classes.groupby("task")
    for task, counts in run.evaluation.confusion.items():
        assert counts.to_numpy().sum() == cells
        classes = classes_of.get_group(task).set_index("class")
        assert list(classes.index) == list(counts.index) == list(counts.columns)
        assert (classes["cells"] == counts.sum(axis=1)).all()
        recall = np.diag(counts) / counts.sum(axis=1)
        assert np.allclose(classes["recall"], recall)


def test_more_random_panels_are_averaged_into_one_row():
    found = chosen(config_for(CONDITION, panel_size=3))
    light = EvaluationConfig(random_panels=4, bootstrap=50, stability="no")
    several = pipeline.compare(
        replace(found, run=replace(found.run, config=replace(found.run.config, evaluation=light)))
    )
    once = pipeline.compare(found).scores
    assert len(several.scores) == len(once)
    pick = {"method": "random", "judge": "logistic", "metric": "accuracy"}
    assert (several.scores[list(pick)] == list(pick.values())).all(axis=1).sum() == 1


def test_without_all_genes_there_is_nothing_to_compare_the_assay_with():
    config = config_for(CONDITION, panel_size=3, genes=GenesConfig(normalize="all genes"))
    assert "sequenced" not in set(pipeline.compare(chosen(config)).scores["method"])


# --- the cells that comparisons learn from


def test_comparisons_learn_from_no_more_cells_than_asked_and_rare_classes_keep_theirs():
    adata = make_toy(cells=900)
    labels = adata.obs["cell_type"].astype(str)
    labels.iloc[np.flatnonzero(labels == "NK")[12:]] = "T"
    adata.obs["cell_type"] = labels
    light = EvaluationConfig(max_cells=500, bootstrap=50, stability="no")
    config = replace(config_for(TYPE, CONDITION, panel_size=3), evaluation=light)
    fitted = pipeline.design(from_anndata(adata), config)
    problem = Problem(from_anndata(adata).matrix, fitted.candidates, fitted.targets, fitted.split)
    learning = learning_cells(problem, config)
    assert len(learning.cells) == len(set(learning.cells)) == 500
    assert not set(learning.cells) & set(fitted.split.test)
    every = np.concatenate([fitted.split.train, fitted.split.validation])
    rare = fitted.targets[0].classes.index("NK")
    assert fitted.targets[0].counts(learning.cells)[rare] == fitted.targets[0].counts(every)[rare] == 9


def test_classes_are_weighed_alike_by_every_classifier():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [190, 10])
    train = rng.normal(size=(200, 2)) + labels[:, None]
    fresh = np.repeat([0, 1], 200)
    test = rng.normal(size=(400, 2)) + fresh[:, None]
    target = Target("t", "classification", 1.0, ("common", "rare"), labels)
    for judge in (JUDGES[0], JUDGES[2]):
        answer = judge.answer(target, train, labels, test, seed=0)
        assert np.mean(answer[fresh == 1] == 1) > 0.5, judge.name  # unweighted ones find one in ten


def test_scaling_a_gene_changes_no_answer():
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    train, test = (rng.normal(size=(120, 4)) + labels[:, None] for _ in range(2))
    target = Target("t", "classification", 1.0, ("a", "b", "c"), labels)
    scale = np.array([1.0, 100.0, 0.01, 7.0])
    for judge in JUDGES:
        plain, scaled = (judge.answer(target, train * by, labels, test * by, seed=0) for by in (1.0, scale))
        assert np.mean(plain == scaled) > 0.98, judge.name


def test_neighbours_of_equal_share_vote_as_scikit_learns_do():
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    cells = rng.normal(size=(90, 3)) + labels[:, None]
    ours = BalancedNeighbours(5).fit(cells, labels)
    assert (ours.predict(cells) == super(BalancedNeighbours, ours).predict(cells)).mean() > 0.95


# --- few cells, and stopping


def test_a_task_with_a_dozen_labelled_cells_is_scored():
    adata = make_toy()
    labels = pd.Series(pd.NA, index=adata.obs_names, dtype=object)
    labels.iloc[:12] = ["a", "b"] * 6
    adata.obs["few"] = labels
    config = config_for(replace(CONDITION, obs="few"), panel_size=3)
    found = pipeline.compare(pipeline.choose_panel(from_anndata(adata), config))
    assert set(found.scores["method"]) == set(METHODS) - {"alone"}
    assert found.scores["cells"].unique().tolist() == [3]
    assert not found.tests["beaten"].any()  # three cells beat nothing


@pytest.mark.parametrize("threads", [1, 2])
def test_a_stop_between_two_learners_ends_the_scoring(threads):
    found = chosen(config_for(CONDITION, panel_size=3))
    found = replace(found, run=replace(found.run, config=replace(found.run.config, threads=threads)))
    asked = iter([False] * 8)
    with pytest.raises(Stopped):
        pipeline.compare(found, should_stop=lambda: next(asked, True))


def test_condition_markers_of_the_toy_are_among_those_that_wilcoxon_takes(run):
    assert set(run.evaluation.panels["wilcoxon"]) & set(CONDITION_GENES)


# --- cross-validation


def test_every_donor_is_judged_once_by_a_panel_chosen_without_it(crossed):
    folds = crossed.evaluation.folds
    assert sorted(name for fold in folds for name in fold.held_out) == [f"D{i}" for i in range(6)]
    assert all(len(fold.held_out) == 1 and len(fold.genes) == 6 for fold in folds)
    assert folds[0].genes == crossed.panel.genes  # the first fold's panel is the one shown
    assert list(folds[0].held_out) == crossed.summary["held_out_groups"]
    assert crossed.summary["folds"] == [{"held_out": list(f.held_out), "cells": f.cells} for f in folds]


def test_scores_of_a_cross_validation_are_over_all_cells_and_donors_together(crossed):
    scores = crossed.evaluation.scores
    assert set(scores["cells"]) == {300}
    assert set(scores["groups"]) == {6}
    predictions = crossed.evaluation.predictions
    assert list(predictions["cell_index"]) == list(range(300))
    own = row_of(crossed, "cell_type", "own")["value"]
    true, predicted = (pd.Categorical(predictions[f"cell_type {kind}"]).codes for kind in ("true", "predicted"))
    assert own == pytest.approx(metrics.class_scores(true, predicted)["macro_f1"])
    assert crossed.evaluation.confusion["cell_type"].to_numpy().sum() == 300
    assert scores[scores["method"] == "yoto"]["low"].notna().any()  # six donors are enough for an interval


def test_pooled_scores_are_those_of_the_folds_put_together(crossed):
    weighted = [fold.scores["condition"] for fold in crossed.evaluation.folds]
    assert min(weighted) <= row_of(crossed, "condition", "yoto")["value"] <= max(weighted)
    assert 0 < mean_overlap([fold.genes for fold in crossed.evaluation.folds]) <= 1


def test_progress_of_a_cross_validation_counts_over_all_folds():
    seen = []
    found = chosen(config_for(CONDITION, panel_size=3, split=LEAVE_ONE_OUT))
    pipeline.compare(found, on_progress=seen.append)
    shares = [report.done / report.total for report in seen]
    assert max(shares) == shares[-1] == 1
    assert {report.phase for report in seen} == {"scoring"}
    assert seen[-1].message == "Fold 6 of 6: scoring the panel and the baselines"


@pytest.mark.parametrize(("donors", "folds", "interval"), [(2, 2, False), (3, 3, False), (5, 5, True)])
def test_few_donors_are_left_out_one_by_one_and_too_few_give_no_interval(donors, folds, interval):
    adata = make_toy()
    adata.obs["donor"] = [f"D{i % donors}" for i in range(300)]
    data = from_anndata(adata)
    found = pipeline.choose_panel(data, config_for(CONDITION, panel_size=3, split=LEAVE_ONE_OUT))
    evaluation = pipeline.compare(found)
    assert len(evaluation.folds) == folds
    assert set(evaluation.scores["groups"]) == {donors}
    here = evaluation.scores[(evaluation.scores["method"] == "yoto") & (evaluation.scores["metric"] == "macro_f1")]
    assert here["low"].notna().all() == interval == (donors >= MIN_GROUPS)
    assert evaluation.tests["beaten"].all()  # condition varies within donors: cells can be shuffled there


def test_a_label_of_whole_donors_without_signal_is_not_called_predicted():
    adata = make_toy(cells=600)
    adata.obs["donor"] = [f"D{i % 12}" for i in range(600)]
    adata.obs["sex"] = ["f" if i % 12 in (0, 3, 4, 7, 9, 10) else "m" for i in range(600)]
    config = config_for(
        replace(CONDITION, obs="sex"), panel_size=6, split=SplitConfig(group="donor", scheme="cross-validation")
    )
    evaluation = pipeline.compare(pipeline.choose_panel(from_anndata(adata), config))
    (test,) = evaluation.tests.to_dict("records")
    assert test["groups"] == 12
    assert test["p"] > 0.01
    assert not test["beaten"]


def test_cells_are_cross_validated_too_where_there_are_no_donors():
    config = config_for(AGE, panel_size=3, split=SplitConfig(scheme="cross-validation", folds=3))
    evaluation = pipeline.compare(chosen(config))
    assert len(evaluation.folds) == 3
    assert set(evaluation.scores["cells"]) == {300}
    assert set(evaluation.scores["groups"]) == {0}
    assert evaluation.scores[evaluation.scores["metric"] == "r2"]["low"].notna().any()


def test_a_class_that_one_fold_cannot_learn_is_judged_in_the_others():
    adata = make_toy()
    labels = adata.obs["cell_type"].astype(str)
    labels.iloc[np.flatnonzero(adata.obs["donor"] == "D3")[:20]] = "Only here"
    adata.obs["cell_type"] = labels
    found = pipeline.choose_panel(from_anndata(adata), config_for(TYPE, panel_size=4, split=LEAVE_ONE_OUT))
    evaluation = pipeline.compare(found)
    counts = evaluation.confusion["cell_type"]
    assert "Only here" in counts  # other folds may answer with it
    assert counts.loc["Only here"].sum() == 0  # and none can be judged on it
    assert set(evaluation.scores["cells"]) == {280}


def test_the_overlap_of_panels_is_jaccard_s():
    assert mean_overlap([("a", "b"), ("b", "c")]) == pytest.approx(1 / 3)
    assert mean_overlap([("a", "b"), ("b", "a"), ("c", "d")]) == pytest.approx(1 / 3)
    assert np.isnan(mean_overlap([("a",)]))
