"""From cells to a finished run, in a toy world whose answer is planted."""

from dataclasses import replace

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

import yoto_core
from tests.conftest import AGE_GENES, CONDITION_GENES, GENES, TYPE_GENES, make_toy
from tests.shared_runs import AGE, CONDITION, TYPE, chosen, config_for, finished, toy_dataset
from yoto_core import pipeline
from yoto_core.config import EvaluationConfig, GenesConfig, SplitConfig, TrainingConfig
from yoto_core.data.preprocess import log_normalise
from yoto_core.data.reading import from_anndata
from yoto_core.data.targets import Target
from yoto_core.errors import ConfigError
from yoto_core.model.network import answers_for, heads_for
from yoto_core.progress import Progress, Stopped

N = len(GENES)
EVEN = {"balance": 1.0}


def marked_classes(genes):
    return {name for name, markers in TYPE_GENES.items() if set(markers) & set(genes)}


def own_score(run, task):
    scores = run.evaluation.scores
    main = "r2" if task == "age" else "macro_f1"
    here = scores.set_index(["task", "method", "judge", "metric"])["value"]
    return here[task, "own", "own", main]


def test_the_planted_genes_of_every_task_are_found_at_once():
    run = finished()
    assert len(marked_classes(run.panel.genes)) >= 3  # three marked classes leave the fourth no room
    assert set(CONDITION_GENES) & set(run.panel.genes)
    assert set(AGE_GENES) & set(run.panel.genes)


def test_a_panel_of_planted_genes_predicts_cells_it_never_saw():
    run = finished()
    assert own_score(run, "cell_type") > 0.8
    assert own_score(run, "condition") > 0.8
    assert own_score(run, "age") > 0.3


def test_a_small_panel_for_one_task_holds_markers_and_little_else():
    genes = chosen(config_for(TYPE, panel_size=4, training=TrainingConfig())).run.panel.genes
    assert len(marked_classes(genes)) >= 3
    assert sum(gene.startswith("NOISE") for gene in genes) <= 1


@pytest.mark.parametrize("k", [1, 2, 3, 10, N - 1])
def test_the_panel_holds_exactly_as_many_distinct_genes_as_asked(k):
    found = chosen(config_for(TYPE, panel_size=k))
    assert len(set(found.run.panel.genes)) == len(found.run.panel.genes) == k
    assert len(set(found.order.tolist())) == k
    assert found.run.model.genes == found.run.panel.genes
    assert set(found.run.panel.genes) <= set(found.problem.candidates.symbols)
    assert list(found.run.panel_table["rank"]) == list(range(1, k + 1))


@pytest.mark.parametrize("k", [3, N - 1])
def test_the_papers_fixed_schedule_holds_exactly_as_many_too(k):
    config = config_for(TYPE, panel_size=k)
    config = replace(config, selector=replace(config.selector, schedule="fixed"))
    assert len(set(chosen(config).run.panel.genes)) == k


@pytest.mark.parametrize("k", [N, N + 5])
def test_a_panel_not_smaller_than_the_candidates_is_refused(k):
    with pytest.raises(
        ConfigError, match=f"The panel size is {k} but there are {N} candidate genes. Choose at most {N - 1}."
    ):
        pipeline.choose_panel(toy_dataset(), config_for(TYPE, panel_size=k))


def test_one_seed_gives_one_panel_whatever_chance_did_before():
    config = config_for(TYPE, AGE, panel_size=5)
    first = pipeline.choose_panel(toy_dataset(), config)
    torch.manual_seed(99)
    np.random.seed(99)
    again = pipeline.choose_panel(toy_dataset(), config)
    pd.testing.assert_frame_equal(first.run.panel_table, again.run.panel_table, check_exact=True)
    pd.testing.assert_frame_equal(first.run.history, again.run.history, check_exact=True)
    for name, tensor in first.run.model.tensors.items():
        assert torch.equal(tensor, again.run.model.tensors[name])


def test_scores_are_the_same_twice_and_for_any_number_of_comparison_threads():
    found = chosen(config_for(CONDITION, panel_size=3))
    first = pipeline.compare(found)
    threaded = replace(found, run=replace(found.run, config=replace(found.run.config, threads=2)))
    pd.testing.assert_frame_equal(first.scores, pipeline.compare(threaded).scores, check_exact=True)


