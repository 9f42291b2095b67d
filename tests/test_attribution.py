"""Why a gene is in the panel: what is lost without it, and where it is expressed, on validation cells."""

from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import CLASSES, TYPE_GENES
from tests.shared_runs import AGE, CONDITION, TYPE, chosen, config_for, finished
from yoto_core.config import GenesConfig
from yoto_core.evaluation.attribution import explain


def reasons_of(found):
    found_reasons = explain(found.run.model, found.problem, found.order)
    return dict(zip(found.run.panel.genes, found_reasons, strict=True))


def forced(*genes, tasks):
    return chosen(config_for(*tasks, panel_size=len(genes), genes=GenesConfig(include=genes)))


def test_every_gene_of_a_panel_has_one_sentence():
    table = finished().panel_table
    assert all(row.reason[0].isupper() and row.reason.endswith(".") for row in table.itertuples())


def test_the_only_gene_of_a_panel_is_needed_for_its_task():
    reason = reasons_of(forced("STIM1", tasks=[CONDITION]))["STIM1"]
    assert reason.tasks == ("condition",)
    assert reason.sentence.startswith("Highest in stim (")
    assert "without it macro-F1 of condition falls by 0." in reason.sentence


def test_a_gene_that_nothing_depends_on_is_said_to_share_its_information():
    found = forced("STIM1", "STIM2", "STIM3", "NOISE0", tasks=[CONDITION])
    reason = reasons_of(found)["NOISE0"]
    assert not reason.tasks or reason.sentence.count("falls by 0.0") == 1  # noise may hold a trace of information
    if not reason.tasks:
        assert "shares its information with other panel genes: alone it can be missed" in reason.sentence


def test_a_gene_that_follows_a_number_tells_its_rank_correlation():
    sentence = reasons_of(forced("AGE1", tasks=[AGE]))["AGE1"].sentence
    assert sentence.startswith("Rank correlation 0.")
    assert float(sentence.split("correlation ")[1].split()[0]) > 0.5
    assert "without it R² of age falls by" in sentence


@pytest.mark.parametrize("name", CLASSES)
def test_a_marker_is_highest_in_its_class(name):
    genes = tuple(markers[0] for markers in TYPE_GENES.values())
    reason = reasons_of(forced(*genes, tasks=[TYPE]))[TYPE_GENES[name][0]]
    assert f"Highest in {name} (100% of cells express it" in reason.sentence


def test_a_class_that_hangs_on_one_gene_is_named_with_its_recall():
    genes = tuple(markers[0] for markers in TYPE_GENES.values())
    name = CLASSES[0]
    sentence = reasons_of(forced(*genes, tasks=[TYPE]))[TYPE_GENES[name][0]].sentence
    assert "(recall of " in sentence
    before, after = sentence.split("from ")[1].split(")")[0].split(" to ")
    assert float(before) > float(after)


def test_explaining_twice_gives_the_same_reasons():
    found = forced("STIM1", "AGE1", tasks=[CONDITION, AGE])
    first = explain(found.run.model, found.problem, found.order)
    assert first == explain(found.run.model, found.problem, found.order)


@pytest.mark.parametrize("tasks", [[TYPE], [AGE]], ids=["classes", "numbers"])
def test_validation_cells_without_any_label_still_give_a_sentence(tasks):
    found = forced("STIM1", "AGE1", tasks=tasks)
    (target,) = found.problem.targets
    values = target.values.copy()
    values[found.problem.split.validation] = -1 if target.classes else np.nan
    bare = replace(found.problem, targets=(replace(target, values=values),))
    reasons = explain(found.run.model, bare, found.order)
    assert all(reason.tasks == () and reason.sentence.endswith(".") for reason in reasons)
