"""Scores of the panel and its rivals: all of them, on held-out cells only, with intervals, and chance as chance."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.conftest import CONDITION_GENES, GENES, TYPE_GENES, make_toy
from tests.shared_runs import CONDITION, TYPE, chosen, config_for, finished
from yoto_core import pipeline
from yoto_core.config import EvaluationConfig
from yoto_core.data.reading import from_anndata
from yoto_core.evaluation.evaluator import Evaluator
from yoto_core.progress import Stopped, never, silent
from yoto_core.scores.baselines import BASELINES
from yoto_core.scores.judges import JUDGES
from yoto_core.scores.methods import JUDGE_LABELS, METHODS
from yoto_core.scores.metrics import HEADLINE

MARKERS = [gene for genes in TYPE_GENES.values() for gene in genes]
METRICS = {"classification": {"accuracy", "balanced_accuracy", "macro_f1"}, "regression": {"r2", "mae", "spearman"}}


@pytest.fixture(scope="module")
def run():
    return finished()


def score(run, task, method, judge="mean", metric="macro_f1"):
    here = run.evaluation.scores.set_index(["task", "method", "judge", "metric"])
    return here.loc[(task, method, judge, metric), "value"]


def test_every_method_is_judged_by_every_classifier_on_every_task(run):
    scores = run.evaluation.scores
    rivals = [name for name in METHODS if name != "chance"]
    pairs = {(method, judge.name) for method in rivals for judge in JUDGES} | {(method, "mean") for method in rivals}
    pairs |= {("yoto", "yoto"), ("alone", "yoto"), ("chance", "chance")}
    for task in run.config.tasks:
        here = scores[scores["task"] == task.obs]
        assert set(zip(here["method"], here["judge"], strict=True)) == pairs
        assert set(here["metric"]) == METRICS[task.kind]
        assert len(here) == len(pairs) * 3
    assert set(scores["method"]) == set(METHODS)
    assert set(scores["judge"]) == set(JUDGE_LABELS)
    assert not scores.duplicated(["task", "method", "judge", "metric"]).any()


def test_every_rival_holds_exactly_as_many_candidate_genes_as_the_panel(run):
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


def test_scores_are_in_their_ranges(run):
    scores = run.evaluation.scores
    shares = scores[scores["metric"].isin(METRICS["classification"])]["value"]
    assert shares.between(0, 1).all()
    assert scores[scores["metric"] == "r2"]["value"].le(1).all()
    assert scores[scores["metric"] == "mae"]["value"].ge(0).all()


@pytest.mark.parametrize(("task", "metric"), [("cell_type", "macro_f1"), ("condition", "macro_f1"), ("age", "r2")])
def test_planted_markers_beat_random_genes_and_chance(task, metric, run):
    assert score(run, task, "wilcoxon", metric=metric) > score(run, task, "chance", "chance", metric) + 0.2
    assert score(run, task, "forest", metric=metric) > score(run, task, "chance", "chance", metric) + 0.2
    assert score(run, "cell_type", "wilcoxon") > score(run, "cell_type", "random") + 0.1


def test_chance_stands_at_chance(run):
    assert score(run, "cell_type", "chance", "chance") == pytest.approx(0.25, abs=0.15)
    assert score(run, "condition", "chance", "chance") == pytest.approx(0.5, abs=0.17)
    assert score(run, "age", "chance", "chance", "r2") == pytest.approx(0.0, abs=0.05)
    assert np.isnan(score(run, "age", "chance", "chance", "spearman"))  # one answer for all has no rank


def test_the_mean_of_the_classifiers_is_their_mean(run):
    each = [score(run, "cell_type", "wilcoxon", judge.name) for judge in JUDGES]
    assert score(run, "cell_type", "wilcoxon") == pytest.approx(np.mean(each))


def test_a_panel_of_planted_genes_scores_above_one_of_noise():
    found = chosen(config_for(TYPE, panel_size=6))
    values = {}
    for name, genes in (("planted", MARKERS[:6:1]), ("noise", [f"NOISE{i}" for i in range(6)])):
        order = np.array([GENES.index(gene) for gene in genes])
        trained = replace(found.trained, order=order, model=found.trained.model.at_size(len(order)))
        scores = Evaluator(found.problem, found.run.config).evaluate(trained, {}, on_progress=silent, should_stop=never)
        values[name] = scores.scores.set_index(["method", "judge", "metric"]).loc[("yoto", "mean", "macro_f1"), "value"]
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
    assert score(run, "cell_type", "yoto", "yoto", "accuracy") == pytest.approx(accuracy)


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
    config = replace(found.run.config, evaluation=EvaluationConfig(random_panels=4, bootstrap=50))
    several = pipeline.compare(replace(found, run=replace(found.run, config=config))).scores
    once = pipeline.compare(found).scores
    assert len(several) == len(once)
    pick = {"method": "random", "judge": "logistic", "metric": "accuracy"}
    assert (several[list(pick)] == list(pick.values())).all(axis=1).sum() == 1


def test_comparisons_learn_from_no_more_cells_than_asked():
    adata = make_toy(cells=900)
    config = replace(config_for(CONDITION, panel_size=3), evaluation=EvaluationConfig(max_cells=500, bootstrap=50))
    found = pipeline.choose_panel(from_anndata(adata), config)
    evaluator = Evaluator(found.problem, config)
    assert len(evaluator.learning.cells) == len(set(evaluator.learning.cells)) == 500
    assert not set(evaluator.learning.cells) & set(found.problem.split.test)


def test_a_task_with_a_dozen_labelled_cells_is_scored():
    adata = make_toy()
    labels = pd.Series(pd.NA, index=adata.obs_names, dtype=object)
    labels.iloc[:12] = ["a", "b"] * 6
    adata.obs["few"] = labels
    config = config_for(replace(CONDITION, obs="few"), panel_size=3)
    scores = pipeline.compare(pipeline.choose_panel(from_anndata(adata), config)).scores
    assert set(scores["method"]) == set(METHODS) - {"alone"}
    assert scores["cells"].unique().tolist() == [3]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_stop_between_two_learners_ends_the_scoring(threads):
    found = chosen(config_for(CONDITION, panel_size=3))
    found = replace(found, run=replace(found.run, config=replace(found.run.config, threads=threads)))
    asked = iter([False] * 8)
    with pytest.raises(Stopped):
        pipeline.compare(found, should_stop=lambda: next(asked, True))


def test_condition_markers_of_the_toy_are_among_those_that_wilcoxon_takes(run):
    assert set(run.evaluation.panels["wilcoxon"]) & set(CONDITION_GENES)