def test_another_split_seed_holds_out_other_cells_and_another_training_seed_the_same():
    splits = [
        pipeline.design(toy_dataset(), config_for(TYPE, seed=seed, split=SplitConfig(seed=of_split))).split
        for seed, of_split in ((0, 0), (1, 0), (0, 1))
    ]
    assert np.array_equal(splits[0].test, splits[1].test)
    assert not np.array_equal(splits[0].test, splits[2].test)


def test_garbage_in_unselected_genes_changes_no_prediction():
    data = toy_dataset()
    logged = log_normalise(data.matrix, data.scale)
    adata = anndata.AnnData(logged, obs=data.obs, var=pd.DataFrame(index=list(data.genes.symbols)))
    found = pipeline.choose_panel(from_anndata(adata), config_for(TYPE, AGE, panel_size=5))
    garbage = np.random.default_rng(1).uniform(0, 15, logged.shape)
    inside = [data.genes.symbols.index(gene) for gene in found.run.panel.genes]
    garbage[:, inside] = logged[:, inside].toarray()
    spoilt = anndata.AnnData(sparse.csr_matrix(garbage), obs=adata.obs, var=adata.var)
    pd.testing.assert_frame_equal(found.run.predict(adata), found.run.predict(spoilt), check_exact=True)


def test_the_model_keeps_weights_of_its_panel_alone():
    model = chosen(config_for(TYPE, panel_size=5)).run.model
    assert len(model.genes) == len(model.tensors["mean"]) == 5
    assert not any(N in tensor.shape or N - 1 in tensor.shape for tensor in model.tensors.values())
    with pytest.raises(ValueError, match=r"expected \(cells, 5\)"):
        model.predict(np.zeros((3, 6)))


def test_expression_of_held_out_cells_changes_nothing_that_is_learned():
    config = config_for(TYPE, AGE, panel_size=5)
    before = chosen(config)
    adata = make_toy()
    counts = adata.X.toarray()
    test = before.problem.split.test
    counts[test] = np.random.default_rng(5).poisson(4, (len(test), N))
    adata.X = sparse.csr_matrix(counts)
    after = pipeline.choose_panel(from_anndata(adata), config)
    assert np.array_equal(after.problem.split.test, test)
    pd.testing.assert_frame_equal(before.run.panel_table, after.run.panel_table, check_exact=True)
    for name, tensor in before.run.model.tensors.items():
        assert torch.equal(tensor, after.run.model.tensors[name])


def half_labelled(kind):
    """A target of six cells, two of them unlabelled, its head, and outputs (2 replicas) for those cells."""
    if kind == "classification":
        target, classes = Target("t", kind, 2.0, ("a", "b", "c"), np.array([0, 1, -1, 2, -1, 0])), 3
    else:
        target, classes = Target("t", kind, 2.0, (), np.array([0.5, -1.0, np.nan, 2.0, np.nan, 0.1])), 1
    (head,) = heads_for([target], np.arange(6))
    generator = torch.Generator().manual_seed(0)
    return target, head, torch.randn((2, 6, classes), generator=generator, requires_grad=True)


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_unlabelled_cells_change_nothing_for_their_task(kind):
    target, head, outputs = half_labelled(kind)
    labelled = np.flatnonzero(target.labelled)
    loss = answers_for(target, head, np.arange(6), torch.ones(2, 6), **EVEN).loss(outputs, torch.arange(6))
    without = answers_for(target, head, labelled, torch.ones(2, 4), **EVEN)
    assert loss.item() == pytest.approx(without.loss(outputs[:, labelled], torch.arange(4)).item())
    loss.backward()
    assert (outputs.grad[:, ~target.labelled] == 0).all()
    assert (outputs.grad[:, labelled] != 0).any(-1).all()


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_a_batch_without_any_label_of_a_task_costs_nothing(kind):
    target, head, outputs = half_labelled(kind)
    batch = torch.tensor([2, 4])
    loss = answers_for(target, head, np.arange(6), torch.ones(2, 6), **EVEN).loss(outputs[:, batch], batch)
    loss.backward()
    assert loss == 0
    assert (outputs.grad == 0).all()


