"""What a gene is needed for: losses on held-out cells that drawing the cells again does not explain."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.conftest import CLASSES, TYPE_GENES, make_toy
from tests.shared_runs import AGE, CONDITION, TYPE, chosen, config_for, finished
from yoto_core import pipeline
from yoto_core.config import GenesConfig, SplitConfig
from yoto_core.data.reading import from_anndata
from yoto_core.data.shuffling import with_shuffled_labels
from yoto_core.evaluation.attribution import explain, marked_by
from yoto_core.evaluation.losses import COLUMNS, asked, gene_losses, loss_words, missing_sentence, needed
from yoto_core.scores import metrics

MARKERS = tuple(markers[0] for markers in TYPE_GENES.values())


def forced(*genes, tasks=(TYPE,), adata=None, **sections):
    """A panel of exactly these genes with its losses and reasons.

    Cells are normalised over all genes: over so few, every gene would matter as a part of the total.
    """
    wanted = GenesConfig(include=genes, normalize="all genes")
    config = config_for(*tasks, panel_size=len(genes), genes=wanted, **sections)
    found = pipeline.choose_panel(from_anndata(adata), config) if adata is not None else chosen(config)
    return pipeline.explained(found)


def losses_of(found, gene, name=""):
    table = found.run.losses
    return table[(table["gene"] == gene) & (table["class"] == name)].iloc[0]


def reason_of(found, gene):
    return found.run.panel_table.set_index("gene").loc[gene]


def test_every_gene_has_one_loss_per_task_and_class_and_they_are_scores_of_held_out_cells():
    run, found = finished(), chosen(finished().config)
    assert list(run.losses.columns) == list(COLUMNS)
    assert len(run.losses) == 8 * (1 + 4 + 1 + 2 + 1)
    assert not run.losses.duplicated(["gene", "task", "class"]).any()
    test = found.problem.split.test
    columns = found.problem.panel_columns(test, found.order)
    for place, gene in enumerate(run.panel.genes):
        answers = [run.model.predict(columns, absent=absent)[0].values for absent in ((), (place,))]
        target = found.problem.targets[0]
        row = run.losses[(run.losses["gene"] == gene) & (run.losses["task"] == "cell_type")].set_index("class")
        for column, answer in zip(("before", "after"), answers, strict=True):
            assert row[column][""] == pytest.approx(metrics.headline(target, test, answer))
            f1 = metrics.per_class(target.values[test], answer, target.classes).set_index("class")["f1"]
            assert row[column][list(CLASSES)].to_numpy() == pytest.approx(f1.fillna(0).to_numpy(), abs=1e-6)
        assert row["loss"].to_numpy() == pytest.approx((row["before"] - row["after"]).to_numpy())


def test_a_loss_of_a_number_is_a_loss_of_r2():
    found = forced("AGE1", "NOISE0", tasks=[AGE])
    test = found.problem.split.test
    columns, target = found.problem.panel_columns(test, found.order), found.problem.targets[0]
    place = found.run.panel.genes.index("AGE1")
    row = losses_of(found, "AGE1")
    for column, absent in (("before", ()), ("after", (place,))):
        answer = found.run.model.predict(columns, absent=absent)[0].values
        assert row[column] == pytest.approx(metrics.headline(target, test, answer), abs=1e-5)
    assert row["needed"]
    assert not losses_of(found, "NOISE0")["needed"]
    assert "Without it the model's score of age falls from" in reason_of(found, "AGE1")["reason"]


def test_the_only_marker_of_a_class_is_needed_for_that_class():
    found = forced(*MARKERS)
    for name, gene in zip(CLASSES, MARKERS, strict=True):
        row = losses_of(found, gene, name)
        assert row["needed"]
        assert 0 < row["low"] <= row["loss"] <= row["high"]
        assert row["cells"] == (found.problem.targets[0].counts(found.problem.split.test))[CLASSES.index(name)]
        assert reason_of(found, gene)["tasks"].split(", ")[0] in CLASSES
        assert f"Highest in {name} (cell_type): 100% of its cells express it" in reason_of(found, gene)["reason"]


def test_of_two_genes_that_say_the_same_the_model_cannot_lose_by_both():
    adata = make_toy()
    counts = adata.X.tolil()
    counts[:, adata.var_names.get_loc("NOISE1")] = counts[:, adata.var_names.get_loc("MONO1")]
    adata.X = counts.tocsr()
    alone, twin = forced(*MARKERS, adata=adata), forced(*MARKERS, "NOISE1", adata=adata)
    assert losses_of(alone, "MONO1", "Mono")["needed"]
    # Whichever copy the model leans on, the other is no second marker.
    assert sum(losses_of(twin, gene, "Mono")["needed"] for gene in ("MONO1", "NOISE1")) <= 1
    assert min(losses_of(twin, gene, "Mono")["loss"] for gene in ("MONO1", "NOISE1")) < 0.1


def test_a_gene_that_is_pure_noise_is_a_filler():
    found = forced(*MARKERS, "NOISE0", "NOISE1")
    for gene in ("NOISE0", "NOISE1"):
        assert not found.run.losses[found.run.losses["gene"] == gene]["needed"].any()
        assert reason_of(found, gene)["tasks"] == ""
        assert reason_of(found, gene)["reason"].endswith("Filler: no class loses measurably without it.")


def test_a_class_with_too_few_held_out_cells_is_not_told_to_lose_nothing():
    adata = make_toy()
    labels = adata.obs["cell_type"].astype(str)
    labels.iloc[np.flatnonzero(labels == "NK")[8:]] = "T"
    adata.obs["cell_type"] = labels
    found = forced(*MARKERS, adata=adata)
    assert losses_of(found, "NK1", "NK")["cells"] == 2
    assert np.isnan(losses_of(found, "NK1", "NK")["p"])
    table = found.run.losses.assign(needed=False)
    sentence = explain(found.problem, found.order, table)[found.run.panel.genes.index("NK1")].sentence
    assert sentence.endswith(
        "What NK loses without it cannot be told from 2 held-out cells; no other class loses measurably."
    )


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_needed_for_labels_that_are_shuffled(seed):
    found = chosen(config_for(TYPE, CONDITION, panel_size=8))
    rng, every = np.random.default_rng(seed), np.arange(300)
    targets = tuple(with_shuffled_labels(target, every, None, rng) for target in found.problem.targets)
    table = gene_losses(found.run.model, replace(found.problem, targets=targets), found.order, seed=0)
    assert not table["needed"].any()
    reasons = explain(found.problem, found.order, table)
    assert len(reasons) == 8
    assert all("cannot be told: no task is predicted better than chance" in reason.sentence for reason in reasons)


def test_with_few_held_out_donors_there_is_no_interval_and_with_five_there_is():
    few = forced("STIM1", "NOISE0", tasks=[CONDITION], split=SplitConfig(group="donor", scheme="one split"))
    groups = len(few.fitted.split.held_out)
    assert groups < metrics.MIN_GROUPS
    assert set(few.run.losses["groups"]) == {groups}
    assert few.run.losses[["low", "high"]].isna().all(axis=None)
    adata = make_toy(cells=600)
    adata.obs["donor"] = [f"D{i % 20}" for i in range(600)]
    split = SplitConfig(group="donor", scheme="one split", test_percent=30)
    many = forced("STIM1", "NOISE0", tasks=[CONDITION], adata=adata, split=split)
    assert set(many.run.losses["groups"]) == {6}
    assert many.run.losses[["low", "high"]].notna().all(axis=None)
    assert losses_of(many, "STIM1")["needed"]


def test_losing_twice_gives_the_same_numbers():
    found = forced(*MARKERS)
    again = gene_losses(found.run.model, found.problem, found.order, seed=0)
    pd.testing.assert_frame_equal(found.run.losses, again, check_exact=True)


@pytest.mark.parametrize("tasks", [[TYPE], [AGE]], ids=["classes", "numbers"])
def test_held_out_cells_without_any_label_give_no_losses_and_still_a_sentence(tasks):
    found = forced("STIM1", "AGE1", tasks=tasks)
    (target,) = found.problem.targets
    values = target.values.copy()
    values[found.problem.split.test] = -1 if target.classes else np.nan
    bare = replace(found.problem, targets=(replace(target, values=values),))
    table = gene_losses(found.run.model, bare, found.order, seed=0)
    assert table.empty
    assert all(reason.sentence.endswith(".") for reason in explain(bare, found.order, table))
    assert missing_sentence(table, "STIM1") == "What STIM1 is worth was not measured in this run."


def row(**changes):
    plain = {
        "gene": "MS4A1", "task": "t", "class": "B", "before": 0.93, "after": 0.71, "loss": 0.22, "low": 0.1, "high": 0.3,
        "p": 1e-4, "needed": True, "cells": 40, "groups": 0,
    }  # fmt: skip
    return {**plain, **changes}


def test_losses_are_said_in_words_with_interval_and_cells():
    table = pd.DataFrame(
        [
            row(),
            row(**{"class": ""}, before=0.9, after=0.8),
            row(gene="CD3E", needed=False, p=0.4),
            row(**{"class": "T"}, loss=0.1),
        ]
    )
    assert list(needed(table, "MS4A1")["class"]) == ["B", "T"]  # a task is named where none of its classes is
    assert missing_sentence(table, "MS4A1") == (
        "Without MS4A1 the F1 of B (t) falls from 0.93 to 0.71 (by 0.22; 95 % interval 0.10 to 0.30; 40 held-out cells);"
        " also needed for T."
    )
    assert missing_sentence(table, "CD3E") == (
        "Without CD3E no class and no task loses more than chance explains on the held-out cells."
    )
    assert missing_sentence(table[table["class"] == ""], "MS4A1") == (
        "Without MS4A1 the model's score of t falls from 0.90 to 0.80 (by 0.22; 95 % interval 0.10 to 0.30; 40 held-out cells)."
    )
    assert asked(table.assign(p=[0.1, np.nan, 0.3, np.nan])) == 2
    few = pd.Series(row(low=np.nan, high=np.nan, groups=2))
    assert loss_words(few) == "the F1 of B (t) falls from 0.93 to 0.71 (by 0.22; 40 held-out cells of 2 groups)"


def test_the_class_of_the_task_that_explains_most_of_a_gene_is_the_one_it_is_highest_in():
    found = chosen(config_for(TYPE, CONDITION, panel_size=8))
    cells, symbols = found.problem.split.train, list(found.problem.candidates.symbols)
    columns = found.problem.panel_columns(cells, np.array([symbols.index(gene) for gene in ("STIM1", "MONO1")]))
    first, second = marked_by(columns, found.problem.targets, cells)
    assert (first.task, first.name) == ("condition", "stim")
    assert (second.task, second.name) == ("cell_type", "Mono")
    assert second.inside == 1.0
    assert second.mean == pytest.approx(
        columns[found.problem.targets[0].values[cells] == CLASSES.index("Mono"), 1].mean()
    )
    assert marked_by(columns, [found.problem.targets[0]], cells)[0].task == "cell_type"


def test_a_gene_that_tells_a_number_best_is_said_to_follow_it():
    found = forced("AGE1", "STIM1", "NOISE0", tasks=[CONDITION, AGE])
    cells = found.problem.split.train
    column = found.problem.panel_columns(cells, found.order)[:, found.run.panel.genes.index("AGE1")]
    wanted = stats.spearmanr(column, found.problem.targets[1].values[cells]).statistic
    assert wanted > 0.5
    assert reason_of(found, "AGE1")["reason"].startswith(f"Follows age (rank correlation {wanted:.2f}). ")
    assert reason_of(found, "STIM1")["reason"].startswith("Highest in stim (condition)")


def test_a_constant_gene_follows_nothing():
    found = forced("AGE1", "NOISE0", tasks=[AGE])
    (mark,) = marked_by(np.ones((300, 1)), found.problem.targets, np.arange(300))
    assert mark.correlation == 0