def test_partly_labelled_tasks_of_both_kinds_are_learned_and_scored_together():
    adata = make_toy()
    adata.obs["condition"] = adata.obs["condition"].where(np.arange(adata.n_obs) % 2 == 0)
    adata.obs.loc[adata.obs_names[::3], "age"] = np.nan
    run = yoto_core.select(adata, config_for(CONDITION, AGE, panel_size=4))
    labelled = {task["task"]: task["labelled"] for task in run.summary["tasks"]}
    assert labelled == {"condition": 150, "age": 200}
    test = run.evaluation.predictions["cell_index"].to_numpy()
    cells = run.evaluation.scores.groupby("task")["cells"].unique().map(list)
    assert cells["condition"] == [int(adata.obs["condition"].notna().to_numpy()[test].sum())]
    assert cells["age"] == [int(adata.obs["age"].notna().to_numpy()[test].sum())]
    true = run.evaluation.predictions["condition true"]
    assert (true.isna().to_numpy() == adata.obs["condition"].isna().to_numpy()[test]).all()
    assert run.evaluation.predictions["condition predicted"].isin(["ctrl", "stim"]).all()
    messages = [finding["message"] for finding in run.summary["findings"]]
    assert "150 cells have no condition; they still train the other tasks." in messages


def test_whole_donors_are_held_out_where_a_group_is_chosen():
    config = config_for(TYPE, panel_size=4, split=SplitConfig(group="donor", scheme="one split"))
    found = chosen(config)
    donors, split = toy_dataset().obs["donor"].to_numpy(), found.problem.split
    assert set(donors[split.test]) == set(found.run.summary["held_out_groups"])
    assert not set(donors[split.test]) & (set(donors[split.train]) | set(donors[split.validation]))
    assert not set(split.train) & set(split.validation)
    evaluation = pipeline.compare(found)
    assert set(donors[evaluation.predictions["cell_index"]]) == set(found.run.summary["held_out_groups"])


def test_included_genes_are_in_the_panel_and_excluded_ones_are_not():
    genes = GenesConfig(
        include=("NOISE3", "ENSG00000000030"), exclude=("T1", "B1", "stim1"), exclude_families=("mito", "ribo")
    )
    found = chosen(config_for(TYPE, CONDITION, panel_size=6, genes=genes))
    table = found.run.panel_table.set_index("gene")
    assert set(table.index[table["included"]]) == {"NOISE3", GENES[30]}
    assert not {"T1", "B1", "STIM1"} & set(found.problem.candidates.symbols)
    assert not [gene for gene in found.problem.candidates.symbols if gene.startswith(("MT-", "RP"))]


def test_a_panel_may_be_made_of_included_genes_alone():
    wanted = ("NOISE1", "NOISE2", "MALAT1")
    found = chosen(config_for(TYPE, panel_size=3, genes=GenesConfig(include=wanted)))
    assert set(found.run.panel.genes) == set(wanted)


def test_an_included_gene_without_any_count_is_taken_all_the_same():
    adata = make_toy()
    counts = adata.X.tolil()
    counts[:, GENES.index("NOISE7")] = 0
    adata.X = counts.tocsr()
    run = yoto_core.select(adata, config_for(AGE, panel_size=3, genes=GenesConfig(include=("NOISE7",))))
    assert "NOISE7" in run.panel.genes
    assert np.isfinite(run.panel_table["score"]).all()
    assert np.isfinite(run.evaluation.predictions["age predicted"]).all()


def test_a_class_that_only_held_out_donors_carry_is_left_out_and_said():
    config = config_for(TYPE, panel_size=4, split=SplitConfig(group="donor", scheme="one split"))
    adata = make_toy()
    labels = adata.obs["cell_type"].astype(str)
    labels.iloc[np.flatnonzero(adata.obs["donor"] == "D3")[:30]] = "Only here"
    adata.obs["cell_type"] = labels
    data = from_anndata(adata)
    config = next(
        other
        for other in (replace(config, split=replace(config.split, seed=seed)) for seed in range(50))
        if "D3" in pipeline.design(data, other).split.held_out
    )
    fitted = pipeline.design(data, config)
    assert "Class “Only here” of cell_type has 30 cells and is left out." in [f.message for f in fitted.findings]
    found = pipeline.choose_panel(data, config)
    evaluation = pipeline.compare(found)
    assert "Only here" not in set(evaluation.classes["class"])
    scored = int(found.problem.targets[0].labelled[fitted.split.test].sum())
    assert set(evaluation.scores["cells"]) == {scored} == {len(fitted.split.test) - 30}


@pytest.mark.parametrize("phase", ["training", "scoring"])
def test_a_request_to_stop_ends_a_run_in_any_phase(phase):
    seen: list[Progress] = []

    def asked() -> bool:
        return bool(seen) and seen[-1].phase == phase

    with pytest.raises(Stopped):
        yoto_core.select(make_toy(), config_for(TYPE), on_progress=seen.append, should_stop=asked)
    assert [report.phase for report in seen].count(phase) <= 3  # it ends within a step or two


def test_progress_counts_up_to_its_total_and_tells_the_genes_still_active():
    seen: list[Progress] = []
    found = pipeline.choose_panel(toy_dataset(), config_for(CONDITION, panel_size=5), on_progress=seen.append)
    pipeline.compare(found, on_progress=seen.append)
    assert list(dict.fromkeys(report.phase for report in seen)) == ["preparing", "training", "scoring"]
    for phase in ("preparing", "training"):
        done = [report.done for report in seen if report.phase == phase]
        assert done == sorted(done)
    assert all(0 <= report.done <= report.total and report.message for report in seen)
    assert seen[-1].done == seen[-1].total
    rows = [report.row for report in seen if report.row]
    active = [row["active_genes"] for row in rows]
    assert active == sorted(active, reverse=True)
    assert active[-1] == 5
    assert {"step", "active_genes", "cells", "loss", "validation condition"} <= set(rows[-1])
    assert len(found.run.history) == len(rows)


@pytest.mark.parametrize("name", ["cell_type", "condition"])
def test_shuffled_labels_are_predicted_no_better_than_by_chance(name):
    adata = make_toy(cells=600)
    adata.obs[name] = np.random.default_rng(3).permutation(adata.obs[name].to_numpy())
    task = TYPE if name == "cell_type" else CONDITION
    config = replace(config_for(task, panel_size=6), evaluation=EvaluationConfig(random_panels=1, bootstrap=50))
    run = yoto_core.select(adata, config)
    chance = 1 / adata.obs[name].nunique()
    scores = run.evaluation.scores
    values = scores[(scores["method"] != "chance") & (scores["metric"] == "balanced_accuracy")]["value"]
    assert (values - chance).abs().max() < 0.17
    assert abs(values.mean() - chance) < 0.05


def test_selecting_leaves_the_users_object_as_it_was():
    adata = make_toy()
    before = adata.copy()
    pipeline.choose_panel(from_anndata(adata), config_for(TYPE, panel_size=3))
    assert (adata.X != before.X).nnz == 0
    pd.testing.assert_frame_equal(adata.obs, before.obs)
    pd.testing.assert_frame_equal(adata.var, before.var)


def test_a_finished_run_says_what_it_was_made_from():
    run = finished()
    data = toy_dataset()
    assert run.summary["digest"] == data.digest
    assert (run.summary["cells"], run.summary["genes"], run.summary["candidate_genes"]) == (300, N, N)
    assert sum(run.summary["split"].values()) == 300
    assert run.timing["training_seconds"] > 0
    assert {"python", "torch", "numpy", "scikit-learn"} <= set(run.versions)
    assert list(run.panel_table.columns) == [
        "rank", "gene", "gene_id", "score", "included", "stability", "tasks", "reason",
    ]  # fmt: skip
    assert run.panel_table["stability"].isna().all()  # not measured in this run


def test_a_tiny_data_set_can_be_run_to_the_end():
    run = yoto_core.select(make_toy(cells=24), config_for(CONDITION, panel_size=2))
    assert len(run.panel.genes) == 2
    assert run.evaluation is not None
